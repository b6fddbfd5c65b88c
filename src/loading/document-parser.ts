/** Parses rules documents: short ones at once, long ones in a thread of their own, so that no request waits for them. */
import { Worker } from 'node:worker_threads';
import { type ParseResult, parseRulesDocument, type RuleScope } from '../rules/language/parse.ts';
import type { BundleText } from '../rules/store/rule-store.ts';
import { type Clock, systemClock } from '../time/clock.ts';

export type TextToParse = BundleText & { readonly scope: RuleScope };

export type DocumentParser = {
  /** One document after the other. Never rejects, whatever the text: what takes too long or too much memory is a problem of the document. */
  parse(document: TextToParse): Promise<ParseResult>;
  stop(): Promise<void>;
};

export type ParserLimits = {
  /** In characters: up to here a document is parsed on the spot, which takes less than a turn to the thread and back. */
  readonly maxInlineCharacters: number;
  /** For one document in the thread. */
  readonly milliseconds: number;
  /** For the thread to start, which on a busy machine takes seconds. */
  readonly startMilliseconds: number;
  /** Of the thread's heap. A memory that fills without end would end the program with the thread. */
  readonly mebibytes: number;
  /** After so long without work the thread ends, and its memory is free. */
  readonly idleMilliseconds: number;
};

/**
 * For the cluster's rules. 4 Ki characters are some 50 rules and take about 5 ms; of commas, the worst, some 20 ms. 1 Mi takes half a second,
 * and 256 MiB are what such a document needs.
 */
export const defaultLimits: ParserLimits = {
  maxInlineCharacters: 4_096,
  milliseconds: 30_000,
  startMilliseconds: 30_000,
  mebibytes: 256,
  idleMilliseconds: 10_000,
};

/**
 * For rules of namespaces: never on the spot. The costliest document that they may have (16,000 lexemes) takes 0.2 s and 20 MiB; ten times the
 * time is for a machine that is busy.
 */
export const namespaceLimits: ParserLimits = { ...defaultLimits, maxInlineCharacters: -1, milliseconds: 2_000, mebibytes: 64 };

/** `start` begins a thread that answers as `parse-worker.ts` does. */
export function createDocumentParser(
  limits: Partial<ParserLimits> = {},
  start: (mebibytes: number) => Worker = startWorker,
  clock: Pick<Clock, 'schedule'> = systemClock,
): DocumentParser {
  const { maxInlineCharacters, milliseconds, startMilliseconds, mebibytes, idleMilliseconds } = { ...defaultLimits, ...limits };
  let worker: Worker | undefined;
  let cancelIdle = () => {};
  let last: Promise<unknown> = Promise.resolve();
  let stopped = false;

  async function parseInThread(document: TextToParse): Promise<ParseResult> {
    cancelIdle();
    try {
      worker ??= await startThread();
      const result = await answerWithin(clock, worker, document, milliseconds);
      cancelIdle = clock.schedule(endWorker, idleMilliseconds);
      return result;
    } catch (error) {
      await endWorker();
      return parseFailure(document, error);
    }
  }

  /** Resolves as soon as the thread takes documents. */
  async function startThread(): Promise<Worker> {
    const started = start(mebibytes);
    // It never keeps the program from ending, and its own failures are told where somebody waits for it.
    started.unref();
    started.on('error', () => undefined);
    started.once('exit', () => {
      if (worker === started) worker = undefined;
    });
    await nextMessage(clock, started, startMilliseconds).catch(async (error: unknown) => {
      await started.terminate();
      throw error;
    });
    return started;
  }

  async function endWorker(): Promise<void> {
    const ending = worker;
    worker = undefined;
    await ending?.terminate();
  }

  return {
    parse(document) {
      const { text, source, scope, start } = document;
      if (text.length <= maxInlineCharacters) return Promise.resolve(parseRulesDocument(text, source, scope, start));
      const result = last.then(() => (stopped ? parseFailure(document, new Error('the program is ending')) : parseInThread(document)));
      last = result;
      return result;
    },
    async stop() {
      stopped = true;
      cancelIdle();
      await endWorker();
    },
  };
}

function answerWithin(clock: Pick<Clock, 'schedule'>, worker: Worker, document: TextToParse, milliseconds: number): Promise<ParseResult> {
  const answer = nextMessage(clock, worker, milliseconds) as Promise<ParseResult>;
  worker.postMessage(document);
  return answer;
}

/** Rejects when the thread fails or ends, which includes too much memory, and after the time. */
function nextMessage({ schedule }: Pick<Clock, 'schedule'>, worker: Worker, milliseconds: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      cancel();
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      finish();
    };
    const onMessage = (message: unknown) => settle(() => resolve(message));
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = () => settle(() => reject(new Error('its thread ended')));
    const cancel = schedule(() => settle(() => reject(new Error(`it takes longer than ${milliseconds / 1000} s`))), milliseconds);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}

/** A document that nobody could read is refused; the last good version stays in force. */
function parseFailure({ source }: TextToParse, error: unknown): ParseResult {
  const { code, message: reason } = error as { code?: string; message?: string };
  const why = code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it takes too much memory' : (reason ?? String(error));
  const message = `the document cannot be read: ${why}; split it into several keys, and look for what makes it so large`;
  return { ok: false, problems: [{ code: 'document-too-costly', message, origin: { source, line: 1, column: 1 } }] };
}

/** What `npm run build` puts here: the thread's program as one text, since the bundle is one file. */
declare const parseWorkerProgram: string | undefined;

function startWorker(mebibytes: number): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: mebibytes };
  return typeof parseWorkerProgram === 'string'
    ? new Worker(parseWorkerProgram, { eval: true, resourceLimits })
    : new Worker(new URL('./parse-worker.ts', import.meta.url), { resourceLimits });
}

/** Parses rules documents: short ones immediately, long ones in a worker thread, so that no request waits for them. */
import { Worker } from 'node:worker_threads';
import { type ParseResult, parseOrdinaryRulesDocument, parseRulesDocument, type RuleScope } from '../rules/language/parse.ts';
import type { BundleText } from '../rules/store/rule-store.ts';
import { type Clock, systemClock } from '../time/clock.ts';

export type TextToParse = BundleText & { readonly scope: RuleScope };

export type DocumentParser = {
  /** Parses one document after the other. Never rejects: a document that needs too much time or memory gets a problem. */
  parse(document: TextToParse, when?: 'at start'): Promise<ParseResult>;
  stop(): Promise<void>;
};

export type ParserLimits = {
  /** Documents with at most so many characters are parsed inline, which is faster than a message to the thread and back. */
  readonly maxInlineCharacters: number;
  /** For documents that are parsed at the start of the process, all together. No request can wait for them, and a thread starts slowly. */
  readonly maxInlineCharactersAtStart: number;
  /** The same for further documents that are ordinary and match the schema, so that parsing them needs a tenth of the time and memory. */
  readonly maxOrdinaryCharactersAtStart: number;
  /** Deadline for one document in the thread. */
  readonly milliseconds: number;
  /** Deadline for the start of the thread, which takes seconds on a busy machine. */
  readonly startMilliseconds: number;
  /** Limit of the thread's heap. Without a limit, a growing heap would end the whole process. */
  readonly mebibytes: number;
  /** The thread ends after so long without work, to free its memory. */
  readonly idleMilliseconds: number;
};

/**
 * For the cluster's rules. 4 Ki characters are about 50 rules and take about 5 ms, or 20 ms in the worst case, which is commas only. 1 Mi
 * characters take half a second, and such a document needs 256 MiB.
 */
export const defaultLimits: ParserLimits = {
  maxInlineCharacters: 4_096,
  // Some 700 rules. In the worst case they take 0.3 s.
  maxInlineCharactersAtStart: 65_536,
  // Some 12,000 rules, which take half a second.
  maxOrdinaryCharactersAtStart: 1_048_576,
  milliseconds: 30_000,
  startMilliseconds: 30_000,
  mebibytes: 256,
  idleMilliseconds: 10_000,
};

/**
 * For rules of namespaces, which are never parsed inline. The costliest document within their limits (16,000 lexemes) takes 0.2 s and 20
 * MiB. The deadline is ten times as long, for busy machines.
 */
export const namespaceLimits: ParserLimits = {
  ...defaultLimits,
  maxInlineCharacters: -1,
  maxInlineCharactersAtStart: -1,
  maxOrdinaryCharactersAtStart: -1,
  milliseconds: 2_000,
  mebibytes: 64,
};

/** `start` starts a thread that answers as `parse-worker.ts` does. */
export function createDocumentParser(
  limits: Partial<ParserLimits> = {},
  start: (mebibytes: number) => Worker = startWorker,
  clock: Pick<Clock, 'schedule'> = systemClock,
): DocumentParser {
  const { maxInlineCharacters, milliseconds, startMilliseconds, mebibytes, idleMilliseconds, ...others } = { ...defaultLimits, ...limits };
  let inlineCharactersLeft = others.maxInlineCharactersAtStart;
  let ordinaryCharactersLeft = others.maxOrdinaryCharactersAtStart;
  let worker: Worker | undefined;
  /** A thread that does not accept documents yet. */
  let starting: Worker | undefined;
  let cancelIdle = () => {};
  let last: Promise<unknown> = Promise.resolve();
  let stopped = false;

  function parseOrdinary({ text, source, scope, start }: TextToParse): ParseResult | undefined {
    if (text.length > ordinaryCharactersLeft) return undefined;
    ordinaryCharactersLeft -= text.length;
    return parseOrdinaryRulesDocument(text, source, scope, start);
  }

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

  /** Resolves as soon as the thread accepts documents. */
  async function startThread(): Promise<Worker> {
    const started = start(mebibytes);
    starting = started;
    // The thread must not keep the process alive. Its errors are reported to the caller that waits for an answer.
    started.unref();
    started.on('error', () => undefined);
    started.once('exit', () => {
      if (worker === started) worker = undefined;
    });
    await nextMessage(clock, started, startMilliseconds).catch(async (error: unknown) => {
      await started.terminate();
      throw error;
    });
    starting = undefined;
    return started;
  }

  async function endWorker(): Promise<void> {
    const ending = worker ?? starting;
    worker = undefined;
    starting = undefined;
    await ending?.terminate();
  }

  return {
    parse(document, when) {
      const { text, source, scope, start } = document;
      const isInlineAtStart = when === 'at start' && text.length <= inlineCharactersLeft;
      if (isInlineAtStart) inlineCharactersLeft -= text.length;
      if (isInlineAtStart || text.length <= maxInlineCharacters) return Promise.resolve(parseRulesDocument(text, source, scope, start));
      const ordinary = when === 'at start' ? parseOrdinary(document) : undefined;
      if (ordinary) return Promise.resolve(ordinary);
      const result = last.then(() => (stopped ? parseFailure(document, new Error('regkeeper is shutting down')) : parseInThread(document)));
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

/** Rejects when the thread fails or ends, also for lack of memory, and after the deadline. */
function nextMessage({ schedule }: Pick<Clock, 'schedule'>, worker: Worker, milliseconds: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      cancel();
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      finish();
    };
    const onMessage = (message: unknown) => settle(() => resolve(message));
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = () => settle(() => reject(new Error('its parser thread ended')));
    const cancel = schedule(() => settle(() => reject(new Error(`it takes longer than ${milliseconds / 1000} s`))), milliseconds);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}

/** The result for a document that could not be parsed. It is rejected, and the last valid version stays in force. */
function parseFailure({ source }: TextToParse, error: unknown): ParseResult {
  const { code, message: reason } = error as { code?: string; message?: string };
  const why = code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it needs too much memory' : (reason ?? String(error));
  const message = `the document cannot be parsed: ${why}. Split it into several keys, and check what makes it so large.`;
  return { ok: false, problems: [{ code: 'document-too-costly', message, origin: { source, line: 1, column: 1 } }] };
}

/** Defined by `npm run build`: the worker's program as text, since the bundle is a single file. */
declare const parseWorkerProgram: string | undefined;

function startWorker(mebibytes: number): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: mebibytes };
  return typeof parseWorkerProgram === 'string'
    ? new Worker(parseWorkerProgram, { eval: true, resourceLimits })
    : new Worker(new URL('./parse-worker.ts', import.meta.url), { resourceLimits });
}

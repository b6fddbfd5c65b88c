/** Reviews the rules ConfigMaps before they are stored: reads them as they will be read, and asks the book what it would say. */
import {
  answerBusy,
  answerGuarded,
  answerTooSlow,
  answerUnread,
  type GuardFindings,
  type GuardSettings,
  readGuarded,
  renderProblem,
} from '../admission/guard.ts';
import type { AdmissionAnswer } from '../admission/response.ts';
import type { ReviewRequest } from '../admission/review.ts';
import { createAllowance } from '../intake/allowance.ts';
import type { RuleNews } from '../intake/news.ts';
import type { DocumentParser, TextToParse } from '../intake/parser.ts';
import { readInTurns, wideningInTurns } from '../intake/read.ts';
import { createTurns } from '../intake/turns.ts';
import type { Bundle, Preview, ReadBundle, RuleBook } from '../rules/book.ts';
import { mostProblems, type ParseResult } from '../rules/parse.ts';
import { firstProblems, type Problem } from '../rules/problem.ts';
import type { RuleSet } from '../rules/ruleset.ts';

export type GuardCollaborators = {
  readonly settings: GuardSettings;
  readonly book: Pick<RuleBook, 'preview' | 'widening' | 'refuseUnread'>;
  /**
   * Of the guard alone: what somebody tries out must not hold up what is in force. Two threads, so that reviews of the cluster's rules never
   * wait for a document of a namespace.
   */
  readonly parsers: { readonly cluster: DocumentParser; readonly namespaces: DocumentParser };
  readonly news: Pick<RuleNews, 'next'>;
  /** Advice about a rule set without problems. */
  lint(ruleSet: RuleSet): readonly Problem[];
  readonly timings?: Partial<GuardTimings>;
};

/** In milliseconds. */
export type GuardTimings = {
  /** Below the webhook's timeout of 5 s, so that the answer still arrives. */
  readonly answerWithin: number;
  /** A ConfigMap that was changed a moment ago may not have come back by the watch, which takes milliseconds, and its document be long. */
  readonly waitForOthers: number;
  now(): number;
};

export type GuardReview = {
  /** Undefined where there was no time, since other rules of the cluster were being read. Never for rules of a namespace. */
  readonly answer: AdmissionAnswer | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
};

export type RuleGuard = (request: ReviewRequest) => Promise<GuardReview>;

const defaultTimings: GuardTimings = { answerWithin: 4_000, waitForOthers: 1_000, now: () => performance.now() };

/** Reviews of rules of one namespace at a time. The documents of several namespaces are read in turn. */
const mostOfNamespace = 10;
/**
 * For reading the documents of one namespace: three seconds of the thread at once, which are twice what the costliest ConfigMap takes, and a
 * fifth of it in the long run.
 */
const allowanceOfNamespace = { burst: 3_000, share: 0.2 };

export function createRuleGuard({ settings, book, parsers, news, lint, ...options }: GuardCollaborators): RuleGuard {
  const timings = { ...defaultTimings, ...options.timings };
  const turns = createTurns();
  const allowance = createAllowance({ ...allowanceOfNamespace, now: timings.now });
  /** By namespace; the cluster's reviews under the empty name. */
  const reviewing = new Map<string, number>();

  return async (request) => {
    const guarded = readGuarded(request, settings);
    if (guarded.kind !== 'rules') return conclude(answerGuarded(request, guarded, nothingFound));
    const { bundle, unchanged } = guarded;
    const namespace = bundle.scope?.kind === 'namespace' ? bundle.scope.namespace : '';
    const tooMuch = book.refuseUnread(bundle);
    if (tooMuch) {
      const { problems } = book.preview(tooMuch);
      return conclude(answerGuarded(request, guarded, { problems, warnings: [] }), problems);
    }
    const before = reviewing.get(namespace) ?? 0;
    if (namespace !== '' && (before >= mostOfNamespace || !allowance.has(namespace))) {
      return conclude(unchanged ? answerUnread(request, guarded, tooManyReviews) : answerBusy(request, namespace));
    }
    reviewing.set(namespace, before + 1);
    let late = false;
    const review = findingsOf(bundle, () => late).finally(() => {
      const left = (reviewing.get(namespace) ?? 1) - 1;
      if (left > 0) reviewing.set(namespace, left);
      else reviewing.delete(namespace);
    });
    const findings = await within(timings.answerWithin, review);
    late = true;
    if (findings) return conclude(answerGuarded(request, guarded, findings), findings.problems);
    // Without an answer the API server would allow it (failurePolicy Ignore). A label may change all the same.
    if (namespace !== '' && unchanged) return conclude(answerUnread(request, guarded, tooManyReviews));
    // Other rules of the cluster took the time: it may be enough the next time the API server asks, and if not, loading will tell.
    if (namespace === '' && before > 0) return { answer: undefined, problems: ['others are being read'], warnings: [] };
    return conclude(answerTooSlow(request, timings.answerWithin / 1_000));
  };

  async function findingsOf(bundle: Bundle, isLate: () => boolean): Promise<GuardFindings> {
    const { scope } = bundle;
    const read =
      scope?.kind === 'namespace'
        ? await readInTurns(bundle, (document) => turns.run(scope.namespace, () => parseInTime(document, scope.namespace, isLate)), isLate)
        : await readInTurns(bundle, parsers.cluster.parse, isLate);
    let found = await tryOut(read, isLate);
    if (found.problems.length > 0 && read.results.every(({ ok }) => ok)) {
      // Good on its own. Perhaps what it contradicts was mended by the same `kubectl apply`, a moment ago.
      await news.next(timings.waitForOthers);
      found = await tryOut(read, isLate);
    }
    const { problems, warnings, ruleSet } = found;
    const advice = ruleSet ? lint(ruleSet).filter(({ origin }) => isOf(bundle, origin)) : [];
    return { problems, warnings: [...warnings, ...advice] };
  }

  /** Nobody waits for what is late, and its turn is for others. */
  async function parseInTime(document: TextToParse, namespace: string, isLate: () => boolean): Promise<ParseResult> {
    if (isLate()) return { ok: false, problems: [] };
    const started = timings.now();
    try {
      return await parsers.namespaces.parse(document);
    } finally {
      allowance.use(namespace, timings.now() - started);
    }
  }

  /** Somebody is there to mend it, so that a rule without effect is a problem; when it is loaded, it is harmless. */
  async function tryOut(read: ReadBundle, isLate: () => boolean): Promise<Preview> {
    const preview = book.preview(read);
    if (preview.problems.length > 0) return preview;
    return { ...preview, problems: firstProblems(await wideningInTurns(read, book, isLate), mostProblems.namespace) };
  }
}

const tooManyReviews = 'too many rules of this namespace are being reviewed, so these were not read; they are as before';

const nothingFound: GuardFindings = { problems: [], warnings: [] };

function isOf({ documents }: Bundle, { source }: Problem['origin']): boolean {
  return documents.some(
    (document) =>
      source.kind === 'configMap' &&
      document.source.kind === 'configMap' &&
      source.key === document.source.key &&
      source.name === document.source.name &&
      source.namespace === document.source.namespace,
  );
}

function conclude(answer: AdmissionAnswer, problems: readonly Problem[] = []): GuardReview {
  const { allowed, warnings = [], status } = answer.response;
  const refusedWithout = allowed || problems.length > 0 ? [] : [status?.message ?? ''];
  return { answer, problems: [...problems.map(renderProblem), ...refusedWithout], warnings };
}

/** Undefined when the time is over first; what the work fails with is the caller's to tell. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

/** Reviews the rules ConfigMaps before they are stored: reads them as they will be read, and asks the book what it would say. */
import { answerGuarded, answerTooSlow, type GuardFindings, type GuardSettings, readGuarded, renderProblem } from '../admission/guard.ts';
import type { AdmissionAnswer } from '../admission/response.ts';
import type { ReviewRequest } from '../admission/review.ts';
import { readInTurns, wideningInTurns } from '../intake/intake.ts';
import type { RuleNews } from '../intake/news.ts';
import type { DocumentParser } from '../intake/parser.ts';
import type { Bundle, Preview, ReadBundle, RuleBook } from '../rules/book.ts';
import type { Problem } from '../rules/problem.ts';
import type { RuleSet } from '../rules/ruleset.ts';

export type GuardCollaborators = {
  readonly settings: GuardSettings;
  readonly book: Pick<RuleBook, 'preview' | 'widening'>;
  /** Of the guard alone: what somebody tries out must not hold up what is in force. */
  readonly parser: DocumentParser;
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
};

export type GuardReview = {
  /** Undefined where there was no time: others were being read. */
  readonly answer: AdmissionAnswer | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
};

export type RuleGuard = (request: ReviewRequest) => Promise<GuardReview>;

const defaultTimings: GuardTimings = { answerWithin: 4_000, waitForOthers: 1_000 };

export function createRuleGuard({ settings, book, parser, news, lint, ...options }: GuardCollaborators): RuleGuard {
  const timings = { ...defaultTimings, ...options.timings };
  let reviewing = 0;

  return async (request) => {
    const guarded = readGuarded(request, settings);
    if (guarded.kind !== 'rules') return conclude(answerGuarded(request, guarded, nothingFound));
    const alone = reviewing === 0;
    reviewing += 1;
    const review = findingsOf(guarded.bundle).finally(() => {
      reviewing -= 1;
    });
    const findings = await within(timings.answerWithin, review);
    if (findings) return conclude(answerGuarded(request, guarded, findings), findings.problems);
    // The time went to others: it may be enough the next time the API server asks, and if not, loading will tell.
    if (!alone) return { answer: undefined, problems: ['others are being read'], warnings: [] };
    return conclude(answerTooSlow(request, timings.answerWithin / 1_000));
  };

  async function findingsOf(bundle: Bundle): Promise<GuardFindings> {
    const read = await readInTurns(bundle, parser);
    let found = await tryOut(read);
    if (found.problems.length > 0 && read.results.every(({ ok }) => ok)) {
      // Good on its own. Perhaps what it contradicts was mended by the same `kubectl apply`, a moment ago.
      await news.next(timings.waitForOthers);
      found = await tryOut(read);
    }
    const { problems, warnings, ruleSet } = found;
    const advice = ruleSet ? lint(ruleSet).filter(({ origin }) => isOf(bundle, origin)) : [];
    return { problems, warnings: [...warnings, ...advice] };
  }

  /** Somebody is there to mend it, so that a rule without effect is a problem; when it is loaded, it is harmless. */
  async function tryOut(read: ReadBundle): Promise<Preview> {
    const preview = book.preview(read);
    return preview.problems.length > 0 ? preview : { ...preview, problems: await wideningInTurns(read, book) };
  }
}

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

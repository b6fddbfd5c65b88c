/** Reviews rules ConfigMaps before they are stored: parses them as the loader would, and asks the rule store for the result. */

import type { AdmissionAnswer } from '../admission/response.ts';
import type { ReviewRequest } from '../admission/review.ts';
import {
  type ReviewedConfigMap,
  type RulesReviewFindings,
  type RulesReviewSettings,
  type RulesReviewSubject,
  readReviewedConfigMap,
  renderBusy,
  renderNotReviewed,
  renderProblem,
  renderRulesReview,
  renderTooSlow,
} from '../admission/review-config-map.ts';
import { createCpuAllowance } from '../loading/cpu-allowance.ts';
import type { DocumentParser, TextToParse } from '../loading/document-parser.ts';
import { findWideningInSteps, readBundleInSteps } from '../loading/read-bundle.ts';
import { createRoundRobin, type RoundRobin } from '../loading/round-robin.ts';
import { maxProblems, type ParseResult } from '../rules/language/parse.ts';
import { firstProblems, type Problem } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { Preview, ReadBundle, RuleStore } from '../rules/store/rule-store.ts';
import type { RulesInForce } from '../rules/store/rules-in-force.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import { TooLate, within } from '../time/within.ts';
import { hideOtherRules, isInBundle } from './hide-other-rules.ts';

export type RulesReviewCollaborators = {
  readonly settings: RulesReviewSettings;
  readonly store: Pick<RuleStore, 'preview' | 'widening' | 'rejectIfOverQuota'>;
  /**
   * Own parsers of the reviewer, because a review must not delay the loading of rules. There are two threads, so that reviews of the
   * cluster's rules never wait for a document of a namespace.
   */
  readonly parsers: { readonly cluster: DocumentParser; readonly namespaces: DocumentParser };
  readonly rules: Pick<RulesInForce, 'onChange'>;
  /** Lint findings of a rule set without problems. */
  lint(ruleSet: RuleSet): readonly Problem[];
  readonly clock?: Clock;
  readonly timings?: Partial<RulesReviewTimings>;
};

/** In milliseconds. */
export type RulesReviewTimings = {
  /** Less than the webhook's timeout of 5 s, so that the answer arrives in time. */
  readonly answerWithin: number;
  /** How long to wait for a ConfigMap that was changed a moment ago: its watch event takes milliseconds, and its document may be long. */
  readonly waitForOthers: number;
};

export type RulesReview = {
  /** Undefined if too many other rules are being reviewed. Then the API server is asked to retry. */
  readonly answer: AdmissionAnswer | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
};

/**
 * Reads everything that it needs of the request before it returns. The promise does not keep the request in memory. The answer to a caller
 * that did not authenticate repeats nothing of other ConfigMaps.
 */
export type RulesReviewer = (request: ReviewRequest, callerAuthenticated: boolean) => Promise<RulesReview>;

const defaultTimings: RulesReviewTimings = { answerWithin: 4_000, waitForOthers: 1_000 };

/**
 * Concurrent reviews, counted separately for the cluster and for all namespaces together, so that neither blocks the other. Each keeps at
 * most 1 MiB of texts, and one of a namespace 131,072 characters. Above the limit the API server is asked to retry.
 */
const maxReviews = { cluster: 10, namespaces: 20 };
/** Concurrent reviews of the rules of one namespace. Documents of several namespaces are parsed in turn. */
const maxReviewsPerNamespace = 10;
/**
 * CPU time for parsing the documents of one namespace. The burst of three seconds is twice what the costliest ConfigMap needs. In the long
 * run it is a fifth of the thread.
 */
const allowanceOfNamespace = { burst: 3_000, share: 0.2 };

/** One of the two parser threads, and its reviews in progress. */
type Lane = { readonly parser: DocumentParser; readonly roundRobin: RoundRobin; readonly maxReviews: number; reviews: number };

/** A review without its request, whose object and old object must not be kept in memory meanwhile. */
type Review = {
  readonly subject: RulesReviewSubject;
  readonly reviewed: ReviewedConfigMap & { readonly kind: 'rules' };
  readonly lane: Lane;
  /** The namespace that the rules belong to. Empty for the cluster's rules. */
  readonly namespace: string;
  readonly callerAuthenticated: boolean;
};

export function createRulesReviewer({
  settings,
  store,
  parsers,
  rules,
  lint,
  clock = systemClock,
  ...options
}: RulesReviewCollaborators): RulesReviewer {
  const timings = { ...defaultTimings, ...options.timings };
  const lanes = {
    cluster: { parser: parsers.cluster, roundRobin: createRoundRobin(), maxReviews: maxReviews.cluster, reviews: 0 },
    namespaces: { parser: parsers.namespaces, roundRobin: createRoundRobin(), maxReviews: maxReviews.namespaces, reviews: 0 },
  };
  const allowance = createCpuAllowance({ ...allowanceOfNamespace, now: clock.monotonic });
  const reviewsOf = new Map<string, number>();

  return (request, callerAuthenticated) => {
    const { uid, name } = request;
    const subject = { uid, namespace: request.namespace, name };
    const reviewed = readReviewedConfigMap(request, settings);
    if (reviewed.kind !== 'rules') return Promise.resolve(conclude(renderRulesReview(subject, reviewed, nothingFound)));
    const { scope } = reviewed.bundle;
    const namespace = scope?.kind === 'namespace' ? scope.namespace : '';
    return review({ subject, reviewed, lane: namespace === '' ? lanes.cluster : lanes.namespaces, namespace, callerAuthenticated });
  };

  async function review(each: Review): Promise<RulesReview> {
    const { subject, reviewed, lane, namespace } = each;
    const { bundle, unchanged } = reviewed;
    const overQuota = store.rejectIfOverQuota(bundle);
    if (overQuota) {
      const { problems } = store.preview(overQuota);
      return concludeWith(each, { problems, warnings: [] });
    }
    if (namespace !== '' && ((reviewsOf.get(namespace) ?? 0) >= maxReviewsPerNamespace || !allowance.has(namespace))) {
      return conclude(unchanged ? renderNotReviewed(subject, reviewed, tooManyReviews) : renderBusy(subject, namespace));
    }
    if (lane.reviews >= lane.maxReviews) return { answer: undefined, problems: ['too many rules are being reviewed'], warnings: [] };
    let late = false;
    const findings = await within(clock, timings.answerWithin, 'the review took too long', () =>
      countWhileRunning(each, () => findingsOf(each, () => late)),
    ).catch((error: unknown) => {
      if (error instanceof TooLate) return undefined;
      throw error;
    });
    late = true;
    if (findings) return concludeWith(each, findings);
    // Denied even if other reviews used up the time: without an answer the API server would allow it (failurePolicy Ignore). Unchanged
    // rules are allowed, since such an update changes only labels or the like.
    if (unchanged) return conclude(renderNotReviewed(subject, reviewed, tooManyReviews));
    return conclude(renderTooSlow(subject, timings.answerWithin / 1_000));
  }

  /** Counts the review until its work is done, which may be after its answer. */
  async function countWhileRunning<T>({ lane, namespace }: Review, work: () => Promise<T>): Promise<T> {
    lane.reviews += 1;
    reviewsOf.set(namespace, (reviewsOf.get(namespace) ?? 0) + 1);
    try {
      return await work();
    } finally {
      lane.reviews -= 1;
      const left = (reviewsOf.get(namespace) ?? 1) - 1;
      if (left > 0) reviewsOf.set(namespace, left);
      else reviewsOf.delete(namespace);
    }
  }

  async function findingsOf(each: Review, isLate: () => boolean): Promise<RulesReviewFindings> {
    const { bundle } = each.reviewed;
    const parse = (document: TextToParse) => each.lane.roundRobin.run(each.namespace, () => parseInTime(document, each, isLate));
    const read = await readBundleInSteps(bundle, parse, isLate);
    if (isLate()) return nothingFound;
    let found = await previewWithWidening(read, isLate);
    if (found.problems.length > 0 && read.results.every(({ ok }) => ok)) {
      // The ConfigMap is valid on its own. The rules that it contradicts may have been fixed by the same `kubectl apply` a moment ago.
      await nextChange(rules, clock, timings.waitForOthers);
      if (isLate()) return nothingFound;
      found = await previewWithWidening(read, isLate);
    }
    const { problems, warnings, ruleSet } = found;
    const advice = ruleSet ? lint(ruleSet).filter(({ origin }) => isInBundle(bundle, origin)) : [];
    return { problems, warnings: [...warnings, ...advice] };
  }

  /** Skips documents of a review whose answer is overdue, so that other reviews get the turn. */
  async function parseInTime(document: TextToParse, { lane, namespace }: Review, isLate: () => boolean): Promise<ParseResult> {
    if (isLate()) return { ok: false, problems: [] };
    const started = clock.monotonic();
    try {
      return await lane.parser.parse(document);
    } finally {
      if (namespace !== '') allowance.use(namespace, clock.monotonic() - started);
    }
  }

  /** A rule without effect is a problem in a review, because its author can fix it now. When it is loaded it is harmless. */
  async function previewWithWidening(read: ReadBundle, isLate: () => boolean): Promise<Preview> {
    const preview = store.preview(read);
    if (preview.problems.length > 0) return preview;
    return { ...preview, problems: firstProblems(await findWideningInSteps(read, store, isLate), maxProblems.namespace) };
  }
}

const tooManyReviews =
  'too many rules are being reviewed, so this ConfigMap was not reviewed. Its rules are unchanged, so the update is allowed.';

const nothingFound: RulesReviewFindings = { problems: [], warnings: [] };

/** Resolves when other documents have been loaded, or after the time. */
function nextChange(rules: Pick<RulesInForce, 'onChange'>, clock: Pick<Clock, 'schedule'>, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      unsubscribe();
      cancel();
      resolve();
    };
    const unsubscribe = rules.onChange(({ cause }) => {
      if (cause === 'documents') end();
    });
    const cancel = clock.schedule(end, milliseconds);
  });
}

/** The audit record has the problems in full. */
function concludeWith({ subject, reviewed, callerAuthenticated }: Review, { problems, warnings }: RulesReviewFindings): RulesReview {
  const shown = (problem: Problem) => (callerAuthenticated ? problem : hideOtherRules(problem, reviewed.bundle));
  const answer = renderRulesReview(subject, reviewed, { problems: problems.map(shown), warnings: warnings.map(shown) });
  return conclude(answer, problems);
}

function conclude(answer: AdmissionAnswer, problems: readonly Problem[] = []): RulesReview {
  const { allowed, warnings = [], status } = answer.response;
  const deniedWithoutProblem = allowed || problems.length > 0 ? [] : [status?.message ?? ''];
  return { answer, problems: [...problems.map(renderProblem), ...deniedWithoutProblem], warnings };
}

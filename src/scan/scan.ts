/** Evaluates everything that runs, or could, as if it were created now. */
import { soften } from '../decision/decide.ts';
import type { Outcome } from '../decision/decision.ts';
import { severity } from '../decision/evaluate-image.ts';
import type { Facts } from '../decision/facts.ts';
import type { ReasonCode } from '../decision/reasons.ts';
import {
  type EvaluatedImage,
  evaluateObject,
  type ObjectEvaluation,
  type ObjectResult,
  renderSubject,
  subjectOf,
} from '../evaluate/evaluate-object.ts';
import { type AuditedRule, auditRule } from '../observe/audit/audited-rule.ts';
import { compareTexts } from '../rules/compare-texts.ts';
import type { Rule, RuleSet } from '../rules/rule-set.ts';
import { dayOf, type TrustPhase, trustPhase } from '../rules/trust-end.ts';
import { type LiveObjects, type PodGroup, type ReadWorkloads, readWorkloads, type WorkloadName } from './read-workloads.ts';

export type ScanOptions = LiveObjects & { readonly rules: RuleSet; readonly facts: Facts };

export type Scan = Omit<ReadWorkloads<Scanned>, 'workloads'> & {
  readonly rulesRevision: string;
  /** Rules whose trust ends, the first one first. */
  readonly ends: readonly TrustEnd[];
  readonly workloads: readonly ScannedWorkload[];
  /** Objects in which something looks like an image that their kind does not name. */
  readonly notEvaluated: readonly NotEvaluatedObject[];
};

/** `message` is one sentence with the name of the object. */
export type NotEvaluatedObject = { readonly namespace: string; readonly message: string };

/** `phase` is that of the day for which the rules are evaluated. */
export type TrustEnd = { readonly rule: AuditedRule; readonly until: string; readonly warnFrom: string; readonly phase: TrustPhase };

/** The result of one workload is the worst of its templates and Pods. */
export type ScannedWorkload = WorkloadName &
  Verdict & { readonly templates: readonly Scanned[]; readonly pods: readonly PodGroup<Scanned>[]; readonly idleCopies: number };

export type Scanned = Verdict &
  Pick<ObjectResult, 'messages'> & {
    readonly images: readonly ScannedImage[];
    /** The reasons of messages that are not about one image. Absent if there are none. */
    readonly warnings?: readonly ScannedWarning[];
  };

export type ScannedWarning = { readonly reason: ReasonCode; readonly message: string };

export type ScannedImage = EvaluatedImage & Omit<Verdict, 'uncertain'>;

type Verdict = Pick<ObjectResult, 'outcome' | 'outcomeIfEnforced' | 'uncertain'>;

/** @throws ApiError if the API server cannot be reached, or rejects the credential */
export async function scan({ rules, facts, ...live }: ScanOptions): Promise<Scan> {
  // By message, since a list that starts over returns an object again.
  const notEvaluated = new Map<string, NotEvaluatedObject>();
  const compact = createCompactor();
  const { workloads, ...read } = await readWorkloads<Scanned | undefined>(live, (manifest, user) => {
    const evaluation = evaluateObject(manifest, rules, facts, { namespace: '', user, source: 'cluster' });
    if (evaluation.kind === 'evaluated') return compact(evaluation);
    if (evaluation.kind === 'not-evaluated') {
      const subject = subjectOf(manifest, '');
      const message = `${renderSubject(subject)} ${evaluation.why.message}`;
      notEvaluated.set(message, { namespace: subject.namespace, message });
    }
    return undefined;
  });
  const scanned = workloads.flatMap(({ templates, pods, ...workload }): readonly ScannedWorkload[] => {
    const known = templates.filter((each) => each !== undefined);
    const groups = pods.filter((group): group is PodGroup<Scanned> => group.value !== undefined);
    const verdicts = [...known, ...groups.map(({ value }) => value)];
    return verdicts.length === 0 ? [] : [{ ...workload, ...worst(verdicts), templates: known, pods: groups }];
  });
  const ends = trustEnds(rules, dayOf(facts.now()));
  return { ...read, rulesRevision: rules.revision, ends, workloads: scanned, notEvaluated: [...notEvaluated.values()] };
}

function trustEnds({ rules, namespaceRules }: RuleSet, today: string): readonly TrustEnd[] {
  const all = [...rules, ...[...namespaceRules.values()].flat()];
  const ends = all.flatMap((rule): readonly TrustEnd[] => {
    const { until, warnFrom = until } = rule;
    if (until === undefined || warnFrom === undefined) return [];
    return [{ rule: auditRule(rule), until, warnFrom, phase: trustPhase(rule, today) }];
  });
  // A rule with several patterns is one rule for each.
  const distinct = [...new Map(ends.map((end) => [ruleKey(end.rule), end])).values()];
  return distinct.sort((one, other) => compareTexts(one.until, other.until) || compareTexts(one.rule.name, other.rule.name));
}

/** Equal for the patterns of one rule. */
export function ruleKey({ name, source }: AuditedRule): string {
  return JSON.stringify([name, source]);
}

/** Keeps what is shown. Texts that many objects share are kept once. */
function createCompactor() {
  const rules = new Map<Rule, AuditedRule>();
  const texts = new Map<string, string>();
  const shared = (text: string) => {
    const known = texts.get(text);
    if (known === undefined) texts.set(text, text);
    return known ?? text;
  };
  const ruleOf = (rule: Rule) => {
    const known = rules.get(rule) ?? auditRule(rule);
    rules.set(rule, known);
    return known;
  };
  return ({ result, decisions, reasons, mode = 'enforce' }: ObjectEvaluation & { kind: 'evaluated' }): Scanned => ({
    ...verdictOf(result),
    images: result.images.map((image, index): ScannedImage => {
      const { rule, outcomeBeforeMode = 'allowed' } = decisions[index] ?? {};
      const outcome = soften(outcomeBeforeMode, mode);
      return {
        ...image,
        path: shared(image.path),
        ...(rule && { rule: ruleOf(rule) }),
        outcome,
        ...(outcome !== outcomeBeforeMode && { outcomeIfEnforced: outcomeBeforeMode }),
      };
    }),
    messages: result.messages,
    ...(reasons.size > 0 && { warnings: [...reasons].map(([message, reason]) => ({ reason, message })) }),
  });
}

function verdictOf({ outcome, outcomeIfEnforced, uncertain }: Verdict): Verdict {
  return { outcome, ...(outcomeIfEnforced !== undefined && { outcomeIfEnforced }), ...(uncertain && { uncertain }) };
}

function worst(verdicts: readonly Verdict[]): Verdict {
  const outcome = worstOutcome(verdicts.map((each) => each.outcome));
  const ifEnforced = worstOutcome(verdicts.map((each) => each.outcomeIfEnforced ?? each.outcome));
  const isDenied = verdicts.some((each) => each.outcome === 'denied' && !each.uncertain);
  const uncertain = isDenied ? [] : [...new Set(verdicts.flatMap((each) => each.uncertain ?? []))];
  return {
    outcome,
    ...(ifEnforced !== outcome && { outcomeIfEnforced: ifEnforced }),
    ...(uncertain.length > 0 && { uncertain }),
  };
}

function worstOutcome(outcomes: readonly Outcome[]): Outcome {
  return outcomes.reduce((one, other) => (severity[other] > severity[one] ? other : one), 'allowed');
}

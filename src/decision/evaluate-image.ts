/** Evaluates one image name in one namespace by the rules. Used by `decide` for each slot, and by the `explain` command. */
import { dockerHub } from '../image/docker-hub.ts';
import { completeRegistryHost, type ImageProblem, type ImageReference, parseImage } from '../image/reference.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { NamespaceContext, NamespaceSettings, Rule, RuleSet, SettingsAnswer, ShortNames, Unconfigured } from '../rules/rule-set.ts';
import { dayOf, firstToEnd, trustPhase } from '../rules/trust-end.ts';
import type { ImageEvaluation, Outcome } from './decision.ts';
import type { Facts } from './facts.ts';

export type EvaluationContext = {
  readonly rules: RuleSet;
  readonly place: NamespaceContext;
  /** The settings of the namespace. */
  readonly settings: NamespaceSettings;
  readonly facts: Pick<Facts, 'now'>;
  /** The meaning of a name without a registry, where it does not depend on the rules. */
  readonly shortNames?: ShortNames;
};

export function evaluateImage(text: string, context: EvaluationContext): ImageEvaluation {
  const parsed = parseImage(text);
  if (!parsed.ok) return invalid(parsed.problem);
  const { reference } = parsed;
  const { shortNames = context.rules.settings.shortNames } = context;
  if (reference.qualified || shortNames === 'docker.io') return evaluateReference(reference, context);
  if (shortNames === 'reject') return { verdict: 'untrusted', reason: 'short-name', outcomeBeforeMode: 'denied', reference, trustedBy: [] };
  return evaluateSearched(text, shortNames, context);
}

/** A registry host alone is parsed as an official image of Docker Hub. If those are trusted, only a warning shows the mistake. */
export function warnAboutHost<Evaluation extends ImageEvaluation>(evaluation: Evaluation): Evaluation {
  const { outcomeBeforeMode, verdict, reference } = evaluation;
  if (outcomeBeforeMode !== 'allowed' || verdict !== 'trusted' || reference?.host !== dockerHub) return evaluation;
  return completeRegistryHost(reference) === undefined
    ? evaluation
    : { ...evaluation, outcomeBeforeMode: 'warned', reason: 'registry-host' };
}

/**
 * The selectors of uncertain settings that could change the outcome of these images. `secrets` is whether secrets may be injected for them.
 * The strictest value of each setting was assumed, so an image that is allowed under it is allowed under all others.
 */
export function effectiveSettings(
  { mode, unconfigured, inject }: NonNullable<SettingsAnswer['unsure']>,
  images: readonly ImageEvaluation[],
  secrets: boolean,
): readonly Origin[] {
  const counting = [
    images.some(({ outcomeBeforeMode }) => outcomeBeforeMode !== 'allowed') ? mode : undefined,
    images.some(({ verdict }) => verdict === 'unconfigured') ? unconfigured : undefined,
    secrets ? inject : undefined,
  ];
  return [...new Set(counting.filter((origin) => origin !== undefined))];
}

/** A node tries the hosts in turn, and any of them may have the image. So each must be trusted, and each needs its secret. */
function evaluateSearched(text: string, hosts: readonly string[], context: EvaluationContext): ImageEvaluation {
  const evaluations: ImageEvaluation[] = [];
  for (const host of hosts) {
    const parsed = parseImage(`${host}/${text}`);
    if (!parsed.ok) return invalid(parsed.problem);
    evaluations.push(evaluateReference(parsed.reference, context));
  }
  const deciding = evaluations.reduce((worst, other) =>
    severity[other.outcomeBeforeMode] > severity[worst.outcomeBeforeMode] ? other : worst,
  );
  const unsure = evaluations.find((evaluation) => evaluation.unsure)?.unsure;
  const trustedBy = evaluations.every(({ verdict }) => verdict === 'trusted')
    ? evaluations.flatMap((evaluation) => evaluation.trustedBy)
    : [];
  // If all are allowed, report one that is not trusted (an exempted one, for instance) rather than a trusted one.
  const reported =
    deciding.outcomeBeforeMode === 'allowed' ? (evaluations.find(({ verdict }) => verdict !== 'trusted') ?? deciding) : deciding;
  return {
    ...reported,
    trustedBy: [...new Set(trustedBy)],
    ...(evaluations.length > 1 && { searched: evaluations.flatMap(({ reference }) => reference ?? []) }),
    ...(unsure && { unsure }),
  };
}

function evaluateReference(reference: ImageReference, context: EvaluationContext): ImageEvaluation {
  const { rules, place, settings, facts } = context;
  const { value: rule, unsure, limit } = rules.match(reference, place);
  const known = { reference, ...(unsure && { unsure }) };
  const first = rule?.trust === false ? undefined : firstToEnd(rule, limit);
  const phase = first && trustPhase(first, dayOf(facts.now()));
  if (rule?.trust && phase !== 'ended') {
    const trusted = { ...known, verdict: 'trusted', trustedBy: [rule] } as const;
    return first && phase === 'ending' && !outlasts(reference, first, context)
      ? { ...trusted, reason: 'trust-ending', outcomeBeforeMode: 'warned', rule: first }
      : { ...trusted, reason: 'trusted', outcomeBeforeMode: 'allowed', rule };
  }

  const denying = phase === 'ended' ? first : rule;
  const notTrusted: ImageEvaluation = denying
    ? {
        ...known,
        verdict: 'untrusted',
        reason: denying.trust ? 'trust-ended' : 'untrusted',
        outcomeBeforeMode: 'denied',
        rule: denying,
        trustedBy: [],
      }
    : { ...known, verdict: 'unconfigured', reason: 'unconfigured', outcomeBeforeMode: outcomeOf[settings.unconfigured], trustedBy: [] };
  return notTrusted.outcomeBeforeMode === 'allowed'
    ? notTrusted
    : exempt(notTrusted, reference, rules.exemptionsFor(reference, place), facts);
}

/** Whether an exemption allows the image after the end of the rule, so that a warning would be wrong. */
function outlasts(reference: ImageReference, { until = '' }: Rule, { rules, place }: EvaluationContext): boolean {
  const [longest] = rules.exemptionsFor(reference, place).value;
  return longest !== undefined && longest.until > until;
}

const outcomeOf: Readonly<Record<Unconfigured, Outcome>> = { allow: 'allowed', warn: 'warned', deny: 'denied' };

function exempt(
  notTrusted: ImageEvaluation,
  reference: ImageReference,
  { value: exemptions, unsure }: ReturnType<RuleSet['exemptionsFor']>,
  facts: Pick<Facts, 'now'>,
): ImageEvaluation {
  const [longest] = exemptions;
  // An exemption that depends on unknown labels does not apply. If another one applies, it does not matter.
  if (!longest) return unsure && !notTrusted.unsure ? { ...notTrusted, reference, unsure } : notTrusted;
  if (longest.until >= dayOf(facts.now())) return { ...notTrusted, outcomeBeforeMode: 'allowed', reason: 'exempted', exemption: longest };
  return { ...notTrusted, exemption: longest, ...(unsure && { unsure }) };
}

function invalid(problem: ImageProblem): ImageEvaluation {
  return { verdict: 'invalid', reason: 'invalid', outcomeBeforeMode: 'denied', problem, trustedBy: [] };
}

export const severity: Readonly<Record<Outcome, number>> = { allowed: 0, warned: 1, denied: 2 };

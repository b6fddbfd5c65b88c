/** What the rules say of one image name in one namespace. Asked by `decide` for each slot, and by whoever explains a single image. */
import { type ImageProblem, type ImageReference, parseImage } from '../image/reference.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { NamespaceContext, NamespaceSettings, RuleSet, SettingsAnswer, ShortNames } from '../rules/rule-set.ts';
import type { ImageEvaluation, Outcome } from './decision.ts';
import type { Facts } from './facts.ts';

export type EvaluationContext = {
  readonly rules: RuleSet;
  readonly place: NamespaceContext;
  /** The settings of the place. */
  readonly settings: NamespaceSettings;
  readonly facts: Pick<Facts, 'now'>;
  /** What a name without registry means here, where that is not for the rules to say. */
  readonly shortNames?: ShortNames;
};

export function evaluateImage(text: string, context: EvaluationContext): ImageEvaluation {
  const parsed = parseImage(text);
  if (!parsed.ok) return unparseable(parsed.problem);
  const { reference } = parsed;
  const { shortNames = context.rules.settings.shortNames } = context;
  if (reference.qualified || shortNames === 'docker.io') return judgeReference(reference, context);
  if (shortNames === 'reject') return { verdict: 'distrusted', reason: 'short-name', judged: 'deny', reference, trustedBy: [] };
  return judgeSearched(text, shortNames, context);
}

/**
 * What of the settings that are not known for sure could make another outcome of these images; `secrets`: whether any might be written for
 * them. Each setting was assumed as strict as it could be, so that what is let in by it is let in by all others too.
 */
export function effectiveSettings(
  { mode, unconfigured, inject }: NonNullable<SettingsAnswer['unsure']>,
  images: readonly ImageEvaluation[],
  secrets: boolean,
): readonly Origin[] {
  const counting = [
    images.some(({ judged }) => judged !== 'allow') ? mode : undefined,
    images.some(({ verdict }) => verdict === 'unconfigured') ? unconfigured : undefined,
    secrets ? inject : undefined,
  ];
  return [...new Set(counting.filter((origin) => origin !== undefined))];
}

/** Any of the hosts may be the one that has it (a node tries them in turn), so each must be trusted, and each needs its secret. */
function judgeSearched(text: string, hosts: readonly string[], context: EvaluationContext): ImageEvaluation {
  const judgements: ImageEvaluation[] = [];
  for (const host of hosts) {
    const parsed = parseImage(`${host}/${text}`);
    if (!parsed.ok) return unparseable(parsed.problem);
    judgements.push(judgeReference(parsed.reference, context));
  }
  const deciding = judgements.reduce((worst, other) => (severity[other.judged] > severity[worst.judged] ? other : worst));
  const unsure = judgements.find((judgement) => judgement.unsure)?.unsure;
  const trustedBy = judgements.every(({ verdict }) => verdict === 'trusted') ? judgements.flatMap((judgement) => judgement.trustedBy) : [];
  // Where all pass, one that is not trusted (exempted, say) is told rather than one that is.
  const told = deciding.judged === 'allow' ? (judgements.find(({ verdict }) => verdict !== 'trusted') ?? deciding) : deciding;
  return {
    ...told,
    trustedBy: [...new Set(trustedBy)],
    ...(judgements.length > 1 && { searched: judgements.flatMap(({ reference }) => reference ?? []) }),
    ...(unsure && { unsure }),
  };
}

function judgeReference(reference: ImageReference, { rules, place, settings, facts }: EvaluationContext): ImageEvaluation {
  const { value: rule, unsure } = rules.match(reference, place);
  const known = { reference, ...(unsure && { unsure }) };
  if (rule?.trust) return { ...known, verdict: 'trusted', reason: 'trusted', judged: 'allow', rule, trustedBy: [rule] };

  const refusal: ImageEvaluation = rule
    ? { ...known, verdict: 'distrusted', reason: 'distrusted', judged: 'deny', rule, trustedBy: [] }
    : { ...known, verdict: 'unconfigured', reason: 'unconfigured', judged: settings.unconfigured, trustedBy: [] };
  return refusal.judged === 'allow' ? refusal : exempt(refusal, reference, rules.exemptionsFor(reference, place), facts);
}

function exempt(
  refusal: ImageEvaluation,
  reference: ImageReference,
  { value: exemptions, unsure }: ReturnType<RuleSet['exemptionsFor']>,
  facts: Pick<Facts, 'now'>,
): ImageEvaluation {
  const [longest] = exemptions;
  // One that nobody can tell to apply does not; where another holds, it does not matter.
  if (!longest) return unsure && !refusal.unsure ? { ...refusal, reference, unsure } : refusal;
  if (longest.until >= dayOf(facts.now())) return { ...refusal, judged: 'allow', reason: 'exempted', exemption: longest };
  return { ...refusal, exemption: longest, ...(unsure && { unsure }) };
}

/** The day in UTC, as exemptions write theirs: `2027-03-31`. */
export function dayOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}

function unparseable(problem: ImageProblem): ImageEvaluation {
  return { verdict: 'unparseable', reason: 'unparseable', judged: 'deny', problem, trustedBy: [] };
}

export const severity: Readonly<Record<Outcome, number>> = { allow: 0, warn: 1, deny: 2 };

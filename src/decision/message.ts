/** The sentences a blocked person reads. */
import { quote } from '../image/problem.ts';
import { canonicalName, formatReference } from '../image/reference.ts';
import { type RuleSource, renderOrigin } from '../rules/problem.ts';
import type { Place, Rule, RuleSet } from '../rules/ruleset.ts';
import type { ImageDecision } from './decision.ts';
import type { ImageJudgement } from './judge.ts';
import type { StreamResolution } from './streams.ts';

/**
 * How many findings of one object are told in full. More would bury the first ones, and the search for a nearby registry goes over all
 * rules: a pod of thousands of containers must not repeat it for each.
 */
export const mostListed = 10;

export type FindingContext = {
  /** Absent where it would cost too much to look. */
  readonly nearest?: RuleSet['nearest'] | undefined;
  readonly place: Place;
  /** Whether a pod made anew with an image that passes now, because it was there before, would be refused. */
  readonly newPodsRefused: boolean;
};

/** One image on one line: where it stands, what is wrong, the rule that decided and, with `nearest`, what would do instead. */
export function renderFinding(image: ImageDecision, context: FindingContext): string {
  const { holder, content } = image.slot;
  const old = `not new, so this change passes${context.newPodsRefused ? ', but new pods will be refused' : ''}`;
  const remarks = image.reason === 'not-introduced' ? [holder, old] : [holder];
  if (image.stream?.kind === 'resolved') return `${remarks.join(': ')}: ${renderStream(image, image.stream, context)}`;
  if (content.kind === 'unresolved') return `${remarks.join(': ')} has no image that could run: ${content.why}`;
  return `${remarks.join(': ')}: ${subject(image, content.text)} ${describeJudgement(image, context)}`;
}

// The stream is what the person has written; a digest would only lengthen what the API server cuts.
function renderStream(image: ImageDecision, { stream, image: text }: StreamResolution & { kind: 'resolved' }, context: FindingContext) {
  const held = image.problem ? 'an image' : quote(image.reference ? canonicalName(image.reference) : text);
  const consequence = image.reason === 'placeholder' ? '; it will be refused when a trigger puts it in' : '';
  return `image stream ${quote(stream)} holds ${held}, which ${describeJudgement(image, context)}${consequence}`;
}

/** What follows after the findings of one object: whom to ask. */
export function renderContact(rules: RuleSet): string {
  const { contact } = rules.settings;
  if (contact !== undefined) return `Ask ${contact}`;
  const places = [...new Set(rules.sources.map(renderPlace))];
  if (places.length === 0) return 'Ask the owners of the registry rules';
  const shown = places.slice(0, 3).join(', ');
  return `Ask the owners of the registry rules in ${shown}${places.length > 3 ? ` and ${places.length - 3} more` : ''}`;
}

function subject({ problem, reference }: ImageDecision, text: string): string {
  // The problem's own words begin with the image, masked where it holds a password.
  if (problem) return 'image';
  const understood = reference && formatReference(reference) !== text ? ` (${canonicalName(reference)})` : '';
  return `image ${quote(text)}${understood}`;
}

/** What is to be said of an image, as a predicate that reads on behind its name. */
export function describeJudgement(
  image: ImageJudgement & { readonly missing?: string },
  context: Omit<FindingContext, 'newPodsRefused'>,
): string {
  if (image.missing !== undefined) return `cannot be pulled: ${image.missing}`;
  return `${verdictOf(image, context)}${oneOfSeveral(image)}${exemptionOf(image)}`;
}

function verdictOf(image: ImageJudgement, { nearest, place }: Omit<FindingContext, 'newPodsRefused'>): string {
  const { verdict, rule, reference } = image;
  switch (verdict) {
    case 'unparseable':
      return image.problem?.message ?? 'is not an image name';
    case 'unresolved':
      return 'is not known yet';
    case 'distrusted':
      if (!rule)
        return `names no registry, and such names are refused here; write the registry too, such as ${quote(reference ? formatReference(reference) : '')}`;
      return `comes from a distrusted registry${rule.reason ? `: ${rule.reason}` : ''} (rule ${ruleName(rule)})`;
    case 'unconfigured': {
      const near = reference && nearest ? nearest(reference, place) : [];
      return `comes from a registry that no rule names${near.length === 0 ? '' : `; configured nearby: ${near.map(({ pattern }) => pattern.text).join(', ')}`}`;
    }
    case 'trusted':
      return `is trusted (rule ${ruleName(rule)})`;
  }
}

function oneOfSeveral({ searched }: ImageJudgement): string {
  if (!searched) return '';
  const names = searched.map(canonicalName).join(', ');
  return `; a name without registry may be any of ${names}, and all of them must be trusted: write the registry that is meant`;
}

function exemptionOf({ exemption, reason }: ImageJudgement): string {
  if (!exemption) return '';
  const place = renderOrigin(exemption.origin);
  return reason === 'exempted'
    ? `; exempted until ${exemption.until}: ${exemption.reason} (${place})`
    : `; its exemption ended on ${exemption.until} (${place})`;
}

function ruleName(rule: Rule | undefined): string {
  return rule ? `"${rule.name}", ${renderOrigin(rule.origin)}` : '?';
}

function renderPlace(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}`;
}

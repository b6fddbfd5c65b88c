/** The sentences a blocked person reads. */
import { quote } from '../image/problem.ts';
import { canonicalName, formatReference } from '../image/reference.ts';
import { type RuleSource, renderOrigin } from '../rules/language/problem.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rules/rule-set.ts';
import type { ImageDecision, ImageEvaluation } from './decision.ts';
import type { StreamResolution } from './streams.ts';

/**
 * How many findings of one object are told in full. More would bury the first ones, and the search for a nearby registry goes over all
 * rules: a pod of thousands of containers must not repeat it for each.
 */
export const mostListed = 10;

export type FindingContext = {
  /** Absent where it would cost too much to look. */
  readonly nearest?: RuleSet['nearest'] | undefined;
  readonly place: NamespaceContext;
  /** Whether a pod made anew with an image that passes now, because it was there before, would be refused. */
  readonly newPodsRefused: boolean;
};

/** One image on one line: where it stands, what is wrong, the rule that decided and, with `nearest`, what would do instead. */
export function renderFinding(image: ImageDecision, context: FindingContext): string {
  const { content } = image.slot;
  const place = [image.slot.holder, ...remarksOn(image, context)].join(': ');
  if (image.stream?.kind === 'resolved') return `${place}: ${renderStream(image, image.stream, context)}`;
  if (image.reason === 'stream-too-large')
    return `${place}: ${image.stream?.kind === 'unresolved' ? image.stream.why : content.kind}; name the image itself (kind DockerImage), or remove tags from the stream`;
  if (content.kind === 'image') return `${place}: ${subject(image, content.text)} ${describeEvaluation(image, context)}`;
  return `${place}${place === image.slot.holder ? '' : ': it'} has no image that could run: ${content.why}; write the image that is meant`;
}

/** Why it passes all the same. In front, because the API server cuts a long warning. */
function remarksOn({ reason }: ImageDecision, { newPodsRefused }: FindingContext): readonly string[] {
  switch (reason) {
    case 'not-introduced':
      return [`not new, so this change passes${newPodsRefused ? ', but new pods will be refused' : ''}`];
    case 'placeholder':
      return ['passes now, but will be refused when an image trigger fills it'];
    case 'mirror-pod':
      return ['of a static pod, which runs already and is not refused'];
    default:
      return [];
  }
}

// The stream is what the person has written; a digest would only lengthen what the API server cuts.
function renderStream(image: ImageDecision, { stream, image: text }: StreamResolution & { kind: 'resolved' }, context: FindingContext) {
  const held = image.problem ? 'an image' : quote(image.reference ? canonicalName(image.reference) : text);
  return `image stream ${quote(stream)} holds ${held}, which ${describeEvaluation(image, context)}`;
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

function subject({ problem, reference, reason }: ImageDecision, text: string): string {
  // The problem's own words begin with the image, masked where it holds a password.
  if (problem) return 'image';
  // What is refused for naming no registry is not understood as one of Docker Hub.
  const understood = reference && reason !== 'short-name' && formatReference(reference) !== text ? ` (${canonicalName(reference)})` : '';
  return `image ${quote(text)}${understood}`;
}

/** What is to be said of an image, as a predicate that reads on behind its name. */
export function describeEvaluation(
  image: ImageEvaluation & Partial<Pick<ImageDecision, 'missing' | 'slot'>>,
  context: Omit<FindingContext, 'newPodsRefused'>,
): string {
  if (image.missing !== undefined) return `cannot be pulled: ${image.missing}`;
  return `${verdictOf(image)}${exemptionOf(image)}${image.slot?.advice ? adviceOn(image, image.slot.advice) : nearby(image, context)}${oneOfSeveral(image)}`;
}

function verdictOf(image: ImageEvaluation & Partial<Pick<ImageDecision, 'slot'>>): string {
  const { verdict, rule, reference, slot } = image;
  switch (verdict) {
    case 'unparseable':
      return image.problem?.message ?? 'is not an image name';
    case 'unresolved':
      return 'is not known yet';
    case 'distrusted':
      if (!rule && slot?.advice) return 'names no registry, and such names are refused here';
      if (!rule)
        return `names no registry, and such names are refused here; write the registry too, such as ${quote(reference ? formatReference(reference) : '')}`;
      return `comes from a distrusted registry${rule.reason ? `: ${rule.reason}` : ''} (rule ${ruleName(rule)})`;
    case 'unconfigured':
      return 'comes from a registry that no rule names';
    case 'trusted':
      return `is trusted (rule ${ruleName(rule)})`;
  }
}

/** In place of registries nearby, which would lead the author astray. */
function adviceOn({ verdict }: ImageEvaluation, advice: string): string {
  return verdict === 'trusted' || verdict === 'unresolved' ? '' : `; ${advice}`;
}

function nearby({ verdict, reference }: ImageEvaluation, { nearest, place }: Omit<FindingContext, 'newPodsRefused'>): string {
  const near = verdict === 'unconfigured' && reference && nearest ? nearest(reference, place) : [];
  return near.length === 0 ? '' : `; configured nearby: ${near.map(({ pattern }) => pattern.text).join(', ')}`;
}

function oneOfSeveral({ searched }: ImageEvaluation): string {
  if (!searched) return '';
  const names = searched.map(canonicalName).join(', ');
  return `; a name without registry may be any of ${names}, and all of them must be trusted: write the registry that is meant`;
}

function exemptionOf({ exemption, reason }: ImageEvaluation): string {
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

/** Renders the messages about images for the user. */
import { quote } from '../image/problem.ts';
import { canonicalName, formatReference } from '../image/reference.ts';
import { type RuleSource, renderOrigin } from '../rules/language/problem.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rules/rule-set.ts';
import type { ImageDecision, ImageEvaluation } from './decision.ts';
import type { StreamResolution } from './streams.ts';

/**
 * The number of findings of one object that are reported in full. More would bury the first ones. The search for similar registries goes
 * through all rules, and must not be repeated for each container of a pod with thousands.
 */
export const mostListed = 10;

export type FindingContext = {
  /** Absent where the search would cost too much. */
  readonly nearest?: RuleSet['nearest'] | undefined;
  readonly place: NamespaceContext;
  /** Whether a new pod would be denied with an image that is allowed now because the object already has it. */
  readonly newPodsDenied: boolean;
};

/** One line about one image: its slot, the problem, the rule that decided and, with `nearest`, similar registries that are configured. */
export function renderFinding(image: ImageDecision, context: FindingContext): string {
  const { content } = image.slot;
  const { displayName } = image.slot;
  const prefix = [displayName, ...remarksOn(image, context)].join(': ');
  if (image.stream?.kind === 'resolved') return `${prefix}: ${renderStream(image, image.stream, context)}`;
  if (image.reason === 'stream-too-large')
    return `${prefix}: ${image.stream?.kind === 'unresolved' ? image.stream.why : content.kind}; name the image itself (kind DockerImage), or remove tags from the stream`;
  if (content.kind === 'image') return `${prefix}: ${subject(image, content.text)} ${describeEvaluation(image, context)}`;
  return `${prefix}${prefix === displayName ? '' : ': it'} has no image that could run: ${content.why}; write the image that is meant`;
}

/** Why the image is allowed nevertheless. At the start, because the API server truncates long warnings. */
function remarksOn({ reason }: ImageDecision, { newPodsDenied }: FindingContext): readonly string[] {
  switch (reason) {
    case 'not-introduced':
      return [`not new, so this change passes${newPodsDenied ? ', but new pods will be refused' : ''}`];
    case 'placeholder':
      return ['passes now, but will be refused when an image trigger fills it'];
    case 'mirror-pod':
      return ['of a static pod, which runs already and is not refused'];
    default:
      return [];
  }
}

// The user has written the stream. A digest would only make the warning longer, and the API server truncates long warnings.
function renderStream(image: ImageDecision, { stream, image: text }: StreamResolution & { kind: 'resolved' }, context: FindingContext) {
  const imageName = image.problem ? 'an image' : quote(image.reference ? canonicalName(image.reference) : text);
  return `image stream ${quote(stream)} holds ${imageName}, which ${describeEvaluation(image, context)}`;
}

/** The sentence after the findings of one object: the contact for questions. */
export function renderContact(rules: RuleSet): string {
  const { contact } = rules.settings;
  if (contact !== undefined) return `Ask ${contact}`;
  const sources = [...new Set(rules.sources.map(renderSource))];
  if (sources.length === 0) return 'Ask the owners of the registry rules';
  const shown = sources.slice(0, 3).join(', ');
  return `Ask the owners of the registry rules in ${shown}${sources.length > 3 ? ` and ${sources.length - 3} more` : ''}`;
}

function subject({ problem, reference, reason }: ImageDecision, text: string): string {
  // The message of the problem begins with the image, where passwords are masked.
  if (problem) return 'image';
  // A name that is denied for having no registry is not shown as one of Docker Hub.
  const canonical = reference && reason !== 'short-name' && formatReference(reference) !== text ? ` (${canonicalName(reference)})` : '';
  return `image ${quote(text)}${canonical}`;
}

/** The evaluation of an image as a predicate, to follow its name. */
export function describeEvaluation(
  image: ImageEvaluation & Partial<Pick<ImageDecision, 'missing' | 'slot'>>,
  context: Omit<FindingContext, 'newPodsDenied'>,
): string {
  if (image.missing !== undefined) return `cannot be pulled: ${image.missing}`;
  return `${verdictOf(image)}${exemptionOf(image)}${image.slot?.advice ? adviceOn(image, image.slot.advice) : similarRegistries(image, context)}${oneOfSeveral(image)}`;
}

function verdictOf(image: ImageEvaluation & Partial<Pick<ImageDecision, 'slot'>>): string {
  const { verdict, rule, reference, slot } = image;
  switch (verdict) {
    case 'invalid':
      return image.problem?.message ?? 'is not an image name';
    case 'unresolved':
      return 'is not known yet';
    case 'untrusted':
      if (!rule && slot?.advice) return 'names no registry, and such names are refused here';
      if (!rule)
        return `names no registry, and such names are refused here; write the registry too, such as ${quote(reference ? formatReference(reference) : '')}`;
      return `comes from an untrusted registry${rule.reason ? `: ${rule.reason}` : ''} (rule ${ruleName(rule)})`;
    case 'unconfigured':
      return 'comes from a registry that no rule names';
    case 'trusted':
      return `is trusted (rule ${ruleName(rule)})`;
  }
}

/** Replaces the list of similar registries, which would be misleading. */
function adviceOn({ verdict }: ImageEvaluation, advice: string): string {
  return verdict === 'trusted' || verdict === 'unresolved' ? '' : `; ${advice}`;
}

function similarRegistries({ verdict, reference }: ImageEvaluation, { nearest, place }: Omit<FindingContext, 'newPodsDenied'>): string {
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
  const origin = renderOrigin(exemption.origin);
  return reason === 'exempted'
    ? `; exempted until ${exemption.until}: ${exemption.reason} (${origin})`
    : `; its exemption ended on ${exemption.until} (${origin})`;
}

function ruleName(rule: Rule | undefined): string {
  return rule ? `"${rule.name}", ${renderOrigin(rule.origin)}` : '?';
}

function renderSource(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}`;
}

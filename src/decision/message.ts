/** Renders the messages about images for the user. Each is one or more sentences, of which the first follows the name of the slot. */
import { maxQuotedLength, quote } from '../image/problem.ts';
import { canonicalName, completeRegistryHost, formatReference, upperCaseHost } from '../image/reference.ts';
import { listOf } from '../image/wording.ts';
import { imageAsWritten, type SlotContent } from '../object/object-shape.ts';
import { type Origin, type RuleSource, renderOrigin } from '../rules/language/problem.ts';
import { isNamesakeOf } from '../rules/match/similar-registries.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rules/rule-set.ts';
import type { ImageDecision, ImageEvaluation, ImageMessage } from './decision.ts';
import type { StreamResolution } from './resolve-stream.ts';

/**
 * The number of findings of one object that are reported in full. More would bury the first ones. The search for similar registries goes
 * through all rules, and must not be repeated for each container of a pod with thousands.
 */
export const mostListed = 10;

export type FindingContext = {
  /** Absent where the search would cost too much. */
  readonly nearest?: RuleSet['nearest'] | undefined;
  readonly place: NamespaceContext;
  /** Whether other namespaces may have other registries. */
  readonly variesByNamespace?: boolean | undefined;
  /** Whether a new pod would be denied with an image that is allowed now because the object already has it. */
  readonly newPodsDenied: boolean;
  /** As in the request. */
  readonly hideStreamContents?: boolean | undefined;
};

/**
 * What the functions below need to know. `near` are the patterns that may have been meant. `namespace` is set if the registries of other
 * namespaces may differ.
 */
type Wording = Pick<FindingContext, 'newPodsDenied' | 'hideStreamContents'> & {
  readonly near: readonly string[];
  /** A rule for an organization on Docker Hub, if its author probably meant the official image. */
  readonly namesake?: string | undefined;
  readonly namespace: string | undefined;
  readonly locate: Locate;
};

/** ` (rule "hub", ConfigMap …)`, ` (rule "hub")` or nothing, and the same for an origin alone. */
type Locate = { rule(rule: Rule): string; origin(origin: Origin): string };

const withLocations: Locate = {
  rule: ({ name, origin }) => ` (rule "${name}", ${renderOrigin(origin)})`,
  origin: (origin) => ` (${renderOrigin(origin)})`,
};
const withoutLocations: Locate = { rule: ({ name }) => ` (rule "${name}")`, origin: () => '' };
const withoutRules: Locate = { rule: () => '', origin: () => '' };

/** One line about one image: its slot, the problem, the rule that decided and, with `nearest`, what may have been meant. */
export function renderFinding(image: ImageDecision, context: FindingContext): ImageMessage {
  const { newPodsDenied, hideStreamContents } = context;
  const similar = similarRegistries(image, context);
  const namespace = namespaceIn(context);
  return allForms((locate) => renderLine(image, { newPodsDenied, hideStreamContents, ...similar, namespace, locate }));
}

/** A message in full, and without what is left out where a message must be short: the location of rules and the full name of the image, then the rules. */
export function allForms(render: (locate: Locate) => string): ImageMessage {
  return { message: render(withLocations), brief: render(withoutLocations), terse: render(withoutRules) };
}

/** An image name is not cut to fewer characters, so that its registry and its tag remain recognizable. */
const shortestImageName = 40;
const ellipsis = '...';

/** The message with the name of its image cut in the middle, so that it is shorter by `excess` characters if possible. */
export function shortenImageName(message: string, image: ImageDecision, excess: number): string {
  const name = shownName(image);
  if (name === undefined) return message;
  const shown = Math.min(name.length, maxQuotedLength);
  const kept = Math.max(shortestImageName, shown - excess) - ellipsis.length;
  if (kept >= shown - ellipsis.length) return message;
  const end = Math.floor(kept / 3);
  return message.replace(quote(name), () => quote(`${name.slice(0, kept - end)}${ellipsis}${name.slice(-end)}`));
}

/** The messages of names that cannot be parsed quote them in their own way. */
function shownName({ slot: { content }, stream, reference, problem }: ImageDecision): string | undefined {
  if (problem) return undefined;
  if (stream?.kind === 'resolved') return reference ? canonicalName(reference) : stream.image;
  return content.kind === 'image' ? imageAsWritten(content) : undefined;
}

/** The evaluation of an image as a predicate with its full stop, to follow the name. Further sentences may follow. */
export function describeEvaluation(
  image: ImageEvaluation,
  context: Pick<FindingContext, 'nearest' | 'place' | 'variesByNamespace'>,
): string {
  const similar = similarRegistries(image, context);
  return describe(image, { newPodsDenied: false, ...similar, namespace: namespaceIn(context), locate: withLocations });
}

/** Whether rules trust registries in some namespaces only. Messages do not show in which. */
export function registriesVary({ rules, namespaceRules }: RuleSet): boolean {
  return namespaceRules.size > 0 || rules.some(({ trust, namespaces }) => trust && namespaces !== undefined);
}

function namespaceIn({ variesByNamespace, place }: Pick<FindingContext, 'place' | 'variesByNamespace'>): string | undefined {
  return variesByNamespace && place.namespace !== '' ? place.namespace : undefined;
}

/** Whom to ask: `Contact: the platform team.` If the rules name no contact, `brief` leaves out where the rules are. */
export function renderContact({ settings: { contact }, sources }: RuleSet, { brief = false } = {}): string {
  if (contact !== undefined) return sentence(`Contact: ${contact}`);
  const names = [...new Set(sources.map(renderSource))];
  if (brief || names.length === 0) return 'Contact: the owners of the registry rules.';
  const shown = names.slice(0, 3).join(', ');
  return `Contact: the owners of the registry rules in ${shown}${names.length > 3 ? ` and ${names.length - 3} more` : ''}.`;
}

/** Where to read more: `Help: https://…`, without a full stop, which a terminal would take for a part of the address. Empty if not set. */
export function renderHelp({ settings: { helpUrl } }: RuleSet): string {
  return helpUrl === undefined ? '' : `Help: ${helpUrl}`;
}

function renderLine(image: ImageDecision, wording: Wording): string {
  const { content, displayName } = image.slot;
  const prefix = `${remarkOn(image, wording)}${displayName}`;
  if (hidesContents(image, wording.hideStreamContents)) return `${prefix}: ${renderHidden(image)}`;
  if (image.stream?.kind === 'resolved') return `${prefix}: ${renderStream(image, image.stream, wording)}`;
  if (image.reason === 'stream-too-large') return `${prefix}: ${renderTooLarge(image, wording)}`;
  if (content.kind === 'image') return `${prefix}: ${subject(image, content, wording)} ${describe(image, wording)}`;
  return `${prefix} has no image: ${content.why}. Specify the image name.`;
}

/** Why the image is allowed nevertheless. At the start, because the API server truncates long warnings. */
function remarkOn({ reason }: ImageDecision, { newPodsDenied }: Wording): string {
  switch (reason) {
    case 'not-introduced':
      return `already in use, so this update is allowed${newPodsDenied ? ', but new Pods will be denied' : ''}: `;
    case 'placeholder':
      return 'allowed now, but denied once a trigger sets the image: ';
    case 'mirror-pod':
      return 'the static Pod is already running, so it is not denied: ';
    default:
      return '';
  }
}

/**
 * Whether the image comes from an image stream that the reader of the message may not be allowed to read: any stream for an unknown caller,
 * and one of another namespace for everyone, since a dry run is enough for a denial. The message must not show what the stream contains, nor
 * the rule that matches it. The audit record has both.
 */
export function hidesContents({ stream }: ImageDecision, hideStreamContents = false): boolean {
  return stream?.kind === 'resolved' && (hideStreamContents || stream.elsewhere === true);
}

function renderHidden({ stream, outcomeBeforeMode, reason }: ImageDecision): string {
  const isDenied = outcomeBeforeMode === 'denied' || reason === 'not-introduced' || reason === 'placeholder';
  const verdict = isDenied
    ? 'denied by the rules for this namespace'
    : reason === 'trust-ending'
      ? 'trusted in this namespace only for a limited time'
      : 'not trusted in this namespace';
  return `the image in image stream ${quote(stream?.stream ?? '')} is ${verdict}.`;
}

// The user has written the stream. A digest would only make the warning longer, and the API server truncates long warnings.
function renderStream(image: ImageDecision, { stream, image: text }: StreamResolution & { kind: 'resolved' }, wording: Wording) {
  const imageName = image.problem ? 'an image' : quote(image.reference ? canonicalName(image.reference) : text);
  return `image stream ${quote(stream)} contains ${imageName}, which ${describe(image, wording)}`;
}

function renderTooLarge({ stream }: ImageDecision, { hideStreamContents }: Wording): string {
  const why = stream?.kind === 'unresolved' && !hideStreamContents && !stream.elsewhere ? stream.why : undefined;
  return `${why ?? `image stream ${stream?.stream} is too large to be evaluated`}. Reference the image directly (kind DockerImage), or remove tags from the stream.`;
}

function subject({ problem, reference, reason }: ImageDecision, content: SlotContent & { kind: 'image' }, { locate }: Wording): string {
  // The message of the problem begins with the image, where passwords are masked.
  if (problem) return 'image';
  const image = `image ${quote(imageAsWritten(content))}`;
  // A name that is denied for having no registry is not shown as one of Docker Hub.
  if (locate !== withLocations || !reference || reason === 'short-name') return image;
  return formatReference(reference) === content.text ? image : `${image} (${canonicalName(reference)})`;
}

type Described = ImageEvaluation & Partial<Pick<ImageDecision, 'missing' | 'slot'>>;

function describe(image: Described, wording: Wording): string {
  if (image.missing !== undefined) return `cannot be pulled: ${missingIn(image.missing, wording)}`;
  return [verdictOf(image, wording), exemptionOf(image, wording), adviceOn(image, wording), oneOfSeveral(image)].filter(Boolean).join(' ');
}

function missingIn({ message, brief, terse }: ImageMessage, { locate }: Wording): string {
  if (locate === withLocations) return message;
  return locate === withoutLocations ? brief : terse;
}

function verdictOf({ verdict, reason, rule, problem }: Described, { namespace, near, locate }: Wording): string {
  if (reason === 'registry-host') return 'looks like a registry host without a repository, but is parsed as a Docker Hub image.';
  switch (verdict) {
    case 'invalid':
      return problem?.message ?? 'is not an image name.';
    case 'unresolved':
      return 'is not known yet.';
    case 'untrusted':
      if (!rule) return 'does not specify a registry, and short names are denied.';
      return withReason(
        `is from ${rule.until === undefined ? 'an untrusted registry' : `a registry that was trusted until ${rule.until}`}`,
        rule,
        locate,
      );
    case 'unconfigured':
      // A better explanation follows if a rule of this namespace is almost right.
      if (namespace === undefined || near.length > 0) return 'is not from a configured registry.';
      return `is not from a registry configured for ${locate === withLocations ? `namespace ${quote(namespace)}` : 'this namespace'}.`;
    case 'trusted':
      if (!rule) return 'is trusted.';
      if (reason === 'trust-ending') return withReason(`is from a registry that is trusted only until ${rule.until}`, rule, locate);
      return `is trusted${rule.until === undefined ? '' : ` until ${rule.until}`}${locate.rule(rule)}.`;
  }
}

/** A predicate with the rule that decides and its author's explanation. */
function withReason(predicate: string, rule: Rule, locate: Locate): string {
  return sentence(`${predicate}${locate.rule(rule)}${rule.reason === undefined ? '' : `: ${rule.reason}`}`);
}

/** What the author probably got wrong. The most certain explanation only: several would contradict each other. */
function adviceOn({ verdict, reason, reference, rule, slot }: Described, { near, namesake }: Wording): string {
  const scheme = (slot?.content.kind === 'image' ? slot.content.scheme : undefined) ?? '';
  if (reason === 'registry-host') return reference ? completion(reference, scheme) : '';
  if (verdict !== 'unconfigured' && verdict !== 'untrusted') return '';
  if (slot?.advice) return slot.advice;
  if (!reference) return '';
  if (completeRegistryHost(reference) !== undefined)
    return `It looks like a registry host without a repository. ${completion(reference, scheme)}`;
  const upperCase = upperCaseHost(reference);
  if (upperCase) {
    return `Because of its upper-case letters, ${quote(upperCase.host)} is parsed as a registry host. For a Docker Hub image, use ${quote(scheme + upperCase.lowerCase)}.`;
  }
  if (verdict === 'untrusted') return rule ? '' : `Include the registry, for example ${quote(scheme + formatReference(reference))}.`;
  if (namesake !== undefined) return `The rule for ${namesake} does not match it, because official images are in docker.io/library.`;
  return near.length === 0 ? '' : `Did you mean ${near.join(' or ')}?`;
}

function completion(reference: NonNullable<ImageEvaluation['reference']>, scheme: string): string {
  return `Use ${scheme}${completeRegistryHost(reference)}.`;
}

function similarRegistries(
  { verdict, reference }: ImageEvaluation,
  { nearest, place }: Pick<FindingContext, 'nearest' | 'place'>,
): Pick<Wording, 'near' | 'namesake'> {
  if (verdict !== 'unconfigured' || !reference || !nearest) return { near: [] };
  const rules = nearest(reference, place);
  const namesake = rules.find(({ pattern }) => isNamesakeOf(pattern, reference));
  return { near: rules.map(({ pattern }) => pattern.text), namesake: namesake?.pattern.text };
}

function oneOfSeveral({ searched }: ImageEvaluation): string {
  if (!searched) return '';
  const names = listOf(searched.map(canonicalName), 'or');
  return `A node may resolve a name without a registry to ${names}, so each of them must be trusted. Include the registry.`;
}

function exemptionOf({ exemption, reason }: ImageEvaluation, { locate }: Wording): string {
  if (!exemption) return '';
  const origin = locate.origin(exemption.origin);
  return reason === 'exempted'
    ? sentence(`Exempted until ${exemption.until}${origin}: ${exemption.reason}`)
    : `Its exemption expired on ${exemption.until}${origin}.`;
}

/** Reasons and contacts are written by policy owners, with or without a full stop. */
function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function renderSource(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}`;
}

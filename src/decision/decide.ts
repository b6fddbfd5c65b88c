/** Decides one change to one object: verdicts of its images, the outcome, injected secrets, notices and findings. */
import { isFoundUnderUsualKey, type Lookup } from '../credentials/usual-key.ts';
import { dockerHub } from '../image/docker-hub.ts';
import { quote } from '../image/problem.ts';
import { canonicalName, formatReference, type ImageReference, parseImage, repositoryAsWritten } from '../image/reference.ts';
import { problemWithScheme } from '../image/scheme.ts';
import { formatCount } from '../image/wording.ts';
import { isObject } from '../object/json.ts';
import { readObject } from '../object/kinds.ts';
import type { ImageSlot, ObjectShape, ReadingContext, StreamReference } from '../object/object-shape.ts';
import { type Origin, renderOrigin } from '../rules/language/problem.ts';
import { entitlementsOf } from '../rules/match/entitlement.ts';
import { secretsOf } from '../rules/rule-secrets.ts';
import type { Mode, NamespaceContext, NamespaceSettings, Rule, RuleSet, SettingsAnswer, ShortNames } from '../rules/rule-set.ts';
import { aliasesOf, shortNamesAreUncertain, shortNamesFor } from '../rules/short-names.ts';
import type { ChangeRequest, Decision, ImageDecision, ImageFinding, Injection, Message, Notice, Outcome } from './decision.ts';
import { type EvaluationContext, effectiveSettings, evaluateImage, severity, warnAboutHost } from './evaluate-image.ts';
import type { Facts } from './facts.ts';
import { injectIntoBuild } from './inject/inject-build.ts';
import { type InjectionResult, injectIntoPod } from './inject/inject-pod.ts';
import { streamOf, withLocalNames } from './local-names.ts';
import { hidesContents, mostListed, registriesVary, renderFinding } from './message.ts';
import {
  availabilityOf,
  type FindMissingSecrets,
  type MissingSecret,
  missingSecretsFinder,
  type SecretsContext,
} from './missing-secrets.ts';
import { recordNeeds } from './needed-secrets.ts';
import type { ReasonCode } from './reasons.ts';
import { resolveStream, type StreamMemo, type StreamResolution, streamMemo } from './resolve-stream.ts';
import { suppliedSecrets } from './supplied-secrets.ts';
import { trustingRules } from './trusting-rules.ts';

export type DecideOptions = {
  /**
   * Whether to find what only the validating webhook reports: findings, and the supplied secrets. Without findings a denial takes half the
   * time, because no similar registries are searched.
   */
  readonly withReport?: boolean;
};

/**
 * Pure: the same request, rules and facts give the same decision. So the mutating and the validating response, the command line and the tests
 * cannot disagree.
 */
export function decide(request: ChangeRequest, rules: RuleSet, facts: Facts, { withReport = true }: DecideOptions = {}): Decision {
  const reading = readObject(contextOf(request, facts), request.object, facts.kinds);
  if (reading.kind === 'unknown') return { kind: 'unknown-kind' };
  if (reading.kind === 'malformed') return { kind: 'malformed', problem: reading.problem };
  const shape = facts.namesAsWritten ? withLocalNames(reading.shape, request, facts) : reading.shape;
  const tooMany = tooManyImages(shape.slots, rules.settings.shortNames);
  if (tooMany !== undefined) return { kind: 'malformed', problem: { path: 'it', message: tooMany } };

  const namespace = facts.namespace(request.namespace);
  const place: NamespaceContext = { namespace: request.namespace, labels: namespace.kind === 'known' ? namespace.labels : undefined };
  const identityContext = { rules, place, facts };
  const before = imagesBefore(request, identityContext);
  const isOld = (image: ImageDecision) => before.size > 0 && identities(image, identityContext).some((each) => before.has(each));
  const { images, outcomeBeforeMode, outcome, unsure, certainlyDenied, context } = evaluateShape(shape, { rules, place, facts, isOld });
  const { settings, writes } = context;
  // The namespace exists, or the API server would not have called the webhook. So our watch is behind, and the labels would matter, at least
  // for the audit record.
  if ((context.unsureSettings || unsure.length > 0) && namespace.kind === 'absent') {
    return { kind: 'not-yet', message: `namespace "${request.namespace}" has not been seen yet` };
  }
  const injection = writes && isObject(request.object) ? inject(request, images, context) : unchanged(shape);
  if (injection.kind === 'not-yet') return injection;
  const needs = recordNeeds(request, { shape, images, rules, settings, facts, patch: injection.patch, listed: injection.listed });

  const missing = findMissing(images, context);
  return {
    kind: 'decided',
    images,
    outcomeBeforeMode,
    outcome,
    mode: settings.mode,
    revision: rules.revision,
    unsure,
    ...(certainlyDenied && { certainlyDenied }),
    ...(isStaticPod(shape) && { staticPod: true }),
    patch: [...injection.patch, ...needs.patch],
    injected: injection.injected,
    suppliedSecrets: withReport ? suppliedSecrets(request, shape, facts) : undefined,
    ...(needs.names && { neededSecrets: needs.names }),
    ...awaitedSecrets(missing, facts),
    notices: [
      ...injection.notices,
      ...needs.notices,
      ...noticeSpelling(images, injection.injected, shape),
      ...noticeMissing(missing),
      ...noticeOtherDockerfile(shape),
      ...noticeShortNames(images, context),
      ...unsure.slice(0, 1).map((origin) => noticeUnsure(origin, place)),
    ],
    findings: withReport ? findingsOf(images, request.hideStreamContents, context) : [],
  };
}

/** What the evaluation of a shape depends on. */
export type ShapeConditions = Pick<SlotContext, 'rules' | 'place' | 'facts' | 'isOld'>;

export type ShapeEvaluation = Pick<
  Decision & { kind: 'decided' },
  'images' | 'outcomeBeforeMode' | 'outcome' | 'unsure' | 'certainlyDenied'
> & {
  readonly context: SlotContext & { readonly unsureSettings: SettingsAnswer['unsure'] };
};

/** Evaluates all images of a shape, for `decide`, and for `replay`, which knows the shape from an audit record. */
export function evaluateShape(shape: ObjectShape, { rules, place, facts, isOld }: ShapeConditions): ShapeEvaluation {
  const { value: settings, unsure: unsureSettings } = rules.settingsAt(place);
  const writes = mayInject(shape, settings.inject);
  const inBuild = shape.kind === 'build' ? new Set(secretsIn(shape).filter((name) => name !== undefined)) : undefined;
  const secrets = { entitlementTo: entitlementsOf(rules, place), place, facts, inBuild };
  const missingSecrets = missingSecretsFinder(secrets);
  const context = { rules, place, settings, unsureSettings, facts, shape, isOld, writes, streams: streamMemo(), secrets, missingSecrets };
  const images = shape.slots.map((slot) => evaluateSlot(slot, context));
  const unsureHere = unsureSettings ? effectiveSettings(unsureSettings, images, shape.kind !== 'naming') : [];
  const outcomeBeforeMode = worst(images.map((image) => image.outcomeBeforeMode));
  const outcome = soften(outcomeBeforeMode, settings.mode);
  const unsure = [...new Set([...unsureHere, ...images.map((image) => image.unsure)].filter((origin) => origin !== undefined))];
  const certainlyDenied =
    unsure.length > 0 && outcome === 'denied' && !unsureSettings?.mode && images.some((image) => isCertainlyDenied(image, unsureSettings));
  return { images, outcomeBeforeMode, outcome, unsure, ...(certainlyDenied && { certainlyDenied }), context };
}

/** Whether the image is denied whatever the unknown labels of the namespace are. */
function isCertainlyDenied({ outcomeBeforeMode, unsure, verdict, reason }: ImageDecision, settings: SettingsAnswer['unsure']): boolean {
  if (outcomeBeforeMode !== 'denied' || unsure) return false;
  return !(verdict === 'unconfigured' && settings?.unconfigured) && !(reason === 'secret-missing' && settings?.inject);
}

/** What is denied comes first. */
function findingsOf(
  images: readonly ImageDecision[],
  hideStreamContents: boolean | undefined,
  { rules, place, settings, shape }: SlotContext,
): readonly ImageFinding[] {
  const newPodsDenied = shape.kind === 'pod' && settings.mode === 'enforce';
  const variesByNamespace = images.some(({ verdict }) => verdict === 'unconfigured') && registriesVary(rules);
  return images
    .filter((image) => image.outcomeBeforeMode !== 'allowed')
    .sort((left, right) => severity[right.outcomeBeforeMode] - severity[left.outcomeBeforeMode])
    .map((image, index) => ({
      image,
      reason: hidesContents(image, hideStreamContents) && image.reason !== 'trust-ending' ? 'untrusted' : image.reason,
      ...renderFinding(image, {
        nearest: index < mostListed ? rules.nearest : undefined,
        place,
        variesByNamespace,
        newPodsDenied,
        hideStreamContents,
      }),
    }));
}

/**
 * Images per object. Each costs about 20 µs, and a request of 3 MiB can name 95,000. A stored object has far fewer: etcd accepts 1.5 MiB,
 * and a container with the API server's defaults needs about 150 bytes.
 */
const mostImages = 10_000;

/** The message for an object with too many images. A name without a registry is evaluated for each host that nodes search. */
function tooManyImages(slots: readonly ImageSlot[], shortNames: ShortNames): string | undefined {
  const hosts = typeof shortNames === 'string' ? 1 : shortNames.length;
  if (slots.length * Math.max(hosts, 1) <= mostImages) return undefined;
  const most = `At most ${formatCount(mostImages)} are evaluated`;
  if (slots.length > mostImages) return `contains ${formatCount(slots.length)} images. ${most}`;
  const isSearched = (slot: ImageSlot) => shortNamesFor(slot, shortNames) !== 'docker.io';
  const searched = slots.filter((slot) => slot.content.kind === 'image' && isSearched(slot) && isShortName(slot.content.text)).length;
  const images = slots.length + searched * (hosts - 1);
  if (images <= mostImages) return undefined;
  const because = `because each name without a registry counts once for each of the ${formatCount(hosts)} registries that nodes search`;
  return `contains ${formatCount(images)} images, ${because}. ${most}`;
}

/** The outcome after `mode`, which softens denials and warnings. */
export function soften(outcomeBeforeMode: Outcome, mode: Mode): Outcome {
  if (mode === 'audit') return 'allowed';
  return outcomeBeforeMode === 'denied' && mode === 'warn' ? 'warned' : outcomeBeforeMode;
}

function contextOf(
  { group, kind, operation, subresource = '', user }: ChangeRequest,
  facts: Pick<Facts, 'work' | 'imageStreamsServed'>,
): ReadingContext {
  const imageTriggers = facts.imageStreamsServed?.() ?? true;
  const { work } = facts;
  return { group, kind, operation, subresource, imageTriggers, fromKubelet: user.startsWith('system:node:'), ...(work && { work }) };
}

/** `inject: pods` excludes templates and builds, which users keep in their own files. */
export function mayInject(shape: ObjectShape, inject: NamespaceSettings['inject']): boolean {
  if (shape.kind === 'naming') return false;
  return inject === 'all' || (inject === 'pods' && isPod(shape));
}

function isPod(shape: ObjectShape): boolean {
  return shape.kind === 'pod' && shape.stage === 'pod';
}

function isStaticPod(shape: ObjectShape): boolean {
  return shape.kind === 'pod' && shape.readOnlyBecause === 'mirror';
}

function inject(request: ChangeRequest, images: readonly ImageDecision[], { shape, facts, secrets }: SlotContext): InjectionResult {
  switch (shape.kind) {
    case 'pod':
      return injectIntoPod(request, shape, images, facts);
    case 'build':
      return injectIntoBuild(request, shape, images, (name) => availabilityOf(name, secrets));
    case 'naming':
      return unchanged(shape);
  }
}

function unchanged(shape: ObjectShape): InjectionResult & { readonly kind: 'injected' } {
  return { kind: 'injected', patch: [], injected: [], listed: secretsIn(shape), notices: [] };
}

function secretsIn(shape: ObjectShape): readonly (string | undefined)[] {
  switch (shape.kind) {
    case 'pod':
      return shape.pullSecrets;
    case 'build':
      return shape.credentials.map(({ current }) => current);
    case 'naming':
      return [];
  }
}

type SlotContext = EvaluationContext & {
  readonly facts: Facts;
  readonly shape: ObjectShape;
  /** Whether the object had the image before the change. */
  readonly isOld: (image: ImageDecision) => boolean;
  readonly writes: boolean;
  readonly streams: StreamMemo;
  readonly secrets: SecretsContext;
  readonly missingSecrets: FindMissingSecrets;
};

function evaluateSlot(slot: ImageSlot, context: SlotContext): ImageDecision {
  const { shape, isOld } = context;
  const decision = requireSecrets(evaluateContent(slot, context), context);
  if (isStaticPod(shape)) return weaken(decision, 'mirror-pod');
  // A warning would be wrong too: `oc new-app` looks a name up in every place where it could be.
  if (slot.lookupOnly && decision.outcomeBeforeMode !== 'allowed')
    return { ...decision, outcomeBeforeMode: 'allowed', reason: 'lookup-only' };
  if (isOld(decision)) return { ...weaken(decision, 'not-introduced'), old: true };
  // The user has not written the name of a stream's image.
  return slot.content.kind === 'image' && !decision.stream ? warnAboutHost(decision) : decision;
}

function evaluateContent(slot: ImageSlot, context: SlotContext): ImageDecision {
  const { content } = slot;
  context.facts.work?.count('images', 1);
  const local = localStream(slot, context);
  if (content.kind === 'image' && !local) {
    const { shortNames } = context.rules.settings;
    const { text: name, scheme } = content;
    const meaning = shortNamesFor(scheme === undefined ? slot : { ...slot, scheme }, shortNames);
    const evaluation = evaluateImage(name, meaning === shortNames ? context : { ...context, shortNames: meaning });
    if (!evaluation.problem || scheme === undefined) return { slot, ...evaluation };
    return { slot, ...evaluation, problem: problemWithScheme(evaluation.problem, { scheme, name }) };
  }
  const reference = content.kind === 'image' ? local : content.stream;
  const stream = reference && resolveStream(reference, context.place.namespace, context.facts, context.streams);
  if (stream?.kind === 'resolved') return evaluateStreamImage(slot, stream, context);
  // The tag of a stream that a name means is filled later. A blank name is not.
  const runsNow = isPod(context.shape) && !slot.localLookup;
  // A template is evaluated again when a trigger fills it, and at the Pod. The image of a build may not be evaluated anywhere else.
  if (stream?.tooLarge && context.shape.kind !== 'pod')
    return { slot, stream, verdict: 'unresolved', reason: 'stream-too-large', outcomeBeforeMode: 'denied', trustedBy: [] };
  const reason = runsNow ? 'unresolved-in-pod' : 'unresolved';
  return {
    slot,
    verdict: 'unresolved',
    reason,
    outcomeBeforeMode: runsNow ? 'denied' : 'allowed',
    trustedBy: [],
    ...(stream && { stream }),
  };
}

/** The image stream that the name means. Only in a BuildConfig: elsewhere OpenShift has replaced the name before it calls a webhook. */
function localStream(slot: ImageSlot, { place, facts }: IdentityContext): StreamReference | undefined {
  return slot.localLookup ? streamOf(slot, { namespace: place.namespace, facts }) : undefined;
}

/**
 * A build uses the current image of the stream. A placeholder in a template only gets a warning: the trigger may be paused, or the stream
 * may have another image by then. The image that is filled in is evaluated in the template, and again at the Pod.
 */
function evaluateStreamImage(slot: ImageSlot, stream: StreamResolution & { kind: 'resolved' }, context: SlotContext): ImageDecision {
  const decision = { slot, stream, ...evaluateImage(stream.image, context) };
  return context.shape.kind === 'pod' ? weaken(decision, 'placeholder') : decision;
}

/**
 * A pod that could not pull is denied if the rule has `onMissingSecret: deny`. Its controller retries, and the user sees the reason. A
 * template is not denied: it may be created before the secret.
 */
function requireSecrets(decision: ImageDecision, context: SlotContext): ImageDecision {
  const { shape, writes } = context;
  if (!writes || !isPod(shape) || decision.outcomeBeforeMode === 'denied') return decision;
  const missing = context.missingSecrets(decision).find(({ rule, delivered }) => rule.onMissingSecret === 'deny' && delivered.length === 0);
  if (!missing) return decision;
  const unsure = decision.unsure ?? missing.unsure;
  return {
    ...decision,
    outcomeBeforeMode: 'denied',
    reason: 'secret-missing',
    rule: missing.rule,
    missing: { message: missing.message, brief: missing.brief, terse: missing.terse },
    ...(unsure && { unsure }),
  };
}

function findMissing(images: readonly ImageDecision[], context: SlotContext): readonly MissingSecret[] {
  if (!context.writes) return [];
  // No secret is injected for the image of an image stream.
  const affected = images.filter(({ missing, stream, slot }) => missing === undefined && !stream && !slot.pulledElsewhere);
  return [...new Set(affected.flatMap(context.missingSecrets))];
}

function noticeMissing(missing: readonly MissingSecret[]): readonly Notice[] {
  const reasons = ['secret-missing', 'secret-pending'] as const;
  return reasons.flatMap((reason) =>
    distinct(
      reason,
      missing.filter((each) => each.reason === reason),
    ),
  );
}

function awaitedSecrets(
  missing: readonly MissingSecret[],
  { delivery }: Pick<Facts, 'delivery'>,
): Pick<Decision & { kind: 'decided' }, 'awaited'> {
  const secrets = [...new Set(missing.flatMap(({ delivered }) => delivered))].sort();
  return secrets.length > 0 ? { awaited: { secrets, delivery: delivery?.() ?? { kind: 'unknown' } } } : {};
}

/** One notice for each message. */
function distinct(reason: ReasonCode, messages: readonly Message[]): readonly Notice[] {
  const byMessage = new Map(messages.map(({ message, brief }) => [message, brief]));
  return [...byMessage].map(([message, brief]) => ({ reason, message, brief }));
}

/** For images whose credential is not found under the key that people write for the registry, since lookups compare the text. */
function noticeSpelling(images: readonly ImageDecision[], injected: readonly Injection[], shape: ObjectShape): readonly Notice[] {
  if (injected.length === 0) return [];
  const injectedSecrets = new Set(injected.map(({ secret }) => secret));
  const isInjected = (rule: Rule) => secretsOf(rule).some((secret) => injectedSecrets.has(secret));
  const withInjected = new Set(trustingRules(images).filter(isInjected));
  const notices = images.flatMap(({ slot, reference, old, trustedBy, stream }) => {
    // No secret is injected for the image of an image stream.
    if (stream || !reference || old || !trustedBy.some((rule) => withInjected.has(rule))) return [];
    const lookup: Lookup = shape.kind === 'build' ? { by: 'builder', action: slot.action } : { by: 'kubelet' };
    return isFoundUnderUsualKey(reference, lookup) ? [] : [renderSpelling(slot, reference)];
  });
  return distinct('registry-spelling', notices);
}

function renderSpelling({ displayName }: ImageSlot, reference: ImageReference): Message {
  const written = registryOf(repositoryAsWritten(reference));
  const usual = registryOf(canonicalName(reference));
  if (usual === written) {
    // A name without a dot is a host only with a port, so the port cannot be left out.
    const predicate = `includes the default port, so credentials stored under ${quote(reference.host)} will not be used. Add the key ${quote(written)} to the secret.`;
    return { message: `image ${quote(reference.written)} ${predicate}`, brief: `the image of ${displayName} ${predicate}` };
  }
  const fix = `Use ${quote(usual)} in the image name, or add the key ${quote(written)} to the secret.`;
  return {
    message: `image ${quote(reference.written)} uses a non-canonical registry name, so credentials stored under ${quote(usual)} will not be used. ${fix}`,
    brief: `the image of ${displayName} uses a non-canonical registry name, so its usual credentials are not used. Use ${quote(usual)}, or add the key ${quote(written)} to the secret.`,
  };
}

function registryOf(repository: string): string {
  return repository.slice(0, repository.indexOf('/'));
}

/**
 * For names without a registry that are allowed, where a node may resolve them otherwise than the rules do. A template of an owner and a
 * mirror Pod have no author who could write the name in full. In an existing Pod, that is the author of a debug container.
 */
function noticeShortNames(images: readonly ImageDecision[], { shape, rules }: SlotContext): readonly Notice[] {
  if (shape.kind !== 'pod' || (shape.readOnlyBecause && shape.readOnlyBecause !== 'immutable')) return [];
  if (!shortNamesAreUncertain(rules)) return [];
  const uncertain = images.filter(
    ({ slot, old, outcomeBeforeMode, reason }) =>
      (outcomeBeforeMode === 'allowed' || reason === 'trust-ending') && !old && !slot.pulledElsewhere,
  );
  return distinct('short-name-uncertain', uncertain.flatMap(renderShortName));
}

function renderShortName({ slot, reference, searched }: ImageDecision): readonly Message[] {
  const { content } = slot;
  if (content.kind !== 'image' || !reference || !isShortName(content.text)) return [];
  const [alias] = aliasesOf(content.text);
  // The nodes of OpenShift may have a search list that the rules do not show.
  const otherwise = searched
    ? 'pull it from a registry other than those that the rules assume'
    : `pull it from a registry other than ${dockerHub}`;
  const action = alias === undefined ? otherwise : `resolve it to ${quote(alias)}`;
  const fix = `The node may ${action}, or reject it. Include the registry, for example ${quote(formatReference(searched?.[0] ?? reference))}.`;
  const predicate = `does not specify a registry. ${fix}`;
  return [{ message: `image ${quote(content.text)} ${predicate}`, brief: `the image of ${slot.displayName} ${predicate}` }];
}

function isShortName(text: string): boolean {
  const parsed = parseImage(text);
  return parsed.ok && !parsed.reference.qualified;
}

function noticeOtherDockerfile(shape: ObjectShape): readonly Notice[] {
  if (shape.kind !== 'build' || shape.otherDockerfile === undefined) return [];
  const message = `the inline Dockerfile is ignored, because spec.strategy.dockerStrategy.dockerfilePath is ${quote(shape.otherDockerfile)}. The images in that file cannot be evaluated. Remove one of the two.`;
  return [{ reason: 'dockerfile-unused', message }];
}

function noticeUnsure(origin: Origin, { namespace }: NamespaceContext): Notice {
  const unknown = `the labels of namespace "${namespace}" are unknown: regkeeper is not connected to a cluster, or they exceed 64 KiB. The strictest result was assumed.`;
  const fix = 'Select namespaces by name, or remove labels.';
  return {
    reason: 'labels-unknown',
    message: `${unknown} ${renderOrigin(origin)} selects namespaces by label. ${fix}`,
    brief: `${unknown} ${fix}`,
  };
}

function weaken(decision: ImageDecision, reason: 'mirror-pod' | 'not-introduced' | 'placeholder'): ImageDecision {
  return decision.outcomeBeforeMode === 'denied' ? { ...decision, outcomeBeforeMode: 'warned', reason } : decision;
}

type IdentityContext = Pick<SlotContext, 'rules' | 'place' | 'facts'>;

function imagesBefore(request: ChangeRequest, context: IdentityContext): ReadonlySet<string> {
  if (request.operation !== 'UPDATE') return new Set();
  const { facts } = context;
  const reading = readObject(contextOf(request, facts), request.oldObject, facts.kinds);
  // If the old object cannot be read, or is too large to have been stored, every image of the new one counts as introduced.
  if (reading.kind !== 'shape' || reading.shape.slots.length > mostImages) return new Set();
  facts.work?.count('images', reading.shape.slots.length);
  return new Set(reading.shape.slots.map((slot) => identity(slot, context)));
}

/**
 * Two images are the same before and after a change if their identities are: image and action. The path is not part of it, since a container
 * that moves in its list introduces nothing. Two spellings of one image are the same, with the default tag or without it. So is a stream
 * whose image has changed: this change did not introduce that image. A name that means a stream is that stream, not the image of that name.
 */
function identity(slot: ImageSlot, context: IdentityContext): string {
  const { action, content } = slot;
  const stream = content.kind === 'image' ? localStream(slot, context) : content.stream;
  if (stream) return `${action} ${stream.kind} ${stream.namespace ?? context.place.namespace}/${stream.name}`;
  if (content.kind !== 'image') return `${action} unresolved`;
  return `${action} ${imageIdentity(content, shortNamesFor(slot, context.rules.settings.shortNames))}`;
}

/**
 * A stream reference is also the same as its image, which the old object may have named directly. Not that of another namespace: the result
 * would show whether a guess of the image is right.
 */
function identities({ slot, stream }: ImageDecision, context: IdentityContext): readonly string[] {
  const written = identity(slot, context);
  if (stream?.kind !== 'resolved' || stream.elsewhere) return [written];
  return [written, `${slot.action} ${imageIdentity({ text: stream.image }, context.rules.settings.shortNames)}`];
}

/** Container runtimes and builders ignore the tag of a name that has a digest too. */
function imageIdentity({ text, openTag }: { readonly text: string; readonly openTag?: true }, shortNames: ShortNames): string {
  const parsed = parseImage(text);
  if (!parsed.ok) return `as written ${text}`;
  const { qualified, digest, tag = openTag ? '*' : 'latest' } = parsed.reference;
  const version = digest === undefined ? `:${tag}` : `@${digest}`;
  return `${qualified || shortNames === 'docker.io' ? '' : 'short '}${canonicalName(parsed.reference)}${version}`;
}

export function worst(outcomes: readonly Outcome[]): Outcome {
  return outcomes.reduce<Outcome>((left, right) => (severity[right] > severity[left] ? right : left), 'allowed');
}

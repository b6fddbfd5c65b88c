import { quote } from '../image/problem.ts';
import { canonicalName, formatReference, type ImageReference, parseImage, writesDefaultPort } from '../image/reference.ts';
import { isObject } from '../object/json.ts';
import { readObject } from '../object/kinds.ts';
import type { ImageSlot, ObjectShape, ReadingContext } from '../object/object-shape.ts';
import { formatCount } from '../object/text.ts';
import { type Origin, renderOrigin } from '../rules/language/problem.ts';
import type { Mode, NamespaceContext, NamespaceSettings, RuleSet } from '../rules/rule-set.ts';
import type { ChangeRequest, Decision, ImageDecision, Injection, Notice, Outcome } from './decision.ts';
import { type EvaluationContext, effectiveSettings, evaluateImage, severity } from './evaluate-image.ts';
import type { Facts } from './facts.ts';
import { injectIntoBuild } from './inject/inject-build.ts';
import { injectIntoPod } from './inject/inject-pod.ts';
import { mostListed, renderFinding } from './message.ts';
import { missingSecrets } from './secrets.ts';
import { resolveStream, type StreamMemo, type StreamResolution, streamMemo } from './streams.ts';

/**
 * Judges one change: which images it brings in, whether they may come in, and which secrets they need. Pure: the same request, rules and
 * facts give the same decision, so the mutating and the validating answer, the command line and the tests cannot disagree.
 */
export function decide(request: ChangeRequest, rules: RuleSet, facts: Facts): Decision {
  const reading = readObject(contextOf(request, facts), request.object, facts.kinds);
  if (reading.kind === 'unknown') return { kind: 'unknown-kind' };
  if (reading.kind === 'malformed') return { kind: 'malformed', problem: reading.problem };
  const { shape } = reading;
  if (shape.slots.length > mostImages) {
    return {
      kind: 'malformed',
      problem: { path: 'it', message: `names ${formatCount(shape.slots.length)} images; at most ${formatCount(mostImages)} are evaluated` },
    };
  }

  const home = facts.namespace(request.namespace);
  const place: NamespaceContext = { namespace: request.namespace, labels: home.kind === 'known' ? home.labels : undefined };
  const { value: settings, unsure: unsureSettings } = rules.settingsAt(place);
  const writes = mayInject(shape, settings);
  const before = imagesBefore(request, rules, facts);
  const judging = { rules, place, settings, facts, shape, before, writes, streams: streamMemo() };
  const images = shape.slots.map((slot) => judge(slot, judging));

  const unsureHere = unsureSettings ? effectiveSettings(unsureSettings, images, shape.kind !== 'naming') : [];
  const unsure = [...new Set([...unsureHere, ...images.map((image) => image.unsure)].filter((origin) => origin !== undefined))];
  // The API server has just proved that the namespace exists: our watch is behind, and its labels would count, if only for the record.
  if ((unsureSettings || unsure.length > 0) && home.kind === 'absent') {
    return { kind: 'not-yet', message: `namespace "${request.namespace}" is not known here yet` };
  }
  const injection = writes && isObject(request.object) ? inject(request, shape, images, facts) : { kind: 'injected' as const, ...nothing };
  if (injection.kind === 'not-yet') return injection;

  const judged = worst(images.map((image) => image.judged));
  const { mode } = settings;
  const newPodsRefused = shape.kind === 'pod' && mode === 'enforce';
  const findings = images
    .filter((image) => image.judged !== 'allow')
    .sort((left, right) => severity[right.judged] - severity[left.judged])
    .map((image, index) => {
      const nearest: RuleSet['nearest'] | undefined = index < mostListed ? rules.nearest : undefined;
      return { image, message: renderFinding(image, { nearest, place, newPodsRefused }) };
    });
  return {
    kind: 'decided',
    images,
    judged,
    outcome: soften(judged, mode),
    mode,
    revision: rules.revision,
    unsure,
    patch: injection.patch,
    injected: injection.injected,
    notices: [
      ...injection.notices,
      ...noticePorts(images, injection.injected),
      ...(writes ? noticeMissing(images, judging) : []),
      ...unsure.slice(0, 1).map((origin) => noticeUnsure(origin, place)),
    ],
    findings,
  };
}

/**
 * Of one object. Each costs some 20 µs, and a request of 3 MiB can name 95,000. What is stored has far fewer: etcd takes 1.5 MiB, and a
 * container with the API server's defaults needs some 150 bytes.
 */
const mostImages = 10_000;

/** What `mode` makes of a refusal; it changes nothing else. */
export function soften(judged: Outcome, mode: Mode): Outcome {
  if (mode === 'audit') return 'allow';
  return judged === 'deny' && mode === 'warn' ? 'warn' : judged;
}

function contextOf({ group, kind, operation, user }: ChangeRequest, { work }: Pick<Facts, 'work'>): ReadingContext {
  return { group, kind, operation, fromKubelet: user.startsWith('system:node:'), ...(work && { work }) };
}

/** `pods` leaves alone what people keep in files of their own: templates and builds. */
function mayInject(shape: ObjectShape, { inject }: NamespaceSettings): boolean {
  if (shape.kind === 'naming') return false;
  return inject === 'all' || (inject === 'pods' && isPod(shape));
}

function isPod(shape: ObjectShape): boolean {
  return shape.kind === 'pod' && shape.stage === 'pod';
}

const nothing = { patch: [], injected: [], notices: [] };

function inject(request: ChangeRequest, shape: ObjectShape, images: readonly ImageDecision[], facts: Facts) {
  switch (shape.kind) {
    case 'pod':
      return injectIntoPod(request, shape, images, facts);
    case 'build':
      return injectIntoBuild(request, shape, images);
    case 'naming':
      return { kind: 'injected' as const, ...nothing };
  }
}

type Judging = EvaluationContext & {
  readonly facts: Facts;
  readonly shape: ObjectShape;
  readonly before: ReadonlySet<string>;
  readonly writes: boolean;
  readonly streams: StreamMemo;
};

function judge(slot: ImageSlot, judging: Judging): ImageDecision {
  const { shape, before, rules } = judging;
  const decision = requireSecrets(judgeContent(slot, judging), judging);
  if (shape.kind === 'pod' && shape.untouchable === 'mirror') return weaken(decision, 'mirror-pod');
  if (before.size > 0 && identities(decision, judging.place, rules).some((each) => before.has(each)))
    return { ...weaken(decision, 'not-introduced'), old: true };
  return decision;
}

function judgeContent(slot: ImageSlot, judging: Judging): ImageDecision {
  const { content } = slot;
  judging.facts.work?.count('images', 1);
  if (content.kind === 'image') {
    const context: EvaluationContext = slot.imported ? { ...judging, shortNames: 'docker.io' } : judging;
    return { slot, ...evaluateImage(content.text, context) };
  }
  const stream = content.stream && resolveStream(content.stream, judging.place.namespace, judging.facts, judging.streams);
  if (stream?.kind === 'resolved') return judgeResolved(slot, stream, judging);
  const runsNow = isPod(judging.shape);
  // A template is evaluated again with what a trigger writes into it, and at the Pod; of a build, what it pulls may be seen nowhere else.
  if (stream?.tooLarge && judging.shape.kind !== 'pod')
    return { slot, stream, verdict: 'unresolved', reason: 'stream-too-large', judged: 'deny', trustedBy: [] };
  const reason = runsNow ? 'unresolved-in-pod' : 'unresolved';
  return { slot, verdict: 'unresolved', reason, judged: runsNow ? 'deny' : 'allow', trustedBy: [], ...(stream && { stream }) };
}

/**
 * A build takes what the stream holds now. A placeholder in a template is only told of: the trigger may be paused, or the stream hold
 * something else by then, and whatever is put in is judged there, and again at the Pod.
 */
function judgeResolved(slot: ImageSlot, stream: StreamResolution & { kind: 'resolved' }, judging: Judging): ImageDecision {
  const decision = { slot, stream, ...evaluateImage(stream.image, judging) };
  return judging.shape.kind === 'pod' ? weaken(decision, 'placeholder') : decision;
}

/** A pod that could not pull is refused where the rule says so: its controller tries again, and somebody reads why. Templates may come first. */
function requireSecrets(decision: ImageDecision, { shape, writes, place, facts }: Judging): ImageDecision {
  if (!writes || !isPod(shape) || decision.judged !== 'allow') return decision;
  const missing = missingSecrets(decision, place.namespace, facts).find(({ rule }) => rule.onMissingSecret === 'deny');
  return missing ? { ...decision, judged: 'deny', reason: 'secret-missing', rule: missing.rule, missing: missing.message } : decision;
}

function noticeMissing(images: readonly ImageDecision[], { place, facts }: Judging): readonly Notice[] {
  // An image stream's image is none that we write a secret for.
  const told = images.filter(({ missing, stream, slot }) => missing === undefined && !stream && !slot.pulledElsewhere);
  const messages = told.flatMap((image) => missingSecrets(image, place.namespace, facts).map(({ message }) => message));
  return [...new Set(messages)].map((message) => ({ reason: 'secret-missing', message }));
}

/** Kubelets and builds compare ports as text (kubernetes keyring.go; containers/image docker/config). */
function noticePorts(images: readonly ImageDecision[], injected: readonly Injection[]): readonly Notice[] {
  if (injected.length === 0) return [];
  const given = new Set(injected.map(({ secret }) => secret));
  const messages = images.flatMap(({ reference, old, trustedBy }) => {
    if (!reference || old || !writesDefaultPort(reference)) return [];
    const secrets = trustedBy.flatMap(({ pullSecrets, pushSecret = '' }) => [...pullSecrets, pushSecret]);
    return secrets.some((secret) => given.has(secret)) ? [renderPortWritten(reference)] : [];
  });
  return [...new Set(messages)].map((message) => ({ reason: 'port-written', message }));
}

function renderPortWritten(reference: ImageReference): string {
  const { written, host } = reference;
  // A host without a dot is one by its port alone.
  const instead = canonicalName(reference).startsWith(`${host}/`) ? ', or leave it out of the image' : '';
  return `image ${quote(written)} is written with the default port, so a credential is found only under that very name: write the port in the secret too${instead}`;
}

function noticeUnsure(origin: Origin, { namespace }: NamespaceContext): Notice {
  const message = `${renderOrigin(origin)} selects by labels, and those of namespace "${namespace}" are not known here: judged by the strictest that they could lead to`;
  return { reason: 'labels-unknown', message };
}

function weaken(decision: ImageDecision, reason: 'mirror-pod' | 'not-introduced' | 'placeholder'): ImageDecision {
  return decision.judged === 'deny' ? { ...decision, judged: 'warn', reason } : decision;
}

function imagesBefore(request: ChangeRequest, rules: RuleSet, facts: Pick<Facts, 'kinds' | 'work'>): ReadonlySet<string> {
  if (request.operation !== 'UPDATE') return new Set();
  const reading = readObject(contextOf(request, facts), request.oldObject, facts.kinds);
  // An old object that cannot be read, or is too large to be stored, has shown nothing: every image of the new one counts as introduced.
  if (reading.kind !== 'shape' || reading.shape.slots.length > mostImages) return new Set();
  facts.work?.count('images', reading.shape.slots.length);
  return new Set(reading.shape.slots.map((slot) => identity(slot, request.namespace, rules)));
}

/**
 * What makes an image of a change the same as one from before: what is written, and what is done with it. The place does not count, so that
 * a container put first in the list brings nothing in. Two spellings of one image are the same. So is a stream whatever it has come to
 * hold: what changes in the stream, this change did not bring in.
 */
function identity({ action, content }: ImageSlot, home: string, { settings }: RuleSet): string {
  if (content.kind === 'image') return `${action} ${imageIdentity(content.text, settings)}`;
  if (!content.stream) return `${action} unresolved`;
  const { kind, namespace = home, name } = content.stream;
  return `${action} ${kind} ${namespace}/${name}`;
}

/** A stream that stands for an image which was there by its name brings nothing in either. */
function identities({ slot, stream }: ImageDecision, { namespace }: NamespaceContext, rules: RuleSet): readonly string[] {
  const written = identity(slot, namespace, rules);
  return stream?.kind === 'resolved' ? [written, `${slot.action} ${imageIdentity(stream.image, rules.settings)}`] : [written];
}

function imageIdentity(text: string, { shortNames }: RuleSet['settings']): string {
  const parsed = parseImage(text);
  if (!parsed.ok) return `as written ${text}`;
  const short = !parsed.reference.qualified && shortNames !== 'docker.io';
  return `${short ? 'short ' : ''}${formatReference(parsed.reference)}`;
}

function worst(outcomes: readonly Outcome[]): Outcome {
  return outcomes.reduce<Outcome>((left, right) => (severity[right] > severity[left] ? right : left), 'allow');
}

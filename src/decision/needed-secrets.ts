/**
 * Finds the secrets with delivery that an object needs, and records them in an annotation of the object, which `regkeeper deliver` watches.
 * So a namespace gets a copy as soon as something needs it: a Deployment before its first Pod, a CronJob between its runs.
 */
import { injectedAnnotation } from '../object/injection-mark.ts';
import { isObject, type JsonObject, sameJson, textAt, valueAt } from '../object/json.ts';
import { builtInKinds } from '../object/kinds.ts';
import { neededSecretsAnnotation, renderNeededSecrets } from '../object/needed-secrets.ts';
import type { ObjectShape } from '../object/object-shape.ts';
import { deliveredSecret } from '../rules/match/entitlement.ts';
import { secretsOf } from '../rules/rule-secrets.ts';
import type { NamespaceSettings, RuleSet } from '../rules/rule-set.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import type { ChangeRequest, ImageDecision, Notice } from './decision.ts';
import type { Facts } from './facts.ts';
import { annotate } from './inject/annotate.ts';
import type { PatchOperation } from './inject/patch.ts';
import { trustingRules } from './trusting-rules.ts';

export type NeedsInput = {
  readonly shape: ObjectShape;
  readonly images: readonly ImageDecision[];
  readonly rules: RuleSet;
  readonly settings: NamespaceSettings;
  readonly facts: Pick<Facts, 'serviceAccount' | 'kinds'>;
  /** The patch that injects secrets. That of the annotation follows it. */
  readonly patch: readonly PatchOperation[];
  /** Secrets in the object after that patch. Undefined for an entry without a name, and for an empty field. */
  readonly listed: readonly (string | undefined)[];
};

export type RecordedNeeds = {
  /** The names in the annotation, sorted. Undefined if this change does not concern the annotation. */
  readonly names?: readonly string[];
  readonly patch: readonly PatchOperation[];
  readonly notices: readonly Notice[];
};

/**
 * The annotation is written when an object is created, and when a change concerns its images or secrets. Otherwise it stays as it was sent,
 * so that a change has no effect that was not requested. A forged value is replaced.
 */
export function recordNeeds(request: ChangeRequest, input: NeedsInput): RecordedNeeds {
  const root = request.object;
  if (input.rules.deliveredSecrets.length === 0 || !isObject(root) || !mayRecord(request, input) || !concernsImages(request, input)) {
    return { patch: [], notices: [] };
  }
  const names = neededSecrets(request, input);
  const text = renderNeededSecrets(names);
  if (text !== undefined && !fits(root, text, input.patch)) {
    return { names: [], patch: annotate(root, ['metadata'], neededSecretsAnnotation, undefined), notices: [annotationsFull] };
  }
  return { names, patch: annotate(root, ['metadata'], neededSecretsAnnotation, text, input.patch), notices: [] };
}

/**
 * Only for objects that are stored in a namespace. Copies of owners are left alone: their Pods and their owner have the annotation. A
 * kubelet would recreate a mirror Pod that differs.
 */
function mayRecord(
  { group, kind, subresource = '', namespace }: ChangeRequest,
  { shape, facts: { kinds = builtInKinds } }: NeedsInput,
): boolean {
  if (subresource !== '' || namespace === '' || kinds.find({ group, kind })?.notStored) return false;
  return shape.kind !== 'pod' || shape.readOnlyBecause === undefined || shape.readOnlyBecause === 'immutable';
}

/** The same fields decide whether the API server sends a change to the webhooks. */
function concernsImages({ operation, group, kind, object, oldObject }: ChangeRequest, { patch, facts }: NeedsInput): boolean {
  if (operation === 'CREATE' || !oldObject || patch.length > 0) return true;
  const { kinds = builtInKinds } = facts;
  return kinds.find({ group, kind })?.fields.some((field) => !sameJson(valueAt(oldObject, field), valueAt(object, field))) ?? false;
}

/** The secrets that the rules name for the images, and that the object, its Pods or its builds can use. */
function neededSecrets(request: ChangeRequest, input: NeedsInput): readonly string[] {
  const { images, rules } = input;
  const needed = new Set<string>();
  for (const [isUsable, using] of Map.groupBy(images, usableSecrets(request, input))) {
    for (const action of ['pull', 'push'] as const) {
      for (const rule of trustingRules(using.filter(({ slot }) => slot.action === action))) {
        for (const name of secretsOf(rule, action)) if (isUsable(name) && deliveredSecret(rules, name)) needed.add(name);
      }
    }
  }
  return [...needed].sort();
}

type IsUsable = (secret: string) => boolean;

const every: IsUsable = () => true;
const none: IsUsable = () => false;

/** Which secrets can be used for an image. There are at most three results, and the images are grouped by them. */
function usableSecrets(
  { namespace, object }: ChangeRequest,
  { shape, settings, facts, listed }: NeedsInput,
): (image: ImageDecision) => IsUsable {
  const injectsLater = settings.inject !== 'off';
  if (shape.kind === 'naming') {
    // The importer of image streams uses every registry secret of the namespace. Of other kinds, the Pods get the secrets.
    return ({ slot }) => (slot.imported === true || injectsLater ? every : none);
  }
  const names = new Set(listed);
  const emptyPlaces = shape.kind === 'pod' ? listed.length === 0 : listed.includes(undefined);
  const account = shape.kind === 'pod' ? shape.serviceAccount : (textAt(object, ['spec', 'serviceAccount']) ?? 'builder');
  // The API server fills the list of a Pod from its account before webhooks run. Builds use the secrets of their account for empty fields.
  if (emptyPlaces) for (const name of secretsOfAccount(facts, namespace, account)) names.add(name);
  const podsGetAll = shape.kind === 'pod' && shape.stage === 'template' && injectsLater;
  const isListed: IsUsable = podsGetAll ? every : (name) => names.has(name);
  return ({ slot, stream }) => {
    if (slot.pulledElsewhere) return injectsLater ? every : none;
    // A placeholder needs its secret when the trigger has filled it.
    return shape.kind === 'pod' && stream ? none : isListed;
  };
}

function secretsOfAccount(facts: NeedsInput['facts'], namespace: string, name: string): readonly string[] {
  const account = facts.serviceAccount(namespace, name);
  return account.kind === 'known' ? account.pullSecrets : [];
}

/** Bytes of all keys and values. The API server denies an object with more (apimachinery api/validation, TotalAnnotationSizeLimitB). */
const mostAnnotationBytes = 262_144;

/** Whether the object's annotations have room for the text, also after what the patch adds to them. */
function fits(root: JsonObject, text: string, patch: readonly PatchOperation[]): boolean {
  const annotations = valueAt(root, ['metadata', 'annotations']);
  const after = { ...(isObject(annotations) ? annotations : {}), ...annotationsAdded(patch), [neededSecretsAnnotation]: text };
  let bytes = 0;
  for (const [key, value] of Object.entries(after)) if (typeof value === 'string') bytes += utf8Length(key) + utf8Length(value);
  return bytes <= mostAnnotationBytes;
}

/** Of the object's own metadata. The only one is the mark of a Pod or a build. */
function annotationsAdded(patch: readonly PatchOperation[]): JsonObject {
  for (const operation of patch) {
    const value = operation.op === 'remove' ? undefined : operation.value;
    if (operation.path === '/metadata') return valueAt(value, ['annotations']) as JsonObject;
    if (operation.path === '/metadata/annotations') return value as JsonObject;
    if (operation.path === markPath) return { [injectedAnnotation]: value };
  }
  return {};
}

const markPath = pointerTo('metadata', 'annotations', injectedAnnotation);

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    // A half of a surrogate pair is two of the four bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

const annotationsFull: Notice = {
  reason: 'needs-not-recorded',
  message: `the annotation ${neededSecretsAnnotation} was not written, because the object's annotations would exceed 256 KiB. Secrets are not delivered for this object. Remove some annotations.`,
};

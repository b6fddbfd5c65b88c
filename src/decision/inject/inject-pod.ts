/** Injects pull secrets into pods and pod templates: reads the input of the plan, and renders the plan as patch and notices. */

import { quote } from '../../image/problem.ts';
import { quoteAll } from '../../image/wording.ts';
import { injectedAnnotation, readPodMark } from '../../object/injection-mark.ts';
import { isObject, type JsonObject, renderPath, sameJson, textAt, valueAt } from '../../object/json.ts';
import type { PodShape } from '../../object/object-shape.ts';
import { serviceAccountOf } from '../../object/pod.ts';
import { userSuppliedNames } from '../../object/user-supplied.ts';
import type { ChangeRequest, ImageDecision, Injection, Notice } from '../decision.ts';
import type { Facts } from '../facts.ts';
import { trustingRules } from '../trusting-rules.ts';
import type { PatchOperation } from './patch.ts';
import { patchPullSecrets } from './patch-pull-secrets.ts';
import { type ListedName, type OldTemplate, type PlanNotice, type PullSecretInput, planPullSecrets } from './plan-pull-secrets.ts';

export type InjectionResult =
  | {
      readonly kind: 'injected';
      readonly patch: readonly PatchOperation[];
      readonly injected: readonly Injection[];
      /** All secrets in the object after the patch. Undefined for an entry without a name, and for an empty field of a build. */
      readonly listed: readonly (string | undefined)[];
      readonly notices: readonly Notice[];
    }
  | { readonly kind: 'not-yet'; readonly message: string };

export function injectIntoPod(request: ChangeRequest, shape: PodShape, images: readonly ImageDecision[], facts: Facts): InjectionResult {
  if (shape.readOnlyBecause && shape.readOnlyBecause !== 'immutable')
    return { kind: 'injected', patch: [], injected: [], listed: shape.pullSecrets, notices: [] };
  const plan = planPullSecrets(readInput(request, shape, images, facts));
  if (plan.kind === 'not-yet') {
    return {
      kind: 'not-yet',
      message: `service account ${quote(shape.serviceAccount)} in namespace "${request.namespace}" has not been seen yet`,
    };
  }
  const path = renderPath([...shape.spec, 'imagePullSecrets']);
  return {
    kind: 'injected',
    patch: patchPullSecrets(plan, request, shape),
    injected: plan.added.map((secret) => ({ path, ...secret })),
    listed: [...(plan.kind === 'write' ? plan.kept : shape.pullSecrets), ...plan.added.map(({ secret }) => secret)],
    notices: [
      ...plan.notices.map((notice) => ({ reason: notice.reason, message: renderNotice(notice, shape) })),
      ...lackingSecrets(
        shape,
        images,
        plan.added.map(({ secret }) => secret),
      ),
    ],
  };
}

/** The list of an existing pod cannot change, so an image that is added to it may not be pulled. The user gets the reason. */
function lackingSecrets(shape: PodShape, images: readonly ImageDecision[], restored: readonly string[]): readonly Notice[] {
  if (shape.readOnlyBecause !== 'immutable' || shape.stage !== 'pod') return [];
  const listed = new Set([...shape.pullSecrets, ...restored]);
  const missing = wantedSecrets(images.filter(({ old }) => !old)).filter((name) => !listed.has(name));
  if (missing.length === 0) return [];
  return [
    {
      reason: 'pod-immutable',
      message: `the Pod lacks the pull secret${missing.length === 1 ? '' : 's'} ${quoteAll(missing)}, and the pull secrets of an existing Pod cannot be changed. Recreate the Pod, or for a debug container, use kubectl debug --copy-to.`,
    },
  ];
}

/** Secrets that the winning rules name for images pulled by this pod, without duplicates, in the order of the images. */
function wantedSecrets(images: readonly ImageDecision[]): readonly string[] {
  // A placeholder gets its secret when the trigger has filled it. Until then nothing is pulled.
  const pulled = images.filter(({ slot, stream }) => slot.action === 'pull' && !slot.pulledElsewhere && !stream);
  return [...new Set(trustingRules(pulled).flatMap(({ pullSecrets }) => pullSecrets))];
}

function readInput(request: ChangeRequest, shape: PodShape, images: readonly ImageDecision[], facts: Facts): PullSecretInput {
  const root = request.object as JsonObject;
  const old = readOld(request, shape);
  return {
    stage: shape.stage,
    list: shape.pullSecrets,
    mark: shape.mark,
    wanted: wantedSecrets(images),
    immutable: shape.readOnlyBecause === 'immutable',
    onlyIntoEmptyList: shape.onlyIntoEmptyList === true,
    account: () => facts.serviceAccount(request.namespace, shape.serviceAccount),
    userSupplied: () => userSuppliedNames(root, shape),
    ...(old && { old }),
  };
}

function readOld({ operation, object, oldObject }: ChangeRequest, shape: PodShape): PullSecretInput['old'] {
  if (operation !== 'UPDATE' || !oldObject) return undefined;
  const old = templateOf(oldObject, shape);
  const now = templateOf(object as JsonObject, shape);
  return sameJson(old, now) ? 'unchanged' : compareTemplates(old, now, shape);
}

function templateOf(root: JsonObject, shape: PodShape): JsonObject {
  return { metadata: valueAt(root, shape.metadata), spec: valueAt(root, shape.spec) };
}

function compareTemplates(old: JsonObject, now: JsonObject, shape: PodShape): OldTemplate {
  const entries = entriesOf(old);
  return {
    list: entries.map(nameOf),
    mark: readPodMark(old, ['metadata']),
    sentMark: readPodMark(now, ['metadata']),
    restUnchanged: sameJson(withoutListAndMark(old), withoutListAndMark(now)),
    listUnchanged: sameJson(entries, entriesOf(now)),
    changedEntries: changedEntries(entries, entriesOf(now)),
    sameAccount: serviceAccountOf(valueAt(old, ['spec'])) === shape.serviceAccount,
  };
}

function entriesOf(template: JsonObject): readonly unknown[] {
  const list = valueAt(template, ['spec', 'imagePullSecrets']);
  return Array.isArray(list) ? list : [];
}

function nameOf(entry: unknown): ListedName {
  return textAt(entry, ['name']);
}

function withoutListAndMark(template: JsonObject): JsonObject {
  const metadata = isObject(template.metadata) ? template.metadata : {};
  const { [injectedAnnotation]: _mark, ...annotations } = isObject(metadata.annotations) ? metadata.annotations : {};
  const { imagePullSecrets: _list, ...spec } = isObject(template.spec) ? template.spec : {};
  return { metadata: { ...metadata, annotations }, spec };
}

/** Names whose entries differ. A name that is no longer listed counts if its entries were not exactly the one that we would write. */
function changedEntries(old: readonly unknown[], now: readonly unknown[]): OldTemplate['changedEntries'] {
  const entriesNow = Map.groupBy(now, nameOf);
  const changed = [...Map.groupBy(old, nameOf)].filter(([name, entries]) => !sameJson(entries, entriesNow.get(name) ?? [{ name }]));
  return new Set(changed.map(([name]) => name));
}

function renderNotice(notice: PlanNotice, { serviceAccount, stage }: PodShape): string {
  const account = `service account ${quote(serviceAccount)}`;
  switch (notice.reason) {
    case 'secrets-enforced': {
      const { notPermitted, tooLarge } = notice;
      const [were, them] = notPermitted.length === 1 ? ['was', 'it'] : ['were', 'them'];
      const because =
        tooLarge === undefined
          ? `so ${quoteAll(notPermitted)} ${were} not added. Add ${them} to the imagePullSecrets of the service account.`
          : `and ${tooLarge.replace(/^it /, 'the account ')}. ${quoteAll(notPermitted)} ${were} not added, because the account might not list ${them}.`;
      return `${account} allows only the pull secrets that it lists (kubernetes.io/enforce-mountable-secrets), ${because}`;
    }
    case 'account-unknown':
      return `${account} is unknown, because regkeeper is not connected to a cluster. Its own pull secrets were not added.`;
    case 'account-too-large': {
      const consequence =
        stage === 'template'
          ? 'The template was not changed. Its Pods get the pull secrets that the rules specify.'
          : 'Only the secrets that the Pod already lists remain.';
      const fix = 'Remove pull secrets, service accounts or image streams that are not needed.';
      return `the pull secrets of ${account} are ignored, because ${notice.tooLarge.replace(/^it /, 'the account ')}. ${fix} ${consequence}`;
    }
  }
}

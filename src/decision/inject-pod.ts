/**
 * Pull secrets of pods and pod templates.
 *
 * Kubernetes copies a service account's own pull secrets into a pod only when its list is empty, and before webhooks run
 * (kubernetes plugin/pkg/admission/serviceaccount). A template that we gave a secret leads to pods whose list is not empty, so whoever adds
 * to an empty list takes over the duty of adding the account's secrets too.
 */
import { quote } from '../image/problem.ts';
import { isAbsent, isObject, type JsonObject, type Path, renderPath, sameJson, textAt, valueAt } from '../object/json.ts';
import { injectedAnnotation, noPodMark, type PodMark, readPodMark, renderPodMark } from '../object/mark.ts';
import type { PodShape } from '../object/object-shape.ts';
import { userSuppliedNames } from '../object/user-supplied.ts';
import { annotate } from './annotate.ts';
import type { ChangeRequest, ImageDecision, Injection, Notice } from './decision.ts';
import type { Facts, ServiceAccountFacts } from './facts.ts';
import { add, type PatchOperation, remove } from './patch.ts';

export type InjectionResult =
  | {
      readonly kind: 'injected';
      readonly patch: readonly PatchOperation[];
      readonly injected: readonly Injection[];
      readonly notices: readonly Notice[];
    }
  | { readonly kind: 'not-yet'; readonly message: string };

export function injectIntoPod(request: ChangeRequest, shape: PodShape, images: readonly ImageDecision[], facts: Facts): InjectionResult {
  const root = request.object as JsonObject;
  const wanted = wantedSecrets(images);
  if (shape.untouchable && !(shape.untouchable === 'immutable' && shape.stage === 'template')) return leave(lackingSecrets(shape, images));

  // What a template was before; pods cannot change theirs.
  const oldObject = shape.stage === 'template' && request.operation === 'UPDATE' ? request.oldObject : null;
  const old = oldObject ? templateOf(oldObject, shape) : undefined;
  if (oldObject && old) {
    const now = templateOf(root, shape);
    // A template that did not change must stay as it is: any change of ours would be a rollout nobody asked for.
    if (sameJson(old, now)) return leave();
    // It lost only what we wrote (a replace or apply of the author's own file): put that back, and nothing has changed.
    if (lostOnlyOurs(old, now)) return restore(root, oldObject, shape);
    // A Job's list cannot change at all, so without ours it would be refused; while it is suspended, other fields may change beside it.
    if (shape.untouchable && lostOnlyOurs(onlyCredentials(old), onlyCredentials(now))) return restore(root, oldObject, shape);
  }
  if (shape.untouchable) return leave();

  const ours = namesIn(shape.mark);
  const pristine = shape.pullSecrets.every((name) => name !== undefined && ours.has(name));
  if (shape.onlyIntoEmptyList && !pristine) return leave();
  const needsAccount = wanted.length > 0 || (shape.stage === 'pod' && pristine && shape.pullSecrets.length > 0);
  const account: ServiceAccountFacts = needsAccount ? facts.serviceAccount(request.namespace, shape.serviceAccount) : { kind: 'unknown' };

  // The API server has just proved that the account exists (its own admission refuses the pod otherwise): our watch is behind.
  if (account.kind === 'absent' && shape.stage === 'pod') {
    return {
      kind: 'not-yet',
      message: `service account ${quote(shape.serviceAccount)} of namespace "${request.namespace}" is not known here yet`,
    };
  }
  if (account.kind === 'too-large' && shape.stage === 'template' && pristine) return leaveToApiServer(root, old, shape, account, wanted);
  const notices: Notice[] = [];
  // Sets, since accounts, marks and lists can be long, and all of them are written by the same person.
  const ofAccount = secretsOfAccount(account, shape);
  const inAccount = new Set(ofAccount);
  const mayBeAdded = permittedBy(account);
  const permitted = wanted.filter(mayBeAdded);
  const listed = new Set(shape.pullSecrets);
  const refused = wanted.filter((name) => !mayBeAdded(name) && (!listed.has(name) || (shape.stage === 'template' && ours.has(name))));
  if (refused.length > 0) {
    const because =
      account.kind === 'too-large'
        ? `and ${account.why}, so it is not known whether ${quoteAll(refused)} is among them: it was not added`
        : `so ${quoteAll(refused)} was not added: list it there`;
    // Adding it would have the pod refused by the API server (kubernetes plugin/pkg/admission/serviceaccount, limitSecretReferences).
    notices.push({
      reason: 'secrets-enforced',
      message: `service account ${quote(shape.serviceAccount)} allows only the pull secrets it lists (kubernetes.io/enforce-mountable-secrets), ${because}`,
    });
  }

  const takesOver = pristine && (permitted.length > 0 || (shape.stage === 'pod' && shape.pullSecrets.length > 0));
  // A pod's empty list says it too: the API server has copied the account's secrets into it by now, and there were none.
  const untold = shape.stage === 'template' || shape.pullSecrets.length > 0;
  if (takesOver && untold && account.kind === 'unknown') {
    notices.push({
      reason: 'account-unknown',
      message: `service account ${quote(shape.serviceAccount)} could not be looked up (no cluster is watched): pull secrets of its own were not added`,
    });
  }
  if (takesOver && untold && account.kind === 'too-large')
    notices.push(noticeTooLarge(account, shape, 'only those that the pod lists already were kept'));
  // What was taken over stays where the rest of the list is nothing that we would not write too, though some of it may count as the author's
  // since: otherwise the account's secrets would be lost by our own doing.
  const expected = new Set([...ours, ...wanted, ...ofAccount]);
  const nothingElse = permitted.length > 0 && shape.pullSecrets.every((name) => name !== undefined && expected.has(name));
  const accountSecrets = takesOver ? ofAccount : nothingElse ? shape.mark.serviceAccount.filter((name) => inAccount.has(name)) : [];
  const result = write(root, shape, permitted, accountSecrets);
  // Without what is stale it is the old one again, perhaps with another spelling of the mark: then that stays, to the letter.
  if (oldObject && old && lostOnlyOurs(old, result.template())) return restore(root, oldObject, shape);
  return { kind: 'injected', patch: result.patch, injected: result.injected, notices };
}

type TooLarge = ServiceAccountFacts & { kind: 'too-large' };

/**
 * A template whose list is empty but for ours. Any entry of ours would keep the API server from copying the account's list into the Pods, and
 * we could not write that list ourselves: so nothing is added here, and the Pods get ours beside the account's when they are created. What an
 * earlier pass wrote stays, unless it would stand in the way of the account's list: of an account that is new to the template, or that allows
 * its own list alone.
 */
function leaveToApiServer(
  root: JsonObject,
  old: JsonObject | undefined,
  shape: PodShape,
  account: TooLarge,
  wanted: readonly string[],
): InjectionResult {
  const notices =
    wanted.length > 0 ? [noticeTooLarge(account, shape, 'the template was left as it is; its pods get the secrets of the rules')] : [];
  const sameAccount = !old || accountOf(old) === shape.serviceAccount;
  if (sameAccount && !account.onlyListedSecrets) return leave(notices);
  const { patch, injected } = write(root, shape, [], []);
  return { kind: 'injected', patch, injected, notices };
}

function accountOf(template: JsonObject): string {
  return textAt(template, ['spec', 'serviceAccountName']) ?? textAt(template, ['spec', 'serviceAccount']) ?? 'default';
}

function noticeTooLarge(account: TooLarge, { serviceAccount }: PodShape, consequence: string): Notice {
  return {
    reason: 'account-too-large',
    message: `the pull secrets of service account ${quote(serviceAccount)} are ignored, because ${account.why.replace(/^it /, 'the account ')}: ${consequence}`,
  };
}

/** Whether the API server would take a pod that lists the secret. */
function permittedBy(account: ServiceAccountFacts): (name: string) => boolean {
  if ((account.kind !== 'known' && account.kind !== 'too-large') || !account.onlyListedSecrets) return () => true;
  const listed = new Set(account.kind === 'known' ? account.pullSecrets : []);
  return (name) => listed.has(name);
}

/** The account's own secrets; where they are not known, those that an earlier pass found. */
function secretsOfAccount(account: ServiceAccountFacts, shape: PodShape): readonly string[] {
  if (account.kind === 'known') return account.pullSecrets;
  return account.kind === 'absent' ? [] : shape.mark.serviceAccount;
}

/** Secrets that the winning rules name for images pulled by this pod, without doubles, in the order of the images. */
function wantedSecrets(images: readonly ImageDecision[]): readonly string[] {
  // What a trigger will put in gets its secret when it is there: until then nothing is pulled.
  const pulled = images.filter(({ slot, stream }) => slot.action === 'pull' && !slot.pulledElsewhere && !stream);
  return [...new Set(pulled.flatMap(({ trustedBy }) => trustedBy.flatMap(({ pullSecrets }) => pullSecrets)))];
}

type Written = Pick<InjectionResult & { kind: 'injected' }, 'patch' | 'injected'> & {
  /** What the patch makes of the template. */
  template(): JsonObject;
};

/** The author's entries as they stand, then ours. A template also loses entries of ours that nothing asks for any more; a pod never loses any. */
function write(root: JsonObject, shape: PodShape, wanted: readonly string[], accountSecrets: readonly string[]): Written {
  const list = [...shape.spec, 'imagePullSecrets'];
  const ours = namesIn(shape.mark);
  const keep = new Set([...wanted, ...accountSecrets]);
  const isStale = (name: string | undefined) => shape.stage === 'template' && name !== undefined && ours.has(name) && !keep.has(name);
  const kept = new Set(shape.pullSecrets.filter((name) => !isStale(name)));
  const added = [...keep].filter((name) => !kept.has(name));

  // Of the names we stand for now, those that we wrote, just now or in an earlier pass. What the author listed stays the author's, also
  // where it was taken out since: the next pass would call it so.
  const authored = added.length > 0 ? userSuppliedNames(root, shape) : new Set();
  const written = (name: string) => ours.has(name) || !(kept.has(name) || authored.has(name));
  const earlier = shape.stage === 'pod' ? shape.mark : noPodMark;
  const fromRules = new Set(wanted);
  const mark: PodMark = {
    rules: [...new Set([...earlier.rules, ...wanted.filter(written)])],
    serviceAccount: [...new Set([...earlier.serviceAccount, ...accountSecrets.filter((name) => !fromRules.has(name) && written(name))])],
  };
  const marked = mark.rules.length + mark.serviceAccount.length > 0;
  const text = marked ? renderPodMark(mark) : undefined;
  return {
    template: () => rewritten(templateOf(root, shape), shape.pullSecrets.map(isStale), added, text),
    patch: [...listPatch(root, list, shape.pullSecrets.map(isStale), added), ...annotate(root, shape.metadata, text)],
    injected: added.map((secret) => ({ path: renderPath(list), secret, from: fromRules.has(secret) ? 'rule' : 'serviceAccount' })),
  };
}

/** `stale` says of each entry of the list whether it goes. */
function listPatch(root: JsonObject, list: Path, stale: readonly boolean[], added: readonly string[]): readonly PatchOperation[] {
  const current = valueAt(root, list);
  const entries = added.map((name) => ({ name }));
  if (!Array.isArray(current)) return added.length > 0 ? [add(list, entries)] : [];
  if (!stale.includes(true)) return entries.map((entry) => add([...list, '-'], entry));
  // One operation, since each removal from a list costs the API server a copy of the list.
  const remaining = [...current.filter((_entry, index) => !stale[index]), ...entries];
  return [remaining.length > 0 ? add(list, remaining) : remove(list)];
}

/** The same as {@link listPatch} and the annotation do, in a copy. */
function rewritten(template: JsonObject, stale: readonly boolean[], added: readonly string[], mark: string | undefined): JsonObject {
  const metadata = isObject(template.metadata) ? template.metadata : {};
  const { [injectedAnnotation]: _mark, ...annotations } = isObject(metadata.annotations) ? metadata.annotations : {};
  const spec = isObject(template.spec) ? template.spec : {};
  const secrets = Array.isArray(spec.imagePullSecrets) ? spec.imagePullSecrets.filter((_entry, index) => !stale[index]) : [];
  return {
    metadata: { ...metadata, annotations: mark === undefined ? annotations : { ...annotations, [injectedAnnotation]: mark } },
    spec: { ...spec, imagePullSecrets: [...secrets, ...added.map((name) => ({ name }))] },
  };
}

function namesIn(mark: PodMark): ReadonlySet<string> {
  return new Set([...mark.rules, ...mark.serviceAccount]);
}

function templateOf(root: JsonObject, shape: PodShape): JsonObject {
  return { metadata: valueAt(root, shape.metadata), spec: valueAt(root, shape.spec) };
}

/** Whether the author's part is the same, and the list has no entry that was not there: such a one, marked or not, is asked for. */
function lostOnlyOurs(old: JsonObject, now: JsonObject): boolean {
  const list = ['spec', 'imagePullSecrets'];
  const before = new Set(secretNames(old, list));
  return secretNames(now, list).every((name) => before.has(name)) && sameJson(withoutOurs(old), withoutOurs(now));
}

/** The list and our mark alone. */
function onlyCredentials(template: JsonObject): JsonObject {
  const { annotations } = isObject(template.metadata) ? template.metadata : {};
  const mark = valueAt(annotations, [injectedAnnotation]);
  const list = valueAt(template, ['spec', 'imagePullSecrets']);
  return { metadata: { annotations: { [injectedAnnotation]: mark } }, spec: { imagePullSecrets: list } };
}

/** The template as its author would have it: without the entries that the mark names, and without the mark. */
function withoutOurs(template: JsonObject): JsonObject {
  const ours = namesIn(readPodMark(template, ['metadata']));
  const metadata = isObject(template.metadata) ? template.metadata : {};
  const { [injectedAnnotation]: _mark, ...annotations } = isObject(metadata.annotations) ? metadata.annotations : {};
  const spec = isObject(template.spec) ? template.spec : {};
  const secrets = Array.isArray(spec.imagePullSecrets) ? spec.imagePullSecrets : [];
  const authored = secrets.filter((entry: unknown) => !ours.has(textAt(entry, ['name']) ?? ''));
  return {
    metadata: { ...metadata, annotations: Object.keys(annotations).length > 0 ? annotations : null },
    spec: { ...spec, imagePullSecrets: authored.length > 0 ? authored : null },
  };
}

function restore(root: JsonObject, oldObject: JsonObject, shape: PodShape): InjectionResult {
  const list = [...shape.spec, 'imagePullSecrets'];
  const before = valueAt(oldObject, list);
  const now = valueAt(root, list);
  const patch: PatchOperation[] = [];
  if (!sameJson(before, now)) patch.push(isAbsent(before) ? remove(list) : add(list, before));
  const mark = valueAt(oldObject, [...shape.metadata, 'annotations', injectedAnnotation]);
  patch.push(...annotate(root, shape.metadata, typeof mark === 'string' ? mark : undefined));

  const fromRules = new Set(readPodMark(oldObject, shape.metadata).rules);
  const present = new Set(shape.pullSecrets);
  const lost = new Set(secretNames(oldObject, list).filter((name) => name !== undefined && !present.has(name)) as string[]);
  const path = renderPath(list);
  const injected = [...lost].map((secret): Injection => ({ path, secret, from: fromRules.has(secret) ? 'rule' : 'serviceAccount' }));
  return { kind: 'injected', patch, injected, notices: [] };
}

function secretNames(root: JsonObject, list: Path): readonly (string | undefined)[] {
  const secrets = valueAt(root, list);
  return Array.isArray(secrets) ? secrets.map((entry: unknown) => textAt(entry, ['name'])) : [];
}

/** A pod that exists cannot be helped any more; whoever brings an image in should know why its pull will fail. */
function lackingSecrets(shape: PodShape, images: readonly ImageDecision[]): readonly Notice[] {
  if (shape.untouchable !== 'immutable' || shape.stage !== 'pod') return [];
  const listed = new Set(shape.pullSecrets);
  const missing = wantedSecrets(images.filter(({ old }) => !old)).filter((name) => !listed.has(name));
  if (missing.length === 0) return [];
  return [
    {
      reason: 'pod-immutable',
      message: `the pod has no pull secret ${quoteAll(missing)}, and cannot get it any more: create the pod anew`,
    },
  ];
}

function leave(notices: readonly Notice[] = []): InjectionResult {
  return { kind: 'injected', patch: [], injected: [], notices };
}

function quoteAll(names: readonly string[]): string {
  return names.map(quote).join(', ');
}

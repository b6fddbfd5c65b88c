/**
 * Plans which pull secrets the list of a pod or pod template gains and loses. It works on names alone; `patch-pull-secrets.ts` makes the
 * JSON patch of the plan.
 *
 * Kubernetes copies a service account's own pull secrets into a pod only when its list is empty, and before webhooks run
 * (kubernetes plugin/pkg/admission/serviceaccount). The pods of a template that got a secret from us have a list that is not empty. So adding
 * to an empty list means adding the account's secrets too.
 */
import { namesInMark, noPodMark, type PodMark } from '../../object/injection-mark.ts';
import type { Injection } from '../decision.ts';
import type { ServiceAccountFacts } from '../facts.ts';

/** The name of one entry of `imagePullSecrets`; undefined for an entry without a name. */
export type ListedName = string | undefined;

export type PullSecretInput = {
  readonly stage: 'pod' | 'template';
  readonly list: readonly ListedName[];
  /** What an earlier pass of ours wrote into the list, without the names that are user-supplied by now. */
  readonly mark: PodMark;
  /** Secrets that the rules name for the images, without duplicates, in the order of the images. */
  readonly wanted: readonly string[];
  /** A Pod or the template of a Job that exists: the API server denies every change of its list. */
  readonly immutable: boolean;
  /** Of a custom resource: a list with user-supplied entries is left alone. */
  readonly onlyIntoEmptyList: boolean;
  /** The service account of the pods. Called only where the plan depends on it. */
  readonly account: () => ServiceAccountFacts;
  /** Names that the user demonstrably lists, whether or not the list has them. Called only where a name is added, since it costs a parse. */
  readonly userSupplied: () => ReadonlySet<string>;
  /** The pod or template before an update. Absent for a new one. */
  readonly old?: 'unchanged' | OldTemplate;
};

/** A pod or template before an update that changes something in it, and how what was sent compares with it. */
export type OldTemplate = {
  readonly list: readonly ListedName[];
  /** As the annotation has it, user-supplied names included. */
  readonly mark: PodMark;
  /** The mark that was sent, as the annotation has it, user-supplied names included. */
  readonly sentMark: PodMark;
  /** Whether everything except the list and the mark is the same. */
  readonly restUnchanged: boolean;
  /** Whether all entries of the list are the same. */
  readonly listUnchanged: boolean;
  /** Names whose entries differ in more than the name: lists of custom resources can have further fields. */
  readonly changedEntries: ReadonlySet<ListedName>;
  readonly sameAccount: boolean;
};

export type PullSecretPlan =
  /** The service account is not known here yet. The client should retry. */
  | { readonly kind: 'not-yet' }
  /** List and mark stay as they were sent. */
  | { readonly kind: 'unchanged'; readonly added: readonly []; readonly notices: readonly PlanNotice[] }
  /** The template gets the list and the mark that it had before the update. */
  | { readonly kind: 'restore'; readonly added: readonly AddedSecret[]; readonly notices: readonly [] }
  | WritePlan;

export type WritePlan = {
  readonly kind: 'write';
  /** What stays of the list, in its order. The added names follow it. */
  readonly kept: readonly ListedName[];
  /** All entries of these names are removed. */
  readonly removed: ReadonlySet<string>;
  readonly added: readonly AddedSecret[];
  /** Names that we wrote into the list, now or in an earlier pass. */
  readonly mark: PodMark;
  readonly notices: readonly PlanNotice[];
};

export type AddedSecret = Pick<Injection, 'secret' | 'from'>;

export type PlanNotice =
  /** `tooLarge` is the reason why the account's own list is not known. */
  | { readonly reason: 'secrets-enforced'; readonly notPermitted: readonly string[]; readonly tooLarge?: string }
  | { readonly reason: 'account-unknown' }
  | { readonly reason: 'account-too-large'; readonly tooLarge: string };

export function planPullSecrets(input: PullSecretInput): PullSecretPlan {
  const { stage, list, wanted, old } = input;
  // Any change of ours to a template that did not change would be a rollout that the request did not ask for.
  if (old === 'unchanged') return unchanged();
  // It lost only what we wrote, by a replace or apply of the user's own file: with that restored, nothing has changed. The list of a Pod or
  // Job cannot change at all, so that without ours the API server would deny the update. Other fields can change.
  // Terraform and others send the spec as it was read, without annotations that they do not know: then only the mark is missing.
  const onlyOursDiffers = (old: OldTemplate) => (old.listUnchanged && isMarked(old)) || lostOnlyOurs(old, list, old.sentMark);
  if (old && (old.restUnchanged || input.immutable) && onlyOursDiffers(old)) return restore(old, list);
  if (input.immutable) return unchanged();

  const ours = namesInMark(input.mark);
  const onlyOurs = list.every((name) => name !== undefined && ours.has(name));
  if (input.onlyIntoEmptyList && !onlyOurs) return unchanged();
  const needsAccount = wanted.length > 0 || (stage === 'pod' && onlyOurs && list.length > 0);
  const account: ServiceAccountFacts = needsAccount ? input.account() : { kind: 'unknown' };
  // The API server's own admission denies a pod whose account does not exist. So the account exists, and our watch is behind.
  if (account.kind === 'absent' && stage === 'pod') return { kind: 'not-yet' };
  if (account.kind === 'too-large' && stage === 'template' && onlyOurs) return leaveToApiServer(input, account, old?.sameAccount ?? true);

  const isPermitted = permittedBy(account);
  const permitted = wanted.filter(isPermitted);
  const addsAccount = onlyOurs && (permitted.length > 0 || (stage === 'pod' && list.length > 0));
  const accountSecrets = addsAccount ? secretsOfAccount(account, input.mark) : accountSecretsThatStay(input, account, permitted);
  const notices = [...noticeNotPermitted(input, account, isPermitted), ...(addsAccount ? noticeMissingAccount(input, account) : [])];
  const plan = write(input, permitted, accountSecrets, notices);
  // Without stale entries it is the old template, perhaps with a differently written mark. Then the old mark is restored exactly.
  if (old?.restUnchanged && lostOnlyOurs(old, [...plan.kept, ...plan.added.map(({ secret }) => secret)], plan.mark))
    return restore(old, list);
  return plan;
}

function isMarked({ mark }: OldTemplate): boolean {
  return mark.rules.length + mark.serviceAccount.length > 0;
}

function unchanged(notices: readonly PlanNotice[] = []): PullSecretPlan {
  return { kind: 'unchanged', added: [], notices };
}

/**
 * Whether the user-supplied entries are those of the old template, and every entry was in its list. An entry that was not, marked or not, is
 * what the update asks for.
 */
function lostOnlyOurs(old: OldTemplate, list: readonly ListedName[], mark: PodMark): boolean {
  const listedBefore = new Set(old.list);
  if (!list.every((name) => listedBefore.has(name))) return false;
  const before = namesWithout(namesInMark(old.mark), old.list);
  const now = namesWithout(namesInMark(mark), list);
  return before.length === now.length && before.every((name, index) => name === now[index] && !old.changedEntries.has(name));
}

function restore(old: OldTemplate, list: readonly ListedName[]): PullSecretPlan {
  // A user-supplied name that the annotation still lists gets the same label as ours.
  const fromRules = new Set(old.mark.rules);
  const lost = namesWithout(new Set(list), [...new Set(old.list)]).filter((name) => name !== undefined);
  return {
    kind: 'restore',
    added: lost.map((secret) => ({ secret, from: fromRules.has(secret) ? 'rule' : 'serviceAccount' })),
    notices: [],
  };
}

type TooLarge = ServiceAccountFacts & { readonly kind: 'too-large' };

/**
 * For a template whose list is empty or has only our entries. Any entry of ours would keep the API server from copying the account's list
 * into the pods, and we could not write that list ourselves. So nothing is added here, and the pods get the secrets of the rules when they
 * are created. What an earlier pass wrote stays, unless it would keep the account's list out: where the account is new to the template, or
 * where it allows only what it lists.
 */
function leaveToApiServer(input: PullSecretInput, account: TooLarge, sameAccount: boolean): PullSecretPlan {
  const notices = [noticeTooLarge(account)];
  if (sameAccount && !account.onlyListedSecrets) return unchanged(notices);
  return write(input, [], [], notices);
}

function noticeTooLarge({ why }: TooLarge): PlanNotice {
  return { reason: 'account-too-large', tooLarge: why };
}

/** Whether the API server would accept a pod that lists the secret (kubernetes plugin/pkg/admission/serviceaccount, limitSecretReferences). */
function permittedBy(account: ServiceAccountFacts): (name: string) => boolean {
  if ((account.kind !== 'known' && account.kind !== 'too-large') || !account.onlyListedSecrets) return () => true;
  const listed = new Set(account.kind === 'known' ? account.pullSecrets : []);
  return (name) => listed.has(name);
}

/** The account's own secrets; where they are not known, those that an earlier pass found. */
function secretsOfAccount(account: ServiceAccountFacts, mark: PodMark): readonly string[] {
  if (account.kind === 'known') return account.pullSecrets;
  return account.kind === 'absent' ? [] : mark.serviceAccount;
}

/**
 * The account's secrets that an earlier pass added. They stay if we would also write every entry of the list, though some entries may be
 * user-supplied by now. Otherwise we would remove the secrets of the account.
 */
function accountSecretsThatStay(input: PullSecretInput, account: ServiceAccountFacts, permitted: readonly string[]): readonly string[] {
  if (permitted.length === 0) return [];
  // Sets, since accounts, marks and lists can be long, and one user can write all of them.
  const ofAccount = new Set(secretsOfAccount(account, input.mark));
  const expected = new Set<ListedName>([...namesInMark(input.mark), ...input.wanted, ...ofAccount]);
  return input.list.every((name) => expected.has(name)) ? input.mark.serviceAccount.filter((name) => ofAccount.has(name)) : [];
}

/** For secrets that the list lacks, or that a template loses. The API server would deny the pod with them. */
function noticeNotPermitted(
  { stage, list, mark, wanted }: PullSecretInput,
  account: ServiceAccountFacts,
  isPermitted: (name: string) => boolean,
): readonly PlanNotice[] {
  const stays = new Set(stage === 'template' ? namesWithout(namesInMark(mark), list) : list);
  const notPermitted = wanted.filter((name) => !isPermitted(name) && !stays.has(name));
  if (notPermitted.length === 0) return [];
  return [{ reason: 'secrets-enforced', notPermitted, ...(account.kind === 'too-large' && { tooLarge: account.why }) }];
}

/** For an account that may have secrets that could not be added. */
function noticeMissingAccount({ stage, list }: PullSecretInput, account: ServiceAccountFacts): readonly PlanNotice[] {
  // The API server has copied the account's secrets into a pod by now. Its list is empty, so the account has none.
  if (stage === 'pod' && list.length === 0) return [];
  if (account.kind === 'unknown') return [{ reason: 'account-unknown' }];
  return account.kind === 'too-large' ? [noticeTooLarge(account)] : [];
}

/** The user's entries as they are, then ours. A template also loses entries of ours that are no longer needed; a pod never loses any. */
function write(
  { stage, list, mark, userSupplied }: PullSecretInput,
  fromRules: readonly string[],
  fromAccount: readonly string[],
  notices: readonly PlanNotice[],
): WritePlan {
  const ours = namesInMark(mark);
  const needed = new Set([...fromRules, ...fromAccount]);
  const isStale = (name: ListedName): name is string => name !== undefined && ours.has(name) && !needed.has(name);
  const removed = new Set(stage === 'template' ? list.filter(isStale) : []);
  const kept = namesWithout(removed, list);
  const keptNames = new Set(kept);
  const added = [...needed].filter((name) => !keptNames.has(name));

  // The mark has those of the needed names that we wrote, now or in an earlier pass. What the user listed stays user-supplied, even if it
  // was removed from the list since: the next pass would treat it so.
  const suppliedByUser = added.length > 0 ? userSupplied() : new Set();
  const isOurs = (name: string) => ours.has(name) || !(keptNames.has(name) || suppliedByUser.has(name));
  const earlier = stage === 'pod' ? mark : noPodMark;
  const ofRules = new Set(fromRules);
  return {
    kind: 'write',
    kept,
    removed,
    added: added.map((secret) => ({ secret, from: ofRules.has(secret) ? 'rule' : 'serviceAccount' })),
    mark: {
      rules: [...new Set([...earlier.rules, ...fromRules.filter(isOurs)])],
      serviceAccount: [...new Set([...earlier.serviceAccount, ...fromAccount.filter((name) => !ofRules.has(name) && isOurs(name))])],
    },
    notices,
  };
}

function namesWithout(left: ReadonlySet<ListedName>, list: readonly ListedName[]): readonly ListedName[] {
  return list.filter((name) => !left.has(name));
}

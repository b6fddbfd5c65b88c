/**
 * Decides what to do about one copy: the Secret of one name in one namespace. Entitlement comes first, and a need only decides when a copy
 * exists. The same input always gives the same plan, so a plan that was not completed is made again from what is then the case.
 */
import type { ExistingSecret } from './existing-secret.ts';
import { areAllAmong } from './rule-ids.ts';
import type { UnusableSourceCode } from './source.ts';

export type PlanInput = {
  /** The entry of `secrets` in the rules. Undefined if there is none of this name any more. */
  readonly secret: { readonly deliver: 'onDemand' | 'always'; readonly retainSeconds: number } | undefined;
  readonly namespace: 'active' | 'terminating' | 'absent';
  /** Whether regkeeper never writes to the namespace. */
  readonly excluded: boolean;
  /** Whether a rule of the cluster gives the secret to the namespace. */
  readonly entitled: boolean;
  /** Milliseconds since this process noticed that the namespace is not entitled, or that the copy is obsolete (`isObsolete`). */
  readonly notEntitledFor: number;
  /** Whether an object of the namespace needs the secret. */
  readonly needed: boolean;
  /** Milliseconds since this process noticed that no object needs it. */
  readonly notNeededFor: number;
  readonly content: ContentState;
  readonly existing: ExistingSecret | undefined;
  /** Epoch milliseconds by the API server's clock, which also wrote the times in annotations. */
  readonly now: number;
};

/** The content that a copy should have. */
export type ContentState =
  | { readonly state: 'ready'; readonly version: string }
  /** The source is unusable. While it is, an older copy is better than none. */
  | { readonly state: 'unavailable'; readonly code: UnusableSourceCode }
  /** It has no entries for the rules, only some that cannot be copied, or more than a Secret can contain. `rules` are `ruleIds` of the rules in force. */
  | {
      readonly state: 'unavailable';
      readonly code: 'source-without-entry' | 'entry-unusable' | 'copy-too-large';
      readonly rules: ReadonlySet<string>;
    };

/** The Secret with which the plan was made. A write to any other version of it fails. */
export type Precondition = Pick<ExistingSecret, 'uid' | 'resourceVersion'>;

export type CopyAction =
  | { readonly do: 'create' }
  | { readonly do: 'update'; readonly because: 'content-changed' | 'tampered'; readonly of: Precondition }
  /** Deletes the copy and creates it again. */
  | { readonly do: 'replace'; readonly because: 'immutable'; readonly of: Precondition }
  | { readonly do: 'delete'; readonly because: 'not-entitled' | 'unused'; readonly of: Precondition }
  | { readonly do: 'mark-unused'; readonly since: number; readonly of: Precondition }
  | { readonly do: 'unmark-unused'; readonly of: Precondition }
  | { readonly do: 'leave'; readonly because: LeaveReason };

export type LeaveReason =
  | 'absent'
  | 'up-to-date'
  | 'namespace-gone'
  | 'excluded-namespace'
  | 'terminating'
  | 'foreign'
  | 'label-removed'
  | 'content-unavailable'
  | 'entitlement-grace';

export type CopyPlan = {
  readonly action: CopyAction;
  /** What an administrator has to correct. */
  readonly finding?: CopyFinding;
  /** Milliseconds after which the plan can change although nothing else does. */
  readonly recheckAfter?: number;
};

export type CopyFinding = 'foreign' | 'label-removed' | 'excluded-copy' | 'stuck-deletion' | 'content-unavailable';

/** Milliseconds. Rules that are deleted and created again must not delete every copy in between. */
export const entitlementGrace = 30_000;
/** Milliseconds. A namespace whose Pods come and go must not cause a write each time. */
export const unusedGrace = 300_000;
/** Milliseconds. The clocks of several API servers differ, and the time comes from the one that answered last. */
const clockTolerance = 300_000;

export function planCopy(input: PlanInput): CopyPlan {
  const { secret, namespace, excluded, entitled, existing } = input;
  if (namespace !== 'active') return leave('namespace-gone');
  const isEntitled = secret !== undefined && entitled && !excluded;
  // Objects that are older than the rule use a Secret that was taken over without needing it by their annotation.
  const isKept = existing?.delivered === true && existing.takenOver;
  const isWanted = isEntitled && (secret.deliver === 'always' || input.needed || isKept);
  if (existing && !existing.delivered) return isWanted ? planForeign(existing) : leave('foreign');
  if (existing?.terminating) return leave('terminating', isWanted ? 'stuck-deletion' : undefined);
  if (excluded) return existing ? leave('excluded-namespace', 'excluded-copy') : leave('absent');
  if (!isEntitled) return existing ? planNotEntitled(input, existing) : leave('absent');
  if (!existing) return isWanted ? planWanted(input, existing) : leave('absent');
  const plan = isWanted ? planWanted(input, existing) : planUnused(input, existing, secret.retainSeconds * 1_000);
  if (plan.action.do === 'delete' || !isObsolete(input.content, existing)) return plan;
  return { ...planNotEntitled(input, existing), ...(plan.finding && { finding: plan.finding }) };
}

/**
 * Whether a copy may contain entries to which the namespace is no longer entitled, and cannot be rewritten. While the source is unusable, an
 * older copy is better than none. With a usable source, the copy stays only if all rules for which it was written still apply.
 */
export function isObsolete(content: ContentState, existing: ExistingSecret): boolean {
  return 'rules' in content && !areAllAmong(existing.rules, content.rules);
}

function leave(because: LeaveReason, finding?: CopyFinding): CopyPlan {
  return { action: { do: 'leave', because }, ...(finding && { finding }) };
}

/** The label is the only proof that a Secret may be overwritten. Without it the Secret is reported, also one that was a copy before. */
function planForeign({ writtenByDelivery }: ExistingSecret): CopyPlan {
  return writtenByDelivery ? leave('label-removed', 'label-removed') : leave('foreign', 'foreign');
}

function planNotEntitled({ notEntitledFor }: PlanInput, existing: ExistingSecret): CopyPlan {
  if (notEntitledFor >= entitlementGrace) return { action: { do: 'delete', because: 'not-entitled', of: existing } };
  return { ...leave('entitlement-grace'), recheckAfter: entitlementGrace - notEntitledFor };
}

function planWanted(input: PlanInput, existing: ExistingSecret | undefined): CopyPlan {
  const { content } = input;
  if (!existing) return content.state === 'ready' ? { action: { do: 'create' } } : leave('content-unavailable', 'content-unavailable');
  const write = planWrite(input, existing);
  if (write) return write;
  const finding = content.state === 'ready' ? undefined : ('content-unavailable' as const);
  if (existing.unusedSince !== undefined) return { action: { do: 'unmark-unused', of: existing }, ...(finding && { finding }) };
  return finding ? leave('content-unavailable', finding) : leave('up-to-date');
}

/** A copy is written if its content differs from the source. */
function planWrite({ content }: PlanInput, existing: ExistingSecret): CopyPlan | undefined {
  if (content.state !== 'ready') return undefined;
  const because = !existing.intact ? 'tampered' : existing.sourceVersion !== content.version ? 'content-changed' : undefined;
  if (!because) return undefined;
  if (existing.immutable) return { action: { do: 'replace', because: 'immutable', of: existing } };
  return { action: { do: 'update', because, of: existing } };
}

/** A copy that was used a moment ago stays for some time, with its content up to date. */
function planUnused(input: PlanInput, existing: ExistingSecret, retain: number): CopyPlan {
  const unusedFor = existing.unusedSince === undefined ? undefined : input.now - existing.unusedSince;
  // A time in the future would keep the copy for ever. It comes from another writer, or from a clock that was set back.
  const isMarked = unusedFor !== undefined && unusedFor >= -clockTolerance;
  if (retain === 0 || (isMarked && unusedFor >= retain)) return { action: { do: 'delete', because: 'unused', of: existing } };
  const grace = Math.min(retain, unusedGrace);
  if (!isMarked && input.notNeededFor >= grace) {
    return { action: { do: 'mark-unused', since: input.now - input.notNeededFor, of: existing } };
  }
  if (!isMarked) return { ...(planWrite(input, existing) ?? leave('up-to-date')), recheckAfter: grace - input.notNeededFor };
  return { ...(planWrite(input, existing) ?? leave('up-to-date')), recheckAfter: retain - unusedFor };
}

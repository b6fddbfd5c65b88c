/** Builds the audit record of a write to a copy of a secret. It never contains anything of the content. */
import type { DeliveredSecret } from '../../rules/rule-set.ts';

export type DeliveryRecord = {
  readonly event: 'delivery';
  readonly action: DeliveryAction;
  readonly reason: DeliveryReason;
  readonly namespace: string;
  /** The name of the copy. */
  readonly secret: string;
  /** The name of the source. Absent if the rules no longer name the secret. */
  readonly source?: string;
  /** The version of the source and of its selected entries. Absent if no content was written. */
  readonly sourceVersion?: string;
  /** How many entries of the source the copy has. Absent if no content was written. */
  readonly entries?: number;
  readonly rulesRevision: string;
  /** Of the copy afterwards. Absent if it was deleted. */
  readonly uid?: string;
  readonly resourceVersion?: string;
};

export type DeliveryAction = 'create' | 'update' | 'replace' | 'delete' | 'mark-unused' | 'unmark-unused';
export type DeliveryReason = 'needed' | 'always' | 'content-changed' | 'tampered' | 'immutable' | 'not-entitled' | 'unused';

export type RecordedWrite = {
  readonly namespace: string;
  readonly name: string;
  readonly action: { readonly do: DeliveryAction; readonly because?: DeliveryReason };
  readonly secret: DeliveredSecret | undefined;
  readonly content: { readonly version: string; readonly entries: number } | undefined;
  readonly rulesRevision: string;
  readonly written: { readonly uid?: string; readonly resourceVersion?: string } | undefined;
};

export function buildDeliveryRecord(write: RecordedWrite): DeliveryRecord {
  const { namespace, name, action, secret, content, rulesRevision, written } = write;
  const writesContent = content !== undefined && (action.do === 'create' || action.do === 'update' || action.do === 'replace');
  return {
    event: 'delivery',
    action: action.do,
    reason: action.because ?? reasonOf(action.do, secret),
    namespace,
    secret: name,
    ...(secret && { source: secret.source }),
    ...(writesContent && { sourceVersion: content.version, entries: content.entries }),
    rulesRevision,
    ...(written?.uid !== undefined && { uid: written.uid }),
    ...(written?.resourceVersion !== undefined && { resourceVersion: written.resourceVersion }),
  };
}

function reasonOf(action: DeliveryAction, secret: DeliveredSecret | undefined): DeliveryReason {
  if (action === 'mark-unused') return 'unused';
  return secret?.deliver === 'always' ? 'always' : 'needed';
}

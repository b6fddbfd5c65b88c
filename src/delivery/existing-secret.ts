/**
 * Reads the metadata of a Secret with the name of a copy. The content is never read: `managedFields` shows whether another writer has changed
 * it since it was delivered.
 */
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import {
  copyKey,
  copyRulesAnnotation,
  deliveredLabel,
  deliveryFieldManager,
  sourceVersionAnnotation,
  unusedSinceAnnotation,
} from './names.ts';

export type ExistingSecret = {
  readonly uid: string;
  readonly resourceVersion: string;
  /** Whether it has the label of copies. Only such a Secret is changed or deleted. */
  readonly delivered: boolean;
  /** Whether another field manager has set the label, so that a Secret that existed before is taken over. */
  readonly takenOver: boolean;
  /** Whether regkeeper has written it, with or without the label. */
  readonly writtenByDelivery: boolean;
  /** Whether its content is as regkeeper wrote it. */
  readonly intact: boolean;
  /** Whether another writer has set `immutable`. Then it must be deleted to be changed. */
  readonly immutable: boolean;
  /** Whether it is being deleted and waits for a finalizer. */
  readonly terminating: boolean;
  /** Undefined for a text that is too long to be regkeeper's. */
  readonly sourceVersion: string | undefined;
  /** The rules for which it was written, as in the annotation. Undefined for a text that is too long to be regkeeper's. */
  readonly rules: string | undefined;
  /** Epoch milliseconds. Undefined if the annotation is absent, or is no time. */
  readonly unusedSince: number | undefined;
};

/** Expects an object with `metadata`, as the API server sends it. */
export function readExistingSecret(secret: { readonly metadata: object }): ExistingSecret {
  const { metadata } = secret;
  const managers = managersOf(metadata);
  const unusedSince = Date.parse(textAt(metadata, ['annotations', unusedSinceAnnotation]) ?? '');
  return {
    uid: textAt(metadata, ['uid']) ?? '',
    resourceVersion: textAt(metadata, ['resourceVersion']) ?? '',
    delivered: valueAt(metadata, ['labels', deliveredLabel]) === 'true',
    takenOver: managers.some((manager) => !isDelivery(manager) && owns(manager, 'metadata', 'labels', deliveredLabel)),
    writtenByDelivery: managers.some(isDelivery),
    intact: isIntact(managers),
    immutable: managers.some((manager) => owns(manager, 'immutable')),
    terminating: valueAt(metadata, ['deletionTimestamp']) !== undefined,
    sourceVersion: ownAnnotation(metadata, sourceVersionAnnotation),
    rules: ownAnnotation(metadata, copyRulesAnnotation),
    unusedSince: Number.isNaN(unusedSince) ? undefined : unusedSince,
  };
}

/**
 * Characters. The longest text that regkeeper writes has 1,039, for 16 rules. Any user of a namespace can write 256 KiB into a Secret with the
 * name of a copy, and the texts of all these Secrets are kept.
 */
const longestAnnotation = 2_048;

function ownAnnotation(metadata: object, annotation: string): string | undefined {
  const text = textAt(metadata, ['annotations', annotation]);
  return text !== undefined && text.length <= longestAnnotation ? text : undefined;
}

function managersOf(metadata: object): readonly JsonObject[] {
  const managers = valueAt(metadata, ['managedFields']);
  return Array.isArray(managers) ? managers.filter(isObject) : [];
}

function isDelivery(manager: JsonObject): boolean {
  return manager.manager === deliveryFieldManager && manager.operation === 'Apply';
}

/**
 * A change of the content moves the field from regkeeper's entry to the one of the other writer. A write of equal content changes nothing. Other
 * keys of `data` have no effect on pulls.
 */
function isIntact(managers: readonly JsonObject[]): boolean {
  return managers.some((manager) => isDelivery(manager) && owns(manager, 'data', copyKey));
}

function owns(manager: JsonObject, ...field: readonly string[]): boolean {
  return (
    valueAt(
      manager.fieldsV1,
      field.map((name) => `f:${name}`),
    ) !== undefined
  );
}

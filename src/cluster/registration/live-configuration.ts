/** The two live webhook configurations, and which writer owns which of their fields. */

import type { KubeObject } from '../../kube/api-client.ts';
import { isObject, valueAt } from '../../object/json.ts';
import type { WebhookEntry } from './desired.ts';
import { probeName } from './prove-reachable.ts';

export type Configuration = { readonly kind: string; readonly plural: string; readonly entries: 'mutating' | 'validating' };

export const configurations: readonly Configuration[] = [
  { kind: 'MutatingWebhookConfiguration', plural: 'mutatingwebhookconfigurations', entries: 'mutating' },
  { kind: 'ValidatingWebhookConfiguration', plural: 'validatingwebhookconfigurations', entries: 'validating' },
];

export const apiOfConfigurations = 'admissionregistration.k8s.io/v1';
/** The name of both configurations, and the field manager of our writes. */
export const ourName = 'regkeeper';
export const configurationPaths = configurations.map(({ plural }) => `/apis/${apiOfConfigurations}/${plural}`);

export type LiveConfiguration = KubeObject & {
  metadata: { ownerReferences?: { uid: string }[] };
  webhooks?: WebhookEntry[] | null;
  /** Extracted from `managedFields`, see {@link withOwnership}. */
  ownership?: Ownership;
};

/** Field sets in the format of `managedFields[].fieldsV1`. */
export type Ownership = {
  /** What the last server-side apply of a replica wrote. */
  readonly ours: unknown;
  /** The other managers, the latest writer first. */
  readonly others: readonly { readonly manager: string; readonly fields: unknown }[];
};

/** Extracts the writers of fields while managedFields are present. An informer keeps objects without them. */
export function withOwnership(live: LiveConfiguration): LiveConfiguration {
  const list = valueAt(live, ['metadata', 'managedFields']);
  const managed = (Array.isArray(list) ? list : []).filter(isObject);
  const isOurs = ({ manager, operation }: Record<string, unknown>) => manager === ourName && operation === 'Apply';
  const others = managed
    .filter((each) => !isOurs(each))
    .sort((one, other) => String(other.time ?? '').localeCompare(String(one.time ?? '')))
    .map(({ manager, fieldsV1 }) => ({ manager: String(manager ?? ''), fields: fieldsV1 }));
  return { ...live, ownership: { ours: managed.find(isOurs)?.fieldsV1, others } };
}

/** Whether a replica wrote this field of the entry last, for instance `['f:clientConfig', 'f:caBundle']`. */
export function isWrittenByUs({ ownership }: LiveConfiguration, entry: string, path: readonly string[]): boolean {
  return valueAt(ownership?.ours, ['f:webhooks', keyOf(entry), ...path]) !== undefined;
}

/** Names of the managers that wrote the fields. Where no manager owns them, as after a removal, the latest writer. */
export function writersOf({ ownership }: LiveConfiguration, fields: readonly (readonly string[])[]): string[] {
  const { others = [] } = ownership ?? {};
  const owners = others.filter((each) => fields.some((path) => valueAt(each.fields, path) !== undefined));
  return [...new Set((owners.length > 0 ? owners : others.slice(0, 1)).map(({ manager }) => manager))];
}

/** The path of an entry's field in `managedFields`. */
export function ownedPath(entry: string, field: string): string[] {
  return ['f:webhooks', keyOf(entry), `f:${field}`];
}

function keyOf(entry: string): string {
  return `k:{"name":"${entry}"}`;
}

export function isOurs(name: string): boolean {
  return name.endsWith('.regkeeper.io');
}

/** Not the probe, which does not affect any request. */
export function callsUs({ name }: WebhookEntry): boolean {
  return isOurs(name) && name !== probeName;
}

export function isInService({ webhooks }: LiveConfiguration): boolean {
  return (webhooks ?? []).some(callsUs);
}

/** The CAs (PEM) with which the API server verifies the webhook of this entry. */
export function bundleOf({ clientConfig }: WebhookEntry): string {
  const { caBundle = '' } = (clientConfig ?? {}) as { caBundle?: string };
  return Buffer.from(caBundle, 'base64').toString();
}

/** The bundles that a replica has written. What another writer put in is repaired, not kept. */
export function bundlesOfOurs(live: LiveConfiguration | undefined): string[] {
  if (!live) return [];
  const written = (name: string) => isWrittenByUs(live, name, ['f:clientConfig', 'f:caBundle']);
  return (live.webhooks ?? []).filter((entry) => callsUs(entry) && written(entry.name)).map(bundleOf);
}

/** Writes one webhook configuration by server-side apply, never over a newer version, and removes what an apply leaves behind. */

import type { Log } from '../../contracts/log.ts';
import { type ApiClient, ApiError, isNotFound } from '../../kube/api-client.ts';
import { type DesiredConfiguration, enforcerOptOut, injectAnnotationsOf, leftoversOf, withTolerated } from './configuration-difference.ts';
import { apiOfConfigurations, type Configuration, type LiveConfiguration, ourName } from './live-configuration.ts';

export type ApplyOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly configuration: Configuration;
  readonly live: LiveConfiguration;
  readonly wanted: DesiredConfiguration;
  /** `metadata.ownerReferences`. */
  readonly owner: object;
  /** Another writer changed what a replica had written, so the fields are taken over regardless of their manager. */
  readonly isRepair: boolean;
  /** Called before fields of another manager are taken over. */
  readonly onConflict: (conflict: ApiError) => void;
};

/** @throws ApiError */
export async function applyConfiguration(writing: ApplyOptions): Promise<void> {
  const path = `/apis/${apiOfConfigurations}/${writing.configuration.plural}/${ourName}`;
  await removeInjectAnnotations(writing, path);
  await removeUrls(writing, path);
  const applied = await apply(writing, path);
  await removeLeftOvers(writing, path, applied);
}

/** Done first. With such an annotation, another controller keeps writing its own CA over ours. */
async function removeInjectAnnotations({ client, live, wanted }: ApplyOptions, path: string): Promise<void> {
  const names = wanted.webhooks.length > 0 ? injectAnnotationsOf(live) : [];
  if (names.length === 0) return;
  await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager: ourName },
    contentType: 'application/merge-patch+json',
    body: { metadata: { uid: live.metadata.uid, annotations: Object.fromEntries(names.map((name) => [name, null])) } },
  });
}

/**
 * Another writer has replaced `service` with a `url`. An apply removes only the fields of the same manager, so it would add the service to
 * the url. The API server would reject the whole configuration: "exactly one of url or service is required".
 */
async function removeUrls({ client, live, wanted }: ApplyOptions, path: string): Promise<void> {
  const diverted = (live.webhooks ?? []).flatMap(({ name, clientConfig }) => {
    const ours = wanted.webhooks.find((entry) => entry.name === name);
    const hasUrl = typeof clientConfig === 'object' && clientConfig !== null && 'url' in clientConfig;
    return ours && hasUrl ? [{ name, clientConfig: { ...(ours.clientConfig as object), url: null } }] : [];
  });
  if (diverted.length === 0) return;
  await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager: ourName },
    contentType: 'application/strategic-merge-patch+json',
    body: { metadata: { uid: live.metadata.uid }, webhooks: diverted },
  });
}

async function apply(
  { client, configuration, live, wanted, owner, isRepair, onConflict }: ApplyOptions,
  path: string,
): Promise<LiveConfiguration> {
  const metadata = {
    name: ourName,
    // With the uid the request fails if the configuration was just deleted. Without it an apply would recreate the configuration.
    uid: live.metadata.uid,
    ownerReferences: [owner],
    ...(wanted.enforcer === 'disable' && { labels: enforcerOptOut, annotations: enforcerOptOut }),
  };
  const body = { apiVersion: apiOfConfigurations, kind: configuration.kind, metadata, webhooks: withTolerated(live, wanted) };
  try {
    return await client.patchApply<LiveConfiguration>(path, body, { fieldManager: ourName, force: isRepair });
  } catch (error) {
    if (!isFieldConflict(error)) throw error;
    // The way to turn regkeeper off is to delete the configuration, not to weaken it unnoticed.
    onConflict(error);
    return await client.patchApply<LiveConfiguration>(path, body, { fieldManager: ourName, force: true });
  }
}

async function removeLeftOvers({ client, log, wanted }: ApplyOptions, path: string, applied: LiveConfiguration): Promise<void> {
  const left = leftoversOf(applied, wanted.webhooks);
  if (left.length === 0) return;
  const webhooks = left.map(({ entry, condition }) => {
    if (condition === undefined) return { $patch: 'delete', name: entry };
    return { name: entry, matchConditions: [{ $patch: 'delete', name: condition }] };
  });
  await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager: ourName },
    contentType: 'application/strategic-merge-patch+json',
    body: { metadata: { uid: applied.metadata.uid }, webhooks: mergedByName(webhooks) },
  });
  const names = left.map(({ entry, condition }) => (condition === undefined ? entry : `${entry}: matchCondition ${condition}`));
  log.warn({ webhooks: names }, `removed unexpected entries from the webhook configuration: ${names.join(', ')}`);
}

/** Several conditions of one entry become one element of the patch. */
function mergedByName(webhooks: readonly { name: string; $patch?: string; matchConditions?: object[] }[]): object[] {
  const merged = new Map<string, { name: string; $patch?: string; matchConditions?: object[] }>();
  for (const each of webhooks) {
    const known = merged.get(each.name);
    if (known?.matchConditions && each.matchConditions) known.matchConditions.push(...each.matchConditions);
    else merged.set(each.name, each);
  }
  return [...merged.values()];
}

/** Whether another manager owns the field. A 409 about the uid or the version has another cause. */
function isFieldConflict(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 409 && /conflicts? with /.test(error.message);
}

/**
 * Whether the configuration was deleted after it was read, which the informer will report. A patch then gets 404, and an apply gets a
 * conflict of uids.
 */
export function isDeleted(error: unknown): boolean {
  return isNotFound(error) || (error instanceof ApiError && error.status === 409 && /uid mismatch/.test(error.message));
}

/**
 * The reason why the user's match condition does not compile. The API server repeats it for each entry and quotes the expression. The
 * other conditions always compile, so it is the configured one.
 */
export function aboutChosenCondition(error: unknown): string | undefined {
  if (!(error instanceof ApiError) || error.status !== 422) return undefined;
  const [, reason] =
    /matchConditions\[\d+\]\.expression: Invalid value: "(?:[^"\\]|\\.)*": (.*?)(?: \| |, webhooks\[|$)/.exec(error.message) ?? [];
  return reason === undefined ? undefined : `--match-condition is invalid: ${reason}`;
}

/** Writes one webhook configuration: by server-side apply, over nothing newer, and takes away what an apply leaves behind. */
import { type ApiClient, ApiError, type Log } from '../../kube/api-client.ts';
import { type DesiredConfiguration, enforcerOptOut, injectAnnotationsOf, leftoversOf, withTolerated } from './compare.ts';
import { apiOfConfigurations, type Configuration, type LiveConfiguration, ourName } from './live.ts';

export type ApplyOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly configuration: Configuration;
  readonly live: LiveConfiguration;
  readonly wanted: DesiredConfiguration;
  /** `metadata.ownerReferences`. */
  readonly owner: object;
  /** Another writer changed what a replica of ours had written: it is taken over without asking whose it is. */
  readonly isRepair: boolean;
  /** Another manager holds fields that are taken over now; called before they are. */
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

/** First of all: as long as one is there, another controller writes its own CA over ours. */
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
 * Another writer has put a `url` in place of `service`. An apply would add the service beside it, since it takes away only what its own manager
 * wrote, and the API server would refuse the whole configuration: "exactly one of url or service is required".
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
    // With its uid the request fails where an apply would otherwise create again what was deleted a moment ago.
    uid: live.metadata.uid,
    ownerReferences: [owner],
    ...(wanted.enforcer === 'disable' && { labels: enforcerOptOut, annotations: enforcerOptOut }),
  };
  const body = { apiVersion: apiOfConfigurations, kind: configuration.kind, metadata, webhooks: withTolerated(live, wanted) };
  try {
    return await client.patchApply<LiveConfiguration>(path, body, { fieldManager: ourName, force: isRepair });
  } catch (error) {
    if (!isFieldConflict(error)) throw error;
    // The way out of regkeeper is deleting the configuration, not weakening it unseen.
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
  log.warn({ webhooks: names }, `entries that another writer had added in regkeeper's name were removed: ${names.join(', ')}`);
}

/** Several conditions of one entry are one element of the patch. */
function mergedByName(webhooks: readonly { name: string; $patch?: string; matchConditions?: object[] }[]): object[] {
  const merged = new Map<string, { name: string; $patch?: string; matchConditions?: object[] }>();
  for (const each of webhooks) {
    const known = merged.get(each.name);
    if (known?.matchConditions && each.matchConditions) known.matchConditions.push(...each.matchConditions);
    else merged.set(each.name, each);
  }
  return [...merged.values()];
}

/** Another manager owns the field; a 409 about the uid or the version has another cause. */
function isFieldConflict(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 409 && /conflicts? with /.test(error.message);
}

/** The configuration was deleted after it had been read; the watch will report it. A patch answers 404 then, an apply a conflict of uids. */
export function isDeleted(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status === 404 || (error.status === 409 && /uid mismatch/.test(error.message));
}

/** The API server complains of each entry again, and quotes the expression each time; ours always compile, so it is the chosen one. */
export function aboutChosenCondition(error: unknown): string | undefined {
  if (!(error instanceof ApiError) || error.status !== 422) return undefined;
  const [, reason] =
    /matchConditions\[\d+\]\.expression: Invalid value: "(?:[^"\\]|\\.)*": (.*?)(?: \| |, webhooks\[|$)/.exec(error.message) ?? [];
  return reason === undefined ? undefined : `correct --match-condition: ${reason}`;
}

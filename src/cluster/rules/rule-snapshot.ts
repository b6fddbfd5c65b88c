/**
 * The last valid rules, in a ConfigMap that regkeeper writes. A server that starts while a rules ConfigMap is invalid does not know the
 * previous version. It must neither allow everything nor deny everything.
 */

import { createHash } from 'node:crypto';
import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, ApiError, isNotFound } from '../../kube/api-client.ts';
import { describeRequiredRole } from '../../kube/explain-api-error.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import { retryUntilReachable } from '../../kube/retry-until-reachable.ts';
import { isObject } from '../../object/json.ts';
import { configMapBundle, rulesLabel } from '../../rules/language/config-map.ts';
import type { Bundle } from '../../rules/store/rule-store.ts';
import type { Clock } from '../../time/clock.ts';
import type { ConfigMap } from './rule-source.ts';

export const snapshotName = 'regkeeper-rules-snapshot';

export type SnapshotOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

/** The bundles of an earlier run. Empty if there are none, or if they cannot be read, which is logged. */
export async function readSnapshot({ client, namespace, log, clock }: SnapshotOptions, signal?: AbortSignal): Promise<readonly Bundle[]> {
  const requiredRole = describeRequiredRole({
    path: `/api/v1/namespaces/${namespace}/configmaps`,
    name: snapshotName,
    verbs: ['get', 'patch'],
  });
  try {
    const { data } = await retryUntilReachable({ log, server: client.server, requiredRole, clock, signal }, () =>
      client.get<ConfigMap>(pathOf(namespace)),
    );
    return Object.entries(data ?? {}).flatMap(([key, text]) => readBundle(namespace, key, text, log));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Without the snapshot, only rules that are invalid now have no replacement, and they keep the server from becoming ready.
    if (!isNotFound(error))
      log.error(
        { err: error },
        `cannot read the last valid version of the rules from the ConfigMap ${namespace}/${snapshotName}: ${error.message}`,
      );
    return [];
  }
}

export type SnapshotWriterOptions = SnapshotOptions & {
  /** Whether this replica writes a snapshot again that was deleted or damaged. */
  readonly leads: () => boolean;
};

export type SnapshotWriter = {
  save(bundles: readonly Bundle[]): void;
  start(): void;
  /**
   * A pending write is dropped. Resolves when a write in progress has ended. It is not aborted, since a restart must not find older rules.
   */
  stop(): Promise<void>;
};

/**
 * Writes the snapshot after each change, one write at a time, always the latest rules. A failed write is retried until it succeeds. The
 * rules may not change for months, and a restart must not find an older version.
 *
 * The leader also checks once a minute whether the snapshot was deleted or damaged, and then writes all entries as it knows them. If no entry
 * is damaged, a different version of one may be newer and stays. Without permission to create ConfigMaps, a deleted snapshot is only reported.
 */
export function createSnapshotWriter({ client, namespace, log, clock, leads }: SnapshotWriterOptions): SnapshotWriter {
  const snapshotLabel = `ConfigMap ${namespace}/${snapshotName}`;
  let latest: { readonly data: Entries; readonly text: string } | undefined;
  let written: string | undefined;
  let trouble: string | undefined;

  const reconcileLoop = createReconcileLoop({
    reconcile: async (signal) => {
      if (latest === undefined) return;
      if (latest.text === written && !(leads() && (await isDamaged(latest.data, signal)))) return;
      if (signal.aborted) return;
      const { data, text } = latest;
      // If this write fails, it may have arrived nevertheless.
      written = undefined;
      const metadata = { name: snapshotName, labels: { [rulesLabel]: 'snapshot' } };
      await client.patchApply(
        pathOf(namespace),
        { apiVersion: 'v1', kind: 'ConfigMap', metadata, data },
        { fieldManager: 'regkeeper', force: true },
      );
      written = text;
      if (trouble !== undefined) log.info({}, `saved the rules to the ${snapshotLabel} after earlier failures`);
      trouble = undefined;
    },
    onFailure: (err) => {
      const kind = err instanceof ApiError ? `${err.status} ${err.reason}` : String(err);
      if (kind === trouble) return;
      trouble = kind;
      log.error({ err }, `cannot save the rules to the ${snapshotLabel}: ${errorMessage(err)}. Retrying`);
    },
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 1_000,
    clock,
  });

  async function isDamaged(expected: Entries, signal: AbortSignal): Promise<boolean> {
    try {
      const { data } = await client.request<ConfigMap>({ method: 'GET', path: pathOf(namespace), signal });
      return Object.keys(expected).some((key) => readEntry(key, data?.[key] ?? '') === undefined);
    } catch (error) {
      // Other failures are temporary, or were logged when the snapshot was read at the start. The next check is in a minute.
      return isNotFound(error);
    }
  }

  return {
    save(bundles) {
      const data = Object.fromEntries(bundles.filter(({ documents }) => documents.length > 0).map(writeBundle));
      const text = JSON.stringify(data);
      if (text === latest?.text) return;
      latest = { data, text };
      reconcileLoop.reconcileNow();
    },
    start: reconcileLoop.start,
    stop: reconcileLoop.stop,
  };
}

function pathOf(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/configmaps/${snapshotName}`;
}

type Entries = Readonly<Record<string, string>>;

/** One key for each ConfigMap. It contains the name and the documents. */
function writeBundle({ documents, version }: Bundle): [key: string, text: string] {
  const [first] = documents;
  const name = first?.source.kind === 'configMap' ? first.source.name : '';
  const data = Object.fromEntries(documents.map(({ source, text }) => [source.kind === 'configMap' ? source.key : '', text]));
  const key = `${name}.json`;
  if (key.length <= maxKeyLength) return [key, JSON.stringify({ resourceVersion: version, data })];
  // No name of a ConfigMap begins with an underscore.
  return [`_${createHash('sha256').update(name).digest('hex')}.json`, JSON.stringify({ name, resourceVersion: version, data })];
}

/** Of the API server, for ConfigMaps. Their names have the same limit. */
const maxKeyLength = 253;

function readBundle(namespace: string, key: string, text: string, log: Log): Bundle[] {
  const entry = readEntry(key, text);
  if (entry) return [configMapBundle({ ...entry, metadata: { ...entry.metadata, namespace } })];
  log.error({ key }, `key ${key} of the ConfigMap ${namespace}/${snapshotName} does not contain saved rules and is ignored`);
  return [];
}

/** Undefined if the text was not written by `writeBundle`. */
function readEntry(
  key: string,
  text: string,
): (Pick<ConfigMap, 'data'> & { readonly metadata: { name: string; resourceVersion: string } }) | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value) && isObject(value.data) && Object.values(value.data).every((each) => typeof each === 'string')) {
      const data = value.data as Record<string, string>;
      const resourceVersion = typeof value.resourceVersion === 'string' ? value.resourceVersion : '';
      const name = typeof value.name === 'string' ? value.name : key.replace(/\.json$/, '');
      return { metadata: { name, resourceVersion }, data };
    }
  } catch {
    // The same as any other content that is not a snapshot.
  }
  return undefined;
}

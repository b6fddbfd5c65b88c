/**
 * The last valid rules, in a ConfigMap that regkeeper writes. A server that starts while a rules ConfigMap is invalid does not know the
 * previous version. It must neither allow everything nor deny everything.
 */

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

export type SnapshotWriter = {
  save(bundles: readonly Bundle[]): void;
  start(): void;
  /** A pending write is dropped. */
  /** Resolves when a write in progress has ended. It is not aborted, since a restart must not find older rules. */
  stop(): Promise<void>;
};

/**
 * Writes the snapshot after each change, one write at a time, always the latest rules. A failed write is retried until it succeeds. The
 * rules may not change for months, and a restart must not find an older version.
 */
export function createSnapshotWriter({ client, namespace, log, clock }: SnapshotOptions): SnapshotWriter {
  const snapshotLabel = `ConfigMap ${namespace}/${snapshotName}`;
  let latest: { readonly data: object; readonly text: string } | undefined;
  let written: string | undefined;
  let trouble: string | undefined;

  const reconcileLoop = createReconcileLoop({
    reconcile: async () => {
      if (latest === undefined || latest.text === written) return;
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

/** One key for each ConfigMap. It contains the name and the documents. */
function writeBundle({ documents, version }: Bundle): [key: string, text: string] {
  const [first] = documents;
  const name = first?.source.kind === 'configMap' ? first.source.name : '';
  const data = Object.fromEntries(documents.map(({ source, text }) => [source.kind === 'configMap' ? source.key : '', text]));
  return [`${name}.json`, JSON.stringify({ resourceVersion: version, data })];
}

function readBundle(namespace: string, key: string, text: string, log: Log): Bundle[] {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value) && isObject(value.data) && Object.values(value.data).every((each) => typeof each === 'string')) {
      const data = value.data as Record<string, string>;
      const resourceVersion = typeof value.resourceVersion === 'string' ? value.resourceVersion : '';
      return [configMapBundle({ metadata: { name: key.replace(/\.json$/, ''), namespace, resourceVersion }, data })];
    }
  } catch {
    // Logged below, like any other content that is not a snapshot.
  }
  log.error({ key }, `key ${key} of the ConfigMap ${namespace}/${snapshotName} does not contain saved rules and is ignored`);
  return [];
}

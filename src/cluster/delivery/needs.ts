/** Watches the metadata of every kind whose objects can need a secret, in all namespaces. */
import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { type ApiClient, isNotFound, type KubeObject } from '../../kube/api-client.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import { createOptionalInformer } from '../../kube/optional-informer.ts';
import { partialMetadata } from '../../kube/partial-metadata.ts';
import type { KindRow } from '../../object/kinds.ts';
import type { Clock } from '../../time/clock.ts';
import { createNeedStore, secretsNeededBy } from './need-store.ts';

export type Needs = Component & {
  /** Whether an object of the namespace needs the secret. */
  has(namespace: string, secret: string): boolean;
  /** The same, read from the API server at this moment. Used before a copy is deleted. */
  hasNow(namespace: string, secret: string, signal: AbortSignal): Promise<boolean>;
  /**
   * The collections of Kubernetes that have not been read yet. The APIs of others may be unavailable for hours, and only delay the deletion of a
   * copy.
   */
  unread(): readonly string[];
  /** The secrets whose need matters. The first call starts the watches, and each one with a further name lists everything again. */
  follow(secrets: Iterable<string>): void;
};

export type NeedsOptions = {
  readonly client: ApiClient;
  readonly kinds: readonly KindRow[];
  /** Called when a namespace begins or ceases to need a secret. */
  readonly onChange: (namespace: string) => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

/** Objects in the first page of a list. Their metadata has one to three KiB each. */
const pageSize = 500;

export function createNeeds({ client, kinds, onChange, log, clock, timings }: NeedsOptions): Needs {
  let followed: ReadonlySet<string> | undefined;
  let stopped = false;
  const isDelivered = (secret: string) => followed?.has(secret) ?? false;
  const collections = kinds
    .filter(({ notStored }) => !notStored)
    .map((row) => {
      const needs = createNeedStore({ isDelivered, onChange });
      // The API server omits the kind in the items of a list of metadata, and shows another one.
      const keep = (object: KubeObject) => needs.keep({ ...object, kind: row.kind });
      const options = { client, metadataOnly: true, pageSize, keep, store: needs.store, log, clock, timings };
      return { row, needs, ...watch(row, options) };
    });

  return {
    name: 'needs',
    has: (namespace, secret) => collections.some(({ needs }) => needs.needs(namespace, secret)),
    async hasNow(namespace, secret, signal) {
      for (const { row } of collections) {
        const found = await findUser(client, row, namespace, secret, signal);
        if (found) return true;
      }
      return false;
    },
    unread: () => collections.filter(({ isRead }) => !isRead()).map(({ row }) => row.resource),
    follow(secrets) {
      const before = followed;
      followed = new Set(secrets);
      if (stopped) return;
      if (!before) for (const { informer } of collections) informer.start();
      // A copy that is no longer delivered is deleted anyway, so a name that was removed changes nothing.
      else if ([...followed].some((secret) => !before.has(secret))) for (const { informer } of collections) informer.reload();
    },
    async stop() {
      stopped = true;
      await Promise.all(collections.map(({ informer }) => informer.stop()));
    },
  };
}

const groupsOfKubernetes = ['', 'apps', 'batch'];

type WatchOptions = Omit<Parameters<typeof createInformer<KubeObject>>[0], 'path'>;

function watch(row: KindRow, options: WatchOptions) {
  if (groupsOfKubernetes.includes(row.group)) {
    const informer = createInformer({ ...options, ...selectionOf(row), path: pathOf(row) });
    return { informer, isRead: () => informer.synced };
  }
  const informer = createOptionalInformer({ ...options, groupVersion: `${row.group}/${row.version}`, plural: row.resource });
  return { informer, isRead: () => true };
}

/**
 * Without the ReplicaSets of Deployments, which have this label. Each revision has one, so a cluster can have ten times as many as Deployments, and
 * none of them counts.
 */
function selectionOf({ group, kind }: KindRow): { readonly labelSelector?: string } {
  return group === 'apps' && kind === 'ReplicaSet' ? { labelSelector: '!pod-template-hash' } : {};
}

function pathOf({ group, version, resource }: KindRow, namespace?: string): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${root}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${resource}`;
}

class Found extends Error {}

/** Ends the list with the first object that needs the secret. */
async function findUser(client: ApiClient, row: KindRow, namespace: string, secret: string, signal: AbortSignal): Promise<boolean> {
  const keep = (object: KubeObject): undefined => {
    if (secretsNeededBy({ ...object, kind: row.kind }).includes(secret)) throw new Found();
  };
  try {
    await client.list(pathOf(row, namespace), selectionOf(row), {
      accept: partialMetadata('PartialObjectMetadataList'),
      pageSize,
      keep,
      signal,
    });
    return false;
  } catch (error) {
    if (error instanceof Found) return true;
    // The API is not served, or no longer.
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** Watches the sources: the Secrets in regkeeper's namespace that are copied. Each has its own informer, since RBAC permits each by name. */
import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { readSource, type SourceState } from '../../delivery/source.ts';
import type { ApiClient, KubeObject } from '../../kube/api-client.ts';
import { createInformer, type Informer, type InformerTimings } from '../../kube/informer.ts';
import { identityOf } from '../../kube/object-identity.ts';
import { isObject, textAt, valueAt } from '../../object/json.ts';
import type { Clock } from '../../time/clock.ts';

export type Sources = Component & {
  /** Watches these names from now on, and no others. */
  follow(names: Iterable<string>): void;
  /** Undefined while the source has not been read, or is not followed. */
  get(name: string): SourceState | undefined;
  /** Epoch milliseconds at which the content was written last, as far as the API server knows. */
  changedAt(name: string): number | undefined;
};

export type SourcesOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly onChange: (name: string) => void;
  /** Called when a source has been read for the first time, or does not exist. */
  readonly onRead: () => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

type KeptSource = KubeObject & { readonly state: SourceState; readonly changedAt: number | undefined };

export function createSources({ client, namespace, onChange, onRead, log, clock, timings }: SourcesOptions): Sources {
  const informers = new Map<string, Informer<KeptSource>>();
  const stopping = new Set<Promise<void>>();

  function watch(name: string): Informer<KeptSource> {
    const informer = createInformer<KeptSource>({
      client,
      path: `/api/v1/namespaces/${namespace}/secrets`,
      fieldSelector: `metadata.name=${name}`,
      keep: (secret) => keepOf(name, secret),
      log,
      clock,
      timings,
      onChange: ({ object }) => (object ? onChange(name) : onRead()),
    });
    informer.start();
    return informer;
  }

  function forget(name: string, informer: Informer<KeptSource>): void {
    informers.delete(name);
    const stopped = informer.stop().finally(() => stopping.delete(stopped));
    stopping.add(stopped);
  }

  const find = (name: string) => informers.get(name)?.get(namespace, name);
  return {
    name: 'sources',
    follow(names) {
      const wanted = new Set(names);
      for (const [name, informer] of informers) if (!wanted.has(name)) forget(name, informer);
      for (const name of wanted) if (!informers.has(name)) informers.set(name, watch(name));
    },
    get: (name) => (informers.get(name)?.synced ? (find(name)?.state ?? readSource(name, undefined)) : undefined),
    changedAt: (name) => find(name)?.changedAt,
    async stop() {
      for (const [name, informer] of informers) forget(name, informer);
      await Promise.all(stopping);
    },
  };
}

/** The content of a Secret that is not labelled as a source is not kept. */
function keepOf(name: string, secret: KubeObject): KeptSource {
  return { metadata: identityOf(secret), state: readSource(name, secret), changedAt: changedAt(secret) };
}

/** The latest write of `data` in managedFields, else the creation. */
function changedAt(secret: KubeObject): number | undefined {
  const managers = valueAt(secret, ['metadata', 'managedFields']);
  const times = (Array.isArray(managers) ? managers : [])
    .filter((manager) => isObject(manager) && valueAt(manager, ['fieldsV1', 'f:data']) !== undefined)
    .map((manager) => textAt(manager, ['time']) ?? '');
  const latest = [...times, textAt(secret, ['metadata', 'creationTimestamp']) ?? ''].map(Date.parse).filter((time) => !Number.isNaN(time));
  return latest.length === 0 ? undefined : Math.max(...latest);
}

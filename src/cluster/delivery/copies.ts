/**
 * Watches the Secrets with the names of copies in all namespaces, including those that are no copies. RBAC permits each name separately, so
 * each has its own informer. Only metadata is requested.
 */
import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { type ExistingSecret, readExistingSecret } from '../../delivery/existing-secret.ts';
import type { ApiClient, KubeObject } from '../../kube/api-client.ts';
import { createInformer, type Informer, type InformerTimings } from '../../kube/informer.ts';
import { identityOf } from '../../kube/object-identity.ts';
import type { Clock } from '../../time/clock.ts';

export type Copies = Component & {
  /** Watches these names from now on, and no others. */
  follow(names: Iterable<string>): void;
  names(): Iterable<string>;
  /** Whether all Secrets of this name have been read. */
  isRead(name: string): boolean;
  get(namespace: string, name: string): ExistingSecret | undefined;
  /** How many copies of this name there are. */
  count(name: string): number;
};

export type CopiesOptions = {
  readonly client: ApiClient;
  /** Called when a Secret of a followed name was created, changed or deleted. */
  readonly onChange: (namespace: string) => void;
  /** Called when all Secrets of a name have been read. */
  readonly onRead: () => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

type KeptSecret = KubeObject & { readonly existing: ExistingSecret };

export function createCopies({ client, onChange, onRead, log, clock, timings }: CopiesOptions): Copies {
  const informers = new Map<string, Informer<KeptSecret>>();
  const stopping = new Set<Promise<void>>();

  function watch(name: string): Informer<KeptSecret> {
    const informer = createInformer<KeptSecret>({
      client,
      path: '/api/v1/secrets',
      fieldSelector: `metadata.name=${name}`,
      metadataOnly: true,
      pageSize: 500,
      keep: keepOf,
      log,
      clock,
      timings,
      onChange({ object }) {
        if (object) onChange(object.metadata.namespace ?? '');
        else onRead();
      },
    });
    informer.start();
    return informer;
  }

  function forget(name: string, informer: Informer<KeptSecret>): void {
    informers.delete(name);
    const stopped = informer.stop().finally(() => stopping.delete(stopped));
    stopping.add(stopped);
  }

  return {
    name: 'copies',
    follow(names) {
      const wanted = new Set(names);
      for (const [name, informer] of informers) if (!wanted.has(name)) forget(name, informer);
      for (const name of wanted) if (!informers.has(name)) informers.set(name, watch(name));
    },
    names: () => informers.keys(),
    isRead: (name) => informers.get(name)?.synced ?? false,
    get: (namespace, name) => informers.get(name)?.get(namespace, name)?.existing,
    count(name) {
      let count = 0;
      for (const { existing } of informers.get(name)?.items() ?? []) if (existing.delivered) count += 1;
      return count;
    },
    async stop() {
      for (const [name, informer] of informers) forget(name, informer);
      await Promise.all(stopping);
    },
  };
}

function keepOf(secret: KubeObject): KeptSecret {
  return { metadata: identityOf(secret), existing: readExistingSecret(secret) };
}

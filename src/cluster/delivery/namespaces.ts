/** Watches the namespaces: their labels, and whether they are being deleted. Reads one at this moment where a late watch would be unsafe. */
import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import type { ApiClient, KubeObject } from '../../kube/api-client.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import { identityOf } from '../../kube/object-identity.ts';
import { partialMetadata } from '../../kube/partial-metadata.ts';
import { valueAt } from '../../object/json.ts';
import type { Clock } from '../../time/clock.ts';
import { labelsWithinLimit } from '../facts/namespaces.ts';

export type DeliveryNamespaces = Component & {
  readonly synced: boolean;
  get(name: string): DeliveryNamespace | undefined;
  names(): Iterable<string>;
  /** The namespace as it is at this moment. Undefined if there is none. */
  readNow(name: string, signal: AbortSignal): Promise<DeliveryNamespace | undefined>;
};

export type DeliveryNamespace = {
  /** Undefined if they are too large to keep. Then it is unknown whether the namespace is entitled, and it gets no copies. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly terminating: boolean;
};

export type DeliveryNamespacesOptions = {
  readonly client: ApiClient;
  readonly onChange: (namespace: string) => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

type KeptNamespace = KubeObject & { readonly kept: DeliveryNamespace };

const path = '/api/v1/namespaces';

export function createDeliveryNamespaces({ client, onChange, log, clock, timings }: DeliveryNamespacesOptions): DeliveryNamespaces {
  const informer = createInformer<KeptNamespace>({
    client,
    path,
    metadataOnly: true,
    pageSize: 500,
    keep: keepOf,
    log,
    clock,
    timings,
    onChange({ object, items }) {
      for (const { metadata } of object ? [object] : items) onChange(metadata.name);
    },
  });
  return {
    name: 'namespaces',
    get synced() {
      return informer.synced;
    },
    get: (name) => informer.get(undefined, name)?.kept,
    *names() {
      for (const { metadata } of informer.items()) yield metadata.name;
    },
    async readNow(name, signal) {
      // RBAC permits lists only.
      const { items } = await client.list<KeptNamespace>(
        path,
        { fieldSelector: `metadata.name=${name}` },
        { accept: partialMetadata('PartialObjectMetadataList'), keep: keepOf, signal },
      );
      return items.find(({ metadata }) => metadata.name === name)?.kept;
    },
    start: informer.start,
    stop: informer.stop,
  };
}

function keepOf(namespace: KubeObject): KeptNamespace {
  const labels = labelsWithinLimit(namespace);
  const terminating = valueAt(namespace, ['metadata', 'deletionTimestamp']) !== undefined;
  return { metadata: identityOf(namespace), kept: { labels, terminating } };
}

/** Namespaces as facts: the labels that rules select. */

import type { Log } from '../../contracts/log.ts';
import type { NamespaceFacts } from '../../decision/facts.ts';
import type { ApiClient, KubeObject } from '../../kube/api-client.ts';
import { createInformer } from '../../kube/informer.ts';
import { identityOf } from '../../kube/object-identity.ts';
import type { Clock } from '../../time/clock.ts';

export type WatchedNamespaces = {
  readonly synced: boolean;
  get(name: string): NamespaceFacts;
  start(): void;
  stop(): Promise<void>;
};

/**
 * Characters of keys and values, plus 32 for each label. Beyond this limit the labels count as unknown, and rules that select them apply
 * as strictly as possible.
 */
export const maxLabelCharacters = 64 * 1024;

type KeptNamespace = KubeObject & { readonly facts: NamespaceFacts };

export type NamespaceOptions = { readonly client: ApiClient; readonly log: Log; readonly clock?: Clock | undefined };

export function createNamespaceFacts({ client, log, clock }: NamespaceOptions): WatchedNamespaces {
  // Labels are metadata, and nothing else of a namespace is needed.
  const informer = createInformer<KeptNamespace>({ client, path: '/api/v1/namespaces', metadataOnly: true, keep, log, clock });
  return {
    get synced() {
      return informer.synced;
    },
    get: (name) => informer.get(undefined, name)?.facts ?? { kind: 'absent' },
    start: informer.start,
    stop: informer.stop,
  };
}

function keep(object: KubeObject): KeptNamespace {
  const labels = labelsWithinLimit(object);
  return { metadata: identityOf(object), facts: labels ? { kind: 'known', labels } : { kind: 'unknown' } };
}

/** The labels of the object. Undefined if they are beyond {@link maxLabelCharacters}. */
export function labelsWithinLimit({ metadata: { labels = {} } }: KubeObject): Readonly<Record<string, string>> | undefined {
  const size = Object.entries(labels).reduce((sum, [key, value]) => sum + key.length + value.length + 32, 0);
  return size > maxLabelCharacters ? undefined : labels;
}

/** Service accounts as facts. Only their pull secrets are kept, within the memory budget of their namespace. */

import type { Log } from '../../contracts/log.ts';
import type { ServiceAccountFacts } from '../../decision/facts.ts';
import { readServiceAccountFacts } from '../../decision/read-account-facts.ts';
import { type ApiClient, boundTo, type KubeObject } from '../../kube/api-client.ts';
import { createInformer, type Informer } from '../../kube/informer.ts';
import { identityOf, identitySize } from '../../kube/object-identity.ts';
import type { JsonObject } from '../../object/json.ts';
import type { Clock } from '../../time/clock.ts';
import type { NamespaceBudget } from './namespace-budget.ts';

export type WatchedAccounts = {
  readonly synced: boolean;
  get(namespace: string, name: string): ServiceAccountFacts;
  start(): void;
  stop(): Promise<void>;
};

type KeptAccount = KubeObject & { readonly facts: ServiceAccountFacts };

export type AccountOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly budget: NamespaceBudget;
  readonly clock?: Clock | undefined;
};

export function createServiceAccountFacts({ client, log, budget, clock }: AccountOptions): WatchedAccounts {
  const store = budget.store<KeptAccount>({
    sizeOf,
    flags: allowsOnlyListed,
    measure: (namespace, maxBytes, signal) =>
      measureList(boundTo(signal, client), `/api/v1/namespaces/${namespace}/serviceaccounts`, (object) => sizeOf(keep(object)), maxBytes),
    reload: () => informer.reload(),
  });
  const informer: Informer<KeptAccount> = createInformer<KeptAccount>({ client, path: '/api/v1/serviceaccounts', keep, store, log, clock });
  return {
    get synced() {
      return informer.synced;
    },
    get(namespace, name) {
      const account = informer.get(namespace, name);
      if (account) return account.facts;
      if (!store.isOmitted(namespace)) return { kind: 'absent' };
      return { kind: 'too-large', why: 'its namespace is over its memory budget', onlyListedSecrets: store.isFlagged(namespace, name) };
    },
    start: informer.start,
    stop: informer.stop,
  };
}

function keep(object: KubeObject): KeptAccount {
  return { metadata: identityOf(object), facts: readServiceAccountFacts(object as unknown as JsonObject) };
}

function allowsOnlyListed({ facts }: KeptAccount): boolean {
  return facts.kind !== 'absent' && facts.kind !== 'unknown' && facts.onlyListedSecrets;
}

/** Measured: 100,000 accounts with three short names need 54 MiB, and this counts 53. */
function sizeOf({ metadata, facts }: KeptAccount): number {
  const names = facts.kind === 'known' ? facts.pullSecrets.reduce((sum, name) => sum + 32 + name.length, 0) : 0;
  return 360 + identitySize(metadata) + names;
}

/** Bytes that all objects of a collection would need. None of them is kept. */
export async function measureList(
  client: ApiClient,
  path: string,
  sizeOf: (object: KubeObject) => number,
  maxBytes: number,
): Promise<number> {
  let bytes = 0;
  const limitReached = new AbortController();
  try {
    await client.list<KubeObject>(
      path,
      {},
      {
        onBegin: () => {
          bytes = 0;
        },
        keep: (object) => {
          bytes += sizeOf(object);
          if (bytes > maxBytes) limitReached.abort();
          return undefined;
        },
        signal: limitReached.signal,
      },
    );
  } catch (error) {
    if (!limitReached.signal.aborted) throw error;
  }
  return bytes;
}

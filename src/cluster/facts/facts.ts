/** What the engine needs to know about the cluster, read from informers. There are no calls during a request. */

import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import type { DeliveryFacts, Facts } from '../../decision/facts.ts';
import { listOf } from '../../image/wording.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { Kinds } from '../../object/kinds.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { createDeliveryFacts } from './delivery.ts';
import { createImageStreamFacts } from './image-streams.ts';
import { createNamespaceBudget, type NamespaceBudgetOptions } from './namespace-budget.ts';
import { createNamespaceFacts } from './namespaces.ts';
import { createSecretFacts, type UnwatchedSecrets } from './secrets.ts';
import { createServiceAccountFacts } from './service-accounts.ts';

export type ClusterFacts = ImmediateComponent & {
  /** Undefined until the first lists are complete. */
  current(): Facts | undefined;
  /** What has not been read yet, or undefined. Secrets do not count, because reading them may not be permitted. */
  missing(): string | undefined;
  /** Watches the secrets with these names in all namespaces, as far as that is permitted. */
  followSecrets(names: Iterable<string>): void;
  /** Watches whether secrets are delivered, as long as the rules have secrets with delivery. */
  followDelivery(hasDelivery: boolean): void;
  /** Whether secrets are delivered. */
  delivery(): DeliveryFacts;
  /** What is incomplete although the facts are ready. */
  gaps(): FactGaps;
};

export type FactGaps = {
  /** Secret names in the rules for which it is unknown whether namespaces have them. */
  readonly unwatchedSecrets: UnwatchedSecrets;
  /** Namespaces whose objects are not kept, because they exceed their memory budget. */
  readonly namespacesOverBudget: readonly string[];
  /** Bytes of names and tags in all namespaces. */
  readonly heldBytes: number;
};

export type FactsOptions = {
  readonly client: ApiClient;
  /** regkeeper's own namespace. */
  readonly namespace: string;
  readonly log: Log;
  readonly kinds?: Kinds;
  readonly clock?: Clock | undefined;
  readonly budget?: Pick<NamespaceBudgetOptions, 'perNamespace' | 'inAll'>;
};

export function createClusterFacts({
  client,
  namespace: ownNamespace,
  log,
  kinds,
  clock = systemClock,
  budget: limits,
}: FactsOptions): ClusterFacts {
  const budget = createNamespaceBudget({ log, clock, ...limits });
  const serviceAccounts = createServiceAccountFacts({ client, log, budget, clock });
  const namespaces = createNamespaceFacts({ client, log, clock });
  const secrets = createSecretFacts({ client, log, clock });
  const streams = createImageStreamFacts({ client, log, budget, clock });
  const delivery = createDeliveryFacts({ client, namespace: ownNamespace, log, clock });
  const unread = () => [
    ...(serviceAccounts.synced ? [] : ['service accounts']),
    ...(namespaces.synced ? [] : ['namespaces']),
    ...(streams.waiting() ? ['image streams'] : []),
  ];

  const facts: Facts = {
    serviceAccount: (namespace, name) => serviceAccounts.get(namespace, name),
    namespace: (name) => namespaces.get(name),
    secret: (namespace, name) => secrets.get(namespace, name),
    imageStream: (namespace, name) => streams.get(namespace, name),
    imageStreamsServed: () => streams.served(),
    delivery: delivery.state,
    now: clock.now,
    ...(kinds && { kinds }),
  };
  return {
    name: 'cluster facts',
    current: () => (unread().length === 0 ? facts : undefined),
    missing() {
      const left = unread();
      return left.length === 0 ? undefined : `not read from the cluster yet: ${listOf(left, 'and')}`;
    },
    followSecrets: (names) => secrets.follow(names),
    followDelivery: delivery.follow,
    delivery: delivery.state,
    gaps: () => ({ unwatchedSecrets: secrets.unwatched(), namespacesOverBudget: budget.over(), heldBytes: budget.heldBytes() }),
    start() {
      for (const each of [budget, serviceAccounts, namespaces, secrets, streams, delivery]) each.start();
    },
    async stop() {
      await Promise.all([budget, delivery, secrets, streams, serviceAccounts, namespaces].map((each) => each.stop()));
    },
  };
}

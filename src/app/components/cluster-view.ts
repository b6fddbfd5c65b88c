/** The cluster as the server sees it: the API client, and the collections that it watches for the requests. */
import { type ClusterFacts, createClusterFacts } from '../../cluster/facts/facts.ts';
import { createClusterPlatform } from '../../cluster/facts/openshift-registries.ts';
import type { Component } from '../../contracts/component.ts';
import type { Facts } from '../../decision/facts.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { connectApi } from '../../kube/client/connect-api.ts';
import { loadKubeConfig } from '../../kube/kubeconfig.ts';
import type { Kinds } from '../../object/kinds.ts';
import { namedSecrets } from '../../rules/store/named-secrets.ts';
import { clusterDocumentChanges, type RulesInForce } from '../../rules/store/rules-in-force.ts';
import type { Clock } from '../../time/clock.ts';
import { asConfigurationError } from '../as-configuration-error.ts';
import type { Environment, Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

export type ClusterView = {
  readonly client: ApiClient;
  /** Undefined until everything that requests need has been read. */
  facts(): Facts | undefined;
  /** What has not been read yet. Undefined if everything has. */
  missing(): string | undefined;
  gaps: ClusterFacts['gaps'];
  delivery: ClusterFacts['delivery'];
  readonly connection: Component;
  readonly watches: readonly Component[];
  /** Watches the secrets that the cluster's rules name, and whether they are delivered. */
  readonly secretsOfRules: Component;
};

export type ClusterViewOptions = {
  readonly client: ApiClient;
  /** regkeeper's own namespace. */
  readonly namespace: string;
  readonly kinds: Kinds;
  readonly rules: RulesInForce;
  readonly log: Logger;
  readonly clock: Clock;
};

/**
 * Reads the kubeconfig, without a request to the API server. Undefined without a cluster.
 *
 * @throws ConfigurationError
 */
export async function connectCluster(
  { cluster }: Pick<Settings, 'cluster'>,
  env: Environment,
  alternative?: string,
): Promise<ApiClient | undefined> {
  if (!cluster) return undefined;
  const { kubeconfig, context } = cluster;
  const choice = { ...(kubeconfig !== undefined && { file: kubeconfig }), ...(context !== undefined && { context }), env, alternative };
  return connectApi(await loadKubeConfig(choice).catch(asConfigurationError), { streamsInitialState: true });
}

export function createClusterView({ client, namespace, kinds, rules, log, clock }: ClusterViewOptions): ClusterView {
  const facts = createClusterFacts({ client, namespace, log, kinds, clock });
  const platform = createClusterPlatform({
    client,
    log,
    clock,
    onChange() {
      const current = platform.current();
      if (current) rules.platformChanged(current);
    },
  });
  return {
    client,
    facts: () => (platform.missing() === undefined ? facts.current() : undefined),
    missing: () => facts.missing() ?? platform.missing(),
    gaps: facts.gaps,
    delivery: facts.delivery,
    connection: { name: 'API server connection', stop: () => client.close() },
    watches: [facts, platform],
    secretsOfRules: watchSecretsOfRules(rules, facts),
  };
}

function watchSecretsOfRules(rules: RulesInForce, facts: Pick<ClusterFacts, 'followSecrets' | 'followDelivery'>): Component {
  let unsubscribe = () => {};
  return {
    name: 'secrets referenced by rules',
    start() {
      unsubscribe = rules.onChange((event) => {
        const written = rules.written();
        // Rules of namespaces do not add to the watched secrets, and a tenant may change its rules at any rate.
        if (!written || clusterDocumentChanges(event).length === 0) return;
        facts.followSecrets(namedSecrets(written));
        facts.followDelivery(written.deliveredSecrets.length > 0);
      });
    },
    stop: () => unsubscribe(),
  };
}

/** Leader election, and the webhook configurations that register this server with the API server. */

import type { RegistrationOptions } from '../../cluster/registration/options.ts';
import { createReachabilityProbe } from '../../cluster/registration/prove-reachable.ts';
import { createRegistration, type Registration } from '../../cluster/registration/registration.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { createLeaderElection, type LeaderElection } from '../../kube/leader-election.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

/** Undefined without registration. Then only the Secret is written, which every replica may do. */
export function createLeader(
  { manageWebhooks, cluster, service }: Settings,
  client: ApiClient | undefined,
  able: () => boolean,
  log: Logger,
): LeaderElection | undefined {
  if (!client || !cluster || !manageWebhooks) return undefined;
  return createLeaderElection({ client, namespace: cluster.namespace, name: service, able, duty: 'manage the webhooks', log });
}

type Wired = 'certificates' | 'ready' | 'leadership' | 'kinds' | 'guard' | 'onRepair' | 'log' | 'clock';

export function createRegistrationOf(
  settings: Settings,
  client: ApiClient | undefined,
  wired: Pick<RegistrationOptions, Wired>,
): Registration | undefined {
  const { manageWebhooks, cluster, service, excludedNamespaces, webhookPolicy: policy, admissionsEnforcer: enforcer } = settings;
  if (!client || !cluster || !manageWebhooks) return undefined;
  const options = { client, namespace: cluster.namespace, service, ...wired };
  return createRegistration({ ...options, excludedNamespaces, policy, enforcer, prove: createReachabilityProbe(options) });
}

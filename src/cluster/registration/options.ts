/** The options of the registration, and a timeout that its parts share. */
import type { CurrentCertificate } from '../../certificates/source.ts';
import type { Log } from '../../contracts/log.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { InformerTimings } from '../../kube/informer.ts';
import type { Leadership } from '../../kube/leader-election.ts';
import type { Clock } from '../../time/clock.ts';
import type { Difference, EnforcerPolicy } from './configuration-difference.ts';
import type { RegisteredKind, WebhookPolicy } from './desired.ts';
import type { LiveConfiguration } from './live-configuration.ts';

export type RegistrationOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly service: string;
  /** Must know its CA bundle. */
  readonly certificates: CurrentCertificate;
  /** Whether requests can be answered now, except for what depends on the published CAs. Called at each reconcile. */
  readonly ready: () => boolean;
  /**
   * The leader writes, the other replicas watch. Without it this replica writes too. That is safe, because all replicas write the same,
   * and never over a newer version.
   */
  readonly leadership?: Leadership | undefined;
  readonly log: Log;
  /**
   * Proves that the API server reaches regkeeper, given the still empty mutating configuration. Without it, a mistake in the Service or a
   * NetworkPolicy blocks every Pod of the cluster as soon as the entries exist. Rejects with the signal's reason when it is aborted.
   */
  readonly prove?: ((mutating: LiveConfiguration, signal: AbortSignal) => Promise<boolean>) | undefined;
  readonly excludedNamespaces?: readonly string[] | undefined;
  readonly policy?: WebhookPolicy | undefined;
  /** The kinds to register. Those of Kubernetes and OpenShift by default. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** Like in `DesiredWebhookOptions`. */
  readonly guard?: boolean | undefined;
  /** `tolerate` by default. */
  readonly enforcer?: EnforcerPolicy | undefined;
  /** Called for each repair of a change by another writer. */
  readonly onRepair?: ((severity: Difference['severity']) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly watchTimings?: Partial<InformerTimings> | undefined;
};

/** Milliseconds for requests before a repair that it can do without. */
export const requestTimeout = 3_000;

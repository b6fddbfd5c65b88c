/** Fills the two webhook configurations and repairs them: observe, compare with the desired state, write what is due. */

import { createCaBundle } from '../../certificates/rotation/ca-bundle.ts';
import type { CurrentCertificate } from '../../certificates/source.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, type ApiError, isNotFound, type KubeObject, type Log } from '../../kube/api-client.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import type { Leadership } from '../../kube/leader-election.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import { valueAt } from '../../object/json.ts';
import { kindsWithImages } from '../../object/kinds.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { within } from '../../time/within.ts';
import { aboutChosenCondition, applyConfiguration, isDeleted } from './apply.ts';
import {
  type DesiredConfiguration,
  type Difference,
  differenceOf,
  type EnforcerPolicy,
  fieldManagersOf,
} from './configuration-difference.ts';
import { desiredWebhooks, platformCondition, type RegisteredKind, type WebhookEntry, type WebhookPolicy } from './desired.ts';
import { createDiscovery, type Discovery, type UnavailableApi } from './discovery.ts';
import {
  apiOfConfigurations,
  bundleOf,
  bundlesOfOurs,
  type Configuration,
  callsUs,
  configurations,
  isInService,
  isWrittenByUs,
  type LiveConfiguration,
  ourName,
  withOwnership,
} from './live-configuration.ts';
import { createRepairBackoff } from './repair-backoff.ts';
import { createRepairLog } from './repair-log.ts';

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
   * NetworkPolicy blocks every Pod of the cluster as soon as the entries exist.
   */
  readonly prove?: ((mutating: LiveConfiguration) => Promise<boolean>) | undefined;
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

export type Registration = {
  readonly name: string;
  /** APIs whose kinds are discovered, as `group/version`. */
  readonly apis: readonly string[];
  /** The APIs that do not answer at present. Their kinds stay registered as they are. */
  unavailable(): readonly UnavailableApi[];
  /** Kinds of the configurations that another writer keeps narrowing, and whose next repair is delayed. */
  narrowed(): readonly string[];
  start(): void;
  stop(): Promise<void>;
};

/**
 * Fills the two shipped webhook configurations as soon as this replica is ready, and then keeps the entries and their caBundle as desired.
 * A missing configuration is not recreated, because deleting it is how an administrator turns regkeeper off.
 */
export function createRegistration(options: RegistrationOptions): Registration {
  const { client, kinds = kindsWithImages, ready, log, clock } = options;
  let filling: Filling | undefined;
  const discovery = createDiscovery({ client, kinds, log, onChange: () => filling?.reconcileNow(), clock });
  const readinessLoop = createReconcileLoop({
    reconcile: async () => {
      if (!ready()) return;
      readinessLoop.stop();
      filling = keepFilled(options, discovery);
    },
    onFailure: (err) => log.error({ err }, 'nothing is registered, because readiness cannot be told'),
    resyncMilliseconds: 1_000,
    minIntervalMilliseconds: 100,
    clock,
  });
  return {
    name: 'registration',
    apis: discovery.apis,
    unavailable: discovery.unavailable,
    narrowed: () => filling?.narrowed() ?? [],
    start() {
      // Before readiness, so that a slow API delays nothing.
      discovery.start();
      readinessLoop.requeue();
      readinessLoop.start();
    },
    async stop() {
      readinessLoop.stop();
      discovery.stop();
      await filling?.stop();
    },
  };
}

type Namespace = KubeObject & { metadata: { deletionTimestamp?: string } };
type Present = { readonly configuration: Configuration; readonly live: LiveConfiguration };
type Filling = { reconcileNow(): void; narrowed(): readonly string[]; stop(): Promise<void> };

/**
 * Each write changes the object and causes the next reconcile. If two releases of regkeeper were leaders at the same time, each would
 * revert the other's entries.
 */
const minIntervalMilliseconds = 250;

/** A Pod that has just started is not yet an endpoint of its Service, and the installation is waiting. Doubled after each failed proof. */
const initialProofBackoff = 250;
const maxProofBackoff = 5_000;

/** The timeout of requests before a repair that it can do without. */
const requestTimeout = 3_000;

function keepFilled(options: RegistrationOptions, discovery: Discovery): Filling {
  const { client, namespace, certificates, ready, log, clock = systemClock } = options;
  const { schedule, monotonic } = clock;
  const reportedMissing = new Set<string>();
  const backoff = createRepairBackoff(monotonic);
  const repairLog = createRepairLog(log, monotonic);
  /** By kind of configuration, what was written last. If that has to be written again, another writer changed it. */
  const written = new Map<string, string>();
  /** By kind of configuration, what was written over which version. Until the informer shows the result, it is not written again. */
  const done = new Map<string, string>();
  /** By kind of configuration, cancels the delayed repair. */
  const paused = new Map<string, () => void>();
  /** Uids of the configurations that have been in service. If one of them is emptied, it is filled again without another proof. */
  let proven = new Set<string | undefined>();
  let failedProofs = 0;
  let proof: Promise<boolean> | 'later' | undefined;
  let refreshFailed = false;
  let cancelNextProof = () => {};

  const reconcile = async (configuration: Configuration): Promise<'requeue' | undefined> => {
    if (!ready()) return undefined;
    const present = presentNow();
    proven = new Set(
      present
        .map(({ live }) => live)
        .filter((live) => isInService(live) || proven.has(live.metadata.uid))
        .map(uidOf),
    );
    // A follower also records since when a CA is no longer needed, because it may become the leader.
    caBundle();
    // Emptying the configurations and publishing a CA cannot wait for the leader. All replicas write the same.
    if (!leads(options) && !isLeaving() && !present.some(({ live }) => lacksCa(live, certificates))) return undefined;
    // While the namespace is being deleted, the configurations are only emptied. A proof would leave its entry behind.
    if (!isLeaving()) {
      if (!discovery.queried) return undefined;
      if (!(await isProven(present))) return undefined;
    }
    const found = present.find((each) => each.configuration === configuration);
    return found && (await fillAndReport(found)) === 'failed' ? 'requeue' : undefined;
  };

  function presentNow(): Present[] {
    return informers.flatMap(({ configuration, informer }) => {
      const live = informer.get(undefined, ourName);
      if (informer.synced) reportMissing(configuration, live);
      return live ? [{ configuration, live }] : [];
    });
  }

  function isLeaving(): boolean {
    const own = ownNamespace.get(undefined, namespace);
    return ownNamespace.synced && (own === undefined || own.metadata.deletionTimestamp !== undefined);
  }

  /** Whether the API server is known to reach regkeeper. If it already calls regkeeper, no proof is needed. */
  async function isProven(present: readonly Present[]): Promise<boolean> {
    if (!options.prove || proven.size > 0) return true;
    if (proof === 'later') return false;
    const mutating = present.find(({ configuration }) => configuration.entries === 'mutating');
    // One proof for both configurations.
    proof ??= prove(mutating?.live);
    return await proof;
  }

  async function prove(mutating: LiveConfiguration | undefined): Promise<boolean> {
    let succeeded = false;
    try {
      succeeded = mutating !== undefined && (await options.prove?.(mutating)) === true;
    } finally {
      proof = succeeded ? undefined : 'later';
      if (succeeded) {
        failedProofs = 0;
        proven.add(mutating?.metadata.uid);
      } else retryProofLater();
    }
    return succeeded;
  }

  function retryProofLater(): void {
    const delay = Math.min(maxProofBackoff, initialProofBackoff * 2 ** failedProofs);
    failedProofs += 1;
    cancelNextProof = schedule(() => {
      proof = undefined;
      reconcileLoops.now();
    }, delay);
  }

  async function fillAndReport({ configuration, live }: Present): Promise<'failed' | undefined> {
    try {
      await fill(configuration, live);
      return undefined;
    } catch (err) {
      if (err instanceof NamespaceMissing) return reportMissingNamespace();
      if (isDeleted(err)) return undefined;
      const { kind } = configuration;
      log.error({ err, kind }, `the ${kind} ${ourName} could not be filled: ${aboutChosenCondition(err) ?? errorMessage(err)}`);
      return 'failed';
    }
  }

  async function fill(configuration: Configuration, live: LiveConfiguration): Promise<void> {
    const { kind } = configuration;
    const own = await readOwnNamespace();
    // The Pods end before the namespace is deleted and its configurations with it, if that ever completes. In between no one would answer.
    const leaving = own.metadata.deletionTimestamp !== undefined;
    const owner = ownerReference(own);
    const desired = (bundle = caBundle()): DesiredConfiguration => ({
      webhooks: leaving ? [] : desiredNow(configuration, bundle),
      owner: owner.uid,
      enforcer: leaving ? 'tolerate' : (options.enforcer ?? 'tolerate'),
    });
    if (!isDue(kind, differenceOf(live, desired()))) return;
    // A replica that was disconnected for a while may have obsolete CAs, and must not publish them over the present ones. What this
    // replica, still the leader, wrote last is only repeated, so a missing webhook does not wait for the Secret.
    const repeats = written.get(kind) === JSON.stringify(desired());
    const wanted = (repeats && options.leadership) || (await isCertificateInForce()) ? desired() : desired(publishedBundle());
    const difference = differenceOf(live, wanted);
    if (!difference) return;
    // The leader may have changed during the proof and the read.
    if (!leaving && !leads(options) && !lacksCa(live, certificates)) return;

    const text = JSON.stringify(wanted);
    const step = `${live.metadata.uid} ${live.metadata.resourceVersion} ${text}`;
    if (done.get(kind) === step) return;
    let managers = written.get(kind) === text ? fieldManagersOf(live, difference) : undefined;
    const onConflict = (conflict: ApiError) => {
      managers = managers?.length ? managers : namesIn(conflict.message);
    };
    await applyConfiguration({ client, log, configuration, live, wanted, owner, isRepair: managers !== undefined, onConflict });
    written.set(kind, text);
    done.set(kind, step);
    if (managers) {
      backoff.repaired(kind, difference.severity);
      options.onRepair?.(difference.severity);
      repairLog.repaired({ kind, difference, managers, pause: backoff.pauseBefore(kind, difference.severity) });
    } else if (leaving)
      log.warn({ kind }, `the namespace ${namespace} is being deleted: the ${kind} ${ourName} was emptied, nothing is checked any more`);
    else log.info({ kind, webhooks: wanted.webhooks.map(({ name }) => name) }, `filled the ${kind} ${ourName}`);
  }

  function isDue(kind: string, difference: Difference | undefined): boolean {
    paused.get(kind)?.();
    paused.delete(kind);
    if (!difference) return false;
    const pause = backoff.pauseBefore(kind, difference.severity);
    if (pause > 0) paused.set(kind, schedule(reconcileLoops.now, pause));
    return pause === 0;
  }

  /** The last observed namespace, so that repairs do not wait for a request. */
  async function readOwnNamespace(): Promise<Namespace> {
    const seen = ownNamespace.get(undefined, namespace);
    if (seen) return seen;
    try {
      return await client.request<Namespace>({
        method: 'GET',
        path: `/api/v1/namespaces/${namespace}`,
        timeoutMilliseconds: requestTimeout,
      });
    } catch (error) {
      throw isNotFound(error) ? new NamespaceMissing() : error;
    }
  }

  /** False if the read fails. The published CAs then stay, and everything else is repaired. */
  async function isCertificateInForce(): Promise<boolean> {
    try {
      // Always with the system's clock, because it limits a request in progress, also where a test controls the time.
      await within(systemClock, requestTimeout, `no answer within ${requestTimeout / 1_000} s`, async () => certificates.refresh?.());
      refreshFailed = false;
    } catch (err) {
      if (!refreshFailed) {
        log.warn({ err }, `the certificate in force could not be read, so the CAs that are registered stay: ${errorMessage(err)}`);
      }
      refreshFailed = true;
    }
    return !refreshFailed;
  }

  function desiredNow({ entries }: Configuration, bundle: string | undefined): WebhookEntry[] {
    if (bundle === undefined) throw new Error('the source of the certificate does not tell its authorities, which the API server needs');
    const { namespace, service, excludedNamespaces = [], policy, guard } = options;
    const live = informers.flatMap(({ informer }) => informer.get(undefined, ourName) ?? []);
    return desiredWebhooks({
      namespace,
      service,
      caBundle: bundle,
      excludedNamespaces,
      policy,
      guard,
      kinds: discovery.kinds((kind) => registeredEntryPoints(live, kind)),
      openshift: discovery.openshift(registeredOpenshift(live)),
    })[entries];
  }

  function reportMissing({ kind }: Configuration, live: LiveConfiguration | undefined): void {
    if (live) reportedMissing.delete(kind);
    else if (!reportedMissing.has(kind)) {
      reportedMissing.add(kind);
      log.warn(
        { kind },
        `there is no ${kind} ${ourName}, so its requests are not checked; regkeeper does not make it: apply the deployment again`,
      );
    }
  }

  function reportMissingNamespace(): undefined {
    if (reportedMissing.has(namespace)) return;
    reportedMissing.add(namespace);
    log.warn({}, `there is no namespace ${namespace}: nothing is registered`);
  }

  const caBundles = createCaBundle({ clock, onExpired: () => reconcileLoops.requeue() });
  const published = () => [...new Set(informers.flatMap(({ informer }) => bundlesOfOurs(informer.get(undefined, ourName))))];
  const caBundle = (): string | undefined => {
    const { caBundle: servedCaBundle } = certificates.current();
    return servedCaBundle && caBundles.bundle(servedCaBundle, published());
  };
  const publishedBundle = () => published()[0] ?? caBundle();

  // Each configuration has its own loop, so neither waits for the writes or the backoff of the other.
  const loops = configurations.map((configuration) =>
    createReconcileLoop({
      reconcile: () => reconcile(configuration),
      onFailure: (err) => log.error({ err }, `the webhook configurations could not be filled: ${errorMessage(err)}`),
      resyncMilliseconds: 60_000,
      minIntervalMilliseconds,
      clock,
    }),
  );
  const reconcileLoops = {
    requeue: () => loops.forEach((loop) => void loop.requeue()),
    now: () => loops.forEach((loop) => void loop.reconcileNow()),
    start: () => loops.forEach((loop) => void loop.start()),
    stop: () => loops.forEach((loop) => void loop.stop()),
  };
  const createOwnInformer = <T extends KubeObject>(
    path: string,
    name: string,
    onChange: (object: T | undefined) => void,
    keep?: (object: T) => T,
  ) =>
    createInformer<T>({
      client,
      path,
      fieldSelector: `metadata.name=${name}`,
      keep,
      log,
      // Each has its own informer. If one cannot be read, the other is still repaired.
      onChange: ({ object }) => onChange(object),
      clock,
      timings: options.watchTimings,
    });
  const informers = configurations.map((configuration, index) => ({
    configuration,
    informer: createOwnInformer<LiveConfiguration>(
      `/apis/${apiOfConfigurations}/${configuration.plural}`,
      ourName,
      () => loops[index]?.requeue(),
      withOwnership,
    ),
  }));
  // The deletion must be noticed within the 5 s before the namespace controller removes our permissions and Pods.
  const ownNamespace = createOwnInformer<Namespace>('/api/v1/namespaces', namespace, (object) =>
    object?.metadata.deletionTimestamp === undefined ? reconcileLoops.requeue() : reconcileLoops.now(),
  );
  const unsubscribeCertificates = certificates.onChange(reconcileLoops.requeue);
  const unsubscribeLeadership = options.leadership?.onChange(() => {
    // Another replica may have written since, so what this replica wrote last is obsolete.
    written.clear();
    cancelPaused();
    reconcileLoops.now();
  });
  const cancelPaused = () => {
    for (const cancel of paused.values()) cancel();
    paused.clear();
  };
  reconcileLoops.start();
  for (const informer of [ownNamespace, ...informers.map((each) => each.informer)]) informer.start();
  return {
    reconcileNow: reconcileLoops.now,
    narrowed: () => [...paused.keys()],
    async stop() {
      unsubscribeCertificates();
      unsubscribeLeadership?.();
      reconcileLoops.stop();
      caBundles.close();
      cancelNextProof();
      cancelPaused();
      await Promise.all([ownNamespace, ...informers.map(({ informer }) => informer)].map((informer) => informer.stop()));
    },
  };
}

function leads({ leadership }: RegistrationOptions): boolean {
  return leadership?.leads() ?? true;
}

function uidOf({ metadata }: LiveConfiguration): string | undefined {
  return metadata.uid;
}

/**
 * Whether the API server may reject a certificate that is served or about to be served. The first CA of the bundle signs. The leader
 * publishes the others. A CA that another replica published is not removed at once, so two replicas with different files do not overwrite
 * each other in turn.
 */
function lacksCa({ webhooks }: LiveConfiguration, { current }: CurrentCertificate): boolean {
  const [signing = ''] = (current().caBundle ?? '').split(/(?<=-----END CERTIFICATE-----\n)/);
  return (webhooks ?? []).filter(callsUs).some((entry) => !bundleOf(entry).includes(signing));
}

/** The entry points of the kind in entries whose rules a replica wrote, or undefined if there are none. */
function registeredEntryPoints(live: readonly LiveConfiguration[], { group, version, entryPoints }: RegisteredKind): string[] | undefined {
  const rules = live.flatMap((each) =>
    (each.webhooks ?? []).flatMap((entry) => (isWrittenByUs(each, entry.name, ['f:rules']) ? entry.rules : [])),
  );
  const found = rules.flatMap((rule) => {
    const matches = (field: string, value: string) => valueAt(rule, [field, 0]) === value;
    const resource = valueAt(rule, ['resources', 0]);
    return matches('apiGroups', group) && matches('apiVersions', version) && typeof resource === 'string' ? [resource] : [];
  });
  const registered = entryPoints.map(({ resource }) => resource).filter((resource) => found.includes(resource));
  return registered.length > 0 ? registered : undefined;
}

/** Whether a replica registered for OpenShift, or undefined if there are no entries of ours. */
function registeredOpenshift(live: readonly LiveConfiguration[]): boolean | undefined {
  const entries = live.flatMap((each) => (each.webhooks ?? []).map(({ name }) => ({ each, name })));
  const written = (path: readonly string[]) => entries.some(({ each, name }) => isWrittenByUs(each, name, path));
  if (!written(['f:rules'])) return undefined;
  return written(['f:matchConditions', `k:{"name":"${platformCondition}"}`]);
}

/**
 * The webhook configurations are deleted with the namespace. Otherwise, after the deletion of the namespace, the API server would call
 * webhooks that no one answers.
 */
function ownerReference({ metadata: { name, uid } }: Namespace) {
  if (uid === undefined) throw new Error(`the namespace ${name} has no uid`);
  return { apiVersion: 'v1', kind: 'Namespace', name, uid };
}

/** The namespace of regkeeper does not exist, so its configurations will be deleted too. */
class NamespaceMissing extends Error {}

/** The managers in the API server's message about conflicting fields. */
function namesIn(message: string): string[] {
  return [...new Set([...message.matchAll(/conflicts? with "([^"]+)"/g)].map(([, name = '']) => name))];
}

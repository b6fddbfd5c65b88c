/** Fills the two webhook configurations, and repairs them: observe, find the difference, write what is due. */

import { createCaBundle } from '../../certificates/rotation/ca-bundle.ts';
import type { CurrentCertificate } from '../../certificates/source.ts';
import { type ApiClient, ApiError, type KubeObject, type Log } from '../../kube/api-client.ts';
import { errorMessage } from '../../kube/explain-api-error.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import type { Leadership } from '../../kube/leader-election.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import { valueAt } from '../../object/json.ts';
import { kindsWithImages } from '../../object/kinds.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { within } from '../../time/within.ts';
import { aboutChosenCondition, applyConfiguration, isDeleted } from './apply.ts';
import { type DesiredConfiguration, type Difference, differenceOf, type EnforcerPolicy, fieldManagersOf } from './compare.ts';
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
} from './live.ts';
import { createRepairBackoff } from './repair-backoff.ts';
import { createRepairLog } from './repair-log.ts';

export type RegistrationOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly service: string;
  /** Must know its authorities. */
  readonly certificates: CurrentCertificate;
  /** Whether requests can be answered now, as far as that does not depend on what is published. Asked again and again. */
  readonly ready: () => boolean;
  /** Who leads writes, the others watch. Without it this replica writes too, which is safe: everybody writes the same, over nothing newer. */
  readonly leadership?: Leadership | undefined;
  readonly log: Log;
  /**
   * Proves that the API server reaches us, given the still empty mutating configuration. Without it that is taken for granted, and a
   * mistake in the Service or a NetworkPolicy stops every Pod of the cluster as soon as the entries are there.
   */
  readonly prove?: ((mutating: LiveConfiguration) => Promise<boolean>) | undefined;
  readonly excludedNamespaces?: readonly string[] | undefined;
  readonly policy?: WebhookPolicy | undefined;
  /** Those that are read; Kubernetes' and OpenShift's unless told. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** As in `WebhookWishes`. */
  readonly guard?: boolean | undefined;
  /** `tolerate` unless told. */
  readonly enforcer?: EnforcerPolicy | undefined;
  /** Called for each repair of what another writer changed. */
  readonly onRepair?: ((severity: Difference['severity']) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly watchTimings?: Partial<InformerTimings> | undefined;
};

export type Registration = {
  readonly name: string;
  /** APIs that are asked which kinds they serve, as `group/version`. */
  readonly apis: readonly string[];
  /** Those that cannot be asked just now; their kinds stay registered as they are. */
  unavailable(): readonly UnavailableApi[];
  /** Kinds of the configurations that another writer keeps narrowing, and that wait for their next repair. */
  narrowed(): readonly string[];
  start(): void;
  stop(): Promise<void>;
};

/**
 * Fills the two shipped webhook configurations as soon as we are ready, and keeps the entries and their caBundle as they should be. A
 * configuration that is not there is left alone: deleting it is how an administrator takes regkeeper out of the way.
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
      // Before anything else is ready, so that a slow API delays nothing.
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

/** A write changes the object and so calls for the next check: should two releases of regkeeper ever lead at once, each thinks the other's entries wrong. */
const minIntervalMilliseconds = 250;

/** A Pod that has just started is no endpoint of its Service yet, and everybody waits for the installation. Doubled with each proof that fails. */
const initialProofBackoff = 250;
const maxProofBackoff = 5_000;

/** What a repair asks first, and can do without. */
const requestTimeout = 3_000;

function keepFilled(options: RegistrationOptions, discovery: Discovery): Filling {
  const { client, namespace, certificates, ready, log, clock = systemClock } = options;
  const { schedule, monotonic } = clock;
  const reportedMissing = new Set<string>();
  const backoff = createRepairBackoff(monotonic);
  const repairLog = createRepairLog(log, monotonic);
  /** By kind of configuration, what was written last: where that is wanted again, another writer changed it. */
  const written = new Map<string, string>();
  /** By kind of configuration, what was written over which version: until the watch shows the result, there is nothing to do again. */
  const done = new Map<string, string>();
  /** By kind of configuration, those that wait. */
  const paused = new Map<string, () => void>();
  /** Uids of the configurations that have been in service. What is emptied then is filled again without another proof. */
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
    // Who follows sees from when on an authority is not needed, for it may lead next.
    caBundle();
    // Neither emptying nor being trusted can wait for a leader, and whoever does it does the same.
    if (!leads(options) && !isLeaving() && !present.some(({ live }) => lacksCa(live, certificates))) return undefined;
    // While the namespace goes there is nothing to prove, only to empty; a probe would be left behind.
    if (!isLeaving()) {
      if (!discovery.asked) return undefined;
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

  /** Whether the API server is known to reach us. Where it asks us already, that is not for us to doubt. */
  async function isProven(present: readonly Present[]): Promise<boolean> {
    if (!options.prove || proven.size > 0) return true;
    if (proof === 'later') return false;
    const mutating = present.find(({ configuration }) => configuration.entries === 'mutating');
    // One for both.
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
    // Our Pods go before the namespace is gone and takes the configurations with it, if it ever is: nobody would answer in between.
    const leaving = own.metadata.deletionTimestamp !== undefined;
    const owner = ownerReference(own);
    const desired = (bundle = caBundle()): DesiredConfiguration => ({
      webhooks: leaving ? [] : desiredNow(configuration, bundle),
      owner: owner.uid,
      enforcer: leaving ? 'tolerate' : (options.enforcer ?? 'tolerate'),
    });
    if (!isDue(kind, differenceOf(live, desired()))) return;
    // Whoever was cut off for a while may hold authorities that nobody uses any more, and must not publish them over the present ones. What
    // this replica wrote last, and has led since, it only repeats: a missing webhook does not wait for the Secret.
    const repeats = written.get(kind) === JSON.stringify(desired());
    const wanted = (repeats && options.leadership) || (await isCertificateInForce()) ? desired() : desired(publishedBundle());
    const difference = differenceOf(live, wanted);
    if (!difference) return;
    // Proving and reading take their time.
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

  /** As it was seen last, which no repair has to wait for. */
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
      throw error instanceof ApiError && error.status === 404 ? new NamespaceMissing() : error;
    }
  }

  /** False where nobody can tell: then the CAs that are published stay, and everything else is repaired. */
  async function isCertificateInForce(): Promise<boolean> {
    try {
      // By the system's clock in any case: it bounds an answer that is under way, also where a test lets time pass by hand.
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

  // Each configuration for itself: neither waits for the other to be written, nor for the pause after that.
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
      // Each for itself: where one cannot be read, the other is repaired all the same.
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
  // Its deletion must be heard within the 5 s after which the namespace controller takes our rights and our Pods away.
  const ownNamespace = createOwnInformer<Namespace>('/api/v1/namespaces', namespace, (object) =>
    object?.metadata.deletionTimestamp === undefined ? reconcileLoops.requeue() : reconcileLoops.now(),
  );
  const unsubscribeCertificates = certificates.onChange(reconcileLoops.requeue);
  const unsubscribeLeadership = options.leadership?.onChange(() => {
    // Another replica may have written since: what this one wrote is no measure any more.
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
 * Whether the API server may not take a certificate that is shown, or waits to be. The first of the authorities signs; what else there is the
 * leader publishes. Nobody takes away at once what another has published, so two that have different files do not write in turn.
 */
function lacksCa({ webhooks }: LiveConfiguration, { current }: CurrentCertificate): boolean {
  const [signing = ''] = (current().caBundle ?? '').split(/(?<=-----END CERTIFICATE-----\n)/);
  return (webhooks ?? []).filter(callsUs).some((entry) => !bundleOf(entry).includes(signing));
}

/** The entryPoints of the kind in entries whose rules a replica of ours wrote; undefined where there is none. */
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

/** Whether a replica of ours registered for OpenShift; undefined where no entry of ours is there. */
function registeredOpenshift(live: readonly LiveConfiguration[]): boolean | undefined {
  const entries = live.flatMap((each) => (each.webhooks ?? []).map(({ name }) => ({ each, name })));
  const written = (path: readonly string[]) => entries.some(({ each, name }) => isWrittenByUs(each, name, path));
  if (!written(['f:rules'])) return undefined;
  return written(['f:matchConditions', `k:{"name":"${platformCondition}"}`]);
}

/** With the namespace go its webhook configurations: a namespace deleted first would leave a cluster that asks nobody. */
function ownerReference({ metadata: { name, uid } }: Namespace) {
  if (uid === undefined) throw new Error(`the namespace ${name} has no uid`);
  return { apiVersion: 'v1', kind: 'Namespace', name, uid };
}

/** The namespace of regkeeper is gone, and takes the configurations along. */
class NamespaceMissing extends Error {}

/** Of the managers in a message of the API server about fields in conflict. */
function namesIn(message: string): string[] {
  return [...new Set([...message.matchAll(/conflicts? with "([^"]+)"/g)].map(([, name = '']) => name))];
}

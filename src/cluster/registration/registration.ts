/** Fills the two webhook configurations and repairs them: observe, compare with the desired state, write what is due. */

import type { ImmediateComponent } from '../../contracts/component.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { boundTo } from '../../kube/api-client.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import { kindsWithImages } from '../../object/kinds.ts';
import { systemClock } from '../../time/clock.ts';
import { createBundleToPublish } from './bundle-to-publish.ts';
import { desiredWebhooks, type WebhookEntry } from './desired.ts';
import { createDiscovery, type Discovery, type UnavailableApi } from './discovery.ts';
import { type Configuration, configurations } from './live-configuration.ts';
import { createObserved } from './observed.ts';
import type { RegistrationOptions } from './options.ts';
import { createProof } from './proof.ts';
import { registeredEntryPoints, registeredOpenshift } from './registered.ts';
import { createWriter, mayWrite } from './writer.ts';

export type Registration = ImmediateComponent & {
  /** APIs whose kinds are discovered, as `group/version`. */
  readonly apis: readonly string[];
  /** The APIs that do not answer at present. Their kinds stay registered as they are. */
  unavailable(): readonly UnavailableApi[];
  /** Kinds of the configurations that another writer keeps narrowing, and whose next repair is delayed. */
  narrowed(): readonly string[];
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
      void readinessLoop.stop();
      filling = keepFilled(options, discovery);
    },
    onFailure: (err) => log.error({ err }, 'cannot check readiness, so no webhooks are registered'),
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
      await Promise.all([readinessLoop.stop(), discovery.stop(), filling?.stop()]);
    },
  };
}

type Filling = { reconcileNow(): void; narrowed(): readonly string[]; stop(): Promise<void> };

/**
 * Each write changes the object and causes the next reconcile. If two releases of regkeeper were leaders at the same time, each would
 * revert the other's entries.
 */
const minIntervalMilliseconds = 250;

function keepFilled({ client, ...others }: RegistrationOptions, discovery: Discovery): Filling {
  const closing = new AbortController();
  const { signal } = closing;
  const options = { ...others, client: boundTo(signal, client) };
  const { certificates, ready, prove, log, clock = systemClock } = options;
  // Each configuration has its own loop, so neither waits for the writes or the backoff of the other.
  const loops = configurations.map((configuration) => ({
    configuration,
    loop: createReconcileLoop({
      reconcile: () => reconcile(configuration),
      onFailure: (err) => log.error({ err }, `cannot reconcile the webhook configurations: ${errorMessage(err)}. Retrying`),
      resyncMilliseconds: 60_000,
      minIntervalMilliseconds,
      clock,
    }),
  }));
  const requeue = () => loops.forEach(({ loop }) => void loop.requeue());
  const reconcileNow = () => loops.forEach(({ loop }) => void loop.reconcileNow());

  const observed = createObserved(options, {
    onConfiguration: (changed) => loops.find(({ configuration }) => configuration === changed)?.loop.requeue(),
    // The deletion must be noticed within the 5 s before the namespace controller removes our permissions and Pods.
    onNamespace: (namespace) => (namespace?.metadata.deletionTimestamp === undefined ? requeue() : reconcileNow()),
  });
  const live = () => observed.present().map((each) => each.live);
  const bundle = createBundleToPublish({ ...options, signal }, live, requeue);
  const proof = createProof(prove && ((mutating) => prove(mutating, signal)), clock, reconcileNow);
  const writer = createWriter(options, { observed, bundle, entries, onDue: reconcileNow, signal });

  async function reconcile(configuration: Configuration): Promise<'requeue' | undefined> {
    if (!ready()) return undefined;
    observed.reportMissing();
    const present = observed.present();
    proof.observe(live());
    // A follower also records since when a CA is no longer needed, because it may become the leader.
    bundle.desired();
    // Emptying the configurations cannot wait for the leader. All replicas write the same.
    if (!mayWrite(options, live()) && !observed.isLeaving()) return undefined;
    // While the namespace is being deleted, the configurations are only emptied. A proof would leave its entry behind.
    if (!observed.isLeaving()) {
      if (!discovery.queried) return undefined;
      const mutating = present.find((each) => each.configuration.entries === 'mutating');
      if (!(await proof.isProven(mutating?.live))) return undefined;
    }
    const found = present.find((each) => each.configuration === configuration);
    return found && (await writer.writeIfDue(found)) === 'failed' ? 'requeue' : undefined;
  }

  function entries(configuration: Configuration, caBundle: string): readonly WebhookEntry[] {
    const { namespace, service, excludedNamespaces = [], policy, guard } = options;
    return desiredWebhooks({
      namespace,
      service,
      caBundle,
      excludedNamespaces,
      policy,
      guard,
      kinds: discovery.kinds((kind) => registeredEntryPoints(live(), kind)),
      openshift: discovery.openshift(registeredOpenshift(live())),
    })[configuration.entries];
  }

  const unsubscribeCertificates = certificates.onChange(requeue);
  const unsubscribeLeadership = options.leadership?.onChange(() => {
    writer.forget();
    reconcileNow();
  });
  for (const { loop } of loops) loop.start();
  observed.start();
  return {
    reconcileNow,
    narrowed: writer.delayed,
    async stop() {
      unsubscribeCertificates();
      unsubscribeLeadership?.();
      closing.abort();
      await Promise.all(loops.map(({ loop }) => loop.stop()));
      bundle.close();
      proof.stop();
      writer.stop();
      await observed.stop();
    },
  };
}

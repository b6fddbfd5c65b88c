/** Whether `regkeeper deliver` is running: its Lease is renewed every few seconds, only while it can deliver. */
import type { Log } from '../../contracts/log.ts';
import type { DeliveryFacts } from '../../decision/facts.ts';
import { deliveryLease } from '../../delivery/names.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { createInformer, type Informer, type InformerEvent } from '../../kube/informer.ts';
import { durationOf, holderOf, type Lease } from '../../kube/lease.ts';
import { identityOf } from '../../kube/object-identity.ts';
import { type Clock, systemClock } from '../../time/clock.ts';

export type WatchedDelivery = {
  /** Watches the Lease as long as the rules have secrets with delivery. */
  follow(hasDelivery: boolean): void;
  /** `unknown` while the Lease is not watched, not read yet, or not permitted. */
  state(): DeliveryFacts;
  start(): void;
  stop(): Promise<void>;
};

export type DeliveryOptions = {
  readonly client: ApiClient;
  /** regkeeper's own namespace. */
  readonly namespace: string;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

export function createDeliveryFacts({ client, namespace, log, clock = systemClock }: DeliveryOptions): WatchedDelivery {
  let informer: Informer<Lease> | undefined;
  let followed = false;
  let started = false;
  /** When the Lease was last renewed, by the clocks of this process. Those of two nodes can differ by more than the Lease lasts. */
  let renewal: { readonly monotonic: number; readonly wall: number } | undefined;

  function onChange(event: InformerEvent<Lease>): void {
    if (event.type === 'deleted') return;
    const [lease] = event.items;
    if (!lease) return;
    // The Lease of a process that ended long ago must not count as new when it is first seen.
    const written = event.type === 'synced' ? Date.parse(lease.spec?.renewTime ?? '') : Number.NaN;
    const age = Number.isNaN(written) ? 0 : Math.max(0, clock.now() - written);
    renewal = { monotonic: clock.monotonic() - age, wall: clock.now() - age };
  }

  function watch(): void {
    if (!started || !followed || informer) return;
    informer = createInformer<Lease>({
      client,
      path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`,
      fieldSelector: `metadata.name=${deliveryLease}`,
      keep: (lease) => ({ metadata: identityOf(lease), ...(lease.spec && { spec: lease.spec }) }),
      onChange,
      log,
      clock,
    });
    informer.start();
  }

  async function end(): Promise<void> {
    const ended = informer;
    informer = undefined;
    renewal = undefined;
    await ended?.stop();
  }

  return {
    follow(hasDelivery) {
      followed = hasDelivery;
      if (hasDelivery) watch();
      else void end();
    },
    state() {
      if (!informer?.synced) return { kind: 'unknown' };
      const lease = informer.get(namespace, deliveryLease);
      if (!renewal) return { kind: 'stopped' };
      const isFresh = lease && holderOf(lease) !== '' && clock.monotonic() - renewal.monotonic <= durationOf(lease);
      return isFresh ? { kind: 'running' } : { kind: 'stopped', since: renewal.wall };
    },
    start() {
      started = true;
      watch();
    },
    stop() {
      started = false;
      return end();
    },
  };
}

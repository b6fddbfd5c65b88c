/**
 * Leader election by a Lease: the holder renews it, and another replica acquires it after it has seen it unchanged for its whole duration.
 * This prevents replicas from overwriting each other in turn. It does not protect against two leaders: every write must be a
 * compare-and-swap or idempotent. Clocks of two machines are never compared.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { ImmediateComponent } from '../contracts/component.ts';
import type { Log } from '../contracts/log.ts';
import { errorMessage } from '../errors/error-message.ts';
import { type Clock, suspendAwareClock } from '../time/clock.ts';
import { type ApiClient, ApiError } from './api-client.ts';
import { createLeaseRecord, durationOf, holderOf, isLostRace, type Lease, leaseDuration } from './lease.ts';

export type Leadership = {
  /** Whether this replica is the leader at this moment. */
  leads(): boolean;
  /** Calls `listener` after each change. Returns a function that removes the listener. */
  onChange(listener: () => void): () => void;
};

/** Its `stop` ends leadership and candidacy, and resolves when the Lease is released, or cannot be released. A second call waits for the first. */
export type LeaderElection = Leadership & ImmediateComponent;

export type LeaderElectionOptions = {
  readonly client: ApiClient;
  /** The namespace of the Lease. */
  readonly namespace: string;
  readonly name: string;
  /**
   * Whether this replica can do the leader's work. A replica that cannot is not a candidate. A leader that cannot for some time releases
   * the Lease. Called at each tick.
   */
  readonly able: () => boolean;
  /** What only the leader does, for messages: `manage the webhooks`. */
  readonly duty: string;
  readonly log: Log;
  /** Must differ from those of other replicas and from those of earlier runs. */
  readonly identity?: string | undefined;
  /**
   * Its monotonic time must include the time in which the machine is suspended. Otherwise a replica would still be the leader when it
   * resumes.
   */
  readonly clock?: Clock | undefined;
  /** At least 0, below 1. */
  readonly random?: (() => number) | undefined;
};

/**
 * A leader that has not renewed its Lease for this long stops being the leader. The difference to `leaseDuration` allows for clocks that
 * run at different speeds. Both are those of client-go. All times are in milliseconds.
 */
const renewDeadline = 10_000;
const renewAfter = 4_000;
const pollAfter = 2_000;
/** Leaves time for a second attempt before the deadline. */
const retryAfter = 1_000;
/** After the API server has reported missing permissions. */
const pollAfterForbidden = 10_000;
/** A random part of this is added to each interval, so that replicas do not act at the same time. */
const jitter = 1_000;
const tickInterval = 250;
/** How long a leader may be unable to work before it releases the Lease. */
const maxUnable = 15_000;
/** An API server that has just started forbids everything for a second or two, until it has read the roles. */
const forbiddenBeforeReport = 3;

export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, namespace, name, able, log, clock = suspendAwareClock, random = Math.random } = options;
  const { identity = `${hostname()}_${randomBytes(4).toString('hex')}` } = options;
  const { monotonic, schedule } = clock;
  const lease = `Lease ${namespace}/${name}`;
  const record = createLeaseRecord({ client, namespace, name, identity, clock });
  const troubleLog = createTroubleLog(options, lease);
  const listeners = new Set<() => void>();
  const closing = new AbortController();

  /** By the local monotonic clock: since when the Lease has been unchanged, and how long it then lasts if it is not renewed. */
  let observed: { readonly version: string; readonly at: number; readonly duration: number } | undefined;
  let leadsUntil = Number.NEGATIVE_INFINITY;
  let reportedLeading = false;
  let reportedHolder: string | undefined;
  let unableSince: number | undefined;
  let reconcileDue = Number.NEGATIVE_INFINITY;
  let reconciling: Promise<void> | undefined;
  let released: Promise<void> | undefined;
  let cancel = () => {};

  function leads(): boolean {
    return released === undefined && monotonic() < leadsUntil;
  }

  function tick(): void {
    cancel = schedule(tick, tickInterval);
    if (able()) {
      if (unableSince !== undefined) reconcileDue = monotonic();
      unableSince = undefined;
    } else unableSince ??= monotonic();
    reportLeading(`failed to renew ${lease} within ${renewDeadline / 1_000} s`);
    if (reconciling === undefined && monotonic() >= reconcileDue) reconciling = reconcileAndReport();
  }

  async function reconcileAndReport(): Promise<void> {
    let interval: number;
    try {
      await reconcile();
      troubleLog.recovered();
      interval = leads() ? renewAfter : pollAfter;
    } catch (error) {
      if (released === undefined) troubleLog.failing(error, leads());
      interval = leads() ? retryAfter : troubleLog.isForbidden() ? pollAfterForbidden : pollAfter;
    }
    reconcileDue = monotonic() + interval + random() * jitter;
    reconciling = undefined;
  }

  async function reconcile(): Promise<void> {
    for (let round = 1; ; round += 1) {
      const found = await record.read(closing.signal);
      if (found) observe(found);
      if (!isCandidate()) return found && handOver(found);
      try {
        if (mayAcquire(found)) return await acquire(found);
        if (!found) observe(await record.recreate(closing.signal));
        return;
      } catch (error) {
        if (!isLostRace(error) || round >= 2) throw error;
      }
    }
  }

  function observe(found: Lease): void {
    const version = `${found.metadata.uid} ${found.metadata.resourceVersion}`;
    // Counted from the response, not from the request, because the renewal was earlier.
    if (version !== observed?.version) observed = { version, at: monotonic(), duration: durationOf(found) };
    const holder = holderOf(found);
    if (holder === '' || holder === identity) return;
    if (holder !== reportedHolder) log.info({ lease }, `another replica is the leader: ${holder}`);
    reportedHolder = holder;
    leadsUntil = Number.NEGATIVE_INFINITY;
    reportLeading(`${lease} is held by ${holder}`);
  }

  function isCandidate(): boolean {
    return unableSince === undefined || (leads() && monotonic() - unableSince < maxUnable);
  }

  function mayAcquire(found: Lease | undefined): boolean {
    if (leads() || observed === undefined) return true;
    return found !== undefined && (holderOf(found) === identity || monotonic() - observed.at >= observed.duration);
  }

  async function acquire(found: Lease | undefined): Promise<void> {
    const sent = monotonic();
    observe(await record.hold(found, closing.signal));
    // Counted from the request, because other replicas see the Lease later.
    leadsUntil = sent + renewDeadline;
    reportLeading();
  }

  async function handOver(found: Lease): Promise<void> {
    if (holderOf(found) !== identity) return;
    leadsUntil = Number.NEGATIVE_INFINITY;
    reportLeading(`this replica has not been ready for ${maxUnable / 1_000} s`);
    await release(found);
  }

  async function release(found: Lease): Promise<void> {
    observe(await record.release(found));
    log.info({ lease }, `released ${lease}`);
  }

  async function releaseOnStop(): Promise<void> {
    // A write in progress may still succeed. The next read shows it.
    await reconciling;
    for (let round = 1; ; round += 1) {
      try {
        const found = await record.read();
        if (found && holderOf(found) === identity) await release(found);
        return;
      } catch (error) {
        if (isLostRace(error) && round < 3) continue;
        const heldFor = `If this replica still holds it, another replica can acquire it after ${leaseDuration / 1_000} s`;
        if (observed) log.warn({ err: error, lease }, `could not release ${lease}. ${heldFor}`);
        return;
      }
    }
  }

  /** `lossReason` is logged if this call is the first to notice that this replica has lost the leadership. */
  function reportLeading(lossReason = ''): void {
    if (leads() === reportedLeading) return;
    reportedLeading = !reportedLeading;
    if (reportedLeading) reportedHolder = undefined;
    if (reportedLeading) log.info({ lease, identity }, 'became the leader');
    else log[released ? 'info' : 'warn']({ lease, identity }, `no longer the leader: ${lossReason}`);
    for (const listener of [...listeners]) listener();
  }

  return {
    name: 'leader election',
    leads,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    start: tick,
    stop() {
      if (released) return released;
      cancel();
      closing.abort();
      released = releaseOnStop();
      reportLeading('shutting down');
      return released;
    },
  };
}

/** Logs the first of several equal failures in a row, and the recovery. */
function createTroubleLog({ log, namespace, name, duty }: LeaderElectionOptions, lease: string) {
  let trouble: string | undefined;
  let forbiddenCount = 0;
  const isForbidden = () => forbiddenCount >= forbiddenBeforeReport;
  return {
    /** Whether permissions are missing, which takes an administrator to correct. */
    isForbidden,
    recovered(): void {
      if (trouble !== undefined) log.info({}, `can access ${lease} again`);
      trouble = undefined;
      forbiddenCount = 0;
    },
    failing(error: unknown, leads: boolean): void {
      const message = errorMessage(error);
      const { status, reason } = error instanceof ApiError ? error : { status: 0, reason: message };
      const forbidden = status === 403 && !message.includes('is being terminated');
      forbiddenCount = forbidden ? forbiddenCount + 1 : 0;
      if (reason === trouble || (forbidden && !isForbidden())) return;
      trouble = reason;
      const fields = { err: error, lease };
      const report = `cannot acquire ${lease}: ${message}. This replica is not the leader and does not ${duty}`;
      if (forbidden) {
        log.error(
          fields,
          `${report}. Grant these permissions with a Role in namespace ${namespace}: apiGroups ["coordination.k8s.io"], ` +
            `resources ["leases"], verbs ["create"], and verbs ["get", "update"] with resourceNames ["${name}"]`,
        );
      } else if (leads) log.warn(fields, `could not renew ${lease}: ${message}. Retrying`);
      else log[status === 404 ? 'error' : 'warn'](fields, `${report}. Retrying`);
    },
  };
}

/**
 * Leader election by a Lease: the holder renews it, and another replica acquires it after it has seen it unchanged for its whole duration.
 * This prevents replicas from overwriting each other in turn. It does not protect against two leaders: every write must be a
 * compare-and-swap or idempotent. Clocks of two machines are never compared.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { ImmediateComponent } from '../contracts/component.ts';
import type { Log } from '../contracts/log.ts';
import { type Clock, suspendAwareClock } from '../time/clock.ts';
import { type ApiClient, ApiError, type ApiRequest, isNotFound, type KubeObject } from './api-client.ts';
import { errorMessage } from './explain-api-error.ts';

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

// As in client-go. The difference between the first two allows for clocks that run at different speeds.
/** A replica that has seen a Lease unchanged for this long acquires it. */
const LEASE_DURATION = 15_000;
/** A leader that has not renewed its Lease for this long stops being the leader. */
const RENEW_DEADLINE = 10_000;

const RENEW_AFTER = 4_000;
const POLL_AFTER = 2_000;
/** Leaves time for a second attempt before the deadline. */
const RETRY_AFTER = 1_000;
/** After the API server has reported missing permissions. */
const POLL_AFTER_FORBIDDEN = 10_000;
/** A random part of this is added to each interval, so that replicas do not act at the same time. */
const JITTER = 1_000;
const REQUEST_TIMEOUT = 3_000;
const TICK = 250;
/** How long a leader may be unable to work before it releases the Lease. */
const MAX_UNABLE = 15_000;
/** Longer than any release of regkeeper requests. A manual edit must not block the election for ever. */
const MAX_LEASE_DURATION = 30_000;
/**
 * The duration of a Lease that its holder released, as client-go writes it. Where a manual edit removed the holder, the full duration
 * applies, because that holder does not know yet.
 */
const RELEASED_SECONDS = 1;
/** An API server that has just started forbids everything for a second or two, until it has read the roles. */
const FORBIDDEN_BEFORE_REPORT = 3;
/** The API server stores an int32. */
const MAX_TRANSITIONS = 2 ** 31 - 1;

type LeaseSpec = {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  /** RFC 3339 with microseconds, like `renewTime`. */
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
};

export type Lease = KubeObject & { readonly spec?: LeaseSpec | null };

export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, namespace, name, able, log, clock = suspendAwareClock, random = Math.random } = options;
  const { identity = `${hostname()}_${randomBytes(4).toString('hex')}` } = options;
  const { monotonic, schedule } = clock;
  const lease = `Lease ${namespace}/${name}`;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const leasePath = `${collection}/${name}`;
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
  let trouble: string | undefined;
  let forbiddenCount = 0;
  let cancel = () => {};

  function leads(): boolean {
    return released === undefined && monotonic() < leadsUntil;
  }

  function tick(): void {
    cancel = schedule(tick, TICK);
    if (able()) {
      if (unableSince !== undefined) reconcileDue = monotonic();
      unableSince = undefined;
    } else unableSince ??= monotonic();
    reportLeading(`the ${lease} could not be renewed for ${RENEW_DEADLINE / 1_000} seconds`);
    if (reconciling === undefined && monotonic() >= reconcileDue) reconciling = reconcileAndReport();
  }

  async function reconcileAndReport(): Promise<void> {
    try {
      await reconcile();
      if (trouble !== undefined) log.info({}, `the ${lease} can be had again`);
      trouble = undefined;
      forbiddenCount = 0;
      reconcileDue = monotonic() + (leads() ? RENEW_AFTER : POLL_AFTER) + random() * JITTER;
    } catch (error) {
      if (released === undefined) reportTrouble(error);
      reconcileDue =
        monotonic() +
        (leads() ? RETRY_AFTER : forbiddenCount >= FORBIDDEN_BEFORE_REPORT ? POLL_AFTER_FORBIDDEN : POLL_AFTER) +
        random() * JITTER;
    }
    reconciling = undefined;
  }

  async function reconcile(): Promise<void> {
    for (let round = 1; ; round += 1) {
      const found = await read(closing.signal);
      if (found) observe(found);
      if (!isCandidate()) return found && handOver(found);
      try {
        if (mayAcquire(found)) return await acquire(found);
        return found ? undefined : await recreate();
      } catch (error) {
        if (!isLostRace(error) || round >= 2) throw error;
      }
    }
  }

  async function read(signal?: AbortSignal): Promise<Lease | undefined> {
    try {
      return await send({ method: 'GET', path: leasePath, signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  function observe(found: Lease): void {
    const version = `${found.metadata.uid} ${found.metadata.resourceVersion}`;
    // Counted from the response, not from the request, because the renewal was earlier.
    if (version !== observed?.version) observed = { version, at: monotonic(), duration: durationOf(found) };
    const holder = holderOf(found);
    if (holder === '' || holder === identity) return;
    if (holder !== reportedHolder) log.info({ lease }, `another replica leads: ${holder}`);
    reportedHolder = holder;
    leadsUntil = Number.NEGATIVE_INFINITY;
    reportLeading(`the ${lease} has another holder, ${holder}`);
  }

  function isCandidate(): boolean {
    return unableSince === undefined || (leads() && monotonic() - unableSince < MAX_UNABLE);
  }

  function mayAcquire(found: Lease | undefined): boolean {
    if (leads() || observed === undefined) return true;
    return found !== undefined && (holderOf(found) === identity || monotonic() - observed.at >= observed.duration);
  }

  async function acquire(found: Lease | undefined): Promise<void> {
    const sent = monotonic();
    const spec = specOf(found?.spec ?? {});
    const acquired =
      found === undefined
        ? await send({ method: 'POST', path: collection, signal: closing.signal, body: newLease(spec) })
        : // With its resourceVersion this is a compare-and-swap. With its uid, a Lease that was deleted meanwhile is not recreated.
          await send({ method: 'PUT', path: leasePath, signal: closing.signal, body: { ...found, spec } });
    observe(acquired);
    // Counted from the request, because other replicas see the Lease later.
    leadsUntil = sent + RENEW_DEADLINE;
    reportLeading();
  }

  /**
   * Recreates a Lease that was deleted. The leader may not know yet, and the time of the deletion is unknown. So the new Lease has no
   * holder, and lasts as long as if it had one.
   */
  async function recreate(): Promise<void> {
    const spec = { holderIdentity: '', leaseDurationSeconds: LEASE_DURATION / 1_000, renewTime: microTime(clock.now()) };
    observe(await send({ method: 'POST', path: collection, signal: closing.signal, body: newLease(spec) }));
  }

  function specOf({ holderIdentity, acquireTime, leaseTransitions, ...others }: LeaseSpec): LeaseSpec {
    const mine = holderIdentity === identity;
    const transitions = Math.min(leaseTransitions ?? -1, MAX_TRANSITIONS - 1);
    return {
      ...others,
      holderIdentity: identity,
      leaseDurationSeconds: LEASE_DURATION / 1_000,
      acquireTime: (mine && acquireTime) || microTime(clock.now()),
      renewTime: microTime(clock.now()),
      leaseTransitions: mine ? (leaseTransitions ?? 0) : transitions + 1,
    };
  }

  function newLease(spec: LeaseSpec): Lease {
    const labels = { 'app.kubernetes.io/name': 'regkeeper' };
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace, labels }, spec };
  }

  async function handOver(found: Lease): Promise<void> {
    if (holderOf(found) !== identity) return;
    leadsUntil = Number.NEGATIVE_INFINITY;
    reportLeading(`this replica has not been ready for ${MAX_UNABLE / 1_000} seconds`);
    await release(found);
  }

  async function release(found: Lease): Promise<void> {
    const spec = { ...found.spec, holderIdentity: '', leaseDurationSeconds: RELEASED_SECONDS, renewTime: microTime(clock.now()) };
    observe(await send({ method: 'PUT', path: leasePath, body: { ...found, spec } }));
    log.info({ lease }, `the ${lease} is free for another replica`);
  }

  async function releaseOnStop(): Promise<void> {
    // A write in progress may still succeed. The next read shows it.
    await reconciling;
    for (let round = 1; ; round += 1) {
      try {
        const found = await read();
        if (found && holderOf(found) === identity) await release(found);
        return;
      } catch (error) {
        if (isLostRace(error) && round < 3) continue;
        const fields = { err: error, lease };
        if (observed)
          log.warn(
            fields,
            `the ${lease} could not be looked at or freed; if it is held, another replica takes it over after ${LEASE_DURATION / 1_000} seconds`,
          );
        return;
      }
    }
  }

  async function send(request: ApiRequest): Promise<Lease> {
    const answer = await client.request<Lease | undefined>({ ...request, timeoutMilliseconds: REQUEST_TIMEOUT });
    if (typeof answer?.metadata?.resourceVersion === 'string') return answer;
    throw new ApiError(0, 'Unreadable', `${request.method} ${request.path}: the answer is no Lease`);
  }

  /** `lossReason` is logged if this call is the first to notice that this replica has lost the leadership. */
  function reportLeading(lossReason = ''): void {
    if (leads() === reportedLeading) return;
    reportedLeading = !reportedLeading;
    if (reportedLeading) reportedHolder = undefined;
    if (reportedLeading) log.info({ lease, identity }, 'leading');
    else log[released ? 'info' : 'warn']({ lease, identity }, `not leading any more: ${lossReason}`);
    for (const listener of [...listeners]) listener();
  }

  function reportTrouble(error: unknown): void {
    const message = errorMessage(error);
    const { status, reason } = error instanceof ApiError ? error : { status: 0, reason: message };
    const isForbidden = status === 403 && !message.includes('is being terminated');
    forbiddenCount = isForbidden ? forbiddenCount + 1 : 0;
    if (reason === trouble || (isForbidden && forbiddenCount < FORBIDDEN_BEFORE_REPORT)) return;
    trouble = reason;
    const consequence = `the ${lease} cannot be had, so this replica does not lead, and registers and repairs nothing`;
    if (isForbidden) {
      log.error(
        { err: error, lease },
        `${consequence}: a Role in the namespace ${namespace} must grant apiGroups ["coordination.k8s.io"], resources ["leases"], ` +
          `verbs ["create"], and verbs ["get", "update"] with resourceNames ["${name}"] (${message})`,
      );
    } else if (leads()) log.warn({ err: error, lease }, `the ${lease} could not be renewed: ${message}; trying again`);
    else log[status === 404 ? 'error' : 'warn']({ err: error, lease }, `${consequence}: ${message}; trying again`);
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
      reportLeading('this replica ends');
      return released;
    },
  };
}

function holderOf({ spec }: Lease): string {
  return spec?.holderIdentity ?? '';
}

function durationOf(found: Lease): number {
  const seconds = found.spec?.leaseDurationSeconds ?? 0;
  if (holderOf(found) === '' && seconds === RELEASED_SECONDS) return 0;
  return Math.max(LEASE_DURATION, Math.min(seconds * 1_000, MAX_LEASE_DURATION));
}

/** The API server accepts microseconds only with all six digits. */
function microTime(time: number): string {
  return new Date(time).toISOString().replace('Z', '000Z');
}

/** 409: the Lease changed, or already exists. 404: it was deleted after it was read. */
function isLostRace(error: unknown): boolean {
  return isNotFound(error) || (error instanceof ApiError && error.status === 409);
}

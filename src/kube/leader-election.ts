/**
 * Which replica writes what all of them need written, by a Lease: who holds it renews it, and whoever has seen it unchanged for as long as it
 * lasts takes it. That keeps replicas from writing in turn; that a wrong leader harms nothing is the matter of what is written, which is
 * compare-and-swap or always the same. Nothing depends on what time it is: two machines' clocks are never compared.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Clock, suspendAwareClock } from '../time/clock.ts';
import { type ApiClient, ApiError, type ApiRequest, type KubeObject, type Log } from './api-client.ts';
import { errorMessage } from './explain-api-error.ts';

export type Leadership = {
  /** Whether this replica leads at this moment. */
  leads(): boolean;
  /** Calls `listener` when that has changed; returns what takes the listener away. */
  onChange(listener: () => void): () => void;
};

export type LeaderElection = Leadership & {
  readonly name: string;
  start(): void;
  /** Leads and stands no more from now on; resolves when the Lease is free for the next, or cannot be freed. A second call waits for the first. */
  stop(): Promise<void>;
};

export type LeaderElectionOptions = {
  readonly client: ApiClient;
  /** Of the Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Whether this replica can do a leader's work. One that cannot does not stand, and hands over when that lasts. Asked again and again. */
  readonly able: () => boolean;
  readonly log: Log;
  /** No other replica's, nor an earlier run's of this one. */
  readonly identity?: string | undefined;
  /** Its monotonic time must go on while the machine is suspended, or a replica would wake up as the leader that it was. */
  readonly clock?: Clock | undefined;
  /** At least 0, below 1. */
  readonly random?: (() => number) | undefined;
};

// As client-go has them. What separates the first two is for clocks that go at different speeds.
/** Who has seen a Lease unchanged for so long takes it. */
const LEASE_DURATION = 15_000;
/** Who has not renewed its Lease for so long leads no more. */
const RENEW_DEADLINE = 10_000;

const RENEW_AFTER = 4_000;
const POLL_AFTER = 2_000;
/** The deadline leaves room for a second try. */
const RETRY_AFTER = 1_000;
/** Once it was told that a right is missing. */
const POLL_AFTER_FORBIDDEN = 10_000;
/** Added by chance to each of these, so that replicas do not keep step. */
const JITTER = 1_000;
const REQUEST_TIMEOUT = 3_000;
const TICK = 250;
/** How long a leader may be unable before it hands over. */
const MAX_UNABLE = 15_000;
/** Longer than any release of ours asks for; what a hand wrote must not keep everybody waiting for ever. */
const MAX_LEASE_DURATION = 30_000;
/** What a Lease lasts that its holder gave back, as client-go writes it. One whose holder a hand took out lasts longer: that holder does not know yet. */
const RELEASED_SECONDS = 1;
/** An API server that has just started refuses everybody for a second or two, until it has read the roles. */
const FORBIDDEN_BEFORE_REPORT = 3;
/** The API server keeps an int32. */
const MAX_TRANSITIONS = 2 ** 31 - 1;

type LeaseSpec = {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  /** RFC 3339 with microseconds, as the next. */
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

  /** By our clock: from when the Lease is as it was seen last, and how long it then lasts without its holder. */
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
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  function observe(found: Lease): void {
    const version = `${found.metadata.uid} ${found.metadata.resourceVersion}`;
    // From when the answer is here, not from when it was asked for: whoever renewed did so before.
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
        : // The resourceVersion that came with it makes this a compare-and-swap; with the uid a Lease deleted meanwhile is not made anew.
          await send({ method: 'PUT', path: leasePath, signal: closing.signal, body: { ...found, spec } });
    observe(acquired);
    // From when it was asked for: whoever sees it saw it later.
    leadsUntil = sent + RENEW_DEADLINE;
    reportLeading();
  }

  /**
   * A Lease that somebody deleted: whoever leads does not know yet, and since when it is gone nobody can say. It is made without a holder, and
   * lasts as if it had one.
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
    // What is under way may have arrived all the same: the next read tells.
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

  /** `lost` is the reason, should this be the moment at which it is noticed that this replica leads no more. */
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

/** The API server takes microseconds with all their digits only. */
function microTime(time: number): string {
  return new Date(time).toISOString().replace('Z', '000Z');
}

/** 409: it changed, or it is there by now; 404: it was deleted after it had been read. */
function isLostRace(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 409 || error.status === 404);
}

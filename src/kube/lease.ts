/** The Lease in which replicas record who is the leader. Each write is a compare-and-swap, so the first of two writers wins. */
import type { Clock } from '../time/clock.ts';
import { type ApiClient, ApiError, type ApiRequest, isNotFound, type KubeObject } from './api-client.ts';

type LeaseSpec = {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  /** RFC 3339 with microseconds, like `renewTime`. */
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
};

export type Lease = KubeObject & { readonly spec?: LeaseSpec | null };

export type LeaseRecord = {
  /** Undefined if there is no Lease. */
  read(signal?: AbortSignal): Promise<Lease | undefined>;
  /** Makes this replica the holder, or renews it. Creates the Lease if none was found. */
  hold(found: Lease | undefined, signal: AbortSignal): Promise<Lease>;
  /**
   * Recreates a Lease that was deleted. The leader may not know yet, and the time of the deletion is unknown. So the new Lease has no
   * holder, and lasts as long as if it had one.
   */
  recreate(signal: AbortSignal): Promise<Lease>;
  release(found: Lease): Promise<Lease>;
};

export type LeaseRecordOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly clock: Pick<Clock, 'now'>;
};

/** A replica that has seen a Lease unchanged for this long, in milliseconds, acquires it. */
export const leaseDuration = 15_000;
/** Longer than regkeeper ever requests, in milliseconds. A manual edit must not block the election for ever. */
const maxLeaseDuration = 30_000;
const requestTimeout = 3_000;
/**
 * The duration of a Lease that its holder released, as client-go writes it. Where a manual edit removed the holder, the full duration
 * applies, because that holder does not know yet.
 */
const releasedSeconds = 1;
/** The API server stores an int32. */
const maxTransitions = 2 ** 31 - 1;

export function createLeaseRecord({ client, namespace, name, identity, clock }: LeaseRecordOptions): LeaseRecord {
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const path = `${collection}/${name}`;
  const now = () => microTime(clock.now());

  async function send(request: ApiRequest): Promise<Lease> {
    const answer = await client.request<Lease | undefined>({ ...request, timeoutMilliseconds: requestTimeout });
    if (typeof answer?.metadata?.resourceVersion === 'string') return answer;
    throw new ApiError(0, 'Unreadable', `${request.method} ${request.path}: the response is not a Lease`);
  }

  /** With the resourceVersion this is a compare-and-swap. With the uid, a Lease that was deleted meanwhile is not recreated. */
  function replace(found: Lease, spec: LeaseSpec, signal?: AbortSignal): Promise<Lease> {
    return send({ method: 'PUT', path, signal, body: { ...found, spec } });
  }

  function create(spec: LeaseSpec, signal: AbortSignal): Promise<Lease> {
    const metadata = { name, namespace, labels: { 'app.kubernetes.io/name': 'regkeeper' } };
    const body: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    return send({ method: 'POST', path: collection, signal, body });
  }

  function heldBySelf({ holderIdentity, acquireTime, leaseTransitions, ...others }: LeaseSpec): LeaseSpec {
    const mine = holderIdentity === identity;
    const transitions = Math.min(leaseTransitions ?? -1, maxTransitions - 1);
    return {
      ...others,
      holderIdentity: identity,
      leaseDurationSeconds: leaseDuration / 1_000,
      acquireTime: (mine && acquireTime) || now(),
      renewTime: now(),
      leaseTransitions: mine ? (leaseTransitions ?? 0) : transitions + 1,
    };
  }

  return {
    async read(signal) {
      try {
        return await send({ method: 'GET', path, signal });
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    hold: (found, signal) => (found ? replace(found, heldBySelf(found.spec ?? {}), signal) : create(heldBySelf({}), signal)),
    recreate: (signal) => create({ holderIdentity: '', leaseDurationSeconds: leaseDuration / 1_000, renewTime: now() }, signal),
    release: (found) => replace(found, { ...found.spec, holderIdentity: '', leaseDurationSeconds: releasedSeconds, renewTime: now() }),
  };
}

/** Empty if there is no holder. */
export function holderOf({ spec }: Lease): string {
  return spec?.holderIdentity ?? '';
}

/** How long the Lease is valid after it was last seen to change, in milliseconds. */
export function durationOf(found: Lease): number {
  const seconds = found.spec?.leaseDurationSeconds ?? 0;
  if (holderOf(found) === '' && seconds === releasedSeconds) return 0;
  return Math.max(leaseDuration, Math.min(seconds * 1_000, maxLeaseDuration));
}

/** Whether another replica wrote first. 409: the Lease changed, or already exists. 404: it was deleted after it was read. */
export function isLostRace(error: unknown): boolean {
  return isNotFound(error) || (error instanceof ApiError && error.status === 409);
}

/** The API server accepts microseconds only with all six digits. */
function microTime(time: number): string {
  return new Date(time).toISOString().replace('Z', '000Z');
}

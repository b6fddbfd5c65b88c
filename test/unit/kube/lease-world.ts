/** A simulation of replicas that compete for one Lease, with clocks and network faults. */
import { setImmediate } from 'node:timers/promises';
import { type ApiClient, ApiError, type ApiRequest } from '../../../src/kube/api-client.ts';
import { createLeaderElection, type LeaderElection } from '../../../src/kube/leader-election.ts';
import type { Lease } from '../../../src/kube/lease.ts';
import { recordingLog } from './scripted-api.ts';

/** How the network treats a replica's requests from now on. A request that is lost or late may still take effect, even long afterwards. */
export type Network = 'whole' | 'cut' | 'answers lost' | 'slow' | 'late' | 'failing' | 'forbidden';

export type Replica = {
  readonly name: string;
  readonly identity: string;
  readonly leader: LeaderElection;
  readonly log: ReturnType<typeof recordingLog>;
  network: Network;
  able: boolean;
  /** By how many milliseconds its wall clock is ahead. */
  ahead: number;
  /** The time of the simulation until which the replica is suspended. */
  stalledUntil: number;
  killed: boolean;
  /** Whether it has read a Lease yet. */
  hasSeen: boolean;
};

const place = '/apis/coordination.k8s.io/v1/namespaces/regkeeper/leases';

/**
 * One Lease on an API server, and replicas that are candidates. Time is a number that advances from one event to the next. After each
 * event the leaders are counted.
 */
export function leaseWorld(random: () => number = () => 0.5) {
  let time = 0;
  let version = 0;
  let lease: Lease | undefined;
  const events: { readonly at: number; readonly work: () => void }[] = [];
  const replicas: Replica[] = [];
  const overlaps = new Set<string>();
  const requests: string[] = [];

  const at = (moment: number, work: () => void) => {
    const event = { at: moment, work };
    const index = events.findIndex((each) => each.at > moment);
    if (index === -1) events.push(event);
    else events.splice(index, 0, event);
  };
  const leading = () => replicas.filter((each) => !each.killed && each.leader.leads()).map(({ name }) => name);
  const inspect = () => {
    const now = leading();
    if (now.length > 1) overlaps.add(`${now.join(' and ')} lead at ${(time / 1_000).toFixed(1)} s`);
  };

  const store = (next: Lease) => {
    version += 1;
    const metadata = { uid: lease?.metadata.uid ?? `uid-${version}`, ...next.metadata, resourceVersion: String(version) };
    lease = structuredClone({ ...next, metadata });
    return structuredClone(lease);
  };
  const answer = ({ method, path, body }: ApiRequest): Lease => {
    requests.push(method);
    const failNext = (status: number, reason: string) => new ApiError(status, reason, `${method} ${path}: ${reason} (${status})`);
    const sent = body as Lease;
    if (method === 'GET') {
      if (!lease) throw failNext(404, 'NotFound');
      return structuredClone(lease);
    }
    if (method === 'POST') {
      if (lease) throw failNext(409, 'AlreadyExists');
      return store(sent);
    }
    const { uid, resourceVersion } = sent.metadata;
    if (!lease || lease.metadata.uid !== uid || lease.metadata.resourceVersion !== resourceVersion) throw failNext(409, 'Conflict');
    return store(sent);
  };
  const send = (replica: Replica, request: ApiRequest) =>
    new Promise<unknown>((resolve, reject) => {
      const { network } = replica;
      const [there, back] = travelTimes(network, random);
      const settle = (work: () => void) => (replica.killed ? undefined : whenAwake(replica, work));
      const fail = (status: number, reason: string) =>
        reject(new ApiError(status, reason, `${request.method} ${request.path}: ${reason} (${status})`));
      if (request.signal?.aborted) return reject(request.signal.reason);
      request.signal?.addEventListener('abort', () => reject(request.signal?.reason));
      const timeout = time + (request.timeoutMilliseconds ?? 30_000);
      at(timeout, () => settle(() => fail(0, 'Timeout')));
      if (network === 'cut') return;
      if (network === 'failing') at(time + there, () => settle(() => fail(500, 'InternalError')));
      else if (network === 'forbidden') at(time + there, () => settle(() => fail(403, 'Forbidden')));
      else
        at(time + there, () => {
          let result: Lease;
          try {
            result = answer(request);
          } catch (error) {
            at(time + back, () => settle(() => reject(error)));
            return;
          }
          if (network === 'answers lost') return;
          at(time + back, () =>
            settle(() => {
              replica.hasSeen ||= time < timeout;
              resolve(result);
            }),
          );
        });
    });
  const whenAwake = (replica: Replica, work: () => void) => {
    if (replica.stalledUntil > time) at(replica.stalledUntil, () => whenAwake(replica, work));
    else if (!replica.killed) work();
  };
  const timer = (replica: Replica, work: () => void, milliseconds: number) => {
    let wanted = true;
    at(time + milliseconds, () => whenAwake(replica, () => wanted && work()));
    return () => {
      wanted = false;
    };
  };

  const start = (name: string, { rate = 1, able = true } = {}) => {
    const log = recordingLog();
    const born = random() * 1e9;
    const identity = `${name}_${replicas.length}`;
    const replica: Replica = {
      ...{ name, identity, log, able, network: 'whole', ahead: 0, stalledUntil: 0, killed: false, hasSeen: false },
      leader: undefined as unknown as LeaderElection,
    };
    replicas.push(replica);
    const leader = createLeaderElection({
      client: { request: (request: ApiRequest) => send(replica, request) } as ApiClient,
      namespace: 'regkeeper',
      name: 'regkeeper',
      able: () => replica.able,
      duty: 'manage the webhooks',
      log,
      identity,
      clock: {
        now: () => Date.parse('2026-01-01T00:00:00Z') + time + replica.ahead,
        monotonic: () => born + time * rate,
        schedule: (work, milliseconds) => timer(replica, work, milliseconds / rate),
      },
      random,
    });
    Object.assign(replica, { leader });
    leader.start();
    return replica;
  };

  return {
    replicas,
    overlaps,
    requests,
    leading,
    start,
    time: () => time,
    lease: () => lease,
    /** A manual edit, as with kubectl. Undefined deletes. */
    edit(change: (now: Lease) => Lease | undefined) {
      if (!lease) return;
      const next = change(lease);
      if (next) store(next);
      else lease = undefined;
    },
    putLease: (spec: Lease['spec']) => void store({ metadata: { name: 'regkeeper' }, ...(spec === undefined ? {} : { spec }) }),
    kill(replica: Replica) {
      replica.killed = true;
    },
    messages: ({ log }: Replica) => log.lines.map(({ message }) => message),
    async pass(seconds: number) {
      const end = time + seconds * 1_000;
      await setImmediate();
      for (let event = events[0]; event && event.at <= end; event = events[0]) {
        events.shift();
        time = Math.max(time, event.at);
        event.work();
        await setImmediate();
        inspect();
      }
      time = end;
      inspect();
    },
    /** Advances the time until the condition is true. Returns the seconds that took. */
    async until(isHolder: () => boolean, atMost = 120): Promise<number> {
      const begin = time;
      while (!isHolder()) {
        if (time - begin > atMost * 1_000) throw new Error(`not within ${atMost} s`);
        await this.pass(0.1);
      }
      return (time - begin) / 1_000;
    },
    place,
  };
}

export type World = ReturnType<typeof leaseWorld>;

function travelTimes(network: Network, random: () => number): [there: number, back: number] {
  const longest = { slow: 2_500, late: 60_000 }[network as string] ?? 50;
  return [random() * longest, random() * longest];
}

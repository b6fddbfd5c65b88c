/** Tests several replicas that renew the certificate and publish its CAs at the same time. */
import { X509Certificate } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CertificateSource } from '../../../src/certificates/source.ts';
import { manageCertificateSecret } from '../../../src/certificates/sources/secret.ts';
import type { WebhookEntry } from '../../../src/cluster/registration/desired.ts';
import { createRegistration } from '../../../src/cluster/registration/registration.ts';
import { type ApiClient, ApiError, type KubeObject, type Query } from '../../../src/kube/api-client.ts';
import { createLeaderElection } from '../../../src/kube/leader-election.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { runs } from '../../property.ts';
import { handClock, memoryApi } from '../kube/memory-api.ts';
import { recordingLog } from '../kube/scripted-api.ts';

// With leader election and without, after any disturbance: no replica serves a certificate that the published bundle does not trust, and
// no two replicas keep reverting each other's writes.

const day = 24 * 60 * 60 * 1000;
const installed = Date.parse('2026-01-01T00:00:00Z');
const secretPath = '/api/v1/namespaces/regkeeper/secrets/regkeeper-tls';
const configurations = ['mutating', 'validating'].map(
  (kind) => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/regkeeper`,
);
const place = { namespace: 'regkeeper', service: 'regkeeper' };

type Network = 'whole' | 'cut' | 'answers lost' | 'slow' | 'secrets refused';
type Replica = {
  readonly name: string;
  network: Network;
  /** By how many milliseconds its clock is ahead. */
  ahead: number;
  source: CertificateSource | undefined;
  leads(): boolean;
  passTime(): void;
  end(): Promise<void>;
};

type Who = 'all are leaders' | 'one is the leader, by a Lease';

/** Replicas on one API server, whose clock is right. Nothing runs by itself: the test advances the time. */
async function cluster(count: number, who: Who) {
  const labels = { 'regkeeper.io/certificate': 'self' };
  const api = memoryApi({
    '/api/v1/namespaces/regkeeper': { metadata: { name: 'regkeeper' } },
    [secretPath]: { metadata: { namespace: 'regkeeper', name: 'regkeeper-tls', labels } },
    ...Object.fromEntries(configurations.map((path) => [path, { metadata: { name: 'regkeeper' }, webhooks: [] } as KubeObject])),
  });
  const log = recordingLog();
  const replicas: Replica[] = [];
  const violations = new Set<string>();
  const written: string[] = [];
  let time = installed;

  const bundles = () =>
    configurations.map((path) => {
      const [entry] = (api.get(path) as { webhooks?: WebhookEntry[] } | undefined)?.webhooks ?? [];
      const { caBundle = '' } = (entry?.clientConfig ?? {}) as { caBundle?: string };
      return Buffer.from(caBundle, 'base64').toString();
    });
  /** Called after each write and after each change of a served certificate. */
  const inspect = () => {
    for (const bundle of bundles()) {
      if (bundle === '') continue;
      for (const { name, source } of replicas) {
        const shown = source?.current().certificate;
        if (shown === undefined || certificateOf(shown).validTo.getTime() <= time) continue;
        if (!isTrusted(shown, bundle, time)) violations.add(`${name} shows what the published bundle does not trust`);
      }
    }
  };
  const clientOf = (replica: Replica): ApiClient => {
    const isRejected = (path: string) => replica.network === 'cut' || (replica.network === 'secrets refused' && path.includes('/secrets'));
    const through = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
      const unreachable = () => new ApiError(0, 'Unreachable', `${replica.name} is cut off`);
      if (replica.network === 'slow') for (let turn = 0; turn < 7; turn += 1) await setImmediate();
      if (isRejected(path)) throw unreachable();
      const result = await work();
      inspect();
      if (replica.network === 'answers lost' || isRejected(path)) throw unreachable();
      return result;
    };
    return {
      ...api.client,
      serverTime: () => time,
      request: (request) => through(request.path, () => api.client.request(request)),
      get: (path, query) => through(path, () => api.client.get(path, query)),
      list: (path, query, options) => through(path, () => api.client.list(path, query, options)),
      create: (path, body) => through(path, () => api.client.create(path, body)),
      replace: <T>(path: string, body: T) =>
        through(path, async () => {
          const replaced = await api.client.replace(path, body);
          if (path === secretPath) written.push(replica.name);
          return replaced;
        }),
      patchApply: (path, body, options) => through(path, () => api.client.patchApply(path, body, options)),
      watch: <T extends KubeObject>(path: string, query: Query, signal: AbortSignal) => {
        if (isRejected(path)) throw new ApiError(0, 'Unreachable', `${replica.name} is cut off`);
        const cut = new AbortController();
        cuts.set(replica, [...(cuts.get(replica) ?? []), cut]);
        return api.client.watch<T>(path, query, AbortSignal.any([signal, cut.signal]));
      },
    };
  };
  const cuts = new Map<Replica, AbortController[]>();

  const start = async (replica: Replica) => {
    // Failed watches are retried when the test advances the time, like everything here.
    const timers = handClock();
    const clock = { ...timers.clock, now: () => time + replica.ahead };
    const client = clientOf(replica);
    // Its timers are short, and run once each time the test advances the time.
    const ticks = handClock(0);
    const leader =
      who === 'all are leaders'
        ? undefined
        : createLeaderElection({
            ...{
              client,
              namespace: 'regkeeper',
              name: 'regkeeper',
              identity: `${replica.name} of ${time}`,
              able: () => replica.source !== undefined,
            },
            ...{ duty: 'write', log: recordingLog(), clock: { ...clock, monotonic: () => time, schedule: ticks.schedule } },
          });
    leader?.start();
    const common = { client, ...place, leadership: leader, log, clock, watchTimings: { stallAfter: Number.MAX_SAFE_INTEGER } };
    const source = await manageCertificateSecret({ ...common, secretName: 'regkeeper-tls' });
    replica.source = source;
    replica.leads = () => leader?.leads() ?? true;
    source.onChange(inspect);
    const kinds = kindsWithImages.slice(0, 1);
    const registration = createRegistration({ ...common, kinds, guard: false, certificates: source, ready: () => true, prove: undefined });
    registration.start();
    replica.passTime = () => {
      ticks.passTime();
      timers.passTime();
    };
    replica.end = async () => {
      await leader?.stop();
      if (replica.source === source) replica.source = undefined;
      source.close();
      await registration.stop();
    };
    inspect();
  };

  /** Waits until there are no more requests. */
  const quiet = async () => {
    const begin = api.calls.length;
    let [still, calls] = [0, begin];
    for (let turn = 0; still < 20; turn += 1) {
      if (turn === 20_000) throw new Error(`no rest after ${calls - begin} calls; the Secret was written ${written.length} times`);
      await setImmediate();
      still = api.calls.length === calls ? still + 1 : 0;
      calls = api.calls.length;
    }
    inspect();
  };
  const tick = async () => {
    for (const { passTime } of replicas) passTime();
    await quiet();
  };

  for (let index = 0; index < count; index += 1)
    replicas.push({
      ...{ name: `replica ${index + 1}`, network: 'whole', ahead: 0, source: undefined },
      ...{ leads: () => false, passTime: () => {}, end: async () => {} },
    });
  onTestFinished(async () => {
    await Promise.all(replicas.map((replica) => replica.end()));
  });
  await Promise.all(replicas.map(start));
  await quiet();
  return {
    replicas,
    log,
    violations,
    written,
    api,
    async later(days: number) {
      time += days * day;
      // Once so that the watches resume, and once for their events.
      await tick();
      await tick();
    },
    setNetwork(replica: Replica | undefined, network: Network) {
      if (!replica) return;
      replica.network = network;
      if (network !== 'cut' && network !== 'secrets refused') return;
      for (const cut of cuts.get(replica) ?? []) cut.abort(new ApiError(0, 'Unreachable', `${replica.name} is cut off`));
      cuts.delete(replica);
    },
    /** As in a rolling update: the new replica starts first, then the old one gets SIGTERM. */
    async restart(replica: Replica | undefined) {
      if (!replica) return;
      const end = replica.end;
      replica.network = 'whole';
      await start(replica);
      await end();
      await quiet();
    },
    publishedCas: () => casIn(bundles()[0] ?? ''),
    leading: () => replicas.filter(({ leads }) => leads()),
    served: () => new Set(replicas.map(({ source }) => source?.current().certificate)),
    quiet,
  };
}

type Dated = { readonly certificate: X509Certificate; readonly validFrom: Date; readonly validTo: Date };
const read = new Map<string, Dated>();
const trusted = new Map<string, boolean>();

/** Parsing certificates takes most of the time here, and each one is inspected thousands of times. */
function certificateOf(pem: string): Dated {
  const known = read.get(pem);
  if (known) return known;
  const certificate = new X509Certificate(pem);
  const dated = { certificate, validFrom: certificate.validFromDate, validTo: certificate.validToDate };
  read.set(pem, dated);
  return dated;
}

function casIn(bundle: string): string[] {
  return bundle.split(/(?<=-----END CERTIFICATE-----\n)/).filter((each) => each.trim() !== '');
}

function isTrusted(leaf: string, bundle: string, time: number): boolean {
  return casIn(bundle).some((caPem) => {
    const { certificate, validFrom, validTo } = certificateOf(caPem);
    if (time < validFrom.getTime() || time >= validTo.getTime()) return false;
    const key = `${leaf}${caPem}`;
    const known = trusted.get(key) ?? certificateOf(leaf).certificate.verify(certificate.publicKey);
    trusted.set(key, known);
    return known;
  });
}

describe.each<[count: number, who: Who]>([
  [2, 'all are leaders'],
  [3, 'all are leaders'],
  [2, 'one is the leader, by a Lease'],
  [3, 'one is the leader, by a Lease'],
])('%i replicas, of which %s,', (count, who) => {
  test('renew once, whichever comes first, and all serve the same certificate', async () => {
    const { later, written, served, violations, leading } = await cluster(count, who);
    expect(written).toHaveLength(1);
    await later(61);
    expect(written).toHaveLength(2);
    expect(leading()).toHaveLength(who === 'all are leaders' ? count : 1);
    expect(served().size).toBe(1);
    expect([...violations]).toEqual([]);
  });

  test('run for forty months, with three CAs one after the other', async () => {
    const { later, written, served, violations, publishedCas } = await cluster(count, who);
    const seen = new Set<string>();
    for (let days = 0; days < 1_220; days += 20) {
      await later(days === 0 ? 0.5 : 20);
      for (const each of publishedCas()) seen.add(each);
      expect(served().size).toBe(1);
    }
    expect([...violations]).toEqual([]);
    expect(seen.size).toBe(3);
    // A server certificate about every 60 days. A new CA is one write, and its first use another.
    expect(written.length).toBeLessThanOrEqual(1 + Math.ceil(1_220 / 55) + 2 * 2);
  });

  test('rotate while one of them is disconnected for months, which then recovers without errors', async () => {
    const { replicas, later, setNetwork, violations, served } = await cluster(count, who);
    await later(480);
    const [lost] = replicas;
    setNetwork(lost, 'cut');
    for (const days of [8, 2, 10]) await later(days);
    setNetwork(lost, 'whole');
    await later(0);
    await later(0);
    expect([...violations]).toEqual([]);
    expect(served().size).toBe(1);
  });

  test('rotate while one of them can no longer read the Secret, which then publishes nothing', async () => {
    const { replicas, later, setNetwork, violations } = await cluster(count, who);
    await later(480);
    setNetwork(replicas[0], 'secrets refused');
    for (const days of [8, 2, 10]) await later(days);
    expect([...violations]).toEqual([]);
  });

  test.each([
    ['five years ahead', 5 * 365],
    ['two months ahead', 61],
    ['two days ahead', 2],
    ['two days behind', -2],
    ['five years behind', -5 * 365],
  ])('keep their certificate although the clock of one jumps %s, and log that', async (_how, days) => {
    const { replicas, later, written, violations, served, log, publishedCas } = await cluster(count, who);
    await later(20);
    const [before, known] = [publishedCas(), written.length];
    const [stray] = replicas;
    if (stray) stray.ahead = days * day;
    await later(1);
    await later(1);
    expect(written).toHaveLength(known);
    expect(publishedCas()).toEqual(before);
    expect(served().size).toBe(1);
    expect(log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^the local clock is \d+ min (ahead of|behind) the API server's clock\. .*\. Synchronize the clocks$/),
    ]);
    if (stray) stray.ahead = 0;
    await later(41);
    expect(written).toHaveLength(known + 1);
    expect(log.lines.map(({ message }) => message)).toContain("the local clock agrees with the API server's clock again");
    expect([...violations]).toEqual([]);
  });

  test('hand over when each is restarted during a rotation', async () => {
    const { replicas, later, restart, violations, served } = await cluster(count, who);
    for (const days of [488, 1, 1, 30]) {
      await later(days);
      for (const replica of replicas) await restart(replica);
    }
    expect([...violations]).toEqual([]);
    expect(served().size).toBe(1);
  });
});

describe.each<Who>(['all are leaders', 'one is the leader, by a Lease'])('whatever happens to three replicas, of which %s,', (who) => {
  const which = fc.integer({ min: 0, max: 2 });
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('later' as const), days: fc.constantFrom(0, 0.3, 1, 2, 9, 20, 55) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('network' as const),
        which,
        network: fc.constantFrom<Network>('whole', 'cut', 'answers lost', 'slow', 'secrets refused'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('clock' as const),
        which,
        days: fc.constantFrom(0, 0.02, -0.02, 2, -2, 70, -70, 2_000, -2_000),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), which }) },
  );

  test('none ever serves a certificate that the published bundle does not trust, and eventually all serve the same one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(600), fc.array(step, { minLength: 1, maxLength: 25 }), async (age, steps) => {
        const { replicas, later, setNetwork, restart, violations, served, api } = await cluster(3, who);
        await later(Math.min(age, 50));
        for (let days = 50; days < age; days += 50) await later(50);
        for (const each of steps) {
          if (each.do === 'later') await later(each.days);
          if (each.do === 'network') setNetwork(replicas[each.which], each.network);
          if (each.do === 'restart') await restart(replicas[each.which]);
          if (each.do === 'clock') {
            const replica = replicas[each.which];
            if (replica) replica.ahead = each.days * day;
          }
        }
        for (const replica of replicas) {
          replica.ahead = 0;
          setNetwork(replica, 'whole');
        }
        for (const _again of [1, 2, 3]) await later(0.01);
        expect([...violations]).toEqual([]);
        expect(served().size).toBe(1);
        const calls = api.calls.length;
        await later(0.001);
        expect(api.calls.length - calls).toBeLessThan(100);
      }),
      runs(8),
    );
  });
});

/** Tests the certificate that regkeeper issues itself in a Secret: renewal, rotation, several replicas, and damage. */
import { X509Certificate } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ServerCertificate } from '../../../../src/certificates/source.ts';
import { manageCertificateSecret } from '../../../../src/certificates/sources/secret.ts';
import { ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import type { Leadership } from '../../../../src/kube/leader-election.ts';
import { eventually } from '../../../eventually.ts';
import { abortable } from '../../kube/abortable.ts';
import { leadershipByHand } from '../../kube/leadership.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

type Secret = KubeObject & { data?: Record<string, string>; type?: string };

const path = '/api/v1/namespaces/regkeeper/secrets/regkeeper-tls';
const labels = { 'regkeeper.io/certificate': 'self' };
const shipped = (): Secret => ({ metadata: { namespace: 'regkeeper', name: 'regkeeper-tls', labels } });
const day = 24 * 60 * 60 * 1000;
const installed = new Date('2026-01-01T00:00:00Z');

const started = { namespace: 'regkeeper', secretName: 'regkeeper-tls', service: 'regkeeper' };

/** A cluster with this Secret, a clock that the test advances, and a function that starts replicas. */
function cluster(secret: Secret | undefined = shipped()) {
  const api = memoryApi(secret && { [path]: secret });
  let now = installed;
  const schedules: ReturnType<typeof handClock>[] = [];
  const log = recordingLog();
  const messages = (level: string) => log.lines.filter((each) => each.level === level).map((each) => each.message);
  return {
    ...api,
    log,
    messages,
    data: () => (api.get(path) as Secret | undefined)?.data ?? {},
    text: (key: string) => Buffer.from((api.get(path) as Secret).data?.[key] ?? '', 'base64').toString(),
    damage: (change: Record<string, string | undefined>) => {
      const secret = api.get(path) as Secret;
      const data = Object.fromEntries(Object.entries({ ...secret.data, ...change }).filter(([, value]) => value !== undefined));
      api.put(path, { ...secret, data } as Secret);
    },
    later: async (days: number) => {
      await quiet(api);
      now = new Date(now.getTime() + days * day);
      for (const { passTime } of schedules) passTime();
    },
    async replica(leadership?: Leadership) {
      const timers = handClock();
      schedules.push(timers);
      const own = { client: api.client, ...started, leadership, log, clock: { ...timers.clock, now: () => now.getTime() } };
      const source = await manageCertificateSecret(own);
      onTestFinished(() => source.close());
      return source;
    },
  };
}

/** Waits until there are no more requests: a replica that is about to rest would not notice the time that passes. */
async function quiet({ calls }: Pick<ReturnType<typeof memoryApi>, 'calls'>): Promise<void> {
  for (let [still, before] = [0, calls.length]; still < 20; before = calls.length) {
    await setImmediate();
    still = calls.length === before ? still + 1 : 0;
  }
}

const leafOf = ({ certificate }: ServerCertificate) => new X509Certificate(certificate);
const casOf = ({ caBundle = '' }: ServerCertificate) =>
  caBundle
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter(Boolean)
    .map((pem) => new X509Certificate(pem));
const isTrusted = (served: ServerCertificate) => casOf(served).some((each) => leafOf(served).verify(each.publicKey));

describe('at startup', () => {
  test('fills the empty Secret that the deployment ships, and changes nothing else in it', async () => {
    const { replica, get, data, log } = cluster();
    const served = (await replica()).current();
    expect(Object.keys(data()).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
    expect(get(path)?.metadata.labels).toEqual(labels);
    expect(isTrusted(served)).toBe(true);
    expect(log.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  test.each(['regkeeper.regkeeper.svc', 'regkeeper.regkeeper.svc.cluster.local', 'regkeeper.regkeeper', 'regkeeper'])(
    'creates the certificate for %s',
    async (name) => {
      const { replica } = cluster();
      expect(leafOf((await replica()).current()).checkHost(name, { subject: 'never' })).toBe(name);
    },
  );

  test('creates a certificate that is valid for API servers whose clock is behind', async () => {
    const { replica } = cluster();
    const served = (await replica()).current();
    const lagging = new Date(installed.getTime() - 30 * 60 * 1000);
    expect([leafOf(served), ...casOf(served)].every((each) => each.validFromDate < lagging)).toBe(true);
    expect(served.notAfter).toEqual(leafOf(served).validToDate);
  });

  test('creates the Secret if it does not exist', async () => {
    const { replica, remove, get } = cluster();
    remove(path);
    await replica();
    expect(get(path)).toMatchObject({ type: 'Opaque', metadata: { labels } });
  });

  test('logs what to do if it does not exist and cannot be created', async () => {
    const { replica, remove, failNext } = cluster();
    remove(path);
    failNext('create', new ApiError(403, 'Forbidden', 'POST /api/v1/namespaces/regkeeper/secrets: Forbidden (403)'));
    await expect(replica()).rejects.toThrow(/Secret regkeeper\/regkeeper-tls does not exist, .* Apply the deployment again/);
  });

  test("does not change a Secret that is not regkeeper's", async () => {
    const { replica, data } = cluster({ ...shipped(), metadata: { name: 'regkeeper-tls', labels: {} }, data: { 'tls.crt': 'bWluZQ==' } });
    await expect(replica()).rejects.toThrow('Secret regkeeper/regkeeper-tls does not belong to regkeeper: it has no label');
    expect(data()).toEqual({ 'tls.crt': 'bWluZQ==' });
  });
});

describe('several replicas', () => {
  test('that start at the same time serve the same certificate', async () => {
    const { replica } = cluster();
    const replicas = await Promise.all([replica(), replica(), replica()]);
    expect(new Set(replicas.map((each) => each.current().certificate)).size).toBe(1);
  });

  test('that create the Secret at the same time serve the same certificate', async () => {
    const { replica, remove } = cluster();
    remove(path);
    const replicas = await Promise.all([replica(), replica()]);
    expect(replicas[0]?.current()).toEqual(replicas[1]?.current());
  });

  test('all serve what one of them has renewed', async () => {
    const { replica, later } = cluster();
    const replicas = [await replica(), await replica()];
    const before = replicas[0]?.current().certificate;
    await later(61);
    await eventually(() => {
      const serving = new Set(replicas.map((each) => each.current().certificate));
      expect(serving.size).toBe(1);
      expect(serving).not.toContain(before);
    });
  });
});

describe('renewing', () => {
  test('keeps a valid certificate', async () => {
    const { replica, later, calls } = cluster();
    await replica();
    const reads = () => calls.filter(({ method }) => method === 'get').length;
    const before = reads();
    await later(59);
    await eventually(() => expect(reads()).toBeGreaterThan(before));
    await replica();
    expect(calls.filter(({ method }) => method === 'replace')).toHaveLength(1);
  });

  test('issues a new server certificate from the same CA after two thirds of the validity', async () => {
    const { replica, later, messages } = cluster();
    const source = await replica();
    const before = source.current();
    const heard: ServerCertificate[] = [];
    source.onChange((served) => heard.push(served));
    await later(61);
    await eventually(() => expect(heard).toHaveLength(1));
    expect(source.current().caBundle).toBe(before.caBundle);
    expect(isTrusted(source.current())).toBe(true);
    expect(messages('info').join()).toContain('it was due for renewal at');
  });

  test('publishes a new CA to clients before its certificates are served', async () => {
    const { replica, later, data } = cluster();
    const source = await replica();
    const [first] = casOf(source.current());
    await later(500);
    await eventually(() => expect(casOf(source.current())).toHaveLength(2));
    expect(leafOf(source.current()).checkIssued(first as X509Certificate)).toBe(true);
    expect(data()).toHaveProperty('next-ca.key');

    await later(2);
    await eventually(() => expect(data()).not.toHaveProperty('next-ca.key'));
    await eventually(() => expect(leafOf(source.current()).checkIssued(first as X509Certificate)).toBe(false));
    expect(casOf(source.current())).toHaveLength(2);
    expect(isTrusted(source.current())).toBe(true);
  });

  test('does not publish a CA after it has expired', async () => {
    const { replica, later } = cluster();
    const source = await replica();
    await later(500);
    await eventually(() => expect(casOf(source.current())).toHaveLength(2));
    await later(2);
    const [old] = casOf(source.current()).sort((one, other) => one.validToDate.getTime() - other.validToDate.getTime());
    await eventually(() => expect(leafOf(source.current()).checkIssued(old as X509Certificate)).toBe(false));
    await later(230);
    await eventually(() => expect(casOf(source.current()).map(String)).not.toContain(String(old)));
    expect(isTrusted(source.current())).toBe(true);
  });

  test('does not wait for clients after years without a renewal', async () => {
    const { replica, later } = cluster();
    (await replica()).close();
    await later(3 * 365);
    const served = (await replica()).current();
    expect(casOf(served)).toHaveLength(1);
    expect(isTrusted(served)).toBe(true);
  });
});

describe('a replica that is not the leader', () => {
  const reads = ({ calls }: ReturnType<typeof cluster>) => calls.filter(({ method }) => method === 'get').length;
  const writes = ({ calls }: ReturnType<typeof cluster>) => calls.filter(({ method }) => method === 'replace').length;

  test('creates the first certificate', async () => {
    const { replica } = cluster();
    expect(isTrusted((await replica(leadershipByHand())).current())).toBe(true);
  });

  test('leaves an early renewal to the leader, and renews when it becomes the leader itself', async () => {
    const world = cluster();
    const leadership = leadershipByHand();
    const source = await world.replica(leadership);
    const before = source.current().certificate;
    const read = reads(world);
    await world.later(74);
    await eventually(() => expect(reads(world)).toBeGreaterThan(read));
    // A new replica decides immediately, and uses the current certificate.
    expect((await world.replica(leadershipByHand())).current().certificate).toBe(before);
    expect(writes(world)).toBe(1);
    await quiet(world);
    leadership.become(true);
    await eventually(() => expect(source.current().certificate).not.toBe(before));
    expect(writes(world)).toBe(2);
  });

  test('renews what is overdue: there may be no leader', async () => {
    const world = cluster();
    const source = await world.replica(leadershipByHand());
    const before = source.current().certificate;
    await world.later(76);
    await eventually(() => expect(source.current().certificate).not.toBe(before));
    expect(isTrusted(source.current())).toBe(true);
  });

  test('renews an expired certificate: no replica is ready with it, so none is the leader', async () => {
    const world = cluster();
    (await world.replica(leadershipByHand())).close();
    await world.later(91);
    const [ca] = casOf((await world.replica(leadershipByHand())).current());
    expect(ca).toBeDefined();
    expect(writes(world)).toBe(2);
  });

  test('fills a Secret that was emptied', async () => {
    const world = cluster();
    const source = await world.replica(leadershipByHand());
    const before = source.current().certificate;
    world.damage({ 'tls.crt': undefined });
    await eventually(() => expect(source.current().certificate).not.toBe(before));
  });

  test('gives a new CA one day more than the leader would', async () => {
    const world = cluster();
    const leadership = leadershipByHand(true);
    const source = await world.replica(leadership);
    await world.later(500);
    await eventually(() => expect(world.data()).toHaveProperty('next-ca.key'));
    leadership.become(false);
    await world.later(1.5);
    await world.replica(leadershipByHand());
    expect(world.data()).toHaveProperty('next-ca.key');
    await world.later(1);
    await eventually(() => expect(world.data()).not.toHaveProperty('next-ca.key'));
    await eventually(() => expect(isTrusted(source.current())).toBe(true));
  });
});

describe('a Secret that was changed', () => {
  test.each([
    ['tls.key', undefined, 'the key tls.key is missing'],
    ['tls.crt', 'bm9uc2Vuc2U=', 'tls.crt is not a PEM certificate'],
    ['ca.crt', '', 'ca.crt is empty'],
    ['ca.key', 'bm9uc2Vuc2U=', 'ca.key is not a PEM private key'],
  ])('in %s is repaired, and the log shows the position', async (key, value, problem) => {
    const { replica, damage, messages } = cluster();
    const source = await replica();
    const before = source.current();
    damage({ [key]: value });
    await eventually(() => expect(source.current().certificate).not.toBe(before.certificate));
    expect(isTrusted(source.current())).toBe(true);
    expect(messages('warn')).toEqual([`Secret regkeeper/regkeeper-tls contains invalid data: ${problem}. Recreating the affected keys`]);
  });

  test('into a mismatched pair is repaired with the same CA', async () => {
    const one = cluster();
    const other = cluster();
    const source = await one.replica();
    await other.replica();
    const { caBundle } = source.current();
    one.damage({ 'tls.key': other.data()['tls.key'] });
    await eventually(() => expect(one.messages('warn').join()).toContain('tls.crt does not match tls.key'));
    await eventually(() => expect(one.text('tls.crt')).toBe(source.current().certificate));
    expect(source.current().caBundle).toBe(caBundle);
  });

  test('by deletion is recreated', async () => {
    const { replica, remove, text } = cluster();
    const source = await replica();
    const before = source.current();
    remove(path);
    await eventually(() => expect(source.current().certificate).not.toBe(before.certificate));
    expect(text('tls.crt')).toBe(source.current().certificate);
  });

  test('by removal of the label is no longer written, and the certificate stays in use', async () => {
    const { replica, put, messages, calls } = cluster();
    const source = await replica();
    const before = source.current();
    const written = calls.filter(({ method }) => method === 'replace').length;
    put(path, { metadata: { name: 'regkeeper-tls' } });
    await eventually(() => expect(messages('error').join()).toContain('does not belong to regkeeper'));
    expect(source.current()).toBe(before);
    expect(calls.filter(({ method }) => method === 'replace')).toHaveLength(written);
  });

  test('while the API server fails is read again', async () => {
    const { replica, failNext, later, messages, log } = cluster();
    const source = await replica();
    const before = source.current();
    failNext('get', new ApiError(503, 'Unreachable', 'GET: no answer'));
    await later(61);
    await eventually(() =>
      expect(messages('error')).toEqual([
        'cannot reconcile Secret regkeeper/regkeeper-tls: GET: no answer. The current certificate is still being served. Retrying',
      ]),
    );
    log.lines.length = 0;
    await eventually(async () => {
      await later(0);
      expect(source.current().certificate).not.toBe(before.certificate);
    });
  });
});

test('closing aborts a request in progress, which is not logged', async () => {
  const api = memoryApi({ [path]: shipped() });
  const log = recordingLog();
  const timers = handClock();
  let hangs = false;
  const asked = Promise.withResolvers<void>();
  const get: typeof api.client.get = (...input) => {
    if (!hangs) return api.client.get(...input);
    asked.resolve();
    return new Promise<never>(() => {});
  };
  const client = abortable({ ...api.client, get });
  const source = await manageCertificateSecret({ client, ...started, log, clock: { ...timers.clock, now: () => installed.getTime() } });
  hangs = true;
  log.lines.length = 0;
  const refreshed = source.refresh?.();
  refreshed?.catch(() => undefined);
  await asked.promise;
  await source.close();
  await expect(refreshed).rejects.toThrow('aborted');
  expect(log.lines).toEqual([]);
});

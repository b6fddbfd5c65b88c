/** The HTTPS server: decoding, evaluating, limits, errors, closing, and the rules review. */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { type AdmissionAnswer, allowed } from '../../../src/admission/response.ts';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import type { AuditRecord } from '../../../src/observe/audit/decision-record.ts';
import type { RulesReviewRecord } from '../../../src/observe/audit/rules-review-record.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { createWebhookServer, type WebhookOptions, type WebhookServer } from '../../../src/server/webhook-server.ts';
import { unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { patchOf, pod, reviewOf } from './reviews.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...life,
});

const rules = ruleSetOf(`
contact: the platform team
rules:
- registry: reg.example.com:5000
  pullSecret: corp-pull
- registry: evil.example.com
  trust: false
  reason: nobody knows who runs it
`);

type Reviewer = NonNullable<Parameters<typeof createWebhookServer>[0]['rulesReview']>['review'];
type Setup = {
  reviewer?: Reviewer;
  rules?: RuleSet | undefined;
  unread?: string;
  facts?: Facts | undefined;
  options?: Partial<WebhookOptions>;
};

const servers: WebhookServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

function setUp(setup: Setup = {}) {
  const records: AuditRecord[] = [];
  const bugs: unknown[] = [];
  const reviewRecords: RulesReviewRecord[] = [];
  const failures: string[] = [];
  const server = createWebhookServer(
    {
      rules: (namespace) => (namespace === setup.unread ? undefined : 'rules' in setup ? setup.rules : rules),
      facts: () => ('facts' in setup ? setup.facts : unwatched),
      audit: (record) => records.push(record),
      reportBug: (error) => bugs.push(error),
      failed: (failure) => failures.push(failure),
      ...(setup.reviewer && { rulesReview: { review: setup.reviewer, audit: (record: RulesReviewRecord) => reviewRecords.push(record) } }),
    },
    { tls, ...setup.options },
  );
  servers.push(server);
  const post = async (url: string, payload: unknown, headers: Record<string, string> = { 'content-type': 'application/json' }) => {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const response = await server.inject({ method: 'POST', url, payload: text, headers });
    return { code: response.statusCode, headers: response.headers, body: JSON.parse(response.body) };
  };
  const answer = async (url: string, payload: unknown) => ((await post(url, payload)).body as AdmissionAnswer).response;
  return { server, post, answer, records, reviewRecords, bugs, failures };
}

describe('responses', () => {
  test('/mutate gives the Pod its pull secret', async () => {
    const { answer } = setUp();
    const response = await answer('/mutate', reviewOf(pod('reg.example.com:5000/shop/web:1')));
    expect(response).toMatchObject({ uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11', allowed: true, patchType: 'JSONPatch' });
    expect(patchOf(response)).toEqual(
      expect.arrayContaining([{ op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'corp-pull' }] }]),
    );
  });

  test('/validate denies an unknown registry, with the container, the image and the contact', async () => {
    const { answer } = setUp();
    const response = await answer('/validate', reviewOf(pod('other.example.com/web:1')));
    expect(response).toMatchObject({ allowed: false, status: { code: 403, reason: 'Forbidden' } });
    expect(response.status?.message).toMatch(
      /Pod shop\/web: container "app": image "other\.example\.com\/web:1".*Contact: the platform team/s,
    );
  });

  test('a deletion introduces nothing', async () => {
    const { answer } = setUp();
    const review = reviewOf(pod('evil.example.com/web'), { operation: 'DELETE', object: null, oldObject: pod('evil.example.com/web') });
    expect(await answer('/validate', review)).toEqual({ uid: review.request.uid, allowed: true });
  });

  test('keys with a special meaning in JavaScript are data', async () => {
    const { answer, post } = setUp();
    const hostile = `{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}, "kind": "AdmissionReview",
      "apiVersion": "admission.k8s.io/v1", "request": ${JSON.stringify(reviewOf(pod('other.example.com/web')).request)}}`;
    expect((await post('/validate', hostile)).body.response.allowed).toBe(false);
    const labels = JSON.parse('{"__proto__": "x", "toString": "y"}');
    const object = { ...pod('reg.example.com:5000/web'), metadata: { name: 'web', labels, annotations: labels } };
    expect((await answer('/mutate', reviewOf(object))).allowed).toBe(true);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('an object in `__proto__` is not the object: nothing is read through a prototype', async () => {
    const { answer } = setUp();
    const object = JSON.parse('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "__proto__": {"spec": {"containers": []}}}');
    expect(await answer('/validate', reviewOf(object))).toMatchObject({ allowed: false, status: { code: 400 } });
  });
});

describe('what cannot be decoded is rejected, with HTTP 400 or with the uid', () => {
  test.each([
    ['an empty body', '', 400, /body is empty/],
    ['text that is not JSON', 'kind: AdmissionReview', 400, /not JSON/],
    ['truncated JSON', '{"kind": "AdmissionReview"', 400, /not JSON/],
    ['a list', '[]', 400, /must be an AdmissionReview/],
    ['null', 'null', 400, /must be an AdmissionReview/],
    ['another kind', { apiVersion: 'v1', kind: 'Pod' }, 400, /kind must be AdmissionReview, but is "Pod"/],
    ['no request', { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }, 400, /has no request/],
    ['no uid', { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: {} }, 400, /uid is missing/],
  ])('%s', async (_name, payload, code, message) => {
    const { post, records, failures } = setUp();
    for (const url of ['/mutate', '/validate']) {
      const response = await post(url, payload);
      expect(response.code).toBe(code);
      expect(failures.splice(0)).toEqual(['unreadable']);
      expect(response.body).toMatchObject({ kind: 'Status', status: 'Failure', message: expect.stringMatching(message) });
      expect(response.body.response).toBeUndefined();
    }
    expect(records).toEqual([]);
  });

  test.each([
    ['apiVersion v1beta1', { apiVersion: 'admission.k8s.io/v1beta1' }, {}, /apiVersion must be admission\.k8s\.io\/v1/],
    ['an unknown operation', {}, { operation: 'PATCH' }, /operation must be one of/],
    ['no kind', {}, { kind: {} }, /kind is missing/],
  ])('%s, if the uid can be read', async (_name, review, request, message) => {
    const { post, failures } = setUp();
    const response = await post('/validate', { ...reviewOf(pod('reg.example.com:5000/web'), request), ...review });
    expect(response.code).toBe(200);
    expect(failures).toEqual(['unreadable']);
    expect(response.body.response).toMatchObject({
      uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
      allowed: false,
      status: { code: 400, message: expect.stringMatching(message) },
    });
  });

  test.each([
    ['containers: null', { containers: null }, /spec\.containers must be a list of containers, but is null/],
    ['containers as a string', { containers: 'app' }, /spec\.containers must be a list of containers, but is a string/],
    ['a null container', { containers: [null] }, /spec\.containers\[0\] must be a container/],
    ['an image that is a number', { containers: [{ name: 'a', image: 7 }] }, /containers\[0\]\.image must be a string/],
  ])('%s', async (_name, spec, message) => {
    const { answer, failures } = setUp();
    for (const url of ['/mutate', '/validate']) {
      expect(await answer(url, reviewOf({ ...pod('x'), spec }))).toMatchObject({
        allowed: false,
        status: { code: 400, message: expect.stringMatching(message) },
      });
    }
    expect(failures).toEqual(['unreadable', 'unreadable']);
  });

  test('an invalid image name is denied with the reason', async () => {
    const { answer } = setUp();
    const response = await answer('/validate', reviewOf(pod('https://reg.example.com:5000/web')));
    expect(response).toMatchObject({
      allowed: false,
      status: { code: 403, message: expect.stringMatching(/starts with a URL scheme\. Use "reg\.example\.com:5000\/web"\./) },
    });
  });

  test('a kind that contains no images as far as is known', async () => {
    const { answer, failures } = setUp();
    const response = await answer('/validate', reviewOf({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } }));
    expect(failures).toEqual(['unknown-kind']);
    expect(response).toMatchObject({
      allowed: false,
      status: { code: 400, message: expect.stringMatching(/does not evaluate objects of kind Secret\. Remove this kind/) },
    });
  });

  test('a body of 25 MiB', async () => {
    const { post, failures } = setUp();
    const response = await post('/validate', reviewOf({ ...pod('reg.example.com:5000/web'), data: 'x'.repeat(25 * 1024 * 1024) }));
    expect(response).toMatchObject({ code: 413, body: { kind: 'Status', reason: 'RequestEntityTooLarge' } });
    expect(failures).toEqual(['unreadable']);
  });

  test('a different content type', async () => {
    const { post } = setUp();
    const response = await post('/validate', reviewOf(pod('reg.example.com:5000/web')), { 'content-type': 'application/yaml' });
    expect(response).toMatchObject({ code: 415, body: { kind: 'Status' } });
  });

  test('a different path', async () => {
    const { post, server } = setUp();
    expect(await post('/allow', {})).toMatchObject({
      code: 404,
      body: { message: expect.stringMatching(/POST \/mutate, \/validate or \/guard/) },
    });
    expect((await server.inject({ method: 'GET', url: '/validate' })).statusCode).toBe(404);
  });
});

describe('internal errors', () => {
  const broken: Facts = {
    ...unwatched,
    serviceAccount() {
      throw new Error('secret detail');
    },
  };

  test('a bug denies the request with code 500 in HTTP 200, with the uid and without details', async () => {
    const { post, bugs, records, failures } = setUp({ facts: broken });
    const response = await post('/mutate', reviewOf(pod('reg.example.com:5000/web')));
    expect(response.code).toBe(200);
    expect(response.body.response).toMatchObject({
      uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
      allowed: false,
      status: { code: 500, reason: 'InternalError' },
    });
    expect(JSON.stringify(response.body)).not.toContain('secret detail');
    expect(bugs).toHaveLength(1);
    expect(failures).toEqual([]);
    expect(records).toMatchObject([{ outcome: 'error', messages: ['internal error'] }]);
  });

  test.each([
    ['no rules yet', { rules: undefined }, 'not-ready'],
    ["the namespace's own rules not loaded yet", { unread: 'shop' }, 'not-ready'],
    ['the cluster not read yet', { facts: undefined }, 'not-ready'],
    [
      'a service account that the watch has not reported',
      { facts: { ...unwatched, serviceAccount: () => ({ kind: 'absent' as const }) } },
      'stale-cache',
    ],
  ])('%s: 503, to be retried', async (_name, setup, failure) => {
    const { post, records, failures } = setUp(setup);
    const response = await post('/mutate', reviewOf(pod('reg.example.com:5000/web')));
    expect(response).toMatchObject({ code: 503, body: { kind: 'Status', reason: 'ServiceUnavailable' } });
    expect(response.headers['retry-after']).toBe('1');
    expect(failures).toEqual([failure]);
    expect(records).toMatchObject([{ outcome: 'error' }]);
  });

  describe('bytes in flight', () => {
    const payload = JSON.stringify(reviewOf({ ...pod('reg.example.com:5000/web'), padding: 'x'.repeat(2000) }));

    const limits = { total: 3000, reserved: 0 };

    /** A server for 3,000 concurrent bytes, and a first request that sends only some of its bytes until it is aborted. */
    async function hold(bytes: number) {
      const { server, bugs, failures } = setUp({ options: { bodies: { ...limits, evictionGrace: 0 } } });
      await server.listen({ host: '127.0.0.1', port: 0 });
      const { port } = server.server.address() as { port: number };
      const dispatcher = new Agent({ connect: { ca: ca.certificate }, connections: 4 });
      const post = (body: string | Readable, signal?: AbortSignal) =>
        request(`https://localhost:${port}/validate`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'content-length': String(payload.length) },
          body,
          dispatcher,
          ...(signal && { signal }),
        });
      const arrived = once(server.server, 'request');
      const unfinished = new AbortController();
      const start = async function* () {
        yield payload.slice(0, bytes);
        await new Promise((_resolve, reject) => unfinished.signal.addEventListener('abort', reject));
      };
      const first = post(Readable.from(start()), unfinished.signal);
      first.catch(() => undefined);
      await arrived;
      onTestFinished(() => dispatcher.destroy());
      return { post: () => post(payload), giveUp: () => unfinished.abort(), first, bugs, failures };
    }

    test('a body that arrives slowly is evicted for one that arrives immediately', async () => {
      const { post, first, bugs, failures } = await hold(2000);
      // The first body only counts once its bytes have arrived.
      const answers = expect.poll(async () => (await post()).statusCode === 200 && failures.length);
      await answers.toBe(1);
      const evicted = await first;
      expect(evicted.headers).toMatchObject({ 'retry-after': '1', connection: 'close' });
      expect(await evicted.body.json()).toMatchObject({ kind: 'Status', code: 503, reason: 'ServiceUnavailable' });
      expect(failures).toEqual(['overload']);
      expect(bugs).toEqual([]);
    });

    test('a request whose response is pending has released its bytes', async () => {
      const entered = Promise.withResolvers<void>();
      const answered = Promise.withResolvers<void>();
      const { post, failures } = setUp({
        options: { bodies: limits },
        reviewer: async ({ uid }) => {
          entered.resolve();
          await answered.promise;
          const response = { uid, allowed: true };
          return { answer: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }, problems: [], warnings: [] };
        },
      });
      const first = post('/guard', payload);
      await entered.promise;
      expect((await post('/validate', payload)).code).toBe(200);
      answered.resolve();
      expect((await first).code).toBe(200);
      expect(failures).toEqual([]);
    });

    test('a single body is never too much, and has its own limit', async () => {
      const { post } = setUp({ options: { bodies: { total: 1000, reserved: 500, small: 100 } } });
      expect((await post('/validate', payload)).code).toBe(200);
    });

    test('an announced body that does not arrive blocks no one', async () => {
      const { post, giveUp } = await hold(10);
      expect((await post()).statusCode).toBe(200);
      giveUp();
    });
  });
});

describe('the audit record', () => {
  test('the record shows the user, the decision and the reason, and nothing that could contain a password', async () => {
    const { answer, records } = setUp();
    const object = {
      ...pod('evil.example.com/web:1'),
      metadata: { generateName: 'web-', ownerReferences: [{ kind: 'ReplicaSet', name: 'web-1', controller: true }] },
      spec: { containers: [{ name: 'app', image: 'evil.example.com/web:1', env: [{ name: 'PASSWORD', value: 'hunter2' }] }] },
    };
    await answer('/validate', reviewOf(object, { dryRun: true }));
    expect(records).toEqual([
      {
        event: 'decision',
        uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
        webhook: 'validate',
        callerAuthenticated: false,
        user: 'alice',
        groups: ['system:authenticated'],
        operation: 'CREATE',
        dryRun: true,
        group: '',
        version: 'v1',
        kind: 'Pod',
        namespace: 'shop',
        name: '',
        generateName: 'web-',
        owner: { kind: 'ReplicaSet', name: 'web-1' },
        suppliedSecrets: [],
        outcome: 'denied',
        mode: 'enforce',
        rulesRevision: rules.revision,
        images: [
          {
            path: 'spec.containers[0].image',
            image: 'evil.example.com/web:1',
            canonical: 'evil.example.com/web',
            action: 'pull',
            verdict: 'untrusted',
            reason: 'untrusted',
            introduced: true,
            rule: { name: 'evil.example.com', source: { file: 'a.yaml', line: 6 } },
          },
        ],
        inject: [],
        messages: [expect.stringContaining('nobody knows who runs it')],
        durationMicroseconds: expect.any(Number),
      },
    ]);
    expect(JSON.stringify(records)).not.toContain('hunter2');
  });

  test('contains the secrets of a mutation', async () => {
    const account = { kind: 'known' as const, pullSecrets: [], onlyListedSecrets: false };
    const { answer, records } = setUp({ facts: { ...unwatched, serviceAccount: () => account } });
    await answer('/mutate', reviewOf(pod('reg.example.com:5000/web')));
    expect(records).toMatchObject([
      { webhook: 'mutate', outcome: 'allowed', inject: [{ path: 'spec.imagePullSecrets', secret: 'corp-pull', from: 'rule' }] },
    ]);
  });

  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const traced = (value: string) => ({ 'content-type': 'application/json', traceparent: value });

  test('contains the traceparent from the API server', async () => {
    const { post, records } = setUp();
    await post('/validate', reviewOf(pod('evil.example.com/web:1')), traced(traceparent));
    expect(records).toMatchObject([{ traceparent }]);
  });

  test('of a rules review contains the traceparent too', async () => {
    const accept = { answer: allowed('u'), problems: [], warnings: [] };
    const { post, reviewRecords } = setUp({ reviewer: async () => accept });
    await post('/guard', reviewOf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'rules' } }), traced(traceparent));
    expect(reviewRecords).toMatchObject([{ traceparent }]);
  });

  test.each([
    ['', 'empty'],
    ['0af7651916cd43dd8448eb211c80319c', 'only a trace id'],
    [traceparent.toUpperCase(), 'upper-case'],
    [traceparent.replace('00-', 'ff-'), 'of the forbidden version'],
    [traceparent.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)), 'without a trace'],
    [traceparent.replace('b7ad6b7169203331', '0'.repeat(16)), 'without a parent'],
    [`${traceparent}-${'x'.repeat(4_000)}`, 'too long'],
    [`${traceparent}, ${traceparent}`, 'sent twice'],
  ])('ignores a traceparent %j, which is %s', async (value) => {
    const { post, records } = setUp();
    await post('/validate', reviewOf(pod('evil.example.com/web:1')), traced(value));
    expect(records).toHaveLength(1);
    expect(records[0]).not.toHaveProperty('traceparent');
  });

  test('does not contain a password in an image name', async () => {
    const { answer, records } = setUp();
    const response = await answer('/validate', reviewOf(pod('bob:hunter2@reg.example.com/web')));
    expect(response.allowed).toBe(false);
    expect(JSON.stringify([response, records])).not.toContain('hunter2');
  });
});

test('during the drain, every response closes its connection', async () => {
  const { server, post } = setUp();
  expect((await post('/validate', reviewOf(pod('reg.example.com:5000/web')))).headers.connection).not.toBe('close');
  server.drain();
  const response = await post('/validate', reviewOf(pod('reg.example.com:5000/web')));
  expect(response).toMatchObject({ code: 200, headers: { connection: 'close' }, body: { response: { allowed: true } } });
});

test('during the shutdown, a connection without a request so far still gets a response, and a new one is refused', async () => {
  const { server } = setUp();
  await server.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.server.address() as { port: number };
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate });
  await once(socket, 'secureConnect');

  const finished = server.finish();
  const late = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate });
  await expect(once(late, 'secureConnect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });

  const body = JSON.stringify(reviewOf(pod('reg.example.com:5000/web')));
  const head = ['POST /validate HTTP/1.1', 'host: localhost', 'content-type: application/json', `content-length: ${body.length}`];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  const answer = await text(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  expect(answer).toContain('"allowed":true');
  await finished;
});

test('a connection without any request does not delay the shutdown', async () => {
  const { server } = setUp();
  await server.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.server.address() as { port: number };
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate });
  await once(socket, 'secureConnect');
  const closed = once(socket, 'close');
  await server.finish();
  await closed;
});

test('/probe marks the dry run with which regkeeper proves that it can be reached', async () => {
  const { answer } = setUp();
  const sent = { metadata: { name: 'x', annotations: { 'regkeeper.io/probe': 'sent' } } };
  const { allowed, patch } = await answer('/probe', reviewOf(sent));
  expect(allowed).toBe(true);
  expect(JSON.parse(Buffer.from(patch ?? '', 'base64').toString())).toEqual([
    { op: 'replace', path: '/metadata/annotations/regkeeper.io~1probe', value: 'arrived' },
  ]);
  expect(await answer('/probe', reviewOf({ metadata: { name: 'x' } }))).not.toHaveProperty('patch');
});

describe('/guard', () => {
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'rules' }, data: {} };
  const review = reviewOf(configMap, { namespace: 'regkeeper', dryRun: true });
  const answering = (response: object, found: { problems?: string[]; warnings?: string[] } = {}): Reviewer => {
    return async ({ uid }) => ({
      answer: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true, ...response } },
      problems: [],
      warnings: [],
      ...found,
    });
  };

  test.each([
    ['accepted', {}, { warnings: ['something'] }],
    ['rejected', { allowed: false }, { problems: ['something'] }],
  ])('a response is passed on, and %s in the record', async (outcome, response, found) => {
    const { answer, reviewRecords } = setUp({ reviewer: answering(response, found) });
    expect(await answer('/guard', review)).toEqual({ uid: review.request.uid, allowed: true, ...response });
    expect(reviewRecords).toEqual([
      {
        event: 'rules-review',
        uid: review.request.uid,
        callerAuthenticated: false,
        user: 'alice',
        groups: ['system:authenticated'],
        operation: 'CREATE',
        dryRun: true,
        configMap: 'regkeeper/rules',
        outcome,
        problems: [],
        warnings: [],
        ...found,
        durationMicroseconds: expect.any(Number),
      },
    ]);
  });

  test('a lack of time: 503, to be retried', async () => {
    const { post, reviewRecords, failures } = setUp({
      reviewer: async () => ({ answer: undefined, problems: ['others are being read'], warnings: [] }),
    });
    expect(await post('/guard', review)).toMatchObject({ code: 503, headers: { 'retry-after': '1' } });
    expect(reviewRecords).toMatchObject([{ outcome: 'error', problems: ['others are being read'] }]);
    expect(failures).toEqual(['overload']);
  });

  test('a bug is HTTP 500, which lets the request pass, because the rules must always be fixable', async () => {
    const { post, bugs, reviewRecords } = setUp({ reviewer: () => Promise.reject(new Error('a bug')) });
    expect(await post('/guard', review)).toMatchObject({ code: 500, body: { message: expect.not.stringContaining('a bug') } });
    expect(bugs).toHaveLength(1);
    expect(reviewRecords).toMatchObject([{ outcome: 'error' }]);
  });

  test('if rules come from files, every ConfigMap passes', async () => {
    expect(await setUp().answer('/guard', review)).toEqual({ uid: review.request.uid, allowed: true });
  });

  test('what is not an AdmissionReview is rejected', async () => {
    expect(await setUp({ reviewer: answering({}) }).post('/guard', {})).toMatchObject({ code: 400 });
  });
});

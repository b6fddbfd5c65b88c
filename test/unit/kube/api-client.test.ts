/** Tests the API client against scripted HTTP servers. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ApiClient, ApiError, boundTo, type KubeObject, type WatchEvent } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { splitLines } from '../../../src/kube/client/response.ts';
import { eventually } from '../../eventually.ts';
import { sampleServer } from '../certificates/samples.ts';
import {
  type Answer,
  bookmark,
  configMap,
  errorEvent,
  json,
  line,
  listing,
  type Received,
  scriptedApi,
  statusResponse,
  watched,
  watching,
} from './scripted-api.ts';

const path = '/api/v1/namespaces/regkeeper/configmaps';

async function connected(script: Answer[], user?: object) {
  const api = await scriptedApi(script);
  const client = connectApi(api.kubeConfig(user));
  onTestFinished(() => client.close());
  return { ...api, client };
}

describe('requests', () => {
  const rows: [string, (client: ApiClient) => Promise<unknown>, object][] = [
    ['get', (client) => client.get(path, { a: 1, none: undefined }), { method: 'GET', path, query: { a: '1' }, body: '' }],
    ['create', (client) => client.create(path, { x: 'ü' }), { method: 'POST', path, body: '{"x":"ü"}' }],
    [
      'replace',
      (client) => client.replace(path, { x: 1 }, { dryRun: 'All' }),
      { method: 'PUT', query: { dryRun: 'All' }, body: '{"x":1}' },
    ],
    ['delete', (client) => client.delete(path), { method: 'DELETE', path, body: '' }],
    [
      'patchApply',
      (client) => client.patchApply(path, { x: 1 }, { fieldManager: 'regkeeper', force: true }),
      {
        method: 'PATCH',
        query: { fieldManager: 'regkeeper', force: 'true' },
        headers: expect.objectContaining({ 'content-type': 'application/apply-patch+yaml' }),
      },
    ],
  ];
  test.each(rows)('%s is sent as the API server expects it', async (_name, call, expected) => {
    const { client, received } = await connected([json({ kind: 'Answer' })]);
    await call(client);
    expect(received).toEqual([expect.objectContaining(expected)]);
  });

  test('an empty response is undefined', async () => {
    const { client } = await connected([(response) => response.writeHead(204).end()]);
    expect(await client.get(path)).toBeUndefined();
  });

  test('a path in the server URL is kept', async () => {
    const api = await scriptedApi([json({})]);
    const kubeConfig = api.kubeConfig();
    kubeConfig.loadFromOptions({ ...kubeConfig, clusters: [{ ...kubeConfig.clusters[0], server: `${api.url}/k8s/clusters/c-1/` }] });
    const client = connectApi(kubeConfig);
    onTestFinished(() => client.close());
    await client.get('/version');
    expect(api.received[0]?.path).toBe('/k8s/clusters/c-1/version');
  });
});

test("knows the API server's time, even if the local clock has changed since", async () => {
  const date = 'Thu, 01 Jan 2032 00:00:00 GMT';
  const api = await scriptedApi([statusResponse(500, 'InternalError', 'no date', { date: 'yesterday' }), json({}, 200, { date })]);
  const client = connectApi(api.kubeConfig());
  onTestFinished(() => client.close());
  await expect(client.get('/version')).rejects.toThrow('no date');
  expect(client.serverTime()).toBeUndefined();
  await client.get('/version');
  const read = client.serverTime() ?? 0;
  expect(read).toBeGreaterThanOrEqual(Date.parse(date));
  expect(read).toBeLessThan(Date.parse(date) + 60_000);
});

describe('failures', () => {
  const rows: [string, Answer, object][] = [
    [
      'a Status',
      statusResponse(409, 'Conflict', 'the object has\nbeen modified'),
      { status: 409, reason: 'Conflict', message: `GET ${path}: Conflict (409): the object has been modified` },
    ],
    [
      'Retry-After in the header',
      statusResponse(429, 'TooManyRequests', 'slow down', { 'retry-after': '7' }),
      { status: 429, retryAfterSeconds: 7 },
    ],
    ['retryAfterSeconds in the Status', json({ details: { retryAfterSeconds: 3 } }, 503), { status: 503, retryAfterSeconds: 3 }],
    ['no Status at all', (response) => response.writeHead(502).end('<h1>Bad Gateway</h1>'), { status: 502, reason: 'Unknown' }],
    ['truncated JSON', (response) => response.end('{"kind":'), { status: 0, reason: 'Unreadable' }],
    ['a connection reset', (response) => response.socket?.resetAndDestroy(), { status: 0, reason: 'Unreachable' }],
  ];
  test.each(rows)('%s becomes an ApiError', async (_name, answer, expected) => {
    const { client } = await connected([answer]);
    const error = await client.get<never>(path).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject(expected);
    expect(error.message).toContain(`GET ${path}: `);
  });

  test('a refused connection is Unreachable, with the system’s message', async () => {
    const { client, kubeConfig } = await connected([]);
    const nowhere = kubeConfig();
    nowhere.loadFromOptions({ ...nowhere, clusters: [{ name: 'scripted', server: 'http://127.0.0.1:1', skipTLSVerify: true }] });
    const other = connectApi(nowhere);
    onTestFinished(() => other.close());
    await expect(other.get(path)).rejects.toMatchObject({
      status: 0,
      reason: 'Unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await client.close();
    await expect(client.get(path)).rejects.toMatchObject({ status: 0, message: expect.stringContaining('the client is closed') });
  });

  test.each([
    ['a certificate that the CA did not sign', 'https', /the certificate of the server is signed by an unknown CA\. Check the CA/],
    ['a port without TLS', 'http', /the server does not use TLS on this port\. Check the address and the port/],
  ])('%s is Unreachable, with what to check', async (_name, scheme, message) => {
    const pair = sampleServer();
    const listener = scheme === 'https' ? createTlsServer({ cert: pair.certificate, key: pair.key }) : createServer();
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void listener.close());
    const { kubeConfig } = await connected([]);
    const config = kubeConfig();
    const url = `https://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    config.loadFromOptions({ ...config, clusters: [{ name: 'scripted', server: url, skipTLSVerify: false }] });
    const client = connectApi(config);
    onTestFinished(() => client.close());
    await expect(client.get(path)).rejects.toMatchObject({ reason: 'Unreachable', message: expect.stringMatching(message) });
  });

  test('a server that does not respond is a Timeout', async () => {
    const { client } = await connected([() => undefined]);
    await expect(client.request({ method: 'GET', path, timeoutMilliseconds: 5 })).rejects.toMatchObject({ status: 0, reason: 'Timeout' });
  });

  test('an abort rejects with the caller’s own reason', async () => {
    const aborting = new AbortController();
    const { client } = await connected([() => aborting.abort(new Error('enough'))]);
    await expect(client.request({ method: 'GET', path, signal: aborting.signal })).rejects.toThrow('enough');
  });
});

describe('credentials', () => {
  async function tokenFile(token: string) {
    const folder = await mkdtemp(join(tmpdir(), 'regkeeper-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'token');
    await writeFile(file, token);
    return { file, user: { authProvider: { name: 'tokenFile', config: { tokenFile: file } } } };
  }
  const sent = (received: Received[]) => received.map((each) => each.headers.authorization);

  test('a rotated token is read again when the old one is rejected', async () => {
    const { file, user } = await tokenFile('old\n');
    const { client, received } = await connected([json({}), statusResponse(401, 'Unauthorized'), json({ fine: true }), json({})], user);
    await client.get(path);
    await writeFile(file, 'new');
    expect(await client.get(path)).toEqual({ fine: true });
    await client.get(path);
    expect(sent(received)).toEqual(['Bearer old', 'Bearer old', 'Bearer new', 'Bearer new']);
  });

  test('a watch recovers from a rotated token too', async () => {
    const { file, user } = await tokenFile('old');
    const { client, received } = await connected([json({}), statusResponse(401, 'Unauthorized'), watched(bookmark('7'))], user);
    await client.get(path);
    await writeFile(file, 'new');
    expect(await eventsOf(client)).toEqual([bookmark('7')]);
    expect(sent(received)).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
  });

  test('an unchanged credential is not tried twice', async () => {
    const { client, received } = await connected([statusResponse(401, 'Unauthorized')], { token: 'wrong' });
    await expect(client.get(path)).rejects.toMatchObject({ status: 401, reason: 'Unauthorized' });
    expect(sent(received)).toEqual(['Bearer wrong']);
  });

  test('connections are reused, but not with a different client certificate', async () => {
    const { file } = await tokenFile('old certificate');
    const { client, received } = await connected(Array<Answer>(8).fill(json({})), { certFile: file });
    for (let request = 0; request < 4; request += 1) await client.get(path);
    const before = new Set(received.map((each) => each.port));
    await writeFile(file, 'new certificate');
    for (let request = 0; request < 4; request += 1) await client.get(path);
    const after = new Set(received.slice(4).map((each) => each.port));
    // The first connection may not be free yet for a request that follows at once.
    expect(before.size).toBeLessThan(4);
    expect([...after].filter((port) => before.has(port))).toEqual([]);
  });

  test('user name and password are sent as basic authentication', async () => {
    const { client, received } = await connected([json({})], { username: 'ada', password: 'p:w' });
    await client.get(path);
    expect(sent(received)).toEqual([`Basic ${btoa('ada:p:w')}`]);
  });

  test('an unavailable credential is reported as missing, and the next request tries again', async () => {
    const { file, user } = await tokenFile('late');
    await rm(file);
    const { client } = await connected([json({ fine: true })], user);
    await expect(client.get(path)).rejects.toMatchObject({ status: 0, reason: 'NoCredential', message: expect.stringContaining(file) });
    await writeFile(file, 'late');
    expect(await client.get(path)).toEqual({ fine: true });
  });
});

describe('list', () => {
  test('follows the pages and sets the kind of the items', async () => {
    const { client, received } = await connected([listing('10', [configMap('a', '1')], 'more/='), listing('10', [configMap('b', '2')])]);
    const { items, resourceVersion } = await client.list(path, { labelSelector: 'x=y' }, { pageSize: 1 });
    expect(items.map((each) => `${each.apiVersion} ${each.kind} ${each.metadata.name}`)).toEqual(['v1 ConfigMap a', 'v1 ConfigMap b']);
    expect(resourceVersion).toBe('10');
    expect(received.map((each) => each.query)).toEqual([
      { labelSelector: 'x=y', limit: '1' },
      { labelSelector: 'x=y', limit: '2', continue: 'more/=' },
    ]);
  });

  const first = listing('10', [configMap('gone', '1')], 'next');
  const expired = statusResponse(410, 'Expired');

  test('starts over when its pages have expired, and finally with the largest pages', async () => {
    const script = [first, expired, first, expired, listing('20', [configMap('a', '11')], 'more'), listing('20', [configMap('b', '12')])];
    const { client, received } = await connected(script);
    const { items, resourceVersion } = await client.list(path);
    expect(items.map((each) => each.metadata.name)).toEqual(['a', 'b']);
    expect(resourceVersion).toBe('20');
    expect(received.map((each) => [each.query.limit, each.query.continue])).toEqual([
      ['50', undefined],
      ['100', 'next'],
      ['50', undefined],
      ['100', 'next'],
      ['500', undefined],
      ['500', 'more'],
    ]);
  });

  test('whose pages expire three times fails, and is never requested without a limit', async () => {
    const { client, received } = await connected([first, expired, first, expired, first, expired]);
    await expect(client.list(path)).rejects.toMatchObject({
      status: 0,
      reason: 'Timeout',
      message: `GET ${path}: the list expired three times before its last page was read`,
    });
    expect(received.map((each) => each.query.limit)).toEqual(['50', '100', '50', '100', '500', '500']);
  });

  const page = (megabytes: number, next = ''): Answer => {
    const large = configMap('large', '1', { filler: 'x'.repeat(megabytes * 1024 * 1024) });
    return listing('10', [large], next);
  };

  test('a page of more than 8 MiB is aborted and requested again with half as many objects, until it fits', async () => {
    const { client, received } = await connected([page(0, 'more'), page(9), page(9), page(5, 'end'), page(0)]);
    const { items } = await client.list(path, {}, { pageSize: 10 });
    expect(items).toHaveLength(3);
    expect(received.map((each) => [each.query.limit, each.query.continue])).toEqual([
      ['10', undefined],
      ['20', 'more'],
      ['10', 'more'],
      ['5', 'more'],
      ['5', 'end'],
    ]);
  });

  test('a single object may be larger than a page', async () => {
    const { client, received } = await connected([page(9), page(9), page(9)]);
    const { items } = await client.list(path, {}, { pageSize: 4 });
    expect(items).toHaveLength(1);
    expect(received.map((each) => each.query.limit)).toEqual(['4', '2', '1']);
  });

  test.each<[what: string, method: string, ask: (client: ApiClient) => Promise<unknown>]>([
    ['a list of one object', 'GET', (client) => client.list(path, {}, { pageSize: 1 })],
    ['an object', 'GET', (client) => client.get(path)],
    ['a response to a write', 'PUT', (client) => client.replace(path, {})],
  ])('%s of more than 16 MiB is aborted, and the error names it', async (_what, method, ask) => {
    let written = 0;
    const endless: Answer = async (response) => {
      const chunk = 'x'.repeat(1024 * 1024);
      const closed = once(response, 'close');
      while (!response.destroyed && written < 200) {
        written += 1;
        if (!response.write(chunk)) await Promise.race([once(response, 'drain'), closed]);
      }
    };
    const { client } = await connected([endless]);
    await expect(ask(client)).rejects.toMatchObject({
      status: 0,
      reason: 'TooLarge',
      message: `${method} ${path}: the response was aborted because it is larger than 16 MiB`,
    });
    expect(written).toBeLessThan(60);
  });

  test('nothing is kept from objects that keep drops, and a list that starts over reports that', async () => {
    const both = listing('10', [configMap('a', '1'), configMap('b', '2')], 'next');
    const { client } = await connected([both, statusResponse(410, 'Expired'), both, listing('10', [])]);
    const seen: string[] = [];
    const { items } = await client.list<KubeObject>(
      path,
      {},
      {
        onBegin: () => seen.push('begin'),
        keep: (object) => {
          seen.push(object.metadata.name);
          return object.metadata.name === 'a' ? object : undefined;
        },
      },
    );
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['a']);
    expect(seen).toEqual(['begin', 'a', 'b', 'begin', 'a', 'b']);
  });

  test('an empty list may have null items', async () => {
    const { client } = await connected([json({ kind: 'ConfigMapList', metadata: { resourceVersion: '3' }, items: null })]);
    expect(await client.list(path)).toEqual({ items: [], resourceVersion: '3' });
  });
});

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const value of values) seen.push(value);
  return seen;
}

async function eventsOf(client: ApiClient, signal = new AbortController().signal): Promise<WatchEvent<KubeObject>[]> {
  return all(client.watch(path, { resourceVersion: '5' }, signal));
}

describe('watch', () => {
  test('yields events until the server ends the stream', async () => {
    const added = { type: 'ADDED', object: configMap('a', '6') };
    const { client, received } = await connected([watched(added, bookmark('9'))]);
    expect(await eventsOf(client)).toEqual([added, bookmark('9')]);
    expect(received[0]?.query).toEqual({ resourceVersion: '5', watch: 'true' });
  });

  const failures: [string, Answer, object][] = [
    ['a forbidden request', statusResponse(410, 'Gone'), { status: 410, reason: 'Gone' }],
    ['an ERROR event', watched(errorEvent(410, 'Expired')), { status: 410, reason: 'Expired' }],
    ['a line that is not an event', watched({ no: 'event' }), { status: 0, reason: 'Unreadable' }],
    ['a line that is null', (response) => response.end('null\n'), { status: 0, reason: 'Unreadable' }],
    ['a stream that ends inside a line', (response) => response.end('{"type":'), { status: 0, reason: 'Unreachable' }],
    [
      'a reset inside a line',
      (response) => response.write('{"type":', () => response.socket?.resetAndDestroy()),
      { status: 0, reason: 'Unreachable' },
    ],
  ];
  test.each(failures)('%s is thrown as ApiError', async (_name, answer, expected) => {
    const { client } = await connected([answer]);
    const error = await eventsOf(client).catch((thrown) => thrown);
    expect(error).toMatchObject({ ...expected, name: 'ApiError', message: expect.stringContaining(`watch of ${path}: `) });
  });

  test('an abort ends it with the reason, and closes its connection', async () => {
    const aborting = new AbortController();
    const { client, connections } = await connected([watching(bookmark('6'))]);
    const seen: unknown[] = [];
    const following = (async () => {
      for await (const event of client.watch(path, {}, aborting.signal)) {
        seen.push(event);
        aborting.abort(new Error('enough'));
      }
    })();
    await expect(following).rejects.toThrow('enough');
    expect(seen).toEqual([bookmark('6')]);
    await eventually(async () => expect(await connections()).toBe(0));
  });

  test('leaving the loop closes the connection', async () => {
    const { client, connections } = await connected([watching(bookmark('6'))]);
    for await (const _event of client.watch(path, {}, new AbortController().signal)) break;
    await eventually(async () => expect(await connections()).toBe(0));
  });

  test('closing the client ends it', async () => {
    const { client, connections } = await connected([watching(bookmark('6'))]);
    const following = (async () => {
      for await (const _event of client.watch(path, {}, new AbortController().signal)) await client.close();
    })();
    await expect(following).rejects.toMatchObject({ status: 0 });
    await eventually(async () => expect(await connections()).toBe(0));
  });
});

describe('a client bound to a signal', () => {
  const never: Answer = () => {};
  test.each<[string, (client: ApiClient) => Promise<unknown>]>([
    ['a request', (client) => client.get(path)],
    ['a list', (client) => client.list(path)],
    ['a watch', (client) => client.watch(path, {}, new AbortController().signal)[Symbol.asyncIterator]().next()],
    ['discovery', (client) => client.resourcesOf('a.b/v1')],
    ['a request of a client that is bound twice', (client) => boundTo(new AbortController().signal, client).get(path)],
  ])('ends %s with its reason, and no others', async (_what, call) => {
    const { client, received } = await connected([never, json({ kind: 'Answer' })]);
    const ending = new AbortController();
    const calling = call(boundTo(ending.signal, client));
    calling.catch(() => undefined);
    await eventually(() => expect(received).toHaveLength(1));
    ending.abort(new Error('the component stops'));
    await expect(calling).rejects.toThrow('the component stops');
    expect(await client.get(path)).toEqual({ kind: 'Answer' });
  });
});

describe('splitLines', () => {
  async function* inPieces(bytes: Uint8Array, cuts: readonly number[]) {
    let start = 0;
    for (const cut of [...cuts.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
      yield bytes.subarray(start, cut);
      start = cut;
    }
  }

  test('finds the same lines wherever the bytes are split', async () => {
    const lines = fc.array(fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)));
    await fc.assert(
      fc.asyncProperty(lines, fc.array(fc.nat()), async (expected, cuts) => {
        const bytes = Buffer.from(expected.map((each) => `${each}\n`).join(''));
        expect(await all(splitLines('watch', inPieces(bytes, cuts)))).toEqual(expected);
      }),
    );
  });

  test('skips empty lines', async () => {
    expect(await all(splitLines('watch', inPieces(Buffer.from('a\n\n\r\nb\n'), [])))).toEqual(['a', 'b']);
  });

  test('stops at a line over the limit', async () => {
    const splitting = all(splitLines('watch', inPieces(Buffer.from(`${line({})}${'x'.repeat(20)}`), [9]), 10));
    await expect(splitting).rejects.toMatchObject({ reason: 'Unreadable', message: 'watch: a line of the stream is longer than 10 bytes' });
  });
});

describe('hasResource', () => {
  const resources = json({ kind: 'APIResourceList', resources: [{ name: 'buildconfigs' }, { name: 'buildconfigs/instantiate' }] });
  const group = (...versions: string[]) => json({ versions: versions.map((each) => ({ groupVersion: `build.openshift.io/${each}` })) });
  const absent = statusResponse(404, 'NotFound');
  const rows: [string, string, string, Answer | Answer[], boolean][] = [
    ['build.openshift.io/v1', 'buildconfigs', '/apis/build.openshift.io/v1', resources, true],
    ['build.openshift.io/v1', 'builds', '/apis/build.openshift.io/v1', resources, false],
    ['build.openshift.io/v1', 'builds', '/apis/build.openshift.io/v1', [absent, absent], false],
    ['build.openshift.io/v1', 'builds', '/apis/build.openshift.io/v1', [absent, group('v2')], false],
    ['build.openshift.io/v1', 'builds', '/apis/build.openshift.io/v1', [absent, json(null)], false],
    ['v2', 'pods', '/api/v2', absent, false],
    ['v1', 'pods', '/api/v1', json({ resources: [{ name: 'pods' }] }), true],
    ['config.openshift.io/v1', 'images', '/apis/config.openshift.io/v1', json({ kind: 'APIResourceList', resources: null }), false],
    ['build.openshift.io/v1', 'builds', '/apis/build.openshift.io/v1', json(null), false],
    ['image.openshift.io/v1', 'images', '/apis/image.openshift.io/v1', (response) => response.end(), false],
  ];
  test.each(rows)('%s %s', async (groupVersion, plural, asked, answer, expected) => {
    const { client, received } = await connected([answer].flat());
    expect(await client.hasResource(groupVersion, plural)).toBe(expected);
    expect(received[0]?.path).toBe(asked);
  });

  test('an API that exists but is unavailable is not absent', async () => {
    const { client } = await connected([statusResponse(503, 'ServiceUnavailable')]);
    await expect(client.hasResource('build.openshift.io/v1', 'builds')).rejects.toMatchObject({ status: 503 });
  });

  test('an API that is registered is not absent, although the server behind it reports that', async () => {
    const { client, received } = await connected([absent, group('v1')]);
    await expect(client.hasResource('build.openshift.io/v1', 'builds')).rejects.toMatchObject({ status: 503 });
    expect(received.map((each) => each.path)).toEqual(['/apis/build.openshift.io/v1', '/apis/build.openshift.io']);
  });

  test('a request to an unresponsive API is aborted after the requested time', async () => {
    const { client } = await connected([() => undefined]);
    await expect(client.resourcesOf('build.openshift.io/v1', { timeoutMilliseconds: 20 })).rejects.toMatchObject({ reason: 'Timeout' });
  });
});

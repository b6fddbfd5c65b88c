/** Tests informers against a scripted API server: lists, watches, resumes and relists. */
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import type { InformerEvent, InformerOptions } from '../../../src/kube/informer.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { eventually } from '../../eventually.ts';
import { configMapsPath, stallAfter, startInformer } from './informer-setup.ts';
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

/** An informer on a scripted server, and what it reports. */
async function scriptedInformer(script: Answer[], options: Partial<InformerOptions<KubeObject>> = {}) {
  const api = await scriptedApi(script);
  const changes: string[] = [];
  const started = startInformer(api, { onChange: (change) => changes.push(render(change)), ...options });
  return { ...api, ...started, changes, names: () => namesOf(started.informer.items()) };
}

const namesOf = (items: Iterable<KubeObject>) => [...items].map((each) => each.metadata.name).join(' ');

function render({ type, object, items }: InformerEvent<KubeObject>): string {
  return [type, ...(object ? [`${object.metadata.name}@${object.metadata.resourceVersion}`] : []), `of ${namesOf(items)}`].join(' ');
}

function asked({ query }: Received): string {
  if (query.watch) return `watch ${query.resourceVersion}`;
  return query.continue ? `list ${query.continue}` : 'list';
}

const added = (name: string, resourceVersion: string) => ({ type: 'ADDED', object: configMap(name, resourceVersion) });
const modified = (name: string, resourceVersion: string) => ({ type: 'MODIFIED', object: configMap(name, resourceVersion) });
const deleted = (name: string, resourceVersion: string) => ({ type: 'DELETED', object: configMap(name, resourceVersion) });
const [a, b, c] = [configMap('a', '1'), configMap('b', '2'), configMap('c', '3')];
const reset: Answer = (response) => response.socket?.resetAndDestroy();

type Course = { script: Answer[]; requests: string[]; changes: string[]; pauses?: number[] };

const courses: Record<string, Course> = {
  'collects the pages, then watches from the version of the list': {
    script: [listing('10', [a], 'p2'), listing('10', [b], 'p3'), listing('10', [c]), watching()],
    requests: ['list', 'list p2', 'list p3', 'watch 10'],
    changes: ['synced of a b c'],
  },
  'starts the list over when its pages expire, and reports nothing from the first attempt': {
    script: [listing('10', [a], 'p2'), statusResponse(410, 'Expired'), listing('20', [b]), watching()],
    requests: ['list', 'list p2', 'list', 'watch 20'],
    changes: ['synced of b'],
  },
  'reports each event, and resumes a stream that ended from the last one': {
    script: [listing('10', [a]), watched(added('b', '11'), modified('a', '12'), deleted('b', '13')), watching()],
    requests: ['list', 'watch 10', 'watch 13'],
    changes: ['synced of a', 'added b@11 of a b', 'modified a@12 of a b', 'deleted b@13 of a'],
    pauses: [],
  },
  'resumes from a bookmark': {
    script: [listing('10', [a]), watched(bookmark('40')), watching()],
    requests: ['list', 'watch 10', 'watch 40'],
    changes: ['synced of a'],
    pauses: [],
  },
  'does not report what it knows, and reports an unknown object as added': {
    script: [listing('10', [a]), watching(added('a', '1'), modified('b', '11'), deleted('c', '12'), modified('b', '11'), bookmark('13'))],
    requests: ['list', 'watch 10'],
    changes: ['synced of a', 'added b@11 of a b'],
  },
  'lists again after HTTP 410 and misses no deletion': {
    script: [
      listing('10', [a, b, c]),
      statusResponse(410, 'Gone'),
      listing('90', [configMap('a', '80'), b, configMap('d', '81')]),
      watching(),
    ],
    requests: ['list', 'watch 10', 'list', 'watch 90'],
    changes: ['synced of a b c', 'deleted c@3 of a b d', 'modified a@80 of a b d', 'added d@81 of a b d'],
    pauses: [200],
  },
  'lists again immediately after an ERROR event 410 in a stream that worked': {
    script: [listing('10', [a, b]), watched(bookmark('11'), errorEvent(410, 'Expired')), listing('90', [b]), watching()],
    requests: ['list', 'watch 10', 'list', 'watch 90'],
    changes: ['synced of a b', 'deleted a@1 of b'],
    pauses: [],
  },
  'reports an object that was recreated under the same name': {
    script: [listing('10', [a]), statusResponse(410, 'Gone'), listing('90', [{ metadata: { ...a.metadata, uid: 'another' } }]), watching()],
    requests: ['list', 'watch 10', 'list', 'watch 90'],
    changes: ['synced of a', 'modified a@1 of a'],
  },
  'backs off after any other ERROR event, and resumes': {
    script: [listing('10', [a]), watched(bookmark('11'), errorEvent(500, 'InternalError')), watching()],
    requests: ['list', 'watch 10', 'watch 11'],
    changes: ['synced of a'],
    pauses: [200],
  },
  'survives failures of list and watch, with increasing back-off': {
    script: [
      statusResponse(500, 'InternalError'),
      reset,
      statusResponse(503, 'ServiceUnavailable'),
      listing('10', [a]),
      reset,
      statusResponse(401, 'Unauthorized'),
      watched(modified('a', '12')),
      watching(),
    ],
    requests: ['list', 'list', 'list', 'list', 'watch 10', 'watch 10', 'watch 10', 'watch 12'],
    changes: ['synced of a', 'modified a@12 of a'],
    pauses: [200, 400, 800, 1_600, 3_200],
  },
  'waits as long as Retry-After requests': {
    script: [statusResponse(429, 'TooManyRequests', 'slow down', { 'retry-after': '9' }), listing('10', [a]), watching()],
    requests: ['list', 'list', 'watch 10'],
    changes: ['synced of a'],
    pauses: [9_000],
  },
  'resumes after a connection reset inside a line': {
    script: [
      listing('10', [a]),
      (response) => response.write(`${line(added('b', '11'))}{"type":"ADD`, () => response.socket?.resetAndDestroy()),
      watching(added('c', '12')),
    ],
    requests: ['list', 'watch 10', 'watch 11'],
    changes: ['synced of a', 'added b@11 of a b', 'added c@12 of a b c'],
    pauses: [200],
  },
  'lists again if a line cannot be parsed, since it would be sent again': {
    script: [listing('10', [a]), watched({ type: 'ADDED', object: null }), listing('20', [a, b]), watching()],
    requests: ['list', 'watch 10', 'list', 'watch 20'],
    changes: ['synced of a', 'added b@2 of a b'],
    pauses: [200],
  },
  'lists again if a line is JSON that no API server sends': {
    script: [
      listing('10', [a]),
      watched(null as never),
      listing('20', [a]),
      watched({ type: 'ERROR', object: { code: 500, message: null } }),
      listing('30', [a, b]),
      watching(),
    ],
    requests: ['list', 'watch 10', 'list', 'watch 20', 'list', 'watch 30'],
    changes: ['synced of a', 'added b@2 of a b'],
  },
  'rejects a list with an object that has no name': {
    script: [
      ...[{ metadata: {} }, { metadata: null }, {}, null].map((object) => listing('10', [a, object as never])),
      listing('20', [a]),
      watching(),
    ],
    requests: ['list', 'list', 'list', 'list', 'list', 'watch 20'],
    changes: ['synced of a'],
  },
  'does not treat other JSON as an empty collection': {
    script: [
      listing('10', [a]),
      statusResponse(410, 'Gone'),
      json({ hello: 'world' }),
      json({ items: [] }),
      listing('20', [a]),
      watching(),
    ],
    requests: ['list', 'watch 10', 'list', 'list', 'list', 'watch 20'],
    changes: ['synced of a'],
  },
  'polls if it may list but not watch': {
    script: [
      ...[listing('10', [a]), ...Array<Answer>(5).fill(statusResponse(403, 'Forbidden'))],
      ...[listing('20', [b]), ...Array<Answer>(5).fill(statusResponse(403, 'Forbidden'))],
      () => undefined,
    ],
    requests: ['list', ...Array<string>(5).fill('watch 10'), 'list', ...Array<string>(5).fill('watch 20'), 'list'],
    changes: ['synced of a', 'deleted a@1 of b', 'added b@2 of b'],
  },
  'does not spin when streams end as soon as they begin': {
    script: [listing('10', [a]), watched(), watched(), watched(), watching()],
    requests: ['list', 'watch 10', 'watch 10', 'watch 10', 'watch 10'],
    changes: ['synced of a'],
    pauses: [200, 400, 800],
  },
  'lists again when a version is rejected permanently, as after a restored backup': {
    script: [
      listing('10', [a, b]),
      ...Array<Answer>(5).fill(statusResponse(504, 'Timeout', 'Too large resource version')),
      listing('4', [a]),
      watching(),
    ],
    requests: ['list', ...Array<string>(5).fill('watch 10'), 'list', 'watch 4'],
    changes: ['synced of a b', 'deleted b@2 of a'],
  },
};

describe('watchCollection', () => {
  test.each(Object.entries(courses))('%s', async (_name, { script, requests, changes, pauses }) => {
    const seen = await scriptedInformer(script);
    await eventually(() => {
      expect(seen.received.map(asked)).toEqual(requests);
      expect(seen.changes).toEqual(changes);
    });
    if (pauses) expect(seen.pauses).toEqual(pauses);
  });

  test('requests what it is configured to follow', async () => {
    const fieldSelector = 'metadata.name=corp-pull';
    const { received } = await scriptedInformer([listing('10', []), watching()], {
      labelSelector: 'x=y',
      fieldSelector,
      pageSize: 7,
      metadataOnly: true,
    });
    await eventually(() => expect(received).toHaveLength(2));
    const timeoutSeconds = '300';
    expect(received.map(({ path, query, headers }) => ({ path, query, accept: headers.accept }))).toEqual([
      {
        path: configMapsPath,
        query: { labelSelector: 'x=y', fieldSelector, limit: '7' },
        accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
      },
      {
        path: configMapsPath,
        query: { labelSelector: 'x=y', fieldSelector, resourceVersion: '10', allowWatchBookmarks: 'true', timeoutSeconds, watch: 'true' },
        accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
      },
    ]);
  });

  test('returns objects by namespace and name, without the managed fields', async () => {
    const listed = { metadata: { ...a.metadata, managedFields: [{ manager: 'kubectl' }] } };
    const { informer } = await scriptedInformer([listing('10', [listed, { metadata: { name: 'global' } }]), watching()]);
    expect(informer.synced).toBe(false);
    await informer.whenSynced();
    expect(informer.synced).toBe(true);
    expect(informer.size).toBe(2);
    expect(informer.get('regkeeper', 'a')).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', ...a });
    expect(informer.get(undefined, 'global')?.metadata.name).toBe('global');
    expect(informer.get('elsewhere', 'a')).toBeUndefined();
    expect(namesOf(informer.items())).toBe('a global');
  });

  test('keeps returning objects while it lists again', async () => {
    const { informer, received, names } = await scriptedInformer([listing('10', [a, b]), statusResponse(410, 'Gone'), () => undefined]);
    await eventually(() => expect(received.map(asked)).toEqual(['list', 'watch 10', 'list']));
    expect(names()).toBe('a b');
    expect(informer.synced).toBe(true);
  });

  test('decodes characters that are split between packets', async () => {
    const { informer, received, send, passTime } = await scriptedInformer([listing('10', []), watching()]);
    await eventually(() => expect(received).toHaveLength(2));
    const bytes = Buffer.from(line({ type: 'ADDED', object: configMap('a', '11', { owner: 'zoë 🦊' }) }));
    const middle = bytes.indexOf(Buffer.from('🦊')) + 2;
    passTime(1);
    send(bytes.subarray(0, middle));
    await eventually(() => expect(informer.lastContact()).toBe(1));
    send(bytes.subarray(middle));
    await eventually(() => expect(informer.get('regkeeper', 'a')?.metadata.labels).toEqual({ owner: 'zoë 🦊' }));
  });

  test('reconnects when a watch stalls', async () => {
    const { received, informer, changes, log, passTime, connections } = await scriptedInformer([
      listing('10', []),
      watching(added('a', '11')),
      watching(bookmark('12')),
    ]);
    await eventually(() => expect(changes).toEqual(['synced of ', 'added a@11 of a']));
    passTime(stallAfter);
    await eventually(() => expect(received.map(asked)).toEqual(['list', 'watch 10', 'watch 11']));
    await eventually(() => expect(log.lines.map((each) => each.level)).toEqual(['warn', 'info']));
    expect(log.lines[0]?.message).toContain('no data for 1000 s. Reconnecting');
    expect(informer.lastContact()).toBe(stallAfter);
    await eventually(async () => expect(await connections()).toBe(1));
  });

  test('waits longer than the three minutes after which an idle resource sends its first bookmark', async () => {
    const waits: number[] = [];
    const schedule = (_work: () => void, milliseconds: number) => {
      waits.push(milliseconds);
      return () => undefined;
    };
    await scriptedInformer([listing('10', []), watching()], { clock: { now: () => 0, monotonic: () => 0, schedule }, timings: {} });
    await eventually(() => expect(waits).toHaveLength(1));
    expect(waits[0]).toBeGreaterThan(180_000 + 60_000);
  });

  test('only counts successful responses as contact', async () => {
    const { informer, passTime, received, send } = await scriptedInformer([
      listing('10', []),
      reset,
      statusResponse(403, 'Forbidden'),
      watching(),
    ]);
    await eventually(() => expect(received).toHaveLength(4));
    await eventually(() => expect(informer.lastContact()).toBe(0));
    passTime(5_000);
    send(line(bookmark('11')));
    await eventually(() => expect(informer.lastContact()).toBe(5_000));
  });

  test("is in its client's list of watches, with its last contact, until it is closed", async () => {
    const { informer, client, received, send, passTime } = await scriptedInformer([listing('10', []), watching()]);
    await eventually(() => expect(received).toHaveLength(2));
    passTime(5_000);
    send(line(bookmark('11')));
    await eventually(() =>
      expect([...(client.watchedCollections ?? [])].map((each) => [each.path, each.lastContact()])).toEqual([[configMapsPath, 5_000]]),
    );
    await informer.stop();
    expect(client.watchedCollections?.size).toBe(0);
  });

  test('logs once that a permission is missing, once that it is restored, and once that it is missing again', async () => {
    const forbidden = statusResponse(403, 'Forbidden');
    const { log, received } = await scriptedInformer(
      [forbidden, forbidden, forbidden, listing('10', []), watched(bookmark('11')), forbidden, forbidden, watching(bookmark('12'))],
      { path: '/apis/build.openshift.io/v1/namespaces/ns/buildconfigs', fieldSelector: 'metadata.name=app' },
    );
    await eventually(() => expect(received).toHaveLength(8));
    const loud = () => log.lines.filter((each) => each.level !== 'debug');
    await eventually(() => expect(loud().map((each) => each.level)).toEqual(['warn', 'info', 'warn', 'info']));
    expect(loud()[0]?.message).toContain('GET /apis/build.openshift.io/v1/namespaces/ns/buildconfigs: Forbidden (403)');
    expect(loud()[0]?.message).toContain(
      'Grant these permissions with a Role in namespace ns: apiGroups ["build.openshift.io"], resources ["buildconfigs"], resourceNames ["app"], verbs ["list", "watch"]',
    );
  });

  const permissions: [string, string][] = [
    ['/api/v1/namespaces', 'Grant these permissions with a ClusterRole: apiGroups [""], resources ["namespaces"], verbs ["list", "watch"]'],
    [
      '/apis/apps/v1/deployments',
      'Grant these permissions with a ClusterRole: apiGroups ["apps"], resources ["deployments"], verbs ["list", "watch"]',
    ],
    [
      configMapsPath,
      'Grant these permissions with a Role in namespace regkeeper: apiGroups [""], resources ["configmaps"], verbs ["list", "watch"]',
    ],
  ];
  test.each(permissions)('logs the permission that %s needs', async (path, expected) => {
    const { log } = await scriptedInformer([statusResponse(403, 'Forbidden'), () => undefined], { path });
    await eventually(() => expect(log.lines).toEqual([{ level: 'warn', message: expect.stringContaining(expected) }]));
  });

  test.each([
    ['without metadata', {}],
    ['without a name', { metadata: { namespace: 'regkeeper' } }],
  ])('rejects an object %s, even if little of each is kept', async (_sentence, object) => {
    const keep = ({ metadata: { name } }: KubeObject) => ({ metadata: { name } });
    const { log } = await scriptedInformer([listing('10', [object as never]), () => undefined], { keep });
    await eventually(() =>
      expect(log.lines).toEqual([
        { level: 'warn', message: `GET ${configMapsPath}: the response is not a list: it contains an object without a name. Retrying` },
      ]),
    );
  });

  test('logs once that an API does not exist, and finds it when it is installed', async () => {
    const missing = statusResponse(404, 'NotFound');
    const { log, changes } = await scriptedInformer([missing, missing, listing('10', [a]), watching(bookmark('11'))]);
    await eventually(() => expect(log.lines.map((each) => each.level)).toEqual(['warn', 'debug', 'info']));
    expect(log.lines[0]?.message).toContain(`does not serve ${configMapsPath}`);
    expect(changes).toEqual(['synced of a']);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('listener');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('listener');
      },
    ],
  ])('continues when a listener %s', async (_how, onChange) => {
    const { log, names } = await scriptedInformer([listing('10', [a]), watching(added('b', '11'))], { onChange });
    await eventually(() => expect(log.lines.filter((each) => each.level === 'error')).toHaveLength(2));
    expect(names()).toBe('a b');
  });

  test('close ends the watch, its connection and its events', async () => {
    const { informer, client, received, connections, send, changes } = await scriptedInformer([listing('10', [a]), watching()]);
    await eventually(() => expect(received).toHaveLength(2));
    const closing = informer.stop();
    send(line(added('b', '11')));
    await closing;
    await client.close();
    await eventually(async () => expect(await connections()).toBe(0));
    expect(changes).toEqual(['synced of a']);
    expect(received).toHaveLength(2);
  });

  test('stop before the first list rejects those who wait for it', async () => {
    const { informer, received } = await scriptedInformer([() => undefined]);
    await eventually(() => expect(received).toHaveLength(1));
    const waiting = expect(informer.whenSynced()).rejects.toThrow('stopped before its first list');
    await informer.stop();
    await waiting;
  });

  test('stop ends a back-off', async () => {
    const { informer, log } = await scriptedInformer([statusResponse(500, 'InternalError')], { clock: systemClock, timings: {} });
    await eventually(() => expect(log.lines).toHaveLength(1));
    await informer.stop();
  });
});

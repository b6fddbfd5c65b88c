/** Tests informers that request their initial state as a stream (WatchList). */
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import type { InformerEvent } from '../../../src/kube/informer.ts';
import { stallAfter, startInformer } from './informer-setup.ts';
import {
  type Answer,
  bookmark,
  configMap,
  errorEvent,
  listing,
  type Received,
  scriptedApi,
  statusResponse,
  watched,
  watching,
} from './scripted-api.ts';

const initialStallAfter = 400_000;

/** An informer that requests its initial state as a stream. */
async function streaming(script: Answer[]) {
  const api = await scriptedApi(script);
  const changes: string[] = [];
  const kept: string[] = [];
  const keep = (object: KubeObject) => {
    kept.push(object.metadata.name);
    return object;
  };
  const onChange = (change: InformerEvent<KubeObject>) => changes.push(render(change));
  const timings = { random: () => 0, stallAfter, initialStallAfter };
  return { ...api, ...startInformer(api, { keep, onChange, timings }, { streamsInitialState: true }), changes, kept };
}

function render({ type, object, items }: InformerEvent<KubeObject>): string {
  return [type, ...(object ? [object.metadata.name] : []), `of ${[...items].map((each) => each.metadata.name).join(' ')}`].join(' ');
}

function asked({ query }: Received): string {
  if (query.sendInitialEvents) return 'watch from the start';
  if (query.watch) return `watch ${query.resourceVersion}`;
  return 'list';
}

const added = (name: string, resourceVersion: string) => ({ type: 'ADDED', object: configMap(name, resourceVersion) });
const deleted = (name: string, resourceVersion: string) => ({ type: 'DELETED', object: configMap(name, resourceVersion) });
const end = (resourceVersion: string) => ({
  type: 'BOOKMARK',
  object: { kind: 'ConfigMap', metadata: { resourceVersion, annotations: { 'k8s.io/initial-events-end': 'true' } } },
});

const notOffered = statusResponse(
  422,
  'Invalid',
  'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
);

const courses: Record<string, { script: Answer[]; requests: string[]; changes: string[] }> = {
  'is complete when the server marks its end, and is followed in the same stream': {
    script: [watching(added('a', '1'), added('b', '2'), end('10'), added('c', '11'))],
    requests: ['watch from the start'],
    changes: ['synced of a b', 'added c of a b c'],
  },
  'may change before it is complete': {
    script: [watching(added('a', '1'), added('b', '2'), deleted('a', '3'), bookmark('4'), added('c', '5'), end('10'))],
    requests: ['watch from the start'],
    changes: ['synced of b c'],
  },
  'is continued from its end when the stream ends': {
    script: [watched(added('a', '1'), end('10')), watching(added('b', '11'))],
    requests: ['watch from the start', 'watch 10'],
    changes: ['synced of a', 'added b of a b'],
  },
  'is read again as a stream when the server has forgotten the version, and the differences are reported': {
    script: [
      watched(added('a', '1'), added('b', '2'), end('10')),
      statusResponse(410, 'Gone'),
      watching(added('b', '2'), added('c', '20'), end('30')),
    ],
    requests: ['watch from the start', 'watch 10', 'watch from the start'],
    changes: ['synced of a b', 'deleted a of b c', 'added c of b c'],
  },
  'is listed in pages if the server does not support streaming, and from then on': {
    script: [
      notOffered,
      listing('10', [configMap('a', '1')]),
      statusResponse(410, 'Gone'),
      listing('20', [configMap('b', '11')]),
      watching(),
    ],
    requests: ['watch from the start', 'list', 'watch 10', 'list', 'watch 20'],
    changes: ['synced of a', 'deleted a of b', 'added b of b'],
  },
  'is listed in pages immediately if the server cannot stream it now, and requested as a stream the next time': {
    script: [
      watched(errorEvent(500, 'InternalError')),
      listing('10', [configMap('a', '1')]),
      statusResponse(410, 'Gone'),
      watching(added('b', '11'), end('20')),
    ],
    requests: ['watch from the start', 'list', 'watch 10', 'watch from the start'],
    changes: ['synced of a', 'deleted a of b', 'added b of b'],
  },
  'is requested again after a broken stream, whose events are discarded': {
    script: [watched(added('gone', '1')), watching(added('a', '2'), end('10'))],
    requests: ['watch from the start', 'watch from the start'],
    changes: ['synced of a'],
  },
  'is listed in pages after two broken streams': {
    script: [watched(added('a', '1')), watched(errorEvent(500, 'InternalError')), listing('10', [configMap('a', '1')]), watching()],
    requests: ['watch from the start', 'watch from the start', 'list', 'watch 10'],
    changes: ['synced of a'],
  },
};

describe('the initial state', () => {
  test.each(Object.entries(courses))('%s', async (_name, { script, requests, changes }) => {
    const { received, ...started } = await streaming(script);
    await expect.poll(() => started.changes).toEqual(changes);
    await expect.poll(() => received.map(asked)).toEqual(requests);
    expect(received[0]?.query).toMatchObject({
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
  });

  test.each([
    ['not supported', notOffered],
    ['not possible now', watched(errorEvent(500, 'InternalError'))],
  ])('a stream that is %s is not logged as a failure', async (_name, rejection) => {
    const { changes, log } = await streaming([rejection, listing('10', []), watching()]);
    await expect.poll(() => changes).toEqual(['synced of ']);
    expect(log.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test('is listed in pages after a while if a server never completes it', async () => {
    const idle = watching(added('a', '1'));
    const { received, changes, kept, passTime } = await streaming([idle, idle, listing('10', [configMap('a', '1')]), watching()]);
    for (const times of [1, 2]) {
      await expect.poll(() => kept.length).toBe(times);
      passTime(initialStallAfter);
    }
    await expect.poll(() => changes).toEqual(['synced of a']);
    expect(received.map(asked).slice(0, 3)).toEqual(['watch from the start', 'watch from the start', 'list']);
  });

  test('is listed again if that was requested in the middle of a list', async () => {
    let middle = () => {};
    const slow: Answer = (response, request) => {
      middle();
      listing('10', [configMap('a', '1')])(response, request);
    };
    const api = await streaming([notOffered, slow, listing('20', [configMap('a', '1'), configMap('b', '2')]), watching()]);
    middle = () => api.informer.reload();
    await expect.poll(() => api.changes).toEqual(['synced of a b']);
    await expect.poll(() => api.received.map(asked)).toEqual(['watch from the start', 'list', 'list', 'watch 20']);
  });

  test('is read again on request, and the known state stays meanwhile', async () => {
    const { informer, changes, log } = await streaming([
      watching(added('a', '1'), end('10')),
      watching(added('a', '1'), added('b', '2'), end('20')),
    ]);
    await expect.poll(() => changes).toEqual(['synced of a']);
    informer.reload();
    expect(informer.get('regkeeper', 'a')).toBeDefined();
    await expect.poll(() => changes).toEqual(['synced of a', 'added b of a b']);
    expect(log.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
  });
});

/** Tests which namespaces have the secrets of the rules, and what happens without permission. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSecretFacts, keepName, maxSecretNames } from '../../../../src/cluster/facts/secrets.ts';
import { type ApiClient, ApiError, type ApiRequest, type KubeObject, type Query } from '../../../../src/kube/api-client.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const pathOf = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/secrets/${name}`;
const secret = (namespace: string, name: string, type = 'kubernetes.io/dockerconfigjson'): KubeObject & { type: string } => ({
  metadata: { name, namespace },
  type,
});

type Answer = (name: string) => unknown;

/** A cluster with these secrets, in which the names in `permitted` may be watched. `answer` replaces the answer of a review. */
function watching(secrets: readonly KubeObject[], permitted: Set<string> | 'all' = 'all') {
  const api = memoryApi(Object.fromEntries(secrets.map((each) => [pathOf(each.metadata.namespace ?? '', each.metadata.name), each])));
  const asked: string[] = [];
  let answer: Answer = (name) => ({ status: { allowed: permitted === 'all' || permitted.has(name) } });
  let cut = new AbortController();
  const rejectForbidden = (fieldSelector: unknown) => {
    const name = /metadata\.name=([^,]+)/.exec(String(fieldSelector))?.[1] ?? '';
    if (permitted !== 'all' && !permitted.has(name)) throw new ApiError(403, 'Forbidden', 'secrets is forbidden');
  };
  const client: ApiClient = {
    ...api.client,
    request: async <T>({ path, body }: ApiRequest) => {
      const { name, verb, resource, namespace } = (body as { spec: { resourceAttributes: Record<string, string> } }).spec
        .resourceAttributes;
      expect([path, resource, namespace]).toEqual(['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'secrets', undefined]);
      asked.push(`${verb} ${name ?? 'any'}`);
      return answer(name ?? '') as T;
    },
    list: async (path, query, options) => {
      rejectForbidden(query?.fieldSelector);
      return api.client.list(path, query, options);
    },
    async *watch<T extends KubeObject>(path: string, query: Query, signal: AbortSignal) {
      rejectForbidden(query.fieldSelector);
      yield* api.client.watch<T>(path, query, AbortSignal.any([signal, cut.signal]));
    },
  };
  const log = recordingLog();
  const timers = handClock();
  const watched = createSecretFacts({ client, log, clock: timers.clock });
  watched.start();
  onTestFinished(() => watched.stop());
  return {
    api,
    watched,
    log,
    asked,
    timers,
    answering: (other: Answer) => {
      answer = other;
    },
    /** Like the API server, which ends each watch after some minutes. */
    cutWatches: () => {
      cut.abort(new ApiError(410, 'Expired', 'as scripted'));
      cut = new AbortController();
    },
  };
}

describe('a secret with a followed name', () => {
  test.each([
    ['of the current type', 'kubernetes.io/dockerconfigjson', 'present'],
    ['of the legacy type', 'kubernetes.io/dockercfg', 'present'],
    ['of a type that no kubelet uses', 'Opaque', 'wrong-type'],
  ])('%s is %s: %s', async (_sentence, type, expected) => {
    const { watched } = watching([secret('team-a', 'pull', type)]);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe(expected);
    expect(watched.get('team-b', 'pull')).toBe('absent');
  });

  test('is followed when it is created and deleted', async () => {
    const { api, watched } = watching([]);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('absent');
    api.put(pathOf('team-a', 'pull'), secret('team-a', 'pull'));
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
    api.remove(pathOf('team-a', 'pull'));
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('absent');
  });
});

test('nothing is known about a name before its list is complete, or if no rule contains it', async () => {
  const { watched } = watching([secret('team-a', 'pull'), secret('team-a', 'other')]);
  expect(watched.get('team-a', 'pull')).toBe('unknown');
  watched.follow(['pull']);
  expect(watched.get('team-a', 'pull')).toBe('unknown');
  await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
  expect(watched.get('team-a', 'other')).toBe('unknown');
});

test('only metadata is requested, by name', async () => {
  const { api, watched } = watching([]);
  watched.follow(['pull']);
  await expect.poll(() => watched.get('team-a', 'pull')).toBe('absent');
  const lists = api.calls.filter(({ method }) => method === 'list');
  expect(lists).toHaveLength(2);
  for (const { path } of lists) expect(path).toBe('/api/v1/secrets');
});

test('names that rules no longer use are dropped, and new ones are followed', async () => {
  const { watched, asked } = watching([secret('team-a', 'one'), secret('team-a', 'two')]);
  watched.follow(['one']);
  await expect.poll(() => watched.get('team-a', 'one')).toBe('present');
  watched.follow(['two', 'two']);
  expect(watched.get('team-a', 'one')).toBe('unknown');
  await expect.poll(() => watched.get('team-a', 'two')).toBe('present');
  expect(asked).toEqual(['list one', 'watch one', 'list two', 'watch two']);
});

describe('without the permission', () => {
  test('nothing is known, and the fix is logged once', async () => {
    const { watched, log, timers } = watching([secret('team-a', 'pull')], new Set());
    watched.follow(['pull', 'push']);
    await expect.poll(() => log.lines.length).toBe(1);
    expect(log.lines[0]?.message).toContain('resourceNames ["pull","push"], verbs ["list", "watch"]');
    expect(watched.get('team-a', 'pull')).toBe('unknown');
    timers.passTime();
    await setImmediate();
    expect(log.lines).toHaveLength(1);
  });

  test('for one name, the others are followed nevertheless', async () => {
    const { watched } = watching([secret('team-a', 'pull'), secret('team-a', 'push')], new Set(['push']));
    watched.follow(['pull', 'push']);
    await expect.poll(() => watched.get('team-a', 'push')).toBe('present');
    expect(watched.get('team-a', 'pull')).toBe('unknown');
  });

  test('that is granted later, secrets are followed without a restart', async () => {
    const permitted = new Set<string>();
    const { watched, log, timers } = watching([secret('team-a', 'pull')], permitted);
    watched.follow(['pull']);
    await expect.poll(() => log.lines.length).toBe(1);
    permitted.add('pull');
    await expect
      .poll(() => {
        timers.passTime();
        return watched.get('team-a', 'pull');
      })
      .toBe('present');
  });
});

describe('a revoked permission', () => {
  const pull = secret('team-a', 'pull');

  test('makes its secrets unknown, is logged once, and is used again when it is granted again', async () => {
    const permitted = new Set(['pull', 'push']);
    const { api, watched, log, timers } = watching([], permitted);
    watched.follow(['pull', 'push']);
    await expect.poll(() => [watched.get('team-a', 'pull'), watched.get('team-a', 'push')]).toEqual(['absent', 'absent']);
    permitted.delete('pull');
    await expect.poll(timers.passing(() => watched.get('team-a', 'pull'))).toBe('unknown');
    expect(watched.get('team-a', 'push')).toBe('absent');
    expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining('resourceNames ["pull"], verbs ["list", "watch"]')]);
    await expect.poll(timers.passing(() => log.lines.length)).toBe(1);

    api.put(pathOf('team-a', 'pull'), pull);
    permitted.add('pull');
    await expect.poll(timers.passing(() => watched.get('team-a', 'pull'))).toBe('present');
  });

  test('is detected as soon as a watch is forbidden, and the watches end', async () => {
    const permitted = new Set(['pull']);
    const { watched, log, cutWatches } = watching([pull], permitted);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
    permitted.delete('pull');
    cutWatches();
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('unknown');
    const failures = () => log.lines.filter(({ message }) => message.includes('forbidden')).length;
    const before = failures();
    for (let turn = 0; turn < 50; turn += 1) await setImmediate();
    expect(failures()).toBe(before);
    expect(log.lines.filter(({ message }) => message.includes('no permission to watch'))).toHaveLength(1);
  });

  test('has no effect if it is restored immediately', async () => {
    const { watched, log, asked, timers, answering } = watching([pull]);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
    let failures = 2;
    answering(() => ({ status: { allowed: failures-- <= 0 } }));
    await expect.poll(timers.passing(() => asked.length)).toBeGreaterThanOrEqual(6);
    expect(watched.get('team-a', 'pull')).toBe('present');
    expect(log.lines).toEqual([]);
  });

  test.each<[sentence: string, answer: Answer]>([
    [
      'the API server is unavailable',
      () => {
        throw new ApiError(503, 'ServiceUnavailable', 'as scripted');
      },
    ],
    ['the response is empty', () => undefined],
    ['the response has no status', () => ({ status: null })],
    ['the response is neither yes nor no', () => ({ status: {} })],
    ['an authorizer could not decide', () => ({ status: { allowed: false, evaluationError: 'webhook timed out' } })],
  ])('is not assumed if %s, which is logged once', async (_sentence, answer) => {
    const { watched, log, asked, timers, answering } = watching([pull]);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
    answering(answer);
    await expect.poll(timers.passing(() => asked.length)).toBeGreaterThanOrEqual(8);
    expect(watched.get('team-a', 'pull')).toBe('present');
    expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining('cannot check the permission to watch secrets')]);
  });
});

test('only names are kept from what the API server sends', () => {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{}}' };
  const sent = secret('team-a', 'pull');
  const metadata = { name: 'pull', namespace: 'team-a', uid: 'u', resourceVersion: '7' };
  expect(keepName({ ...sent, metadata: { ...metadata, annotations, labels: { a: 'b' } } })).toEqual({ metadata });
});

describe('with very many names', () => {
  const names = Array.from({ length: maxSecretNames + 50 }, (_, index) => `secret-${index}`);

  test('only a limited number is followed, which is logged once and can be queried', async () => {
    const { watched, log } = watching([]);
    watched.follow(names);
    await expect.poll(() => watched.get('team-a', `secret-${maxSecretNames - 1}`)).toBe('absent');
    watched.follow(names.toReversed().toReversed());
    expect(watched.get('team-a', `secret-${maxSecretNames}`)).toBe('unknown');
    expect(watched.unwatched()).toEqual({ beyondLimit: 50, notPermitted: 0 });
    expect(log.lines.map(({ message }) => message)).toEqual([
      expect.stringContaining(`the rules reference ${maxSecretNames + 50} secrets`),
    ]);
    watched.follow(['secret-0']);
    expect(watched.unwatched()).toEqual({ beyondLimit: 0, notPermitted: 0 });
  });

  test('a permission for all secrets is checked once, and then no single name is', async () => {
    const { watched, asked } = watching([]);
    watched.follow(names);
    await expect.poll(() => watched.get('team-a', 'secret-0')).toBe('absent');
    expect(asked).toEqual(['list any', 'watch any']);
  });

  test('without it, each name is checked, and those without permission are counted', async () => {
    const permitted = new Set(names.slice(0, maxSecretNames - 5));
    const { watched, asked } = watching([], permitted);
    watched.follow(names);
    await expect.poll(() => watched.unwatched()).toEqual({ beyondLimit: 50, notPermitted: 5 });
    expect(asked).toHaveLength(2 + 2 * maxSecretNames);
  });
});

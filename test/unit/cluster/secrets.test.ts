import { describe, expect, onTestFinished, test } from 'vitest';
import type { ApiClient, ApiRequest, KubeObject } from '../../../src/cluster/api.ts';
import { watchSecrets } from '../../../src/cluster/secrets.ts';
import { handSchedule, memoryApi } from './memory-api.ts';
import { recordingLog } from './scripted-api.ts';

const pathOf = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/secrets/${name}`;
const secret = (namespace: string, name: string, type = 'kubernetes.io/dockerconfigjson'): KubeObject & { type: string } => ({
  metadata: { name, namespace },
  type,
});

/** A cluster with these secrets, in which names may be watched as `permitted` says. */
function watching(secrets: readonly KubeObject[], permitted: Set<string> | 'all' = 'all') {
  const api = memoryApi(Object.fromEntries(secrets.map((each) => [pathOf(each.metadata.namespace ?? '', each.metadata.name), each])));
  const asked: string[] = [];
  const client: ApiClient = {
    ...api.client,
    request: async <T>({ path, body }: ApiRequest) => {
      const { name, verb, resource, namespace } = (body as { spec: { resourceAttributes: Record<string, string> } }).spec
        .resourceAttributes;
      expect([path, resource, namespace]).toEqual(['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'secrets', undefined]);
      asked.push(`${verb} ${name}`);
      return { status: { allowed: permitted === 'all' || permitted.has(name ?? '') } } as T;
    },
  };
  const log = recordingLog();
  const timers = handSchedule();
  const watched = watchSecrets({ client, log, schedule: timers.schedule });
  onTestFinished(() => watched.close());
  return { api, watched, log, asked, timers, permitted };
}

describe('a secret of a followed name', () => {
  test.each([
    ['of the type that is made today', 'kubernetes.io/dockerconfigjson', 'present'],
    ['of the old type', 'kubernetes.io/dockercfg', 'present'],
    ['of a type that no kubelet takes', 'Opaque', 'wrong-type'],
  ])('%s is %s: %s', async (_sentence, type, expected) => {
    const { watched } = watching([secret('team-a', 'pull', type)]);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe(expected);
    expect(watched.get('team-b', 'pull')).toBe('absent');
  });

  test('is followed: made, and taken away', async () => {
    const { api, watched } = watching([]);
    watched.follow(['pull']);
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('absent');
    api.put(pathOf('team-a', 'pull'), secret('team-a', 'pull'));
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
    api.remove(pathOf('team-a', 'pull'));
    await expect.poll(() => watched.get('team-a', 'pull')).toBe('absent');
  });
});

test('nothing is known of a name before its list is complete, nor of one that no rule names', async () => {
  const { watched } = watching([secret('team-a', 'pull'), secret('team-a', 'other')]);
  expect(watched.get('team-a', 'pull')).toBe('unknown');
  watched.follow(['pull']);
  expect(watched.get('team-a', 'pull')).toBe('unknown');
  await expect.poll(() => watched.get('team-a', 'pull')).toBe('present');
  expect(watched.get('team-a', 'other')).toBe('unknown');
});

test('only metadata is asked for, by name', async () => {
  const { api, watched } = watching([]);
  watched.follow(['pull']);
  await expect.poll(() => watched.get('team-a', 'pull')).toBe('absent');
  const lists = api.calls.filter(({ method }) => method === 'list');
  expect(lists).toHaveLength(2);
  for (const { path } of lists) expect(path).toBe('/api/v1/secrets');
});

test('names that rules do not use any more are let go, new ones are followed', async () => {
  const { watched, asked } = watching([secret('team-a', 'one'), secret('team-a', 'two')]);
  watched.follow(['one']);
  await expect.poll(() => watched.get('team-a', 'one')).toBe('present');
  watched.follow(['two', 'two']);
  expect(watched.get('team-a', 'one')).toBe('unknown');
  await expect.poll(() => watched.get('team-a', 'two')).toBe('present');
  expect(asked).toEqual(['list one', 'watch one', 'list two', 'watch two']);
});

describe('without the right', () => {
  test('nothing is known, and the fix is told once', async () => {
    const { watched, log, timers } = watching([secret('team-a', 'pull')], new Set());
    watched.follow(['pull', 'push']);
    await expect.poll(() => log.lines.length).toBe(1);
    expect(log.lines[0]?.message).toContain('resourceNames ["pull","push"], verbs ["list", "watch"]');
    expect(watched.get('team-a', 'pull')).toBe('unknown');
    timers.passTime();
    await new Promise(setImmediate);
    expect(log.lines).toHaveLength(1);
  });

  test('for one name, the others are followed all the same', async () => {
    const { watched } = watching([secret('team-a', 'pull'), secret('team-a', 'push')], new Set(['push']));
    watched.follow(['pull', 'push']);
    await expect.poll(() => watched.get('team-a', 'push')).toBe('present');
    expect(watched.get('team-a', 'pull')).toBe('unknown');
  });

  test('granted later, it counts without a restart', async () => {
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

test('of very many names only so many are followed, and that is told', async () => {
  const { watched, log, asked } = watching([]);
  watched.follow(Array.from({ length: 150 }, (_, index) => `secret-${index}`));
  await expect.poll(() => asked.length).toBe(200);
  expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining('the rules name 150 secrets')]);
});

/** Tests when the facts are ready, and which are missing. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createClusterFacts } from '../../../../src/cluster/facts/facts.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const namespacePath = '/api/v1/namespaces/team-a';
const namespace = (labels?: Record<string, string>): KubeObject => ({ metadata: { name: 'team-a', ...(labels && { labels }) } });

function watching(objects: Record<string, KubeObject> = {}) {
  const api = memoryApi(objects);
  const facts = createClusterFacts({ client: api.client, namespace: 'regkeeper', log: recordingLog() });
  facts.start();
  onTestFinished(() => facts.stop());
  return { api, facts, ready: () => expect.poll(() => facts.missing()).toBeUndefined() };
}

test('nothing is known before service accounts and namespaces have been read', async () => {
  const { facts, ready } = watching();
  expect(facts.current()).toBeUndefined();
  expect(facts.missing()).toBe('not read from the cluster yet: service accounts, namespaces and image streams');
  await ready();
  expect(facts.current()).toBeDefined();
});

describe('namespaces', () => {
  test('are known by their labels', async () => {
    const { facts, ready } = watching({ [namespacePath]: namespace({ team: 'a' }) });
    await ready();
    expect(facts.current()?.namespace('team-a')).toEqual({ kind: 'known', labels: { team: 'a' } });
  });

  test('without labels are known too, and one that does not exist is absent', async () => {
    const { facts, ready } = watching({ [namespacePath]: namespace() });
    await ready();
    expect(facts.current()?.namespace('team-a')).toEqual({ kind: 'known', labels: {} });
    expect(facts.current()?.namespace('team-b')).toEqual({ kind: 'absent' });
  });

  test('are followed: changed labels, a new namespace, a deletion', async () => {
    const { api, facts, ready } = watching({ [namespacePath]: namespace({ tier: 'sandbox' }) });
    await ready();
    api.put(namespacePath, namespace({ tier: 'production' }));
    await expect.poll(() => facts.current()?.namespace('team-a')).toEqual({ kind: 'known', labels: { tier: 'production' } });
    api.put('/api/v1/namespaces/later', { metadata: { name: 'later' } });
    await expect.poll(() => facts.current()?.namespace('later')).toEqual({ kind: 'known', labels: {} });
    api.remove(namespacePath);
    await expect.poll(() => facts.current()?.namespace('team-a')).toEqual({ kind: 'absent' });
  });
});

/** Tests that ConfigMaps with rules are watched and passed on. */
import { expect, onTestFinished, test } from 'vitest';
import { createClusterRuleSource } from '../../../../src/cluster/rules/rule-source.ts';
import { ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import type { RuleLoader } from '../../../../src/loading/rule-loader.ts';
import type { Bundle } from '../../../../src/rules/store/rule-store.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const ownPath = (name: string) => `/api/v1/namespaces/regkeeper/configmaps/${name}`;
/** The path in a list of all namespaces. The memory API stores it separately. */
const anyPath = (name: string) => `/api/v1/configmaps/${name}`;
const configMap = (name: string, namespace: string, created = '2026-01-01T00:00:00Z'): KubeObject & { data: Record<string, string> } => ({
  metadata: { name, namespace, creationTimestamp: created },
  data: { 'rules.yaml': 'rules: []' },
});

function watching(
  objects: Record<string, KubeObject>,
  namespaceRules: boolean,
  prepare: (api: ReturnType<typeof memoryApi>) => void = () => {},
) {
  const api = memoryApi(objects);
  prepare(api);
  const calls: [what: string, ids: readonly string[]][] = [];
  const intake: Pick<RuleLoader, 'open' | 'offer' | 'withdraw'> = {
    open: async (bundles) => void calls.push(['open', bundles.map(({ id }) => id)]),
    offer: async ({ id }) => void calls.push(['offer', [id]]),
    withdraw: async (id) => void calls.push(['withdraw', [id]]),
  };
  const log = recordingLog();
  const source = createClusterRuleSource({
    client: api.client,
    namespace: 'regkeeper',
    namespaceRules,
    intake,
    lastGood: async () => [],
    log,
  });
  void source.start(new AbortController().signal);
  onTestFinished(() => source.stop());
  return { api, calls };
}

test('of two ConfigMaps, the older one comes first, then each change in order', async () => {
  const { api, calls } = watching(
    { [ownPath('b')]: configMap('b', 'regkeeper', '2026-01-02T00:00:00Z'), [ownPath('c')]: configMap('c', 'regkeeper') },
    false,
  );
  await expect.poll(() => calls).toEqual([['open', ['ConfigMap regkeeper/c', 'ConfigMap regkeeper/b']]]);
  api.put(ownPath('b'), configMap('b', 'regkeeper'));
  api.remove(ownPath('c'));
  await expect
    .poll(() => calls.slice(1))
    .toEqual([
      ['offer', ['ConfigMap regkeeper/b']],
      ['withdraw', ['ConfigMap regkeeper/c']],
    ]);
});

test('the rules are opened once, when the namespace rules are listed too, with everything that exists then', async () => {
  const { api, calls } = watching(
    { [ownPath('b')]: configMap('b', 'regkeeper'), [anyPath('own')]: configMap('own', 'team-a') },
    true,
    (prepared) => {
      prepared.failNext('list', new ApiError(403, 'Forbidden', 'not yet'));
      prepared.before('list', () => prepared.put(ownPath('later'), configMap('later', 'regkeeper')));
    },
  );
  await expect
    .poll(() => calls, { timeout: 5_000 })
    .toEqual([['open', expect.arrayContaining(['ConfigMap regkeeper/b', 'ConfigMap regkeeper/later', 'namespace rules team-a/own'])]]);
  api.put(anyPath('own'), configMap('own', 'team-a'));
  await expect.poll(() => calls.slice(1)).toEqual([['offer', ['namespace rules team-a/own']]]);
});

test('an empty ConfigMap is one without rules, at startup and later, in any spelling', async () => {
  const empty = (name: string) => ({ ...configMap(name, 'regkeeper'), data: null, binaryData: null }) as unknown as KubeObject;
  const { api, calls } = watching({ [ownPath('a')]: empty('a') }, false);
  await expect.poll(() => calls).toEqual([['open', ['ConfigMap regkeeper/a']]]);
  api.put(ownPath('b'), empty('b'));
  await expect.poll(() => calls.slice(1)).toEqual([['offer', ['ConfigMap regkeeper/b']]]);
});

test("a bundle that waits for its namespace's turn keeps no text: the newest version is read, or none if it was deleted", async () => {
  const api = memoryApi({ [anyPath('own')]: configMap('own', 'team-a') });
  const bundles: Bundle[] = [];
  const intake: Pick<RuleLoader, 'open' | 'offer' | 'withdraw'> = {
    open: async (all) => void bundles.push(...all),
    offer: async () => undefined,
    withdraw: async () => undefined,
  };
  const source = createClusterRuleSource({
    client: api.client,
    namespace: 'regkeeper',
    namespaceRules: true,
    intake,
    lastGood: async () => [],
    log: recordingLog(),
  });
  void source.start(new AbortController().signal);
  onTestFinished(() => source.stop());
  await expect.poll(() => bundles.length).toBe(1);
  const texts = () => bundles[0]?.readNewest?.()?.documents.map(({ text }) => text);
  expect(texts()).toEqual(['rules: []']);
  api.put(anyPath('own'), { ...configMap('own', 'team-a'), data: { 'rules.yaml': '# newer' } } as KubeObject);
  await expect.poll(texts).toEqual(['# newer']);
  api.remove(anyPath('own'));
  await expect.poll(texts).toBeUndefined();
});

test('without the setting, ConfigMaps in other namespaces are not requested', async () => {
  const { api, calls } = watching({ [anyPath('own')]: configMap('own', 'team-a') }, false);
  await expect.poll(() => calls).toEqual([['open', []]]);
  expect(api.calls.map(({ path }) => path)).toEqual(['/api/v1/namespaces/regkeeper/configmaps']);
});

/** Tests what OpenShift configures about registries. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createClusterPlatform, readPlatform } from '../../../../src/cluster/facts/openshift-registries.ts';
import { ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const configPath = '/apis/config.openshift.io/v1/images/cluster';
const servicePath = '/api/v1/namespaces/openshift-image-registry/services/image-registry';
const hostname = 'image-registry.openshift-image-registry.svc:5000';
const config = (internalRegistryHostname?: string, search?: unknown): KubeObject =>
  ({
    metadata: { name: 'cluster' },
    spec: { registrySources: { containerRuntimeSearchRegistries: search } },
    status: { internalRegistryHostname },
  }) as KubeObject;
const service = (spec: object): KubeObject =>
  ({ metadata: { name: 'image-registry', namespace: 'openshift-image-registry' }, spec }) as KubeObject;
const ofConfig = 'images.config.openshift.io/cluster';
const ofService = 'service openshift-image-registry/image-registry';

describe('internal registries are', () => {
  const found = (...args: Parameters<typeof readPlatform>) => readPlatform(...args).internalRegistries.map(({ registry }) => registry);

  test('the hostname, its form with the cluster’s domain, and the addresses of the Service, each with its source object', () => {
    expect(
      readPlatform(config(hostname), service({ clusterIP: '172.30.1.1', clusterIPs: ['172.30.1.1'], ports: [{ port: 5000 }] })),
    ).toEqual({
      internalRegistries: [
        { registry: hostname, object: ofConfig },
        { registry: 'image-registry.openshift-image-registry.svc.cluster.local:5000', object: ofConfig },
        { registry: '172.30.1.1:5000', object: ofService },
      ],
      shortNames: 'reject',
    });
  });

  test.each<[sentence: string, args: Parameters<typeof readPlatform>, registries: readonly string[]]>([
    ['none if the registry was removed', [config(''), undefined], []],
    ['none if nothing is configured', [undefined, undefined], []],
    ['none if the configuration is not a string', [config(5 as unknown as string), undefined], []],
    ['a hostname without a port', [config('registry.svc'), undefined], ['registry.svc', 'registry.svc.cluster.local']],
    ['one that is not a Service, once', [config('registry.example.com:5000'), undefined], ['registry.example.com:5000']],
    [
      'IPv6 addresses too',
      [undefined, service({ clusterIPs: ['172.30.1.1', 'fd02::1'], ports: [{ port: 5000 }] })],
      ['172.30.1.1:5000', '[fd02::1]:5000'],
    ],
    [
      'every port',
      [undefined, service({ clusterIP: '172.30.1.1', ports: [{ port: 5000 }, { port: 5001 }, {}] })],
      ['172.30.1.1:5000', '172.30.1.1:5001'],
    ],
    ['not a Service without an address', [undefined, service({ clusterIP: 'None', ports: [{ port: 5000 }] })], []],
    ['not a Service without ports', [undefined, service({ clusterIP: '172.30.1.1' })], []],
    ['not an object that is not a Service', [undefined, service({ clusterIP: 5, clusterIPs: '172.30.1.1', ports: {} })], []],
    [
      'not parts of the Service with a wrong type',
      [undefined, service({ clusterIPs: [null, 5, '172.30.1.1'], ports: [null, 5000, { port: '5000' }] })],
      [],
    ],
    ['not a Service without a spec', [undefined, { metadata: { name: 'image-registry' }, spec: null }], []],
    ['not a configuration without anything', [{ metadata: { name: 'cluster' }, spec: null, status: null }, undefined], []],
  ])('%s', (_sentence, args, registries) => {
    expect(found(...args)).toEqual(registries);
  });
});

test.each<[sentence: string, hostnames: { spec?: unknown; status?: unknown }, registries: readonly string[]]>([
  [
    'the one that `oc registry info --public` prints, and those that administrators configure',
    { status: ['default-route.apps.example.com', 'other.apps.example.com:8443'], spec: ['registry.example.com'] },
    ['default-route.apps.example.com', 'other.apps.example.com:8443', 'registry.example.com'],
  ],
  [
    'once each, without blank values and values that are not strings',
    { status: ['a.example.com', '', null, 5], spec: ['a.example.com'] },
    ['a.example.com'],
  ],
  ['not from a value that is not a list', { status: 'a.example.com', spec: { 0: 'b.example.com' } }, []],
  ['none if nothing is exposed', {}, []],
])('external names of the registry are those %s', (_sentence, { spec, status }, registries) => {
  const exposed = {
    metadata: { name: 'cluster' },
    spec: { externalRegistryHostnames: spec },
    status: { externalRegistryHostnames: status },
  };
  expect(readPlatform(exposed, undefined).externalRegistries ?? []).toEqual(registries.map((registry) => ({ registry, object: ofConfig })));
});

describe('a name without a registry is', () => {
  test.each<[sentence: string, search: unknown, shortNames: unknown]>([
    ['searched in the registries that nodes search', ['registry.access.redhat.com', 'quay.io'], ['registry.access.redhat.com', 'quay.io']],
    ['rejected without a list', undefined, 'reject'],
    ['rejected with an empty list', [], 'reject'],
    ['rejected with a list of a wrong type', 'quay.io', 'reject'],
    ['rejected with null in place of a list', null, 'reject'],
    ['not searched in invalid registries', ['https://x', 5, 'nginx', 'a.io:5000'], ['a.io:5000']],
    ['rejected if the list contains no registry', ['https://x'], 'reject'],
  ])('%s', (_sentence, search, shortNames) => {
    expect(readPlatform(config(hostname, search), undefined).shortNames).toEqual(shortNames);
  });
});

function watching(objects: Record<string, KubeObject> = {}, groups: string[] = ['config.openshift.io']) {
  const api = memoryApi(objects, { groups });
  const time = handClock(10_000);
  let changes = 0;
  const log = recordingLog();
  const platform = createClusterPlatform({ client: api.client, log, onChange: () => void changes++, clock: time.clock });
  platform.start();
  onTestFinished(() => platform.stop());
  return { api, time, log, platform, groups, changes: () => changes };
}

describe('while the cluster is watched', () => {
  test('on a cluster without OpenShift’s configuration, nothing is requested, nothing is logged, and no Service is trusted', async () => {
    const { api, log, platform } = watching({ [servicePath]: service({ clusterIP: '10.0.0.1', ports: [{ port: 5000 }] }) }, []);
    expect(platform.current()).toBeUndefined();
    expect(platform.missing()).toBe("the cluster's registry configuration has not been read yet");
    await expect.poll(() => platform.current()).toEqual({ internalRegistries: [] });
    expect(platform.missing()).toBeUndefined();
    expect(api.calls).toEqual([]);
    expect(log.lines).toEqual([]);
  });

  test('changes are reported: another hostname, another Service, another list', async () => {
    const { api, platform, changes } = watching({ [configPath]: config(hostname) });
    await expect.poll(() => platform.current()?.internalRegistries.length).toBe(2);
    const before = changes();
    api.put(servicePath, service({ clusterIP: '172.30.9.9', ports: [{ port: 5000 }] }));
    await expect.poll(() => platform.current()?.internalRegistries.length).toBe(3);
    api.put(configPath, config('other.svc:5000', ['quay.io']));
    await expect
      .poll(() => platform.current())
      .toEqual({
        internalRegistries: [
          { registry: 'other.svc:5000', object: ofConfig },
          { registry: 'other.svc.cluster.local:5000', object: ofConfig },
          { registry: '172.30.9.9:5000', object: ofService },
        ],
        shortNames: ['quay.io'],
      });
    expect(changes()).toBeGreaterThanOrEqual(before + 2);
  });

  const unavailable = new ApiError(503, 'ServiceUnavailable', 'GET /apis/config.openshift.io/v1: ServiceUnavailable (503)');

  test('an API that does not respond is waited for, then names that depend on it are evaluated strictly until it responds', async () => {
    const { api, time, platform, log, changes } = watching({ [configPath]: config(hostname, ['quay.io']) });
    const served = api.client.hasResource;
    api.client.hasResource = () => Promise.reject(unavailable);
    expect(platform.missing()).toBeDefined();
    await expect.poll(time.passing(() => platform.missing())).toBeUndefined();
    expect(platform.current()).toEqual({ internalRegistries: [], shortNames: 'reject' });
    expect(changes()).toBeGreaterThan(0);
    expect(log.lines.filter(({ message }) => message.includes('cannot read')).map(({ level }) => level)).toEqual(['warn']);
    api.client.hasResource = served;
    await expect.poll(time.passing(() => platform.current()?.shortNames)).toEqual(['quay.io']);
  });

  test('if only the Service cannot be read, the name of the registry is known nevertheless', async () => {
    const { api, time, platform } = watching({ [configPath]: config(hostname) });
    const { list } = api.client;
    api.client.list = (path, query, options) => (path.endsWith('/services') ? Promise.reject(unavailable) : list(path, query, options));
    await expect.poll(time.passing(() => platform.current()?.internalRegistries.map(({ registry }) => registry))).toContain(hostname);
    expect(platform.missing()).toBeUndefined();
  });

  test('a missing permission keeps it waiting, because the installation must be fixed', async () => {
    const { api, time, platform, log } = watching({ [configPath]: config(hostname) });
    api.client.list = () => Promise.reject(new ApiError(403, 'Forbidden', 'images is forbidden'));
    await expect.poll(() => log.lines.length).toBeGreaterThan(0);
    time.passTime();
    await setImmediate();
    expect(platform.missing()).toBeDefined();
    expect(platform.current()).toBeUndefined();
  });

  test('after a forbidden request, an API that does not respond is logged once, and evaluation stays strict until it responds', async () => {
    const { api, time, platform, log, changes } = watching({ [configPath]: config(hostname) });
    const forbidden = new ApiError(403, 'Forbidden', 'images is forbidden');
    const { list } = api.client;
    const failingWith = async (failure: ApiError) => {
      let failed = 0;
      api.client.list = () => {
        failed += 1;
        return Promise.reject(failure);
      };
      await expect.poll(() => failed).toBeGreaterThan(1);
      await setImmediate();
    };
    await failingWith(forbidden);
    time.passTime();
    expect(platform.missing()).toBeDefined();
    const before = changes();
    await failingWith(unavailable);
    expect(platform.missing()).toBeUndefined();
    expect(changes()).toBe(before + 1);
    const warnings = () => log.lines.filter(({ message }) => message.includes('Images without a registry are denied'));
    expect(warnings()).toHaveLength(1);
    await failingWith(forbidden);
    expect(platform.missing()).toBeUndefined();
    expect(platform.current()).toEqual({ internalRegistries: [], shortNames: 'reject' });
    api.client.list = list;
    await expect.poll(() => platform.current()?.internalRegistries.length).toBe(2);
    expect(warnings()).toHaveLength(1);
  });

  test('an API that is installed later is found, and one that is removed is forgotten', async () => {
    const { api, time, platform, groups } = watching({}, []);
    await expect.poll(() => platform.current()).toEqual({ internalRegistries: [] });
    api.put(configPath, config(hostname));
    groups.push('config.openshift.io');
    await expect.poll(time.passing(() => platform.current()?.internalRegistries.length)).toBe(2);
    groups.pop();
    await expect.poll(time.passing(() => platform.current())).toEqual({ internalRegistries: [] });
    expect(platform.missing()).toBeUndefined();
  });
});

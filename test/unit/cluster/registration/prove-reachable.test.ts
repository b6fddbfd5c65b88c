/** Tests the proof that the API server reaches regkeeper. */
import { expect, test } from 'vitest';
import { renderProbeAnswer } from '../../../../src/admission/probe-answer.ts';
import { createCertificateSource } from '../../../../src/certificates/source.ts';
import { createReachabilityProbe } from '../../../../src/cluster/registration/prove-reachable.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const configuration = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/regkeeper';
const snapshot = '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules-snapshot';

/** A cluster whose API server calls the probe entry if the path is open. */
function probing() {
  const api = memoryApi({ [configuration]: { metadata: { name: 'regkeeper' } }, [snapshot]: { metadata: { name: 'x' } } });
  const log = recordingLog();
  let free = true;
  const client: typeof api.client = {
    ...api.client,
    async patchApply<T>(path: string, body: unknown, options: { fieldManager: string; force: boolean; dryRun?: 'All' }) {
      if (options.dryRun === undefined) return api.client.patchApply<T>(path, body, options);
      const { patch } = renderProbeAnswer({ uid: 'u', object: body } as Parameters<typeof renderProbeAnswer>[0]).response;
      const [{ value }] = JSON.parse(Buffer.from(patch ?? '', 'base64').toString());
      return { metadata: { name: 'x', annotations: { 'regkeeper.io/probe': free ? value : 'sent' } } } as T;
    },
  };
  const certificates = createCertificateSource({ certificate: 'leaf', key: 'key', caBundle: 'authority' });
  const prove = createReachabilityProbe({ client, namespace: 'regkeeper', service: 'regkeeper', certificates, log, pauseMilliseconds: 0 });
  return {
    ...api,
    log,
    prove: (seen = api.get(configuration) as KubeObject) => prove(seen, new AbortController().signal),
    block: (blocked: boolean) => {
      free = !blocked;
    },
  };
}

test('a dry run to which our own server responded is the proof, and it blocks and changes nothing', async () => {
  const { prove, get, calls, log } = probing();
  const before = get(configuration)?.metadata.resourceVersion;
  expect(await prove()).toBe(true);
  expect(get(configuration)).toMatchObject({ webhooks: [{ name: 'probe.regkeeper.io', failurePolicy: 'Ignore', sideEffects: 'None' }] });
  // Only over the version that was empty. Otherwise it could remove what another replica has filled in.
  expect(calls.at(-1)?.body).toMatchObject({ metadata: { resourceVersion: before } });
  expect(get(snapshot)?.metadata.annotations).toBeUndefined();
  expect(log.lines).toEqual([]);
});

test('the owner of the configuration stays, because without it the configuration would outlive its namespace', async () => {
  const { prove, calls, put } = probing();
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Namespace', name: 'regkeeper', uid: 'uid-1' }];
  put(configuration, { metadata: { name: 'regkeeper', ownerReferences } } as KubeObject);
  expect(await prove()).toBe(true);
  // An apply removes what it does not contain.
  expect(calls.at(-1)?.body).toMatchObject({ metadata: { ownerReferences }, webhooks: [{ name: 'probe.regkeeper.io' }] });
});

test('a dry run without a response is logged once, with what to check, and once more when it works', async () => {
  const { prove, block, log } = probing();
  block(true);
  expect([await prove(), await prove()]).toEqual([false, false]);
  expect(log.lines.map(({ message }) => message)).toEqual([expect.stringContaining('through the Service regkeeper/regkeeper')]);
  block(false);
  expect(await prove()).toBe(true);
  expect(log.lines).toHaveLength(2);
});

test('a configuration that another replica has written meanwhile is left alone, without a message', async () => {
  const { prove, get, put, log } = probing();
  const seen = get(configuration) as KubeObject;
  put(configuration, { ...seen, webhooks: [{ name: 'pods.mutate.regkeeper.io' }] } as KubeObject);
  expect(await prove(seen)).toBe(false);
  expect(get(configuration)).toMatchObject({ webhooks: [{ name: 'pods.mutate.regkeeper.io' }] });
  expect(log.lines).toEqual([]);
});

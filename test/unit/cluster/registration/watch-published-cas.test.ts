/** Tests the CA bundles that the live webhook configurations contain. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { createPublishedCas } from '../../../../src/cluster/registration/watch-published-cas.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { eventually } from '../../../eventually.ts';
import { sampleCa } from '../../certificates/samples.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const [old, coming] = ['old', 'coming'].map((commonName) => sampleCa({ commonName }).certificate) as [string, string];
const path = (kind: 'mutating' | 'validating') => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/regkeeper`;

const entry = (caBundle: string, name = 'pods.mutate.regkeeper.io') => ({
  name,
  clientConfig: { caBundle: Buffer.from(caBundle).toString('base64') },
});
const filled = (...webhooks: object[]) => ({ metadata: { name: 'regkeeper' }, webhooks }) as KubeObject;

async function published(mutating: KubeObject | undefined, validating: KubeObject | undefined) {
  const api = memoryApi({ ...(mutating && { [path('mutating')]: mutating }), ...(validating && { [path('validating')]: validating }) });
  const watch = createPublishedCas({ client: api.client, log: recordingLog() });
  watch.start();
  onTestFinished(() => watch.stop());
  await eventually(() => expect(watch.current()).toBeDefined());
  return { ...api, watch };
}

test.each<[string, KubeObject | undefined, KubeObject | undefined, readonly string[]]>([
  ['a single one if it is the same in all entries', filled(entry(coming + old)), filled(entry(coming + old)), [coming + old]],
  [
    'each one that an entry has',
    filled(entry(old), entry(coming + old, 'jobs.mutate.regkeeper.io')),
    filled(entry(old)),
    [old, coming + old],
  ],
  ['both of two that have nothing in common', filled(entry(coming)), filled(entry(old)), [coming, old]],
  ['the one in the only configuration that exists', filled(entry(old)), undefined, [old]],
  [
    'not the one in the probe, or in an entry that is not ours',
    filled(entry(coming, 'probe.regkeeper.io'), entry(coming, 'a.example.com')),
    filled(),
    [],
  ],
  ['none if the configurations are empty', filled(), filled(), []],
  ['none if they do not exist', undefined, undefined, []],
  ['also an invalid one, which no certificate satisfies', filled(entry('damaged')), filled(entry(old)), ['damaged', old]],
])('the published bundle is %s', async (_name, mutating, validating, expected) => {
  expect((await published(mutating, validating)).watch.current()).toEqual(expected);
});

test('changes are reported, until closed', async () => {
  const { watch, put } = await published(filled(entry(old)), filled(entry(old)));
  const heard = vi.fn();
  watch.onChange(heard);
  put(path('mutating'), filled(entry(coming + old)));
  await eventually(() => expect(heard).toHaveBeenCalledTimes(1));
  expect(watch.current()).toEqual([coming + old, old]);
  put(path('validating'), filled(entry(coming + old)));
  await eventually(() => expect(watch.current()).toEqual([coming + old]));
  await watch.stop();
  put(path('validating'), filled());
  expect(heard).toHaveBeenCalledTimes(2);
});

test('the published bundles are unknown before the configurations were read', () => {
  const watch = createPublishedCas({ client: memoryApi().client, log: recordingLog() });
  watch.start();
  onTestFinished(() => watch.stop());
  expect(watch.current()).toBeUndefined();
});

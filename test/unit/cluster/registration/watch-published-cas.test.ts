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
  ['one where all entries have the same', filled(entry(coming + old)), filled(entry(coming + old)), [coming + old]],
  ['each that an entry has', filled(entry(old), entry(coming + old, 'jobs.mutate.regkeeper.io')), filled(entry(old)), [old, coming + old]],
  ['each of two that have nothing in common', filled(entry(coming)), filled(entry(old)), [coming, old]],
  ['that of the one which is there', filled(entry(old)), undefined, [old]],
  [
    'not that of the probe, or of an entry that is not ours',
    filled(entry(coming, 'probe.regkeeper.io'), entry(coming, 'a.example.com')),
    filled(),
    [],
  ],
  ['none where they are empty', filled(), filled(), []],
  ['none where they are gone', undefined, undefined, []],
  ['also one that cannot be read, which no certificate satisfies', filled(entry('damaged')), filled(entry(old)), ['damaged', old]],
])('is %s', async (_name, mutating, validating, expected) => {
  expect((await published(mutating, validating)).watch.current()).toEqual(expected);
});

test('changes are told, until closed', async () => {
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

test('is unknown before the configurations were read', () => {
  const watch = createPublishedCas({ client: memoryApi().client, log: recordingLog() });
  watch.start();
  onTestFinished(() => watch.stop());
  expect(watch.current()).toBeUndefined();
});

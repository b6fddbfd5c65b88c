/** Tests which kinds are registered while APIs answer, fail or do not exist. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDiscovery } from '../../../../src/cluster/registration/discovery.ts';
import { ApiError } from '../../../../src/kube/api-client.ts';
import { kindsWithImages } from '../../../../src/object/kinds.ts';
import { eventually } from '../../../eventually.ts';
import { abortable } from '../../kube/abortable.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const api = 'build.openshift.io/v1';
const platform = 'config.openshift.io/v1';
const kinds = kindsWithImages.filter(({ group }) => ['', 'build.openshift.io'].includes(group));
const unavailable = new ApiError(503, 'ServiceUnavailable', 'unavailable');
const unresponsive = new ApiError(0, 'Timeout', 'no answer within 3 s');

type Answer = readonly string[] | ApiError;

/** Consecutive states of the cluster, each for one round of requests. */
async function discovering(
  rounds: readonly Partial<Record<string, Answer>>[],
  { listed = false, registered = undefined as string[] | undefined } = {},
) {
  const { client } = memoryApi();
  const log = recordingLog();
  const timers = handClock(0);
  let round = 0;
  client.resourcesOf = async (name) => {
    const answer = rounds[round]?.[name] ?? [];
    if (answer instanceof ApiError) throw answer;
    return new Set(answer as readonly string[]);
  };
  client.request = async () => {
    if (!listed) throw new ApiError(404, 'NotFound', 'no such group');
    return {} as never;
  };
  const discovery = createDiscovery({ client, kinds, log, onChange: () => undefined, clock: { ...timers.clock, now: () => 0 } });
  discovery.start();
  onTestFinished(() => discovery.stop());
  await eventually(() => expect(discovery.queried).toBe(true));
  const entryPoints = () =>
    discovery
      .kinds(() => registered)
      .filter(({ group }) => group !== '')
      .flatMap((kind) => kind.entryPoints.map(({ resource }) => resource));
  for (round = 1; round < rounds.length; round += 1) {
    let asked = 0;
    const before = client.resourcesOf;
    client.resourcesOf = async (...input) => {
      asked += 1;
      return before(...input);
    };
    await eventually(() => {
      timers.passTime();
      expect(asked).toBeGreaterThanOrEqual(discovery.apis.length);
    });
    await eventually(() => expect(log.lines.length).toBeGreaterThanOrEqual(0));
  }
  return { discovery, log, entryPoints };
}

const all = kinds.filter(({ group }) => group !== '').flatMap(({ entryPoints }) => entryPoints.map(({ resource }) => resource));

describe('the entry points of an API', () => {
  test.each<[string, readonly Answer[], string[] | undefined, readonly string[]]>([
    ['that serves some of them', [['builds', 'builds/clone', 'builds/log']], undefined, ['builds', 'builds/clone']],
    ['that does not exist', [[]], undefined, []],
    ['that has never responded, on a fresh install', [unavailable], undefined, all],
    ['that is slow from the beginning, on a fresh install', [unresponsive], undefined, all],
    ['that has never responded, after a restart', [unavailable], ['builds'], ['builds']],
    ['that has responded before', [['buildconfigs'], unavailable], ['builds'], ['buildconfigs']],
    ['that was slow and responds', [unresponsive, ['buildconfigs']], undefined, ['buildconfigs']],
    ['that did not exist and is being installed', [[], unavailable], undefined, all],
    ['that did not exist, when the API server does not respond', [[], unresponsive], undefined, []],
    ['that was removed', [['buildconfigs'], []], ['buildconfigs'], []],
  ])('%s', async (_which, answers, registered, expected) => {
    const { entryPoints } = await discovering(
      answers.map((answer) => ({ [api]: answer })),
      { registered },
    );
    expect([...new Set(entryPoints())].sort()).toEqual([...new Set(expected)].sort());
  });

  test("of Kubernetes' own APIs always exist", async () => {
    const { discovery } = await discovering([{ [api]: unavailable, [platform]: unavailable }]);
    expect(discovery.kinds(() => []).map(({ kind }) => kind)).toContain('Pod');
  });
});

describe('whether this is OpenShift', () => {
  test.each<[string, Answer, boolean | undefined, boolean, boolean]>([
    ['is known from the ClusterVersion', ['clusterversions'], undefined, false, true],
    ['is known from the ClusterVersion, whatever is registered', ['clusterversions'], false, false, true],
    ['is false without it, whatever is registered', [], true, true, false],
    ['depends on the registration, if the ClusterVersion cannot be queried: yes', unavailable, true, false, true],
    ['depends on the registration, if the ClusterVersion cannot be queried: no', unavailable, false, true, false],
    ['depends on the listed groups on a fresh install: yes', unavailable, undefined, true, true],
    [
      'depends on the listed groups on a fresh install: no, so no namespace is excluded because of its name',
      unavailable,
      undefined,
      false,
      false,
    ],
  ])('%s', async (_what, answer, registered, listed, expected) => {
    const { discovery } = await discovering([{ [platform]: answer }], { listed });
    expect(discovery.openshift(registered)).toBe(expected);
  });
});

test('a failure is reported once, with its reason and time, and so is its end', async () => {
  const { discovery, log } = await discovering([{ [api]: unavailable }, { [api]: unresponsive }, { [api]: unresponsive }]);
  expect(log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    expect.stringContaining(`discovery of the API ${api} failed: unavailable. Until the API is available`),
  ]);
  expect(discovery.unavailable()).toEqual([{ api, reason: 'no answer within 3 s', since: 0 }]);
});

test('a stop aborts the requests in progress, and they are not logged', async () => {
  const asked = Promise.withResolvers<void>();
  const resourcesOf = () => {
    asked.resolve();
    return new Promise<never>(() => {});
  };
  const client = abortable({ ...memoryApi().client, resourcesOf });
  const log = recordingLog();
  const discovery = createDiscovery({ client, kinds, log, onChange: () => expect.unreachable(), clock: handClock(0).clock });
  discovery.start();
  await asked.promise;
  await discovery.stop();
  expect(log.lines).toEqual([]);
});

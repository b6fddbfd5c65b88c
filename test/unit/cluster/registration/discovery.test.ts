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

describe('the entryPoints of an API', () => {
  test.each<[string, readonly Answer[], string[] | undefined, readonly string[]]>([
    ['that serves some', [['builds', 'builds/clone', 'builds/log']], undefined, ['builds', 'builds/clone']],
    ['that does not exist', [[]], undefined, []],
    ['that has never answered, on a fresh install', [unavailable], undefined, all],
    ['that is slow from the beginning, on a fresh install', [unresponsive], undefined, all],
    ['that has never answered, after a restart', [unavailable], ['builds'], ['builds']],
    ['that has answered before', [['buildconfigs'], unavailable], ['builds'], ['buildconfigs']],
    ['that was slow and answers', [unresponsive, ['buildconfigs']], undefined, ['buildconfigs']],
    ['that did not exist and is being installed', [[], unavailable], undefined, all],
    ['that did not exist, when the API server does not answer', [[], unresponsive], undefined, []],
    ['that was removed', [['buildconfigs'], []], ['buildconfigs'], []],
  ])('%s', async (_which, answers, registered, expected) => {
    const { entryPoints } = await discovering(
      answers.map((answer) => ({ [api]: answer })),
      { registered },
    );
    expect([...new Set(entryPoints())].sort()).toEqual([...new Set(expected)].sort());
  });

  test("of Kubernetes' own are there whatever happens", async () => {
    const { discovery } = await discovering([{ [api]: unavailable, [platform]: unavailable }]);
    expect(discovery.kinds(() => []).map(({ kind }) => kind)).toContain('Pod');
  });
});

describe('whether this is OpenShift', () => {
  test.each<[string, Answer, boolean | undefined, boolean, boolean]>([
    ['is known by the ClusterVersion', ['clusterversions'], undefined, false, true],
    ['whatever is registered', ['clusterversions'], false, false, true],
    ['without it is denied, whatever is registered', [], true, true, false],
    ['is what is registered, where it cannot be asked', unavailable, true, false, true],
    ['is not, where that is registered', unavailable, false, true, false],
    ['on a fresh install: where the API server lists the group', unavailable, undefined, true, true],
    ['and nowhere else: nobody steps outside by the name of a namespace', unavailable, undefined, false, false],
  ])('%s', async (_what, answer, registered, listed, expected) => {
    const { discovery } = await discovering([{ [platform]: answer }], { listed });
    expect(discovery.openshift(registered)).toBe(expected);
  });
});

test('trouble is reported once, told with its reason and time, and so is its end', async () => {
  const { discovery, log } = await discovering([{ [api]: unavailable }, { [api]: unresponsive }, { [api]: unresponsive }]);
  expect(log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    expect.stringContaining(`discovery of the API ${api} failed: unavailable. Until the API is available`),
  ]);
  expect(discovery.unavailable()).toEqual([{ api, reason: 'no answer within 3 s', since: 0 }]);
});

test('a stop ends the requests in progress, and nothing of them is logged', async () => {
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

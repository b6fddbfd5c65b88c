/** Events on the owners of Pods: what they contain, how often they are written, and that failures affect nothing else. */
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createEvents } from '../../../../src/app/components/events.ts';
import { observeRequests, type RequestObservers } from '../../../../src/app/components/observe-requests.ts';
import { maxNoteBytes } from '../../../../src/cluster/events/note.ts';
import { ownerEventOf } from '../../../../src/cluster/events/owner-event.ts';
import { createTopOwners } from '../../../../src/cluster/events/top-owner.ts';
import { type ApiClient, ApiError } from '../../../../src/kube/api-client.ts';
import type { EventDrop } from '../../../../src/observe/event-drops.ts';
import { createRuleStore } from '../../../../src/rules/store/rule-store.ts';
import { createRulesInForce } from '../../../../src/rules/store/rules-in-force.ts';
import { runs } from '../../../property.ts';
import { type AnsweredOptions, answered, deployment, eventsIn, owners, pass, replicaSet } from '../../cluster/events/events.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { ruleSetOf, sha256 } from '../../rules/documents.ts';
import { manualClock } from '../../server/clock.ts';

/** A replica that writes Events to the API server. */
function replica(api = memoryApi(owners), clock = manualClock()) {
  const store = createRuleStore(sha256);
  const log = recordingLog();
  const dropped: EventDrop[] = [];
  const counts = { written: 0 };
  const events = createEvents({
    settings: { events: true },
    client: api.client,
    rules: createRulesInForce(store, sha256),
    store,
    ruleSource: { versionOf: undefined },
    metrics: { eventWritten: () => void counts.written++, eventDropped: (reason) => void dropped.push(reason) },
    log,
    clock,
  });
  if (!events) throw new Error('Events are on');
  events.recorder.start();
  onTestFinished(async () => events.recorder.stop());
  return { api, clock, events, log, dropped, counts, answer: (options: AnsweredOptions = {}) => events.answered(answered(options)) };
}

describe('the Event about a Pod', () => {
  test('is on the Deployment, with the image, the reason and the contact', async () => {
    const { api, clock, answer } = replica();
    answer();
    await pass(clock, 100);
    expect(eventsIn(api)).toEqual([
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: expect.objectContaining({ name: expect.stringMatching(/^web\.[0-9a-f]{16}$/), namespace: 'shop' }),
        involvedObject: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'deployment-uid', namespace: 'shop' },
        type: 'Warning',
        reason: 'ImageDenied',
        message:
          'container "c0": image "evil.example.com/x:1" is from an untrusted registry (rule "evil.example.com", a.yaml:5:14): it was hacked. Contact: the platform team.',
        source: { component: 'regkeeper' },
        reportingComponent: 'regkeeper',
        reportingInstance: '',
        firstTimestamp: '1970-01-01T00:00:00Z',
        lastTimestamp: '1970-01-01T00:00:00Z',
        count: 1,
      },
    ]);
  });

  test.each([
    ['a ReplicaSet without a Deployment', { kind: 'ReplicaSet', name: 'lone', uid: 'lone-uid' }, 'ReplicaSet lone'],
    ['a StatefulSet', { kind: 'StatefulSet', name: 'db', uid: 'db-uid' }, 'StatefulSet db'],
    ['a DaemonSet', { kind: 'DaemonSet', name: 'agent', uid: 'agent-uid' }, 'DaemonSet agent'],
    ['the Job of a CronJob', { apiVersion: 'batch/v1', kind: 'Job', name: 'report-1', uid: 'job-uid' }, 'CronJob report'],
    [
      'the ReplicationController of a DeploymentConfig',
      { apiVersion: 'v1', kind: 'ReplicationController', name: 'old-1', uid: 'rc-uid' },
      'DeploymentConfig old',
    ],
  ])('of %s', async (_owner, owner, regarding) => {
    const { api, clock, answer } = replica();
    answer({ owner: { apiVersion: 'apps/v1', ...owner } });
    await pass(clock, 100);
    expect(eventsIn(api).map(({ involvedObject: { kind, name } }) => `${kind} ${name}`)).toEqual([regarding]);
  });

  const creates = {
    replicaSet: { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
    job: { apiVersion: 'batch/v1', kind: 'Job' },
    controller: { apiVersion: 'v1', kind: 'ReplicationController' },
  };
  test.each([
    ['ReplicaSet of a Deployment', creates.replicaSet, deployment],
    ['Job of a CronJob', creates.job, { apiVersion: 'batch/v1', kind: 'CronJob', name: 'report', uid: 'cron-uid' }],
    [
      'ReplicationController of a DeploymentConfig',
      creates.controller,
      { apiVersion: 'apps.openshift.io/v1', kind: 'DeploymentConfig', name: 'old', uid: 'dc-uid' },
    ],
  ])('is also about a denied %s', async (_object, object, owner) => {
    const { api, clock, answer } = replica();
    answer({ creates: object, owner });
    await pass(clock, 100);
    expect(eventsIn(api)).toEqual([
      expect.objectContaining({
        involvedObject: { ...owner, namespace: 'shop' },
        reason: 'ImageDenied',
        message:
          'container "c0": image "evil.example.com/x:1" is from an untrusted registry (rule "evil.example.com", a.yaml:5:14): it was hacked. Contact: the platform team.',
      }),
    ]);
  });

  test('is the same for the Pods and the ReplicaSets of a Deployment', async () => {
    const { api, clock, answer, dropped } = replica();
    answer();
    answer({ creates: creates.replicaSet, owner: deployment });
    await pass(clock, 2_000);
    expect(eventsIn(api).map(({ involvedObject: { kind, name }, count }) => [kind, name, count])).toEqual([['Deployment', 'web', 2]]);
    expect(dropped).toEqual([]);
  });

  test('is also about a ReplicaSet that is allowed with a warning', async () => {
    const { api, clock, answer } = replica();
    const warn = ruleSetOf('mode: warn\ncontact: ops\nrules: [{registry: evil.example.com, trust: false}]');
    answer({ creates: creates.replicaSet, owner: deployment, rules: warn });
    await pass(clock, 100);
    expect(eventsIn(api).map(({ reason, involvedObject: { name } }) => [reason, name])).toEqual([['ImageWarned', 'web']]);
  });

  test('is one for all Pods of the owner and all replicas, and counts them', async () => {
    const one = replica();
    const other = replica(one.api, one.clock);
    for (const each of [one, other, one, other, one]) {
      each.answer();
      await pass(one.clock, 31_000);
    }
    const events = eventsIn(one.api);
    expect(events.map(({ count }) => count)).toEqual([5]);
    expect(events[0]?.lastTimestamp).not.toBe(events[0]?.firstTimestamp);
    expect([...one.dropped, ...other.dropped]).toEqual([]);
  });

  test('is written again after it has expired', async () => {
    const { api, clock, answer, counts } = replica();
    answer();
    await pass(clock, 100);
    const [event] = eventsIn(api);
    api.remove(`/api/v1/namespaces/shop/events/${event?.metadata.name}`);
    answer();
    await pass(clock, 31_000);
    expect(eventsIn(api).map(({ count }) => count)).toEqual([1]);
    expect(counts.written).toBe(2);
  });

  test('is updated at most every 30 s', async () => {
    const { api, clock, answer, counts } = replica();
    for (let second = 0; second < 40; second++) {
      answer();
      await pass(clock, 1_000);
    }
    expect(counts.written).toBe(2);
    expect(eventsIn(api).map(({ count }) => count)).toEqual([31]);
  });

  test('of a warning shows whether it will become a denial', async () => {
    const { api, clock, answer } = replica();
    const warn = ruleSetOf('mode: warn\ncontact: ops\nrules: [{registry: evil.example.com, trust: false}]');
    const soft = ruleSetOf('unconfigured: warn\ncontact: ops\nrules: []');
    answer({ rules: warn });
    answer({ rules: soft });
    await pass(clock, 2_000);
    expect(eventsIn(api).map(({ reason, message }) => `${reason} ${message}`)).toEqual([
      'ImageWarned would be denied in enforce mode: container "c0": image "evil.example.com/x:1" is from an untrusted registry (rule "evil.example.com", a.yaml:3:20). Contact: ops.',
      'ImageWarned container "c0": image "evil.example.com/x:1" is not from a configured registry. Contact: ops.',
    ]);
  });
});

describe('an Event is not always written', () => {
  const audit = ruleSetOf('mode: audit\nrules: [{registry: evil.example.com, trust: false}]');
  const custom = { apiVersion: 'example.com/v1', kind: 'Cluster', name: 'pg', uid: 'pg-uid' };
  test.each<[string, AnsweredOptions, EventDrop[]]>([
    ['for a dry run', { request: { dryRun: true } }, []],
    ['for an allowed Pod', { images: ['good.example.com/x'] }, []],
    ['in mode audit', { rules: audit }, []],
    ['for a Pod without an owner, whose author has seen the response', { owner: undefined }, []],
    ['for an update', { request: { operation: 'UPDATE' } }, []],
    ['for a ReplicaSet that a user creates', { creates: { apiVersion: 'apps/v1', kind: 'ReplicaSet' }, owner: undefined }, []],
    [
      'for a ReplicaSet of a Deployment that does not exist',
      { creates: { apiVersion: 'apps/v1', kind: 'ReplicaSet' }, owner: { ...deployment, uid: 'guess' } },
      ['owner-unverified'],
    ],
    [
      'for a Deployment of a custom resource, whose operator sees the response',
      { creates: { apiVersion: 'apps/v1', kind: 'Deployment' }, owner: custom, callerAuthenticated: true },
      [],
    ],
    ['for the response of /mutate', { webhook: 'mutate' }, []],
    ['for a static Pod', { owner: { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: 'node-uid' } }, []],
    ['if the owner has a different uid', { owner: { ...replicaSet, uid: 'guess' } }, ['owner-unverified']],
    ['if the owner does not exist', { owner: { ...replicaSet, name: 'none' } }, ['owner-unverified']],
    ['if the owner has no uid', { owner: { ...replicaSet, uid: '' } }, []],
    ['if the name of the owner is a path', { owner: { ...replicaSet, name: '../deployments/web' } }, ['owner-unverified']],
    ['if the namespace is a path', { request: { namespace: 'shop/replicasets/x?' } }, []],
    ['about an owner that cannot be read back, for an unauthenticated caller', { owner: custom }, []],
  ])('no Event is written %s', async (_case, options, drops) => {
    const { api, clock, answer, dropped } = replica();
    answer(options);
    await pass(clock, 200);
    expect(eventsIn(api)).toEqual([]);
    expect(api.calls.filter(({ method }) => method !== 'get')).toEqual([]);
    expect(dropped).toEqual(drops);
  });

  test('for an authenticated caller, an Event is written on any owner', async () => {
    const { api, clock, answer } = replica();
    answer({ owner: custom, callerAuthenticated: true });
    await pass(clock, 200);
    expect(eventsIn(api).map(({ involvedObject }) => involvedObject)).toEqual([{ ...custom, namespace: 'shop' }]);
  });

  test('if Events are off, or without a cluster', () => {
    const store = createRuleStore(sha256);
    const options = {
      rules: createRulesInForce(store, sha256),
      store,
      ruleSource: { versionOf: undefined },
      metrics: { eventWritten() {}, eventDropped() {} },
      log: recordingLog(),
      clock: manualClock(),
    };
    expect(createEvents({ ...options, client: memoryApi().client, settings: { events: false } })).toBeUndefined();
    expect(createEvents({ ...options, client: undefined, settings: { events: true } })).toBeUndefined();
  });
});

describe('the limits', () => {
  const custom = (name: string) => ({ apiVersion: 'example.com/v1', kind: 'X', name, uid: name });

  test('are one Event per second in a namespace, and 20 pending ones', async () => {
    const { api, clock, answer, dropped } = replica();
    for (let index = 0; index < 100; index++) answer({ owner: custom(`x${index}`), callerAuthenticated: true });
    expect(dropped).toHaveLength(80);
    expect(new Set(dropped)).toEqual(new Set(['queue-full']));
    await pass(clock, 5_000);
    expect(eventsIn(api).length).toBe(5);
    await pass(clock, 20_000);
    expect(eventsIn(api).length).toBe(20);
  });

  test('are 20 Events per second in total, from each namespace in turn', async () => {
    const { api, clock, answer, dropped } = replica();
    for (let index = 0; index < 400; index++)
      answer({ owner: custom(`x${index}`), callerAuthenticated: true, request: { namespace: `n${index % 40}` } });
    expect(dropped).toEqual([]);
    await pass(clock, 2_000);
    const namespaces = eventsIn(api).map(({ metadata: { namespace } }) => namespace);
    expect(namespaces.length).toBe(40);
    expect(new Set(namespaces).size).toBe(40);
  });

  test('are 1,000 pending Events in total', () => {
    const { answer, dropped } = replica();
    for (let index = 0; index < 1_010; index++) answer({ callerAuthenticated: true, request: { namespace: `n${index}` } });
    expect(dropped).toEqual(Array(10).fill('queue-full'));
  });
});

test('whatever names, images and contacts contain, the text of an Event is one line of at most 1,024 bytes that ends with the contact', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('a\nWarning: b', '\u001b[2J', '\u202e', '\ud800', '💥'.repeat(400), `evil.example.com/${'a/'.repeat(2_000)}x`),
  );
  const contact = fc.constantFrom('ops', `${'ä'.repeat(150)} team`);
  const top = createTopOwners(memoryApi().client);
  let longest = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(nasty, nasty), { minLength: 1, maxLength: 14 }), contact, (containers, team) => {
      const options = { containers: containers.map(([name, image]) => ({ name, image })), rules: ruleSetOf(`contact: ${team}\nrules: []`) };
      const { note = '' } = ownerEventOf(answered(options), top) ?? {};
      longest = Math.max(longest, Buffer.byteLength(note));
      expect(Buffer.byteLength(note)).toBeLessThanOrEqual(maxNoteBytes);
      expect(note).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      expect(note).toMatch(new RegExp(`^container .* Contact: ${team}\\.$`));
    }),
    runs(300),
  );
  expect(longest).toBeGreaterThan(maxNoteBytes - 100);
});

test('a note without room for every image counts the others', async () => {
  const { api, clock, answer } = replica();
  answer({ images: Array.from({ length: 30 }, (_, index) => `evil.example.com/${'team/'.repeat(8)}${index}:1`) });
  await pass(clock, 100);
  const [event] = eventsIn(api);
  expect(event?.message).toMatch(/^container "c0": .* it was hacked\. 2\d more images\. Contact: the platform team\.$/);
  expect(event?.message).not.toContain('a.yaml');
});

describe('a failure', () => {
  const forbidden = (text: string) => new ApiError(403, 'Forbidden', `POST /x: Forbidden (403): ${text}`);

  test('due to a missing permission is logged once with the fix, and other Events wait a minute', async () => {
    const { api, clock, answer, log, dropped } = replica();
    for (const _attempt of [1, 2]) api.failNext('create', forbidden('events is forbidden'));
    for (const image of ['evil.example.com/a', 'evil.example.com/b', 'evil.example.com/c']) answer({ images: [image] });
    await pass(clock, 59_000);
    expect(dropped).toEqual(['forbidden']);
    await pass(clock, 130_000);
    expect(dropped).toEqual(['forbidden', 'forbidden']);
    expect(eventsIn(api)).toHaveLength(1);
    expect(messages(log)).toEqual([
      expect.stringContaining(
        'apiGroups [""], resources ["events"], verbs ["create", "patch"]. Alternatively, turn Events off with --events off',
      ),
    ]);
  });

  test('due to a missing permission to look up an owner stops no other Event', async () => {
    const { api, clock, answer, dropped, log } = replica();
    api.failNext('get', forbidden('replicasets is forbidden'));
    answer();
    answer({ owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'db-uid' } });
    await pass(clock, 2_000);
    expect(dropped).toEqual(['forbidden']);
    expect(eventsIn(api)).toHaveLength(1);
    expect(messages(log)).toEqual([expect.stringContaining('ClusterRole regkeeper-events in deploy/program/rbac.yaml')]);
  });

  test('of the API server is retried three times', async () => {
    const { api, clock, answer, dropped, counts } = replica();
    for (let attempt = 0; attempt < 5; attempt++) api.failNext('create', new ApiError(503, 'ServiceUnavailable', 'POST /x: 503'));
    answer();
    await pass(clock, 60_000);
    expect(dropped).toEqual(['failed']);
    answer();
    await pass(clock, 60_000);
    expect(counts.written).toBe(1);
  });

  test('in a namespace that is being deleted is not logged', async () => {
    const { api, clock, answer, dropped, log } = replica();
    api.failNext('create', forbidden('unable to create new content in namespace shop because it is being terminated'));
    answer();
    await pass(clock, 100);
    expect(dropped).toEqual(['namespace-deleted']);
    expect(messages(log)).toEqual([]);
  });

  test('due to a bug does not affect the request', () => {
    const log = recordingLog();
    const broken = {
      answered() {
        throw new Error('oops');
      },
    };
    const observers = observeRequests({ log, events: broken, metrics: {}, review: undefined } as unknown as RequestObservers);
    observers.answered?.(answered());
    expect(messages(log)).toEqual(['internal error while preparing an Event. This is a bug']);
  });

  test('does not delay the shutdown: a pending request is aborted', async () => {
    const api = memoryApi(owners);
    const hanging: ApiClient = {
      ...api.client,
      until: (signal) => ({
        ...api.client,
        create: () => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      }),
    };
    const { clock, answer, events, dropped, log } = replica({ ...api, client: hanging });
    answer();
    await pass(clock, 100);
    await events.recorder.stop();
    answer();
    await pass(clock, 2_000);
    expect(dropped).toEqual([]);
    expect(messages(log)).toEqual([]);
  });
});

function messages({ lines }: ReturnType<typeof recordingLog>): string[] {
  return lines.map(({ message }) => message);
}

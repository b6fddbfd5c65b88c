/** What a change of the rules does to past requests: who, where, how often, when last, and what cannot be replayed. */
import { describe, expect, test } from 'vitest';
import { compareReplays } from '../../../../src/evaluate/replay/compare-replays.ts';
import { ruleSetOf } from '../../rules/documents.ts';

const before = ruleSetOf('rules: [{registry: reg.io}, {registry: hub.io}]');
const after = ruleSetOf('rules: [{registry: reg.io}, {registry: hub.io, trust: false}, {registry: new.io}]');
const day = () => Date.UTC(2026, 10, 21);

type Fields = Readonly<Record<string, unknown>>;

const image = (text: string, more: Fields = {}) => ({
  path: 'spec.containers[0].image',
  image: text,
  action: 'pull',
  verdict: 'trusted',
  reason: 'trusted',
  introduced: true,
  ...more,
});

/** A record of the validating webhook, as one line. Fields that are undefined are absent. */
function record(images: readonly object[], more: Fields = {}): string {
  return JSON.stringify({
    log: 'audit',
    schemaVersion: 2,
    time: '2026-11-01T10:00:00.000Z',
    event: 'decision',
    webhook: 'validate',
    user: 'alice',
    operation: 'CREATE',
    group: '',
    kind: 'Pod',
    namespace: 'shop',
    name: 'web',
    outcome: 'allowed',
    mode: 'enforce',
    images,
    namespaceLabels: {},
    ...more,
  });
}

function compare(lines: readonly string[], rules = { before, after }) {
  const run = compareReplays(rules.before, rules.after, day);
  for (const [index, line] of lines.entries()) run.add('audit.jsonl', index + 1, line);
  return run.result();
}

describe('requests with a different outcome', () => {
  test('are counted per object, with their users, the first and the last', () => {
    const owner = { kind: 'ReplicaSet', name: 'web-6d4c' };
    const ofOwner = (name: string, time: string, user = 'controller') => record([image('hub.io/a')], { name, owner, time, user });
    const { changes, summary } = compare([
      ofOwner('web-1', '2026-11-02T10:00:00.000Z'),
      ofOwner('web-2', '2026-11-09T10:00:00.000Z'),
      ofOwner('web-3', '2026-11-05T10:00:00.000Z', 'bob'),
      record([image('hub.io/b')]),
      record([image('reg.io/c')]),
    ]);
    const images = (text: string) => [
      {
        image: text,
        before: { verdict: 'trusted', reason: 'trusted', rule: expect.objectContaining({ name: 'hub.io' }) },
        after: { verdict: 'untrusted', reason: 'untrusted', rule: expect.objectContaining({ name: 'hub.io' }) },
      },
    ];
    expect(changes).toEqual([
      {
        effect: 'newly-denied',
        object: { group: '', kind: 'Pod', namespace: 'shop', name: '', owner },
        images: images('hub.io/a'),
        secretsGained: [],
        secretsLost: [],
        requests: 3,
        first: '2026-11-02T10:00:00.000Z',
        last: '2026-11-09T10:00:00.000Z',
        users: [
          { name: 'controller', requests: 2 },
          { name: 'bob', requests: 1 },
        ],
      },
      {
        effect: 'newly-denied',
        object: { group: '', kind: 'Pod', namespace: 'shop', name: 'web' },
        images: images('hub.io/b'),
        secretsGained: [],
        secretsLost: [],
        requests: 1,
        first: '2026-11-01T10:00:00.000Z',
        last: '2026-11-01T10:00:00.000Z',
        users: [{ name: 'alice', requests: 1 }],
      },
    ]);
    expect(summary).toMatchObject({
      requests: 5,
      newlyDenied: 4,
      unchanged: 1,
      first: '2026-11-01T10:00:00.000Z',
      last: '2026-11-09T10:00:00.000Z',
    });
  });

  test.each([
    ['newly denied', [image('hub.io/a')], {}, { newlyDenied: 1 }],
    ['newly allowed', [image('new.io/a')], {}, { newlyAllowed: 1 }],
    ['warned, since the object had the image', [image('hub.io/a', { introduced: false })], { operation: 'UPDATE' }, { newlyWarned: 1 }],
    ['unchanged', [image('reg.io/a')], {}, { unchanged: 1 }],
    ['unchanged without images', [], { kind: 'BuildConfig', group: 'build.openshift.io' }, { unchanged: 1 }],
    ['unchanged if nothing was evaluated', [], { mode: undefined, operation: 'DELETE' }, { unchanged: 1 }],
  ])('%s', (_case, images, more, expected) => {
    const { summary, notReplayable, brokenLines } = compare([record(images, more)]);
    expect(summary).toMatchObject({ requests: 1, ...expected });
    expect([...notReplayable, ...brokenLines]).toEqual([]);
  });

  test('beyond 5,000, objects are only counted', () => {
    const { changes, requestsNotShown, summary } = compare(
      Array.from({ length: 5_010 }, (_, index) => record([image('hub.io/a')], { name: `web-${index}` })),
    );
    expect(changes.length).toBe(5_000);
    expect(requestsNotShown).toBe(10);
    expect(summary.newlyDenied).toBe(5_010);
  });

  test('with many users and images show the first ones, and count the others', () => {
    const images = Array.from({ length: 8 }, (_, index) => image(`hub.io/${index}`));
    const { changes } = compare(Array.from({ length: 30 }, (_, index) => record(images, { user: `user-${index % 12}` })));
    expect(changes).toHaveLength(1);
    const [{ users = [], requestsOfOtherUsers = 0, images: shown = [], imagesOmitted } = {}] = changes;
    expect(users.length).toBe(5);
    expect(users.reduce((sum, { requests }) => sum + requests, requestsOfOtherUsers)).toBe(30);
    expect([shown.length, imagesOmitted]).toEqual([5, 3]);
  });
});

describe('secrets', () => {
  const corp = ruleSetOf('rules: [{registry: reg.io, pullSecret: corp}, {registry: hub.io}]');
  const next = ruleSetOf('rules: [{registry: reg.io, pullSecret: [next, own]}, {registry: hub.io}]');
  const lost = ruleSetOf('rules: [{registry: reg.io}, {registry: hub.io}]');
  const denied = ruleSetOf('rules: [{registry: hub.io}]');
  const off = ruleSetOf('inject: "off"\nrules: [{registry: reg.io, pullSecret: corp}, {registry: hub.io}]');
  const own = { suppliedSecrets: ['own'] };
  const template = { group: 'apps', kind: 'Deployment' };

  test('gained and lost are a change, with the images that need them', () => {
    const { changes, summary } = compare([record([image('reg.io/a'), image('hub.io/b')], own)], { before: corp, after: next });
    expect(changes).toMatchObject([
      { effect: 'secrets', secretsGained: ['next'], secretsLost: ['corp'], images: [{ image: 'reg.io/a' }], requests: 1 },
    ]);
    expect(summary).toMatchObject({ requests: 1, secretsGained: 1, secretsLost: 1, secretsNotCompared: 0, unchanged: 0 });
  });

  test.each([
    ['of a template', template, lost, { secretsLost: 1 }],
    ['if nothing is injected any more', {}, off, { secretsLost: 1 }],
    ['not of an object that is denied', {}, denied, { secretsLost: 0, newlyDenied: 1, secretsNotCompared: 0 }],
    ['not for an image that needs none', { images: [image('hub.io/a')] }, lost, { unchanged: 1, secretsNotCompared: 0 }],
    ['not of an existing Pod', { operation: 'UPDATE', suppliedSecrets: undefined }, lost, { unchanged: 1, secretsNotCompared: 0 }],
    ['not of a static Pod', { staticPod: true, suppliedSecrets: undefined }, lost, { unchanged: 1, secretsNotCompared: 0 }],
    [
      'not of a copy of a template',
      { ...template, kind: 'ReplicaSet', owner: { kind: 'Deployment', name: 'web' }, suppliedSecrets: undefined },
      lost,
      { unchanged: 1, secretsNotCompared: 0 },
    ],
    ['not of one that lists it', { suppliedSecrets: ['corp'] }, lost, { unchanged: 1, secretsLost: 0 }],
  ])('are lost: %s', (_case, more, rules, expected) => {
    const { summary } = compare([record([image('reg.io/a')], { ...own, ...more })], { before: corp, after: rules });
    expect(summary).toMatchObject({ requests: 1, ...expected });
  });

  test.each([
    ['an update of a template', { ...template, operation: 'UPDATE' }],
    ['a build', { group: 'build.openshift.io', kind: 'BuildConfig' }],
    ['a record of an earlier version', {}],
  ])('are not compared for %s, which is counted', (_case, more) => {
    const { summary } = compare([record([image('reg.io/a')], more)], { before: corp, after: lost });
    expect(summary).toMatchObject({ requests: 1, secretsNotCompared: 1, unchanged: 1, notReplayable: 0 });
    expect(compare([record([image('reg.io/a')], more)], { before: corp, after: corp }).summary.secretsNotCompared).toBe(0);
  });
});

describe('a record cannot be replayed', () => {
  const labelled = ruleSetOf('rules: [{registry: reg.io}, {registry: hub.io, namespaces: {matchLabels: {team: a}}}]');
  const denyMissing = ruleSetOf('rules: [{registry: hub.io, pullSecret: corp, onMissingSecret: deny}]');
  const rejectShort = ruleSetOf('shortNames: reject\nrules: [{registry: docker.io, trust: false}]');
  const usualShort = ruleSetOf('shortNames: docker.io\nrules: [{registry: docker.io, trust: false}]');
  const cluster = { rule: { name: 'internal', source: { cluster: 'images.config.openshift.io/cluster' } } };

  test.each([
    ['old-record', record([image('reg.io/a')], { schemaVersion: 1 }), after],
    ['newer-record', record([image('reg.io/a')], { schemaVersion: 3 }), after],
    ['not-evaluated', record([], { outcome: 'error', mode: undefined }), after],
    ['truncated', record([image('reg.io/a')], { truncated: true }), after],
    ['image-stream', record([image('reg.io/a', { stream: 'shop/base:1' })]), after],
    ['unresolved', record([image('', { image: undefined, verdict: 'unresolved' })]), after],
    ['labels-unknown', record([image('hub.io/a')], { namespaceLabels: { tier: 'x' } }), labelled],
    ['secret-unknown', record([image('hub.io/a')]), denyMissing],
    ['short-names', record([image('nginx')], { shortNames: ['reg.io'] }), after],
    ['short-names', record([image('docker.io/library/nginx', { introduced: false })], { operation: 'UPDATE' }), rejectShort],
    ['short-names', record([image('docker.io/library/nginx')], { operation: 'UPDATE', shortNames: 'reject' }), usualShort],
    ['cluster-registry', record([image('hub.io/a', cluster)]), after],
  ] as const)('for %s', (reason, line, rules) => {
    const { notReplayable, summary } = compare([line, line], { before: rules, after: rules });
    expect(notReplayable).toEqual([{ reason, requests: 2, example: expect.objectContaining({ namespace: 'shop', user: 'alice' }) }]);
    expect(summary).toMatchObject({ requests: 2, notReplayable: 2, unchanged: 0 });
  });

  test.each([
    ['the labels do not matter', record([image('reg.io/a')], { namespaceLabels: { tier: 'x' } }), labelled],
    ['the labels are recorded', record([image('hub.io/a')], { namespaceLabels: { team: null } }), labelled],
    ['the labels were unknown then too', record([image('hub.io/a')], { namespaceLabels: undefined }), labelled],
    ['the secret is recorded', record([image('hub.io/a')], { secrets: { corp: 'absent' } }), denyMissing],
    ['it is about a template', record([image('hub.io/a')], { group: 'apps', kind: 'Deployment' }), denyMissing],
    ['the cluster trusts a registry that no rule is about', record([image('internal.svc/a', cluster)]), after],
    ['the image was introduced by any comparison', record([image('docker.io/library/nginx')], { operation: 'UPDATE' }), rejectShort],
  ])('but it can if %s', (_case, line, rules) => {
    expect(compare([line], { before: rules, after: rules })).toMatchObject({ notReplayable: [], summary: { unchanged: 1 } });
  });
});

describe('lines that are not records of requests', () => {
  test('are counted if they are known: other records, and log lines', () => {
    const { summary, brokenLines } = compare([
      record([image('reg.io/a')], { webhook: 'mutate' }),
      JSON.stringify({ log: 'audit', schemaVersion: 2, event: 'rules', outcome: 'accepted' }),
      JSON.stringify({ log: 'audit', schemaVersion: 2, event: 'rules-review' }),
      JSON.stringify({ level: 'info', msg: 'serving' }),
    ]);
    expect(summary).toMatchObject({ requests: 0, otherLines: 4, brokenLines: 0 });
    expect(brokenLines).toEqual([]);
  });

  test('a record of the mutating webhook is skipped only if its line contains nothing else', () => {
    const asWritten = (webhook: string) => record([image('reg.io/a')], { webhook }).replace('"webhook"', '"uid":"1f48d2eb","webhook"');
    const [mutating, validating] = [asWritten('mutate'), asWritten('validate')];
    const { summary } = compare([
      mutating,
      validating,
      mutating.slice(0, 200),
      mutating.slice(0, 200) + validating,
      mutating.slice(0, 200) + validating.slice(80),
    ]);
    expect(summary).toMatchObject({ requests: 1, otherLines: 1, brokenLines: 3 });
  });

  test('requests for different versions of an image show their own versions', () => {
    const { changes } = compare([record([image('hub.io/a:1')]), record([image('hub.io/a:2')], { time: '2026-10-31T10:00:00.000Z' })]);
    expect(changes.map(({ images }) => images.map((each) => each.image))).toEqual([['hub.io/a:1'], ['hub.io/a:2']]);
  });

  test.each([
    ['{"log":"audit","sche', 'not JSON: "{\\"log\\":\\"audit\\",\\"sche"'],
    ['2026-11-01T10:00:00Z stdout F {}', 'not JSON: "2026-11-01T10:00:00Z stdout F {}"'],
    ['"text"', 'is not a JSON object'],
    ['{}', 'is not an audit record'],
    ['{"log":"audit"}', 'has no event'],
    ['{"log":"audit","event":"decision"}', 'has no webhook'],
    [record([], { user: 5 }), 'has no user'],
    [record([], { time: 'yesterday' }), 'has no valid time'],
    [record([], { schemaVersion: undefined }), 'has no schemaVersion'],
    [record([], { images: undefined }), 'has no images'],
    [record([image('a')], { operation: 'PATCH' }), 'has no operation'],
    [record([image('a', { introduced: undefined })]), 'has an image without text, action or "introduced"'],
    [record([image('a', { image: 5 })]), 'has an image without text, action or "introduced"'],
    [record([null as unknown as object]), 'has an image without text, action or "introduced"'],
  ])('are reported with file and line: %s', (line, message) => {
    const { brokenLines, summary } = compare([record([image('reg.io/a')]), line]);
    expect(brokenLines).toEqual([{ file: 'audit.jsonl', line: 2, message }]);
    expect(summary).toMatchObject({ requests: 1, brokenLines: 1, unchanged: 1 });
  });

  test('beyond 100 are counted', () => {
    const { brokenLines, summary } = compare(Array(150).fill('x'));
    expect(brokenLines.length).toBe(100);
    expect(summary.brokenLines).toBe(150);
  });
});

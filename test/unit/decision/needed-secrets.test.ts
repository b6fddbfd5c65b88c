/** Tests which secrets with delivery an object needs, and when its annotation is written. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/decision/decide.ts';
import type { ChangeRequest } from '../../../src/decision/decision.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import { customKindRow } from '../../../src/object/custom-kind.ts';
import { kindsOf, kindsWithImages } from '../../../src/object/kinds.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { accounts, change, containers, decided, deployment, inject, type Kind, patched, pod, secrets, unwatched } from './changes.ts';
import { streams } from './stream-facts.ts';

const table = `
rules:
- {registry: a.io, pullSecret: a-pull, pushSecret: a-push}
- {registry: b.io, pullSecret: [b-pull, both]}
- {registry: c.io, pullSecret: other}
- {registry: public.io}
secrets:
- {name: a-pull, source: s, namespaces: "*"}
- {name: a-push, source: s, namespaces: "*"}
- {name: b-pull, source: s, namespaces: elsewhere}
- {name: both, source: s, namespaces: "*"}
`;
const rules = ruleSetOf(table);
const withInject = (value: string) => ruleSetOf(`inject: "${value}"\n${table}`);
const key = 'regkeeper.io/secrets';

/** The annotation of the object after the patch. A second pass must change nothing. */
function needs(kind: Kind, object: object, { old, facts, set = rules }: { old?: object; facts?: Facts; set?: RuleSet } = {}): unknown {
  const after = inject(change(kind, object, old), set, facts) as { metadata?: { annotations?: Record<string, unknown> } };
  return after.metadata?.annotations?.[key];
}

const pods = (...images: readonly string[]) => ({ metadata: { name: 'web' }, spec: { containers: containers(...images) } });
const annotated = <Value extends { metadata?: object }>(object: Value, text: string): Value => ({
  ...object,
  metadata: { ...object.metadata, annotations: { [key]: text } },
});
const build = (image: string, more: object = {}) => ({
  metadata: { name: 'app' },
  spec: {
    strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: image } } },
    output: { to: { kind: 'DockerImage', name: 'a.io/app' } },
    ...more,
  },
});

describe('a Pod needs the secrets with delivery of its images', () => {
  test.each<{ because: string; object: object; needed: string | undefined }>([
    { because: 'that are injected', object: pods('a.io/x'), needed: 'a-pull' },
    { because: 'that the author lists', object: pod('a.io/x', ['a-pull']), needed: 'a-pull' },
    {
      because: 'of all images, sorted, whatever the entitlement',
      object: pods('b.io/x', 'a.io/x', 'a.io/y'),
      needed: 'a-pull,b-pull,both',
    },
    { because: 'and no secret without delivery', object: pods('c.io/x'), needed: undefined },
    { because: 'and none that only the author lists', object: pod('public.io/x', ['a-pull']), needed: undefined },
    { because: 'and none for a denied image', object: pods('unknown.io/x'), needed: undefined },
  ])('$because', ({ object, needed }) => {
    expect(needs('Pod', object)).toBe(needed);
  });

  test('including those that the service account lists', () => {
    const facts = accounts({ default: ['a-pull'] });
    expect(needs('Deployment', deployment(pod('a.io/x')), { facts, set: withInject('off') })).toBe('a-pull');
  });

  test('but not those that its account does not allow', () => {
    expect(needs('Pod', pods('a.io/x', 'b.io/x'), { facts: accounts({ default: ['both'] }, true) })).toBe('both');
  });
});

describe('other kinds', () => {
  test.each<{ kind: Kind; object: object; needed: string | undefined }>([
    { kind: 'Deployment', object: deployment(pod('a.io/x')), needed: 'a-pull' },
    { kind: 'CronJob', object: { metadata: {}, spec: { jobTemplate: { spec: { template: pod('a.io/x') } } } }, needed: 'a-pull' },
    { kind: 'PodTemplate', object: { metadata: {}, template: pod('a.io/x') }, needed: 'a-pull' },
    { kind: 'BuildConfig', object: build('b.io/x'), needed: 'a-push,b-pull' },
    { kind: 'Build', object: build('b.io/x'), needed: 'a-push,b-pull' },
    {
      kind: 'ImageStream',
      object: { metadata: {}, spec: { tags: [{ name: '1', from: { kind: 'DockerImage', name: 'a.io/x' } }] } },
      needed: 'a-pull',
    },
    {
      kind: 'ImageStreamTag',
      object: { metadata: {}, tag: { name: '1', from: { kind: 'DockerImage', name: 'a.io/x' } } },
      needed: undefined,
    },
    {
      kind: 'ImageStreamImport',
      object: { metadata: {}, spec: { import: true, images: [{ from: { kind: 'DockerImage', name: 'a.io/x' } }] } },
      needed: undefined,
    },
  ])('$kind: $needed', ({ kind, object, needed }) => {
    expect(needs(kind, object)).toBe(needed);
  });

  test('a DeploymentConfig also for the Pod of its custom strategy', () => {
    const spec = { template: pod('public.io/x'), strategy: { customParams: { image: 'a.io/deployer' } } };
    expect(needs('DeploymentConfig', { metadata: {}, spec })).toBe('a-pull');
  });

  test("the annotation is in the object's metadata, and not in its template", () => {
    const object = deployment(pod('a.io/x'));
    const { spec } = patched(object, decided(change('Deployment', object), rules));
    expect(Object.keys(spec.template.metadata?.annotations ?? {})).toEqual(['regkeeper.io/injected']);
  });

  test('custom resources, whose Pods get the secrets later', () => {
    const row = customKindRow({
      group: 'x.io',
      version: 'v1',
      resource: 'runs',
      kind: 'Run',
      podSpecs: [],
      images: [{ pattern: ['spec', 'image'] }],
    });
    const facts = { ...unwatched, kinds: kindsOf([...kindsWithImages, row]) };
    const object = { metadata: { name: 'x' }, spec: { image: 'a.io/x' } };
    const request: ChangeRequest = { ...change('Pod', object), group: 'x.io', kind: 'Run' };
    expect(decided(request, rules, facts).neededSecrets).toEqual(['a-pull']);
    expect(decided(request, withInject('off'), facts).neededSecrets).toEqual([]);
    const clusterScoped = decided({ ...request, namespace: '' }, rules, facts);
    expect([clusterScoped.neededSecrets, clusterScoped.patch]).toEqual([undefined, []]);
  });
});

describe('a build', () => {
  test('needs what its fields contain, regardless of who set them', () => {
    const object = build('b.io/x');
    const { sourceStrategy } = object.spec.strategy;
    const listing = {
      ...object,
      spec: { ...object.spec, strategy: { sourceStrategy: { ...sourceStrategy, pullSecret: { name: 'both' } } } },
    };
    expect(needs('BuildConfig', listing)).toBe('a-push,both');
  });

  test('needs what its service account lists, if a field is empty', () => {
    const set = withInject('pods');
    expect(needs('BuildConfig', build('b.io/x'), { set, facts: accounts({ builder: ['both', 'a-push'] }) })).toBe('a-push,both');
    expect(needs('BuildConfig', build('b.io/x', { serviceAccount: 'robot' }), { set, facts: accounts({ robot: ['b-pull'] }) })).toBe(
      'b-pull',
    );
    expect(needs('BuildConfig', build('b.io/x'), { set })).toBeUndefined();
  });
});

describe('with inject: pods', () => {
  test('templates need what their Pods will get, and are not changed otherwise', () => {
    const object = deployment(pod('a.io/x'));
    expect(decided(change('Deployment', object), withInject('pods')).patch).toEqual([
      { op: 'add', path: '/metadata/annotations', value: { [key]: 'a-pull' } },
    ]);
  });
});

describe('with inject: off', () => {
  const set = withInject('off');
  test.each<{ kind: Kind; object: object; needed: string | undefined }>([
    { kind: 'Pod', object: pods('a.io/x'), needed: undefined },
    { kind: 'Pod', object: pod('a.io/x', ['a-pull']), needed: 'a-pull' },
    { kind: 'Deployment', object: deployment(pod('a.io/x')), needed: undefined },
    { kind: 'Deployment', object: deployment(pod('a.io/x', ['a-pull', 'both'])), needed: 'a-pull' },
    { kind: 'ImageStream', object: { metadata: {}, spec: { dockerImageRepository: 'a.io/x' } }, needed: 'a-pull' },
  ])('$kind: $needed', ({ kind, object, needed }) => {
    expect(needs(kind, object, { set })).toBe(needed);
  });
});

describe('a forged annotation', () => {
  test.each<{ what: string; object: object; needed: string | undefined }>([
    { what: 'is replaced', object: annotated(pods('a.io/x'), 'b-pull'), needed: 'a-pull' },
    { what: 'is removed if nothing is needed', object: annotated(pods('public.io/x'), 'b-pull'), needed: undefined },
  ])('$what', ({ object, needed }) => {
    expect(needs('Pod', object)).toBe(needed);
  });

  test('stays if no rule has delivery, like any other annotation', () => {
    const plain = ruleSetOf(table.slice(0, table.indexOf('secrets:')));
    const object = annotated(pods('a.io/x'), 'b-pull');
    expect(needs('Pod', object, { set: plain })).toBe('b-pull');
    expect(decided(change('Pod', object), plain).neededSecrets).toBeUndefined();
  });
});

describe('an update', () => {
  const before = patched(deployment(pod('a.io/x')), decided(change('Deployment', deployment(pod('a.io/x'))), rules));

  test('of something else leaves the annotation as it was sent', () => {
    for (const text of ['', 'forged']) {
      const sent = text === '' ? { ...before, metadata: { name: 'web' } } : annotated(before, text);
      const decision = decided(change('Deployment', { ...sent, spec: { ...before.spec, replicas: 5 } }, before), rules);
      expect([decision.patch, decision.neededSecrets]).toEqual([[], undefined]);
    }
  });

  test('of the template writes it again', () => {
    expect(needs('Deployment', annotated(deployment(pod('b.io/x')), 'a-pull'), { old: before })).toBe('b-pull,both');
  });

  test('with the user’s own file restores it together with the mark', () => {
    expect(needs('Deployment', deployment(pod('a.io/x')), { old: before })).toBe('a-pull');
  });

  test('of the images of an existing Pod writes it again', () => {
    const old = pod('a.io/x', ['a-pull', 'both']);
    expect(needs('Pod', pod('b.io/x', ['a-pull', 'both']), { old })).toBe('both');
  });

  test('that fills a placeholder adds the secret of the image', () => {
    const params = { containerNames: ['c0'], from: { kind: 'ImageStreamTag', name: 'web:1' } };
    const config = (image: string) => ({
      metadata: {},
      spec: { triggers: [{ type: 'ImageChange', imageChangeParams: params }], template: pod(image) },
    });
    const facts = streams({ 'shop/web': { tags: { '1': { from: { kind: 'DockerImage', name: 'a.io/web' } } } } });
    expect(needs('DeploymentConfig', config(' '), { facts })).toBeUndefined();
    expect(needs('DeploymentConfig', config('a.io/web@sha256:1'.replace('1', '1'.repeat(64))), { old: config(' '), facts })).toBe('a-pull');
  });

  test('of a build that lacks ours writes both', () => {
    const old = build('b.io/x');
    expect(needs('BuildConfig', build('b.io/x'), { old })).toBe('a-push,b-pull');
  });
});

describe('nothing is written', () => {
  const owner = { ownerReferences: [{ kind: 'Deployment', name: 'web', controller: true }] };
  const mirror = { ...pods('a.io/x'), metadata: { name: 'web', annotations: { 'kubernetes.io/config.mirror': 'h' } } };
  const node = 'system:node:n1';
  test.each<{ to: string; request: ChangeRequest }>([
    { to: 'a copy that a controller created', request: change('ReplicaSet', { metadata: owner, spec: { template: pod('a.io/x') } }) },
    { to: 'the mirror Pod of a kubelet', request: change('Pod', mirror, undefined, node) },
    {
      to: 'a debug container',
      request: { ...change('Pod', pods('a.io/x', 'b.io/y'), pods('a.io/x')), subresource: 'ephemeralcontainers' },
    },
    {
      to: 'the status of an image stream',
      request: {
        ...change('ImageStream', { status: { tags: [{ items: [{ dockerImageReference: 'a.io/x' }] }] } }, { status: {} }),
        subresource: 'status',
      },
    },
  ])('to $to', ({ request }) => {
    const decision = decided(request, rules);
    expect(decision.neededSecrets).toBeUndefined();
    expect(decision.patch.filter(({ path }) => path.startsWith('/metadata'))).toEqual([]);
  });
});

describe('if the annotations are full', () => {
  /** Room for exactly this many bytes next to the key `x`. */
  const filled = (bytes: number) => ({ ...pods('a.io/x'), metadata: { name: 'web', annotations: { x: 'x'.repeat(bytes - 1) } } });
  const mark = 'regkeeper.io/injected'.length + '{"rules":["a-pull"]}'.length;
  const ours = `${key}a-pull`.length;

  test('it is written as long as it fits', () => {
    expect(needs('Pod', filled(262_144 - mark - ours))).toBe('a-pull');
  });

  test('one byte more and it is omitted, with a warning', () => {
    const object = filled(262_144 - mark - ours + 1);
    expect(needs('Pod', object)).toBeUndefined();
    const decision = decided(change('Pod', object), rules);
    expect(decision.notices.map(({ reason }) => reason)).toContain('needs-not-recorded');
    expect(decision.injected).toHaveLength(1);
  });

  test('bytes count, not characters', () => {
    const text = 'ü€😀'.repeat(20_000);
    const size = new TextEncoder().encode(text).length;
    const object = (more: number) => ({
      ...pods('a.io/x'),
      metadata: { annotations: { x: text, y: 'y'.repeat(262_144 - size - 2 - mark - ours + more) } },
    });
    expect(needs('Pod', object(0))).toBe('a-pull');
    expect(needs('Pod', object(1))).toBeUndefined();
  });
});

test('a Pod with an existing list of secrets and 250 needed ones stays below the limit of the parser', () => {
  const names = Array.from({ length: 250 }, (_, index) => `${'x'.repeat(249)}-${100 + index}`);
  const set = ruleSetOf(
    `rules: [{registry: a.io, pullSecret: [${names}]}]\nsecrets:\n${names.map((name) => `- {name: ${name}, source: s, namespaces: "*"}`).join('\n')}`,
  );
  const object = { metadata: {}, spec: { containers: containers('a.io/x'), imagePullSecrets: secrets(...names) } };
  expect(decide(change('Pod', object), set, unwatched)).toMatchObject({ neededSecrets: names });
  expect((needs('Pod', object, { set }) as string).length).toBeLessThan(65_536);
});

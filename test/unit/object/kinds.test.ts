import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderPath } from '../../../src/object/json.ts';
import { kindsWithImages, type ReadingContext, readObject } from '../../../src/object/kinds.ts';
import type { ObjectShape, PodShape } from '../../../src/object/shape.ts';

const podSpec = {
  initContainers: [{ name: 'init', image: 'reg.io/init' }],
  containers: [
    { name: 'app', image: 'reg.io/app' },
    { name: 'side', image: 'reg.io/side' },
  ],
  ephemeralContainers: [{ name: 'debug', image: 'reg.io/debug' }],
  volumes: [
    { name: 'cache', emptyDir: {} },
    { name: 'model', image: { reference: 'reg.io/model' } },
  ],
};
const podSlots = (prefix: string) => [
  `${prefix}.containers[0].image container "app" reg.io/app`,
  `${prefix}.containers[1].image container "side" reg.io/side`,
  `${prefix}.initContainers[0].image init container "init" reg.io/init`,
  `${prefix}.ephemeralContainers[0].image ephemeral container "debug" reg.io/debug`,
  `${prefix}.volumes[1].image.reference image volume "model" reg.io/model`,
];
const template = { metadata: {}, spec: podSpec };

describe('every kind keeps its images where the table says', () => {
  test.each([
    { kind: 'Pod', object: { spec: podSpec }, slots: podSlots('spec') },
    { kind: 'PodTemplate', object: { template }, slots: podSlots('template.spec') },
    ...['ReplicationController', 'Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job'].map((kind) => ({
      kind,
      object: { spec: { template } },
      slots: podSlots('spec.template.spec'),
    })),
    { kind: 'CronJob', object: { spec: { jobTemplate: { spec: { template } } } }, slots: podSlots('spec.jobTemplate.spec.template.spec') },
    {
      kind: 'DeploymentConfig',
      object: { spec: { template, strategy: { customParams: { image: 'reg.io/deployer' } } } },
      slots: [
        ...podSlots('spec.template.spec'),
        'spec.strategy.customParams.image spec.strategy.customParams.image reg.io/deployer elsewhere',
      ],
    },
    {
      kind: 'BuildConfig',
      object: {
        spec: {
          strategy: { dockerStrategy: { from: { kind: 'DockerImage', name: 'reg.io/base' } } },
          source: {
            dockerfile: 'FROM reg.io/builder AS b\nFROM reg.io/replaced\nCOPY --from=reg.io/tools /t /t',
            images: [
              { from: { kind: 'DockerImage', name: 'reg.io/shared' } },
              { from: { kind: 'DockerImage', name: 'reg.io/files' }, paths: [{ sourcePath: '/a', destinationDir: 'a' }] },
            ],
          },
          output: { to: { kind: 'DockerImage', name: 'reg.io/out' } },
        },
      },
      slots: [
        'spec.strategy.dockerStrategy.from.name spec.strategy.dockerStrategy.from reg.io/base',
        'spec.source.dockerfile FROM in line 1 of the inline Dockerfile reg.io/builder',
        'spec.source.dockerfile COPY --from in line 3 of the inline Dockerfile reg.io/tools',
        'spec.source.images[0].from.name spec.source.images[0].from reg.io/shared',
        'spec.source.images[1].from.name spec.source.images[1].from reg.io/files',
        'spec.output.to.name spec.output.to push reg.io/out',
      ],
    },
  ])('$kind', ({ kind, object, slots }) => {
    expect(slotsOf(shapeOf(kind, object))).toEqual(slots);
  });

  test('the table has no kind that is not tried here', () => {
    expect(kindsWithImages.map(({ kind }) => kind).toSorted()).toEqual(
      // biome-ignore format: one list
      ['BuildConfig', 'CronJob', 'DaemonSet', 'Deployment', 'DeploymentConfig', 'Job', 'Pod', 'PodTemplate', 'ReplicaSet', 'ReplicationController', 'StatefulSet'],
    );
  });

  test.each([
    { kind: 'Deployment', group: '' },
    { kind: 'Pod', group: 'apps' },
    { kind: 'Service', group: '' },
    { kind: 'constructor', group: '' },
  ])('$kind of group "$group" is unknown', ({ kind, group }) => {
    expect(readObject({ kind, group, operation: 'CREATE', fromKubelet: false }, {})).toEqual({ kind: 'unknown' });
  });
});

describe('an image that is not written is unresolved', () => {
  test.each([
    { value: undefined, why: 'no image is written' },
    { value: null, why: 'no image is written' },
    { value: '', why: 'the image is blank' },
    { value: ' ', why: 'the image is blank' },
  ])('$value', ({ value, why }) => {
    const shape = shapeOf('Pod', { spec: { containers: [{ name: 'app', image: value }], volumes: [{ image: { reference: value } }] } });
    expect(shape.slots.map(({ content }) => content)).toEqual([
      { kind: 'unresolved', why },
      { kind: 'unresolved', why },
    ]);
  });

  test('white space beside a name is left for the image grammar to refuse', () => {
    const shape = shapeOf('Pod', { spec: { containers: [{ image: ' reg.io/a' }, { image: '  ' }] } });
    expect(shape.slots.map(({ content }) => content)).toEqual([
      { kind: 'image', text: ' reg.io/a' },
      { kind: 'image', text: '  ' },
    ]);
  });
});

describe('a field of the wrong type makes the object malformed, and says where', () => {
  const containers = [{ name: 'a', image: 'reg.io/a' }];
  test.each([
    { kind: 'Pod', object: null, problem: 'object must be a Pod, and is null' },
    { kind: 'Pod', object: [], problem: 'object must be a Pod, and is a list' },
    { kind: 'Pod', object: {}, problem: 'spec must be a pod spec, and is missing' },
    { kind: 'Pod', object: { spec: 'x' }, problem: 'spec must be a pod spec, and is a string' },
    { kind: 'Deployment', object: { spec: { template: null } }, problem: 'spec.template.spec must be a pod spec, and is missing' },
    { kind: 'Pod', object: { spec: { containers: null } }, problem: 'spec.containers must be a list of containers, and is null' },
    { kind: 'Pod', object: { spec: { containers: {} } }, problem: 'spec.containers must be a list of containers, and is an object' },
    { kind: 'Pod', object: { spec: { containers: [] } }, problem: 'spec.containers must hold at least one container' },
    { kind: 'Pod', object: { spec: { containers: [null] } }, problem: 'spec.containers[0] must be a container, and is null' },
    { kind: 'Pod', object: { spec: { containers: [{ image: 7 }] } }, problem: 'spec.containers[0].image must be text, and is a number' },
    { kind: 'Pod', object: { spec: { containers: [{ image: ['a'] }] } }, problem: 'spec.containers[0].image must be text, and is a list' },
    {
      kind: 'Pod',
      object: { spec: { containers, initContainers: 'x' } },
      problem: 'spec.initContainers must be a list of containers, and is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, ephemeralContainers: [1] } },
      problem: 'spec.ephemeralContainers[0] must be a container, and is a number',
    },
    { kind: 'Pod', object: { spec: { containers, volumes: {} } }, problem: 'spec.volumes must be a list of volumes, and is an object' },
    { kind: 'Pod', object: { spec: { containers, volumes: [true] } }, problem: 'spec.volumes[0] must be a volume, and is a boolean' },
    {
      kind: 'Pod',
      object: { spec: { containers, volumes: [{ image: 'x' }] } },
      problem: 'spec.volumes[0].image must be an image volume, and is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, volumes: [{ image: { reference: {} } }] } },
      problem: 'spec.volumes[0].image.reference must be text, and is an object',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, imagePullSecrets: 'x' } },
      problem: 'spec.imagePullSecrets must be a list of references, and is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, imagePullSecrets: ['x'] } },
      problem: 'spec.imagePullSecrets[0] must be a reference with a name, and is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, serviceAccountName: 1 } },
      problem: 'spec.serviceAccountName must be text, and is a number',
    },
    { kind: 'Pod', object: { metadata: 'x', spec: { containers } }, problem: "metadata must be an object's metadata, and is a string" },
    {
      kind: 'Deployment',
      object: { spec: { template: { metadata: [], spec: { containers } } } },
      problem: "spec.template.metadata must be an object's metadata, and is a list",
    },
    {
      kind: 'DeploymentConfig',
      object: { spec: { strategy: { customParams: { image: 1 } } } },
      problem: 'spec.strategy.customParams.image must be text, and is a number',
    },
    { kind: 'BuildConfig', object: {}, problem: "spec must be a build's spec, and is missing" },
    { kind: 'BuildConfig', object: { metadata: 1, spec: {} }, problem: "metadata must be an object's metadata, and is a number" },
    { kind: 'BuildConfig', object: { spec: { strategy: [] } }, problem: 'spec.strategy must be an object, and is a list' },
    {
      kind: 'BuildConfig',
      object: { spec: { strategy: { dockerStrategy: 'x' } } },
      problem: 'spec.strategy.dockerStrategy must be an object, and is a string',
    },
    { kind: 'BuildConfig', object: { spec: { source: 1 } }, problem: 'spec.source must be an object, and is a number' },
    { kind: 'BuildConfig', object: { spec: { source: { images: {} } } }, problem: 'spec.source.images must be a list, and is an object' },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { images: [1] } } },
      problem: 'spec.source.images[0] must be an image source, and is a number',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { images: [{ paths: 'x' }] } } },
      problem: 'spec.source.images[0].paths must be a list, and is a string',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { dockerfile: {} } } },
      problem: 'spec.source.dockerfile must be text, and is an object',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { dockerfile: `FROM a${'\n'.repeat(131_072)}` } } },
      problem: 'spec.source.dockerfile must have at most 131072 characters, and has 131078',
    },
    { kind: 'BuildConfig', object: { spec: { output: { to: 'reg.io/x' } } }, problem: 'spec.output.to must be an object, and is a string' },
    {
      kind: 'BuildConfig',
      object: { spec: { output: { to: { kind: 'DockerImage', name: 4 } } } },
      problem: 'spec.output.to.name must be text, and is a number',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { strategy: { sourceStrategy: { from: [] } } } },
      problem: 'spec.strategy.sourceStrategy.from must be a reference with kind and name, and is a list',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { images: [{ from: { kind: null, name: true } }] } } },
      problem: 'spec.source.images[0].from.name must be text, and is a boolean',
    },
  ])('$kind: $problem', ({ kind, object, problem }) => {
    const reading = readObject(contextOf(kind), object);
    expect(reading.kind === 'malformed' && `${reading.problem.path} ${reading.problem.message}`).toBe(problem);
  });
});

describe('whatever JSON arrives', () => {
  test('is read without a throw', () => {
    const fields = [
      'metadata',
      'annotations',
      'spec',
      'template',
      'jobTemplate',
      'containers',
      'image',
      'volumes',
      'reference',
      'name',
      'kind',
    ];
    const more = [
      'strategy',
      'sourceStrategy',
      'dockerStrategy',
      'from',
      'source',
      'images',
      'output',
      'to',
      'paths',
      'as',
      'imagePullSecrets',
      '__proto__',
    ];
    const json = fc.letrec((tie) => ({
      leaf: fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean(), fc.constant('DockerImage')),
      node: fc.oneof(
        { maxDepth: 6 },
        { weight: 1, arbitrary: tie('leaf') },
        { weight: 2, arbitrary: fc.array(tie('node'), { maxLength: 3 }) },
        { weight: 5, arbitrary: fc.dictionary(fc.constantFrom(...fields, ...more), tie('node'), { maxKeys: 5 }) },
      ),
    })).node;
    fc.assert(
      fc.property(
        fc.constantFrom(...kindsWithImages),
        fc.constantFrom('CREATE' as const, 'UPDATE' as const),
        json,
        (row, operation, object) => {
          expect(readObject({ ...row, operation, fromKubelet: true }, object).kind).toMatch(/shape|malformed/);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('a key %s is data', (key) => {
    const object = JSON.parse(
      `{"${key}":{"spec":1},"metadata":{"annotations":{"${key}":"x"}},"spec":{"${key}":{"containers":[]},"containers":[{"image":"a","${key}":1}]}}`,
    );
    expect(shapeOf('Pod', object).slots).toHaveLength(1);
  });

  test('what a key __proto__ holds does not count as inherited', () => {
    const object = JSON.parse('{"spec":{"__proto__":{"imagePullSecrets":[{"name":"x"}]},"containers":[{"image":"a"}]}}');
    expect((shapeOf('Pod', object) as PodShape).pullSecrets).toEqual([]);
  });

  test('a name that holds line breaks or has no end is escaped and cut', () => {
    const names = ['a\n\u001b[31m', 'x'.repeat(100_000)];
    const shape = shapeOf('Pod', { spec: { containers: names.map((name) => ({ name, image: 'a' })) } });
    expect(shape.slots[0]?.holder).toBe('container "a\\n\\u{1b}[31m"');
    expect(shape.slots[1]?.holder.length).toBeLessThan(150);
  });
});

describe('the service account', () => {
  test.each([
    { spec: {}, account: 'default' },
    { spec: { serviceAccountName: '' }, account: 'default' },
    { spec: { serviceAccountName: 'robot' }, account: 'robot' },
    { spec: { serviceAccount: 'old-name' }, account: 'old-name' },
    { spec: { serviceAccountName: 'robot', serviceAccount: 'old-name' }, account: 'robot' },
  ])('of $spec is $account', ({ spec, account }) => {
    expect((shapeOf('Pod', { spec: { containers: [{ image: 'a' }], ...spec } }) as PodShape).serviceAccount).toBe(account);
  });
});

describe('what must be left as it is', () => {
  const controller = { metadata: { ownerReferences: [{ controller: true }] } };
  const other = { metadata: { ownerReferences: [{ controller: false }, null, 'x'] } };
  const mirror = { metadata: { annotations: { 'kubernetes.io/config.mirror': 'hash' } } };
  const rows: readonly (readonly [string, string, object, Partial<ReadingContext>, PodShape['untouchable'] | undefined])[] = [
    ['a ReplicaSet of a Deployment', 'ReplicaSet', controller, {}, 'owned'],
    ['a ReplicaSet that stands alone', 'ReplicaSet', {}, {}, undefined],
    ['a ReplicaSet with another kind of owner', 'ReplicaSet', other, {}, undefined],
    ['a ReplicationController of a DeploymentConfig', 'ReplicationController', controller, {}, 'owned'],
    ['a Job of a CronJob', 'Job', controller, {}, 'owned'],
    ['a Job that exists', 'Job', {}, { operation: 'UPDATE' }, 'immutable'],
    ['a new Job', 'Job', {}, {}, undefined],
    ['a Deployment that an operator owns', 'Deployment', controller, {}, undefined],
    ['a Pod of a ReplicaSet', 'Pod', controller, {}, undefined],
    ['a Pod that exists', 'Pod', {}, { operation: 'UPDATE' }, 'immutable'],
    ['a mirror pod that a kubelet reports', 'Pod', mirror, { fromKubelet: true }, 'mirror'],
    ['a pod that anybody else calls a mirror pod', 'Pod', mirror, {}, undefined],
    ['a pod that a kubelet creates without the annotation', 'Pod', {}, { fromKubelet: true }, undefined],
  ];
  test.each(rows)('%s', (_name, kind, meta, context, untouchable) => {
    const spec = { containers: [{ image: 'a' }] };
    const object = kind === 'Pod' ? { ...meta, spec } : { ...meta, spec: { template: { spec } } };
    const reading = readObject({ ...contextOf(kind), ...context }, object);
    expect(reading.kind === 'shape' && reading.shape.kind === 'pod' && reading.shape.untouchable).toBe(untouchable);
  });

  test.each(['ReplicationController', 'DeploymentConfig'])('a %s without a template names no images', (kind) => {
    expect(shapeOf(kind, { spec: { template: null } })).toMatchObject({ slots: [], untouchable: 'owned' });
  });
});

describe('the image trigger of a DeploymentConfig', () => {
  const imageOf = (image: string, triggers: unknown) => {
    const template = { spec: { containers: [{ name: 'web', image }], initContainers: [{ name: 'init', image: 'other' }] } };
    return shapeOf('DeploymentConfig', { spec: { template, triggers } }).slots.map(({ content }) => content);
  };
  const trigger = (...containerNames: unknown[]) => ({ type: 'ImageChange', imageChangeParams: { automatic: true, containerNames } });
  const other = { kind: 'image', text: 'other' };

  test('will fill the container it names, so a placeholder there is no image yet', () => {
    expect(imageOf('web', [{ type: 'ConfigChange' }, trigger('web')])).toEqual([
      { kind: 'unresolved', why: '"web" is a placeholder that an image trigger fills' },
      other,
    ]);
  });

  test('leaves an image that names its registry an image, filled or not', () => {
    expect(imageOf('reg.io/web', [trigger('web')])).toEqual([{ kind: 'image', text: 'reg.io/web' }, other]);
  });

  test.each([
    { name: 'of another container', triggers: [trigger('db')] },
    { name: 'of another type', triggers: [{ type: 'ConfigChange', imageChangeParams: { containerNames: ['web'] } }] },
    { name: 'without containers', triggers: [{ type: 'ImageChange', imageChangeParams: null }, null, 1] },
    { name: 'that is no list', triggers: { type: 'ImageChange' } },
  ])('$name changes nothing', ({ triggers }) => {
    expect(imageOf('web', triggers)).toEqual([{ kind: 'image', text: 'web' }, other]);
  });

  test('does not excuse a name that no runtime could read', () => {
    expect(imageOf('https://web', [trigger('web')])).toEqual([{ kind: 'image', text: 'https://web' }, other]);
  });
});

function contextOf(kind: string): ReadingContext {
  const group = kindsWithImages.find((row) => row.kind === kind)?.group ?? '';
  return { group, kind, operation: 'CREATE', fromKubelet: false };
}

function shapeOf(kind: string, object: unknown): ObjectShape {
  const reading = readObject(contextOf(kind), object);
  if (reading.kind !== 'shape') throw new Error(JSON.stringify(reading));
  return reading.shape;
}

function slotsOf(shape: ObjectShape): string[] {
  return shape.slots.map(({ path, holder, action, content, pulledElsewhere }) => {
    const text = content.kind === 'image' ? content.text : content.why;
    return `${renderPath(path)} ${holder} ${action === 'push' ? 'push ' : ''}${text}${pulledElsewhere ? ' elsewhere' : ''}`;
  });
}

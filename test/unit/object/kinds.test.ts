/** The images, secrets and requests of all built-in kinds. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderPath } from '../../../src/object/json.ts';
import { kindsWithImages, readObject } from '../../../src/object/kinds.ts';
import type { ObjectShape, PodShape, ReadingContext } from '../../../src/object/object-shape.ts';
import { runs } from '../../property.ts';

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
const docker = (name: string) => ({ kind: 'DockerImage', name });
const buildSpec = {
  strategy: { dockerStrategy: { from: docker('reg.io/base') } },
  source: {
    dockerfile: 'FROM reg.io/builder AS b\nFROM reg.io/replaced\nCOPY --from=reg.io/tools /t /t',
    images: [
      { from: docker('reg.io/shared') },
      { from: docker('reg.io/files'), paths: [{ sourcePath: '/a', destinationDir: 'a' }] },
      { from: docker('reg.io/named'), as: ['reg.io/tools-2'] },
    ],
  },
  output: { to: docker('reg.io/out') },
};
const buildSlots = [
  'spec.strategy.dockerStrategy.from.name spec.strategy.dockerStrategy.from reg.io/base',
  'spec.source.dockerfile FROM on line 1 of the inline Dockerfile reg.io/builder',
  'spec.source.dockerfile COPY --from on line 3 of the inline Dockerfile reg.io/tools',
  'spec.source.images[0].from.name spec.source.images[0].from reg.io/shared',
  'spec.source.images[2].from.name spec.source.images[2].from reg.io/named',
  'spec.source.images[1].from.name spec.source.images[1].from reg.io/files',
  'spec.output.to.name spec.output.to push reg.io/out',
];

describe('every kind has its images where the table shows', () => {
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
    ...['BuildConfig', 'Build'].map((kind) => ({ kind, object: { spec: buildSpec }, slots: buildSlots })),
    {
      kind: 'BuildRequest',
      object: { triggeredByImage: docker('reg.io/new'), from: docker('reg.io/old'), lastVersion: 1, triggeredBy: [{ message: 'x' }] },
      slots: ['triggeredByImage.name triggeredByImage reg.io/new', 'from.name from reg.io/old'],
    },
    {
      kind: 'ImageStream',
      object: {
        spec: {
          dockerImageRepository: 'reg.io/whole',
          tags: [
            { name: '1', from: docker('reg.io/a:1'), importPolicy: { insecure: true }, referencePolicy: { type: 'Local' } },
            { name: '2', from: docker('reg.io/a:2'), importPolicy: { insecure: 'true' } },
            { name: 'latest', from: { kind: 'ImageStreamTag', name: '2' } },
            { name: 'fixed', from: { kind: 'ImageStreamImage', name: 'a@sha256:00' } },
            { name: 'pushed', from: null },
            null,
          ],
        },
        status: { dockerImageRepository: 'internal/a', tags: [{ tag: '1', items: [{ dockerImageReference: 'reg.io/status' }] }] },
      },
      slots: [
        'spec.tags[0].from.name spec.tags[0].from reg.io/a:1',
        'spec.tags[1].from.name spec.tags[1].from reg.io/a:2',
        'spec.tags[2].from.name spec.tags[2].from ImageStreamTag "2" is resolved only when it is used',
        'spec.tags[3].from.name spec.tags[3].from ImageStreamImage "a@sha256:00" is resolved only when it is used',
        'spec.dockerImageRepository spec.dockerImageRepository reg.io/whole',
      ],
    },
    {
      kind: 'ImageStreamTag',
      object: { tag: { name: '1', from: docker('reg.io/a:1') }, image: { dockerImageReference: 'reg.io/ignored' } },
      slots: ['tag.from.name tag.from reg.io/a:1'],
    },
    {
      kind: 'ImageTag',
      object: { spec: { name: '1', from: docker('reg.io/a:1') }, status: { items: [{ dockerImageReference: 'reg.io/ignored' }] } },
      slots: ['spec.from.name spec.from reg.io/a:1'],
    },
    {
      kind: 'ImageStreamImport',
      object: {
        spec: {
          import: true,
          repository: { from: docker('reg.io/team/app'), importPolicy: { insecure: 'true' } },
          images: [{ from: docker('reg.io/a:1'), to: { name: '1' } }, { from: docker('reg.io/b') }],
        },
      },
      slots: [
        'spec.repository.from.name spec.repository.from reg.io/team/app',
        'spec.images[0].from.name spec.images[0].from reg.io/a:1',
        'spec.images[1].from.name spec.images[1].from reg.io/b',
      ],
    },
    {
      kind: 'ImageStreamMapping',
      object: { image: { dockerImageReference: 'reg.io/a@sha256:00' }, tag: '1' },
      slots: ['image.dockerImageReference image.dockerImageReference reg.io/a@sha256:00'],
    },
  ])('$kind', ({ kind, object, slots }) => {
    expect(slotsOf(shapeOf(kind, object))).toEqual(slots);
  });

  test('ImageStream, in a request to its status', () => {
    const items = [
      { dockerImageReference: 'reg.io/a@sha256:00', image: 'sha256:00' },
      { image: 'sha256:01' },
      { dockerImageReference: '' },
    ];
    const object = { spec: { tags: [{ name: '1', from: docker('reg.io/a:1') }] }, status: { tags: [{ tag: '1', items }, { tag: '2' }] } };
    const reading = readObject(
      { group: 'image.openshift.io', kind: 'ImageStream', operation: 'UPDATE', subresource: 'status', fromKubelet: false },
      object,
    );
    expect(reading.kind === 'shape' && slotsOf(reading.shape)).toEqual([
      'status.tags[0].items[0].dockerImageReference status.tags[0].items[0].dockerImageReference reg.io/a@sha256:00',
    ]);
  });

  test('the table has no kind that is not tested here', () => {
    expect(kindsWithImages.map(({ kind }) => kind).toSorted()).toEqual(
      // biome-ignore format: one list
      ['Build', 'BuildConfig', 'BuildRequest', 'CronJob', 'DaemonSet', 'Deployment', 'DeploymentConfig', 'ImageStream', 'ImageStreamImport', 'ImageStreamMapping', 'ImageStreamTag', 'ImageTag', 'Job', 'Pod', 'PodTemplate', 'ReplicaSet', 'ReplicationController', 'StatefulSet'],
    );
  });

  test.each([
    { kind: 'Deployment', group: '' },
    { kind: 'Pod', group: 'apps' },
    { kind: 'Service', group: '' },
    { kind: 'constructor', group: '' },
    { kind: 'DeploymentRequest', group: 'apps.openshift.io' },
    { kind: 'BinaryBuildRequestOptions', group: 'build.openshift.io' },
  ])('$kind of group "$group" is unknown', ({ kind, group }) => {
    expect(readObject({ kind, group, operation: 'CREATE', fromKubelet: false }, {})).toEqual({ kind: 'unknown' });
  });

  test.each([
    { kind: 'DeploymentConfig', object: { spec: { template } } },
    { kind: 'BuildConfig', object: { spec: buildSpec } },
    { kind: 'ImageStream', object: { spec: { tags: [{ from: docker('reg.io/a') }] } } },
  ])('a $kind with apiVersion v1, as in old files, is the same', ({ kind, object }) => {
    expect(readObject({ ...contextOf(kind), group: '' }, object)).toEqual(readObject(contextOf(kind), object));
  });

  test.each([
    { kind: 'ImageStream', object: {} },
    { kind: 'ImageStream', object: { spec: { dockerImageRepository: '', tags: null } } },
    { kind: 'ImageStreamTag', object: { tag: null, lookupPolicy: { local: true } } },
    { kind: 'ImageTag', object: { spec: null } },
    { kind: 'ImageStreamImport', object: { spec: { repository: null, images: [] } } },
    { kind: 'ImageStreamMapping', object: { image: {} } },
    { kind: 'BuildRequest', object: { from: null } },
  ])('a $kind may contain none: $object', ({ kind, object }) => {
    expect(shapeOf(kind, object).slots).toEqual([]);
  });
});

describe('a missing image is unresolved', () => {
  test.each([
    { value: undefined, why: 'the image field is not set' },
    { value: null, why: 'the image field is not set' },
    { value: '', why: 'the image field is blank' },
    { value: ' ', why: 'the image field is blank' },
  ])('$value', ({ value, why }) => {
    const shape = shapeOf('Pod', { spec: { containers: [{ name: 'app', image: value }], volumes: [{ image: { reference: value } }] } });
    expect(shape.slots.map(({ content }) => content)).toEqual([
      { kind: 'unresolved', why },
      { kind: 'unresolved', why },
    ]);
  });

  test('whitespace around a name is left to the image grammar, which rejects it', () => {
    const shape = shapeOf('Pod', { spec: { containers: [{ image: ' reg.io/a' }, { image: '  ' }] } });
    expect(shape.slots.map(({ content }) => content)).toEqual([
      { kind: 'image', text: ' reg.io/a' },
      { kind: 'image', text: '  ' },
    ]);
  });
});

describe('a field of the wrong type makes the object malformed, and the problem shows its path', () => {
  const containers = [{ name: 'a', image: 'reg.io/a' }];
  test.each([
    { kind: 'Pod', object: null, problem: 'object must be a Pod, but is null' },
    { kind: 'Pod', object: [], problem: 'object must be a Pod, but is a list' },
    { kind: 'Pod', object: {}, problem: 'spec must be a pod spec, but is missing' },
    { kind: 'Pod', object: { spec: 'x' }, problem: 'spec must be a pod spec, but is a string' },
    { kind: 'Deployment', object: { spec: { template: null } }, problem: 'spec.template.spec must be a pod spec, but is missing' },
    { kind: 'Pod', object: { spec: { containers: null } }, problem: 'spec.containers must be a list of containers, but is null' },
    { kind: 'Pod', object: { spec: { containers: {} } }, problem: 'spec.containers must be a list of containers, but is an object' },
    { kind: 'Pod', object: { spec: { containers: [] } }, problem: 'spec.containers must contain at least one container' },
    { kind: 'Pod', object: { spec: { containers: [null] } }, problem: 'spec.containers[0] must be a container, but is null' },
    {
      kind: 'Pod',
      object: { spec: { containers: [{ image: 7 }] } },
      problem: 'spec.containers[0].image must be a string, but is a number',
    },
    {
      kind: 'Pod',
      object: { spec: { containers: [{ image: ['a'] }] } },
      problem: 'spec.containers[0].image must be a string, but is a list',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, initContainers: 'x' } },
      problem: 'spec.initContainers must be a list of containers, but is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, ephemeralContainers: [1] } },
      problem: 'spec.ephemeralContainers[0] must be a container, but is a number',
    },
    { kind: 'Pod', object: { spec: { containers, volumes: {} } }, problem: 'spec.volumes must be a list of volumes, but is an object' },
    { kind: 'Pod', object: { spec: { containers, volumes: [true] } }, problem: 'spec.volumes[0] must be a volume, but is a boolean' },
    {
      kind: 'Pod',
      object: { spec: { containers, volumes: [{ image: 'x' }] } },
      problem: 'spec.volumes[0].image must be an image volume, but is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, volumes: [{ image: { reference: {} } }] } },
      problem: 'spec.volumes[0].image.reference must be a string, but is an object',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, imagePullSecrets: 'x' } },
      problem: 'spec.imagePullSecrets must be a list of references, but is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, imagePullSecrets: ['x'] } },
      problem: 'spec.imagePullSecrets[0] must be a reference with a name, but is a string',
    },
    {
      kind: 'Pod',
      object: { spec: { containers, serviceAccountName: 1 } },
      problem: 'spec.serviceAccountName must be a string, but is a number',
    },
    { kind: 'Pod', object: { metadata: 'x', spec: { containers } }, problem: "metadata must be an object's metadata, but is a string" },
    {
      kind: 'Deployment',
      object: { spec: { template: { metadata: [], spec: { containers } } } },
      problem: "spec.template.metadata must be an object's metadata, but is a list",
    },
    {
      kind: 'DeploymentConfig',
      object: { spec: { strategy: { customParams: { image: 1 } } } },
      problem: 'spec.strategy.customParams.image must be a string, but is a number',
    },
    { kind: 'BuildConfig', object: {}, problem: "spec must be a build's spec, but is missing" },
    { kind: 'BuildConfig', object: { metadata: 1, spec: {} }, problem: "metadata must be an object's metadata, but is a number" },
    { kind: 'BuildConfig', object: { spec: { strategy: [] } }, problem: 'spec.strategy must be an object, but is a list' },
    {
      kind: 'BuildConfig',
      object: { spec: { strategy: { dockerStrategy: 'x' } } },
      problem: 'spec.strategy.dockerStrategy must be an object, but is a string',
    },
    { kind: 'BuildConfig', object: { spec: { source: 1 } }, problem: 'spec.source must be an object, but is a number' },
    { kind: 'BuildConfig', object: { spec: { source: { images: {} } } }, problem: 'spec.source.images must be a list, but is an object' },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { images: [1] } } },
      problem: 'spec.source.images[0] must be an image source, but is a number',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { images: [{ paths: 'x' }] } } },
      problem: 'spec.source.images[0].paths must be a list, but is a string',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { dockerfile: {} } } },
      problem: 'spec.source.dockerfile must be a string, but is an object',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { dockerfile: `FROM a${'\n'.repeat(131_072)}` } } },
      problem: 'spec.source.dockerfile must have at most 131,072 characters, but has 131,078',
    },
    { kind: 'BuildConfig', object: { spec: { output: { to: 'reg.io/x' } } }, problem: 'spec.output.to must be an object, but is a string' },
    {
      kind: 'BuildConfig',
      object: { spec: { output: { to: { kind: 'DockerImage', name: 4 } } } },
      problem: 'spec.output.to.name must be a string, but is a number',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { strategy: { sourceStrategy: { from: [] } } } },
      problem: 'spec.strategy.sourceStrategy.from must be a reference with kind and name, but is a list',
    },
    {
      kind: 'BuildConfig',
      object: { spec: { source: { images: [{ from: { kind: null, name: true } }] } } },
      problem: 'spec.source.images[0].from.name must be a string, but is a boolean',
    },
    { kind: 'Build', object: { spec: null }, problem: "spec must be a build's spec, but is null" },
    { kind: 'BuildRequest', object: { from: 'x' }, problem: 'from must be a reference with kind and name, but is a string' },
    { kind: 'BuildRequest', object: { triggeredByImage: { name: 1 } }, problem: 'triggeredByImage.name must be a string, but is a number' },
    { kind: 'ImageStream', object: { spec: [] }, problem: 'spec must be an object, but is a list' },
    { kind: 'ImageStream', object: { spec: { tags: {} } }, problem: 'spec.tags must be a list, but is an object' },
    { kind: 'ImageStream', object: { spec: { tags: ['x'] } }, problem: 'spec.tags[0] must be an object, but is a string' },
    {
      kind: 'ImageStream',
      object: { spec: { tags: [{}, { from: { kind: 'DockerImage', name: {} } }] } },
      problem: 'spec.tags[1].from.name must be a string, but is an object',
    },
    {
      kind: 'ImageStream',
      object: { spec: { dockerImageRepository: 1 } },
      problem: 'spec.dockerImageRepository must be a string, but is a number',
    },
    { kind: 'ImageStreamTag', object: { tag: 'x' }, problem: 'tag must be an object, but is a string' },
    { kind: 'ImageTag', object: { spec: { from: [] } }, problem: 'spec.from must be a reference with kind and name, but is a list' },
    { kind: 'ImageStreamImport', object: { spec: { images: [1] } }, problem: 'spec.images[0] must be an object, but is a number' },
    {
      kind: 'ImageStreamMapping',
      object: { image: { dockerImageReference: [] } },
      problem: 'image.dockerImageReference must be a string, but is a list',
    },
  ])('$kind: $problem', ({ kind, object, problem }) => {
    const reading = readObject(contextOf(kind), object);
    expect(reading.kind === 'malformed' && `${reading.problem.path} ${reading.problem.message}`).toBe(problem);
  });
});

describe('any JSON', () => {
  test('is parsed without an exception', () => {
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
      'tag',
      'tags',
      'repository',
      'dockerImageReference',
      'dockerImageRepository',
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
      runs(1500),
    );
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('a key %s is data', (key) => {
    const object = JSON.parse(
      `{"${key}":{"spec":1},"metadata":{"annotations":{"${key}":"x"}},"spec":{"${key}":{"containers":[]},"containers":[{"image":"a","${key}":1}]}}`,
    );
    expect(shapeOf('Pod', object).slots).toHaveLength(1);
  });

  test('the contents of a key __proto__ are not inherited', () => {
    const object = JSON.parse('{"spec":{"__proto__":{"imagePullSecrets":[{"name":"x"}]},"containers":[{"image":"a"}]}}');
    expect((shapeOf('Pod', object) as PodShape).pullSecrets).toEqual([]);
  });

  test('a name with line breaks or a very long name is escaped and cut', () => {
    const names = ['a\n\u001b[31m', 'x'.repeat(100_000)];
    const shape = shapeOf('Pod', { spec: { containers: names.map((name) => ({ name, image: 'a' })) } });
    expect(shape.slots[0]?.displayName).toBe('container "a\\n\\u{1b}[31m"');
    expect(shape.slots[1]?.displayName.length).toBeLessThan(150);
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

describe('what must not be changed', () => {
  const controller = { metadata: { ownerReferences: [{ controller: true }] } };
  const other = { metadata: { ownerReferences: [{ controller: false }, null, 'x'] } };
  const mirror = { metadata: { annotations: { 'kubernetes.io/config.mirror': 'hash' } } };
  const rows: readonly (readonly [string, string, object, Partial<ReadingContext>, PodShape['readOnlyBecause'] | undefined])[] = [
    ['a ReplicaSet of a Deployment', 'ReplicaSet', controller, {}, 'owned'],
    ['a ReplicaSet without an owner', 'ReplicaSet', {}, {}, undefined],
    ['a ReplicaSet with another kind of owner', 'ReplicaSet', other, {}, undefined],
    ['a ReplicationController of a DeploymentConfig', 'ReplicationController', controller, {}, 'owned'],
    ['a Job of a CronJob', 'Job', controller, {}, 'owned'],
    ['an existing Job', 'Job', {}, { operation: 'UPDATE' }, 'immutable'],
    ['a new Job', 'Job', {}, {}, undefined],
    ['a Deployment with an operator as owner', 'Deployment', controller, {}, undefined],
    ['a Pod with a ReplicaSet as owner', 'Pod', controller, {}, undefined],
    ['an existing Pod', 'Pod', {}, { operation: 'UPDATE' }, 'immutable'],
    ['a mirror Pod that a kubelet reports', 'Pod', mirror, { fromKubelet: true }, 'mirror'],
    ['a Pod with the mirror annotation from any other user', 'Pod', mirror, {}, undefined],
    ['a Pod that a kubelet creates without the annotation', 'Pod', {}, { fromKubelet: true }, undefined],
  ];
  test.each(rows)('%s', (_name, kind, meta, context, readOnlyBecause) => {
    const spec = { containers: [{ image: 'a' }] };
    const object = kind === 'Pod' ? { ...meta, spec } : { ...meta, spec: { template: { spec } } };
    const reading = readObject({ ...contextOf(kind), ...context }, object);
    expect(reading.kind === 'shape' && reading.shape.kind === 'pod' && reading.shape.readOnlyBecause).toBe(readOnlyBecause);
  });

  test.each([
    ['CREATE', undefined],
    ['UPDATE', 'immutable'],
  ] as const)('a Build on %s: %s', (operation, readOnlyBecause) => {
    expect(readObject({ ...contextOf('Build'), operation }, { spec: buildSpec })).toMatchObject({ shape: { kind: 'build' } });
    const reading = readObject({ ...contextOf('Build'), operation }, { spec: buildSpec });
    expect(reading.kind === 'shape' && reading.shape.kind === 'build' && reading.shape.readOnlyBecause).toBe(readOnlyBecause);
  });

  test.each(['ReplicationController', 'DeploymentConfig'])('a %s without a template contains no images', (kind) => {
    expect(shapeOf(kind, { spec: { template: null } })).toMatchObject({ slots: [], readOnlyBecause: 'owned' });
  });
});

describe('the image trigger of a DeploymentConfig', () => {
  const imageOf = (image: string, triggers: unknown) => {
    const template = { spec: { containers: [{ name: 'web', image }], initContainers: [{ name: 'init', image: 'other' }] } };
    return shapeOf('DeploymentConfig', { spec: { template, triggers } }).slots.map(({ content }) => content);
  };
  const trigger = (...containerNames: unknown[]) => ({ type: 'ImageChange', imageChangeParams: { automatic: true, containerNames } });
  const other = { kind: 'image', text: 'other' };

  test('fills the container in its list, so a placeholder there is not an image yet', () => {
    expect(imageOf('web', [{ type: 'ConfigChange' }, trigger('web')])).toEqual([
      { kind: 'unresolved', written: 'web', why: '"web" is a placeholder that an image trigger replaces' },
      other,
    ]);
  });

  test('does not affect an image with a registry, filled or not', () => {
    expect(imageOf('reg.io/web', [trigger('web')])).toEqual([{ kind: 'image', text: 'reg.io/web' }, other]);
  });

  test.each([
    { name: 'for another container', triggers: [trigger('db')] },
    { name: 'of another type', triggers: [{ type: 'ConfigChange', imageChangeParams: { containerNames: ['web'] } }] },
    { name: 'without containers', triggers: [{ type: 'ImageChange', imageChangeParams: null }, null, 1] },
    { name: 'that is not a list', triggers: { type: 'ImageChange' } },
  ])('$name changes nothing', ({ triggers }) => {
    expect(imageOf('web', triggers)).toEqual([{ kind: 'image', text: 'web' }, other]);
  });

  test('does not excuse an invalid name', () => {
    expect(imageOf('https://web', [trigger('web')])).toEqual([{ kind: 'image', text: 'https://web' }, other]);
  });
});

describe('the annotation image.openshift.io/triggers', () => {
  const spec = {
    containers: [
      { name: 'web', image: 'web' },
      { name: 'side', image: 'reg.io/side' },
    ],
    initContainers: [{ name: 'web', image: 'init' }],
    volumes: [{ name: 'data', image: { reference: 'data' } }],
  };
  const trigger = (fieldPath: unknown, more: object = {}) => ({ from: { kind: 'ImageStreamTag', name: 'web:1' }, fieldPath, ...more });
  const waitingIn = (kind: string, annotation: unknown, at = 'spec.template') => {
    const text = typeof annotation === 'string' ? annotation : JSON.stringify(annotation);
    const metadata = { annotations: { 'image.openshift.io/triggers': text } };
    const inner = at.split('.').reduceRight<object>((value, key) => ({ [key]: value }), { spec });
    return shapeOf(kind, { metadata, ...inner })
      .slots.filter(({ content }) => content.kind === 'unresolved')
      .map(({ path }) => renderPath(path).replace(`${at}.spec.`, ''));
  };
  const web = 'spec.template.spec.containers[?(@.name=="web")].image';

  test.each([
    { name: 'by name', triggers: [trigger(web)], waiting: ['containers[0].image'] },
    { name: 'by index', triggers: [trigger('spec.template.spec.containers[0].image')], waiting: ['containers[0].image'] },
    {
      name: 'an init container, distinct from a container of the same name',
      triggers: [trigger('spec.template.spec.initContainers[?(@.name=="web")].image')],
      waiting: ['initContainers[0].image'],
    },
    {
      name: 'without the kind, which has only one possible value',
      triggers: [trigger(web, { from: { name: 'web:1' } })],
      waiting: ['containers[0].image'],
    },
    {
      name: 'with `pause`, which the console writes and the controller ignores',
      triggers: [trigger(web, { pause: 'true' }), trigger('spec.template.spec.containers[1].image', { paused: false })],
      waiting: ['containers[0].image'],
    },
    { name: 'next to an invalid one', triggers: [null, 1, {}, trigger(web)], waiting: ['containers[0].image'] },
  ])('makes the image that it fills a placeholder: $name', ({ triggers, waiting }) => {
    expect(waitingIn('Deployment', triggers)).toEqual(waiting);
  });

  test.each([
    { name: 'not an image with a registry', triggers: [trigger('spec.template.spec.containers[1].image')] },
    { name: 'not an image volume, which no trigger fills', triggers: [trigger('spec.template.spec.volumes[0].image.reference')] },
    { name: 'not while it is paused', triggers: [trigger(web, { paused: true })] },
    { name: 'not if paused is a string, which the controller cannot parse', triggers: [trigger(web, { paused: 'true' })] },
    { name: 'not if paused is a string, even "false"', triggers: [trigger(web, { paused: 'false' })] },
    { name: 'not from another kind', triggers: [trigger(web, { from: { kind: 'DockerImage', name: 'web:1' } })] },
    { name: 'not without a source', triggers: [trigger(web, { from: {} })] },
    { name: 'not with the path of another kind', triggers: [trigger('spec.containers[0].image')] },
    { name: 'not with a pattern', triggers: [trigger('spec.template.spec.containers[*].image')] },
    { name: 'not with another field', triggers: [trigger('spec.template.spec.containers[0].command')] },
    { name: 'not with a field path of a wrong type', triggers: [trigger({ a: web }), trigger([web])] },
    { name: 'not when it is not a list', triggers: trigger(web) },
    { name: 'not when it is not JSON', triggers: '[{' },
  ])('creates no placeholder, $name', ({ triggers }) => {
    expect(waitingIn('Deployment', triggers)).toEqual([]);
  });

  test.each([
    { kind: 'Deployment', at: 'spec.template', waits: true },
    { kind: 'StatefulSet', at: 'spec.template', waits: true },
    { kind: 'DaemonSet', at: 'spec.template', waits: true },
    { kind: 'CronJob', at: 'spec.jobTemplate.spec.template', waits: true },
    { kind: 'ReplicaSet', at: 'spec.template', waits: false },
    { kind: 'ReplicationController', at: 'spec.template', waits: false },
    { kind: 'Job', at: 'spec.template', waits: false },
    { kind: 'PodTemplate', at: 'template', waits: false },
    { kind: 'DeploymentConfig', at: 'spec.template', waits: false },
  ])('of a $kind: $waits', ({ kind, at, waits }) => {
    expect(waitingIn(kind, [trigger(`${at}.spec.containers[0].image`)], at)).toEqual(waits ? ['containers[0].image'] : []);
  });

  test('shows the stream that the image will come from, even for a blank image', () => {
    const annotations = { 'image.openshift.io/triggers': JSON.stringify([trigger(web, { from: { name: 'web:1', namespace: 'images' } })]) };
    const stream = { kind: 'ImageStreamTag', name: 'web:1', namespace: 'images' };
    for (const image of ['web', ' ']) {
      const object = { metadata: { annotations }, spec: { template: { spec: { containers: [{ name: 'web', image }] } } } };
      expect(shapeOf('Deployment', object).slots[0]?.content).toMatchObject({ kind: 'unresolved', stream });
    }
  });

  test('is ignored on a Pod, where the name would run', () => {
    const metadata = { annotations: { 'image.openshift.io/triggers': JSON.stringify([trigger('spec.containers[0].image')]) } };
    expect(shapeOf('Pod', { metadata, spec }).slots.every(({ content }) => content.kind === 'image')).toBe(true);
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
  return shape.slots.map(({ path, displayName, action, content, pulledElsewhere }) => {
    const text = content.kind === 'image' ? content.text : content.why;
    return `${renderPath(path)} ${displayName} ${action === 'push' ? 'push ' : ''}${text}${pulledElsewhere ? ' elsewhere' : ''}`;
  });
}

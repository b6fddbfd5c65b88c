/** Random objects of every kind, as an API server could send them: with correct types, but otherwise as odd as users write them. */
import fc from 'fast-check';
import type { JsonObject } from '../../../src/object/json.ts';

const digest = `sha256:${'1'.repeat(64)}`;

/** Images from registries in the rules of the property tests, and from others. */
export const someImage = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom('r0.io', 'r1.io', 'r2.io:5000'), fc.constantFrom('x', 'team/y:1', `z@${digest}`))
      .map(([host, path]) => `${host}/${path}`),
  },
  { weight: 2, arbitrary: fc.constantFrom('internal.svc:5000/shop/web', 'evil.io/x', 'unknown.io/x', 'exempt.io/x') },
  { weight: 2, arbitrary: fc.constantFrom('nginx', 'team/app:2', 'R0.io/x', 'r0.io:443/x') },
  { weight: 1, arbitrary: fc.constantFrom('://', 'a b', 'r0.io/X', '@', '') },
);
const imageField = fc.oneof({ weight: 9, arbitrary: someImage }, fc.constantFrom(' ', '', null, undefined));

const name = fc.constantFrom('a', 'b', 'c', 'd', 'pull-0', 'pull-1', 'own');
const secretEntry = fc.oneof({ weight: 8, arbitrary: name.map((each) => ({ name: each })) }, fc.constantFrom({}, null, { name: '' }));
const secretList = fc.oneof(fc.constantFrom(undefined, null), fc.array(secretEntry, { maxLength: 4 }));
const secretReference = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(undefined, null) },
  name.map((each) => ({ name: each })),
);

const names = fc.uniqueArray(name, { maxLength: 3 });
const podMark = fc.oneof(
  fc.record({ rules: names, serviceAccount: names }, { requiredKeys: [] }).map((mark) => JSON.stringify(mark)),
  fc.constantFrom('', '[]', '{"rules":5}', 'x'),
);
const buildPath = fc.constantFrom(
  'spec.output.pushSecret',
  'spec.strategy.sourceStrategy.pullSecret',
  'spec.strategy.dockerStrategy.pullSecret',
  'spec.source.images[0].pullSecret',
);
const buildMark = fc.dictionary(buildPath, name).map((mark) => JSON.stringify(mark));

const neededSecrets = fc.constantFrom('pull-0', 'a,push', 'forged', '');

/** Metadata with some of these annotations. */
function metadata(annotations: Record<string, fc.Arbitrary<string>>, more: Record<string, fc.Arbitrary<unknown>> = {}) {
  const annotated = fc.oneof(
    fc.constantFrom(undefined, null),
    fc.record({ ...annotations, 'regkeeper.io/secrets': neededSecrets, other: fc.constant('x') }, { requiredKeys: [] }),
  );
  return fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(undefined, null) },
    { weight: 8, arbitrary: fc.record({ name: fc.constant('web'), annotations: annotated, ...more }, { requiredKeys: ['name'] }) },
  );
}

const container = fc.record({ name: fc.constantFrom('c0', 'c1', 'web'), image: imageField }, { requiredKeys: ['name'] });
const volume = fc.oneof(
  fc.constant({ name: 'v', emptyDir: {} }),
  fc.record({ name: fc.constant('i'), image: fc.record({ reference: imageField }, { requiredKeys: [] }) }),
);
const podSpec = fc.record(
  {
    containers: fc.array(container, { minLength: 1, maxLength: 3 }),
    initContainers: fc.array(container, { maxLength: 2 }),
    ephemeralContainers: fc.array(container, { maxLength: 1 }),
    volumes: fc.array(volume, { maxLength: 2 }),
    imagePullSecrets: secretList,
    serviceAccountName: fc.constantFrom('', 'robot', 'late'),
  },
  { requiredKeys: ['containers'] },
);
const template = fc.record({ metadata: metadata({ 'regkeeper.io/injected': podMark }), spec: podSpec }, { requiredKeys: ['spec'] });

const owners = fc.constantFrom([], [{ kind: 'Deployment', name: 'web', controller: true }], [{ kind: 'X', name: 'x' }]);
const trigger = fc.constant(
  JSON.stringify([
    { from: { kind: 'ImageStreamTag', name: 'base:1' }, fieldPath: 'spec.template.spec.containers[?(@.name=="web")].image' },
  ]),
);
const lastApplied = fc.record({ spec: fc.record({ template: fc.record({ spec: podSpec }) }) }).map((file) => JSON.stringify(file));
const workloadMetadata = metadata(
  { 'image.openshift.io/triggers': trigger, 'kubectl.kubernetes.io/last-applied-configuration': lastApplied },
  { ownerReferences: owners },
);
const workload = object({ metadata: workloadMetadata, spec: fc.record({ replicas: fc.nat(3), template }) });

const reference = fc.oneof(
  { weight: 3, arbitrary: someImage.map((image) => ({ kind: 'DockerImage', name: image })) },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        kind: fc.constant('ImageStreamTag'),
        name: fc.constantFrom('base:1', 'inside:1', 'refused:1', 'none:1', 'base'),
        namespace: fc.constantFrom('shop', 'openshift'),
      },
      { requiredKeys: ['kind', 'name'] },
    ),
  },
  fc.constantFrom(
    { kind: 'ImageStreamImage', name: `base@${digest}` },
    { kind: 'DockerImage', name: ' ' },
    { kind: 'DockerImage' },
    null,
    undefined,
  ),
);
const tagReference = fc.oneof(reference, fc.constantFrom({ kind: 'ImageStreamTag', name: '1' }));

const dockerfileLine = fc.oneof(
  someImage.map((image) => `FROM ${image || 'scratch'}`),
  someImage.map((image) => `COPY --from=${image || '0'} /a /a`),
  fc.constantFrom(
    'ARG base=r0.io/x',
    'FROM $base AS s',
    'FROM $unknown',
    'FROM s',
    'RUN --mount=from=r1.io/x true',
    'RUN <<EOF\nFROM evil.io/x\nEOF',
  ),
);
const dockerfile = fc.array(dockerfileLine, { maxLength: 5 }).map((lines) => lines.join('\n'));
const buildSource = fc.record(
  {
    dockerfile,
    images: fc.array(
      fc.record(
        {
          from: reference,
          as: fc.constantFrom([], ['r0.io/x'], null),
          paths: fc.constantFrom([], [{ sourcePath: '/x', destinationDir: 'x' }], null),
          pullSecret: secretReference,
        },
        { requiredKeys: [] },
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: [] },
);
const strategyPart = fc.record(
  { from: reference, pullSecret: secretReference, buildArgs: fc.constant([{ name: 'base', value: 'r1.io/x' }]) },
  { requiredKeys: [] },
);
const strategy = fc.oneof(
  strategyPart.map((part) => ({ sourceStrategy: part })),
  strategyPart.map((part) => ({ dockerStrategy: part })),
  strategyPart.map((part) => ({ customStrategy: part })),
  fc.constant({ jenkinsPipelineStrategy: {} }),
);
const buildSpec = fc.record(
  { strategy, source: buildSource, output: fc.record({ to: reference, pushSecret: secretReference }, { requiredKeys: [] }) },
  { requiredKeys: ['strategy'] },
);
const appliedBuild = fc.record({ spec: buildSpec }).map((file) => JSON.stringify(file));
const build = object({
  metadata: metadata({ 'regkeeper.io/injected': buildMark, 'kubectl.kubernetes.io/last-applied-configuration': appliedBuild }),
  spec: buildSpec,
});

const tag = fc.record(
  { name: fc.constantFrom('1', 'latest'), from: tagReference, importPolicy: fc.constant({ insecure: 'true' }) },
  { requiredKeys: ['name'] },
);
const named = metadata({});

/** By `Kind.group`, exactly the kinds of `kindsWithImages`. */
export const anyObjectOf: Readonly<Record<string, fc.Arbitrary<JsonObject>>> = {
  'Pod.': object({
    metadata: metadata({ 'regkeeper.io/injected': podMark, 'kubernetes.io/config.mirror': fc.constant('h') }, { ownerReferences: owners }),
    spec: podSpec,
  }),
  'PodTemplate.': object({ metadata: named, template }),
  'ReplicationController.': object({
    metadata: workloadMetadata,
    spec: fc.record({ template: fc.oneof({ weight: 9, arbitrary: template }, fc.constant(null)) }),
  }),
  'Deployment.apps': workload,
  'ReplicaSet.apps': workload,
  'StatefulSet.apps': workload,
  'DaemonSet.apps': workload,
  'Job.batch': workload,
  'CronJob.batch': object({ metadata: workloadMetadata, spec: fc.record({ jobTemplate: fc.record({ spec: fc.record({ template }) }) }) }),
  'DeploymentConfig.apps.openshift.io': object({
    metadata: workloadMetadata,
    spec: fc.record(
      {
        template,
        strategy: fc.record({ customParams: fc.record({ image: imageField }, { requiredKeys: [] }) }),
        triggers: fc.array(
          fc.record({
            type: fc.constantFrom('ImageChange', 'ConfigChange'),
            imageChangeParams: fc.record({ containerNames: fc.constantFrom(['web'], ['c0', 'c1'], []), from: reference }),
          }),
          { maxLength: 2 },
        ),
      },
      { requiredKeys: ['template'] },
    ),
  }),
  'BuildConfig.build.openshift.io': build,
  'Build.build.openshift.io': build,
  'BuildRequest.build.openshift.io': object({ metadata: named, triggeredByImage: reference, from: reference }),
  'ImageStream.image.openshift.io': object({
    metadata: named,
    spec: fc.record({ tags: fc.array(tag, { maxLength: 3 }), dockerImageRepository: fc.constantFrom('', 'r0.io/x') }, { requiredKeys: [] }),
  }),
  'ImageStreamTag.image.openshift.io': object({ metadata: named, tag: fc.oneof(tag, fc.constant(null)) }),
  'ImageTag.image.openshift.io': object({ metadata: named, spec: tag }),
  'ImageStreamImport.image.openshift.io': object({
    metadata: named,
    spec: fc.record(
      {
        import: fc.boolean(),
        repository: fc.record({ from: reference }),
        images: fc.array(fc.record({ from: reference }), { maxLength: 2 }),
      },
      { requiredKeys: ['import'] },
    ),
  }),
  'ImageStreamMapping.image.openshift.io': object({
    metadata: named,
    image: fc.record({ dockerImageReference: someImage }, { requiredKeys: [] }),
    tag: fc.constant('1'),
  }),
};

/** Without undefined members, as in JSON. */
function object(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<JsonObject> {
  return fc.record(fields).map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);
}

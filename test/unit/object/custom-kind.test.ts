// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of custom resources
/** Configured kinds: Argo Rollouts, Knative, Tekton and others, with objects as in their own documentation. */
import { describe, expect, test } from 'vitest';
import { type CustomKind, customKindRow, parsePathPattern } from '../../../src/object/custom-kind.ts';
import { renderPath } from '../../../src/object/json.ts';
import { kindsOf, kindsWithImages, readObject } from '../../../src/object/kinds.ts';
import type { ObjectShape } from '../../../src/object/object-shape.ts';

const rollout: CustomKind = { ...kind('argoproj.io', 'Rollout', 'rollouts'), template: ['spec', 'template'], podSpecs: [], images: [] };
const service: CustomKind = {
  ...kind('serving.knative.dev', 'Service', 'services'),
  template: ['spec', 'template'],
  podSpecs: [],
  images: [],
};
const taskRun: CustomKind = {
  ...kind('tekton.dev', 'TaskRun', 'taskruns'),
  podSpecs: [],
  images: ['spec.taskSpec.steps[*].image', 'spec.taskSpec.sidecars[].image', 'spec.taskSpec.stepTemplate.image'].map((path) => image(path)),
};
const job: CustomKind = {
  ...kind('kubeflow.org', 'PyTorchJob', 'pytorchjobs'),
  podSpecs: [pattern('spec.pytorchReplicaSpecs.*.template.spec')],
  images: [],
};

describe('an Argo Rollout', () => {
  const spec = {
    replicas: 3,
    strategy: { canary: { steps: [{ setWeight: 20 }] } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        serviceAccountName: 'robot',
        initContainers: [{ name: 'init', image: 'reg.io/init' }],
        containers: [{ name: 'web', image: 'reg.io/web' }],
      },
    },
  };

  test('is a pod template', () => {
    expect(read(rollout, { spec })).toMatchObject({
      kind: 'pod',
      stage: 'template',
      spec: ['spec', 'template', 'spec'],
      metadata: ['spec', 'template', 'metadata'],
      serviceAccount: 'robot',
      onlyIntoEmptyList: true,
    });
    expect(slots(rollout, { spec })).toEqual([
      'spec.template.spec.containers[0].image reg.io/web',
      'spec.template.spec.initContainers[0].image reg.io/init',
    ]);
  });

  test('with the template of a Deployment contains no images', () => {
    expect(slots(rollout, { spec: { workloadRef: { kind: 'Deployment', name: 'web' } } })).toEqual([]);
    expect(slots(rollout, { spec: { template: null } })).toEqual([]);
  });

  test('whose containers are in another object is evaluated nevertheless', () => {
    expect(slots(rollout, { spec: { template: { spec: { volumes: [{ name: 'v', image: { reference: 'reg.io/v' } }] } } } })).toEqual([
      'spec.template.spec.volumes[0].image.reference reg.io/v',
    ]);
  });

  test('with a controller is left alone', () => {
    const owned = { metadata: { ownerReferences: [{ controller: true }] }, spec };
    expect(read(rollout, owned)).toMatchObject({ readOnlyBecause: 'owned' });
  });
});

test('a Knative Service is a pod template', () => {
  const spec = {
    template: {
      metadata: { annotations: { 'autoscaling.knative.dev/min-scale': '1' } },
      spec: { containerConcurrency: 10, containers: [{ image: 'reg.io/hello', ports: [{ containerPort: 8080 }] }] },
    },
    traffic: [{ latestRevision: true, percent: 100 }],
  };
  expect(slots(service, { spec })).toEqual(['spec.template.spec.containers[0].image reg.io/hello']);
});

describe('a Tekton TaskRun', () => {
  const taskSpec = {
    steps: [
      { name: 'build', image: 'reg.io/builder', script: 'make' },
      { name: 'param', image: '$(params.image)' },
      { name: 'from-template', script: 'make' },
    ],
    sidecars: [{ image: 'reg.io/side' }],
    stepTemplate: { image: 'reg.io/step' },
  };

  test('contains images itself, which its Pod pulls', () => {
    expect(read(taskRun, { spec: { taskSpec } }).kind).toBe('naming');
    expect(slots(taskRun, { spec: { taskSpec } })).toEqual([
      'spec.taskSpec.steps[0].image reg.io/builder elsewhere',
      'spec.taskSpec.steps[1].image ? "$(params.image)" contains a variable that is replaced later elsewhere',
      'spec.taskSpec.sidecars[0].image reg.io/side elsewhere',
      'spec.taskSpec.stepTemplate.image reg.io/step elsewhere',
    ]);
  });

  test('with a reference to a Task contains none', () => {
    expect(slots(taskRun, { spec: { taskRef: { name: 'build' } } })).toEqual([]);
  });
});

test('several Pod specs, in a map by name, are evaluated', () => {
  const replica = (image: string) => ({ replicas: 1, template: { spec: { containers: [{ name: 'p', image }] } } });
  expect(slots(job, { spec: { pytorchReplicaSpecs: { Master: replica('reg.io/m'), Worker: replica('{{image}}') } } })).toEqual([
    'spec.pytorchReplicaSpecs.Master.template.spec.containers[0].image reg.io/m elsewhere',
    'spec.pytorchReplicaSpecs.Worker.template.spec.containers[0].image ? "{{image}}" contains a variable that is replaced later elsewhere',
  ]);
});

test.each([
  { name: 'a variable like', image: '$(params.x)/app', waits: true },
  { name: 'a variable like', image: 'reg.io/{{x}}', waits: true },
  { name: 'a single letter of one, as in', image: 'reg.io/app$', waits: false },
  { name: 'a single letter of one, as in', image: 'reg.io/{app}', waits: false },
])('$name $image: $waits', ({ image, waits }) => {
  const [slot] = read(taskRun, { spec: { taskSpec: { stepTemplate: { image } } } }).slots;
  expect(slot?.content.kind).toBe(waits ? 'unresolved' : 'image');
});

describe('a name in which only the tag or the digest contains a variable', () => {
  const contentOf = (image: string) => read(taskRun, { spec: { taskSpec: { stepTemplate: { image } } } }).slots[0]?.content;

  test.each([
    ['reg.io/app:${TAG}', 'reg.io/app'],
    ['reg.io/app:$(params.tag)', 'reg.io/app'],
    ['reg.io:5000/team/app@{{inputs.parameters.digest}}', 'reg.io:5000/team/app'],
    ['reg.io/app:v$(params.major)-alpine', 'reg.io/app'],
    ['reg.io/app:1@$(params.digest)', 'reg.io/app'],
    ['team/app:$(params.tag)', 'team/app'],
  ])('%s is evaluated as %s', (image, text) => {
    expect(contentOf(image)).toEqual({ kind: 'image', text, openTag: true });
  });

  test.each([
    // The value could be `5000/app`.
    'app:$(params.tag)',
    'reg.io:$(params.port)/app',
    'reg.io/$(params.name):1',
    'reg.io/app$(params.version)',
    'reg.io/app-$(params.name):$(params.tag)',
    '$(params.registry)/app:1',
    '/app:$(params.tag)',
  ])('%s is not, because its repository is open', (image) => {
    expect(contentOf(image)?.kind).toBe('unresolved');
  });
});

describe('an image path with schemes', () => {
  const volume: CustomKind = {
    ...kind('cdi.kubevirt.io', 'DataVolume', 'datavolumes'),
    podSpecs: [],
    images: [image('spec.url', 'oci', 'docker')],
  };

  test.each<readonly [string, object]>([
    ['docker://quay.io/a:1', { kind: 'image', text: 'quay.io/a:1', scheme: 'docker://' }],
    ['oci://quay.io/a', { kind: 'image', text: 'quay.io/a', scheme: 'oci://' }],
    ['OCI://quay.io/a', { kind: 'image', text: 'quay.io/a', scheme: 'OCI://' }],
    ['oci://oci://quay.io/a', { kind: 'image', text: 'oci://quay.io/a', scheme: 'oci://' }],
    ['oci://', { kind: 'image', text: '', scheme: 'oci://' }],
    ['oci:// ', { kind: 'image', text: ' ', scheme: 'oci://' }],
    // Not a name without the white space, since it is uncertain whether the controller ignores it.
    [' oci://quay.io/a', { kind: 'image', text: ' oci://quay.io/a' }],
    ['\ndocker://quay.io/a', { kind: 'image', text: '\ndocker://quay.io/a' }],
    ['oci://quay.io/a:$(params.tag)', { kind: 'image', text: 'quay.io/a', scheme: 'oci://', openTag: true }],
    [
      'oci://quay.io/$(params.a)',
      {
        kind: 'unresolved',
        written: 'oci://quay.io/$(params.a)',
        why: '"oci://quay.io/$(params.a)" contains a variable that is replaced later',
      },
    ],
  ])('%j', (url, content) => {
    expect(read(volume, { spec: { url } }).slots.map((slot) => slot.content)).toEqual([content]);
  });

  test.each([
    'quay.io/a',
    'https://quay.io/a',
    'xoci://quay.io/a',
    'oci:/quay.io/a',
    'oci.io/a',
    '$(params.a)',
    'x oci://quay.io/a',
    '',
    ' ',
  ])('%j is no image', (url) => {
    expect(read(volume, { spec: { url } }).slots).toEqual([]);
  });

  test('is a string', () => {
    const reading = readObject(
      { ...volume, operation: 'CREATE', fromKubelet: false },
      { spec: { url: 1 } },
      kindsOf([customKindRow(volume)]),
    );
    expect(reading).toEqual({ kind: 'malformed', problem: { path: 'spec.url', message: 'must be a string, but is a number' } });
  });

  test('is intercepted like any other', () => {
    expect(customKindRow(volume).fields).toEqual([['spec', 'url']]);
  });
});

describe('a field of the wrong type makes the object malformed, and the problem shows its path', () => {
  test.each([
    { of: rollout, object: { spec: 1 }, problem: undefined },
    { of: rollout, object: { spec: { template: [] } }, problem: 'spec.template.spec must be a pod spec, but is missing' },
    {
      of: rollout,
      object: { spec: { template: { spec: { containers: {} } } } },
      problem: 'spec.template.spec.containers must be a list of containers, but is an object',
    },
    {
      of: rollout,
      object: { spec: { template: { metadata: 'x', spec: {} } } },
      problem: "spec.template.metadata must be an object's metadata, but is a string",
    },
    { of: taskRun, object: { spec: { taskSpec: { steps: {} } } }, problem: 'spec.taskSpec.steps must be a list, but is an object' },
    { of: taskRun, object: { spec: { taskSpec: { steps: ['x'] } } }, problem: 'spec.taskSpec.steps[0] must be an object, but is a string' },
    {
      of: taskRun,
      object: { spec: { taskSpec: { steps: [{ image: 1 }] } } },
      problem: 'spec.taskSpec.steps[0].image must be a string, but is a number',
    },
    { of: job, object: { spec: { pytorchReplicaSpecs: [] } }, problem: 'spec.pytorchReplicaSpecs must be an object, but is a list' },
  ])('$problem', ({ of, object, problem }) => {
    const reading = readObject({ ...of, operation: 'CREATE', fromKubelet: false }, object, kindsOf([customKindRow(of)]));
    expect(reading.kind === 'malformed' ? `${reading.problem.path} ${reading.problem.message}` : undefined).toBe(problem);
  });
});

describe('a path', () => {
  test.each([
    ['spec.template', 'spec template'],
    ['spec.steps[*].image', 'spec steps Symbol([*]) image'],
    ['spec.steps[].image', 'spec steps Symbol([*]) image'],
    ['spec.a[*][*].image', 'spec a Symbol([*]) Symbol([*]) image'],
    ['spec.by-name.*.template', 'spec by-name Symbol(*) template'],
  ])('%s is %s', (text, steps) => {
    const parsed = parsePathPattern(text);
    expect(parsed.ok && parsed.pattern.map(String).join(' ')).toBe(steps);
  });

  test.each([
    ['', 'but "" is not a field name'],
    ['.spec', 'but "" is not a field name'],
    ['spec..image', 'but "" is not a field name'],
    ['spec.steps[0].image', 'but "steps[0]" is not a field name'],
    ['spec["x"]', 'is not a field name'],
    ['$.spec', 'but "$" is not a field name'],
    ['spec.a b', 'but "a b" is not a field name'],
    ['*.image', 'must start with a field'],
  ])('"%s" is invalid: %s', (text, message) => {
    const parsed = parsePathPattern(text);
    expect(parsed.ok ? '' : parsed.message).toContain(message);
  });
});

test('no image can hide outside the intercepted fields', () => {
  expect([rollout, taskRun, job].map((each) => customKindRow(each).fields.map(renderPath))).toEqual([
    ['spec.template'],
    ['spec.taskSpec.steps', 'spec.taskSpec.sidecars', 'spec.taskSpec.stepTemplate.image'],
    ['spec.pytorchReplicaSpecs'],
  ]);
});

test('an additional kind leaves the others unchanged', () => {
  const kinds = kindsOf([...kindsWithImages, customKindRow(service)]);
  expect(kinds.find({ group: 'serving.knative.dev', kind: 'Service' })?.resource).toBe('services');
  expect(kinds.find({ group: '', kind: 'Service' })).toBeUndefined();
  expect(kinds.find({ group: '', kind: 'Pod' })).toBe(kindsWithImages[0]);
});

function kind(group: string, name: string, resource: string) {
  return { group, version: 'v1', kind: name, resource };
}

function pattern(text: string) {
  const parsed = parsePathPattern(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.pattern;
}

function image(path: string, ...schemes: readonly string[]) {
  return { pattern: pattern(path), ...(schemes.length > 0 && { schemes }) };
}

function read(of: CustomKind, object: object): ObjectShape {
  const reading = readObject({ ...of, operation: 'CREATE', fromKubelet: false }, object, kindsOf([customKindRow(of)]));
  if (reading.kind !== 'shape') throw new Error(JSON.stringify(reading));
  return reading.shape;
}

function slots(of: CustomKind, object: object): string[] {
  return read(of, object).slots.map(({ path, content, pulledElsewhere }) => {
    const text = content.kind === 'image' ? content.text : `? ${content.why}`;
    return `${renderPath(path)} ${text}${pulledElsewhere ? ' elsewhere' : ''}`;
  });
}

test('a list that is in several paths is read once', () => {
  const fields = ['a', 'b', 'c', 'd', 'e', 'f'];
  const readsOf = (paths: readonly string[]) => {
    let reads = 0;
    const list = new Proxy(
      Array.from({ length: 1_000 }, () => ({})),
      {
        get(target, key) {
          reads += 1;
          return Reflect.get(target, key);
        },
      },
    );
    read({ ...kind('example.com', 'Flow', 'flows'), podSpecs: [], images: paths.map((path) => image(path)) }, { spec: { list } });
    return reads;
  };
  const one = readsOf(['spec.list[*].a']);
  expect(readsOf(fields.map((field) => `spec.list[*].${field}`))).toBe(one);
  expect(one).toBeLessThan(2_500);
});

test('of several values with a wrong type, the one with the shortest path is reported, and then the first', () => {
  const flow: CustomKind = { ...kind('example.com', 'Flow', 'flows'), podSpecs: [], images: [image('spec.list[*].a.b.image')] };
  const object = { spec: { list: [{ a: { b: 'deep' } }, { a: 1 }, { a: 2 }] } };
  expect(readObject({ ...flow, operation: 'CREATE', fromKubelet: false }, object, kindsOf([customKindRow(flow)]))).toEqual({
    kind: 'malformed',
    problem: { path: 'spec.list[1].a', message: 'must be an object, but is a number' },
  });
});

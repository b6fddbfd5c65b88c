/** Custom kinds from the settings: Argo Rollouts, Knative Services and Tekton TaskRuns, as custom resources without their controllers. */
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { definitionName, serveWithoutSchema } from '../crds.ts';
import { applyDelivery, applyDeliveryRights, applySource, type DeliveryProcess, deleteDelivery, startDelivery } from '../delivery.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;

const kinds = [
  { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts', kind: 'Rollout' },
  { group: 'serving.knative.dev', version: 'v1', plural: 'services', kind: 'Service' },
  { group: 'tekton.dev', version: 'v1', plural: 'taskruns', kind: 'TaskRun' },
];

const customKinds = ['--custom-kinds', resolve(import.meta.dirname, '../../../deploy/custom-kinds/custom-kinds.yaml')];
const rules = `
mode: enforce
unconfigured: deny
rules:
- {registry: good.example.com, pullSecret: corp-pull}
secrets:
- {name: corp-pull, source: corp-source, namespaces: {matchLabels: {tier: prod}}}
`;

// The server of an existing cluster has its own settings.
describe.runIf(cluster.local)('custom resources', () => {
  // Runs before the server starts. Kinds that are not served yet would only be registered after the next discovery, a minute later.
  beforeAll(async () => {
    await serveWithoutSchema(kubectl, kinds);
  });
  afterAll(async () => {
    await kubectl(['delete', 'crd', '--ignore-not-found', ...kinds.map(definitionName)]);
  });

  const keeper = withRegkeeper(cluster, rules, { flags: customKinds });

  describe.each([
    { resource: 'rollouts.argoproj.io', apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout' },
    { resource: 'services.serving.knative.dev', apiVersion: 'serving.knative.dev/v1', kind: 'Service' },
  ])('a $kind', ({ resource, apiVersion, kind }) => {
    const object = (name: string, image: string, spec: object = {}) => ({
      apiVersion,
      kind,
      metadata: { name },
      spec: { template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image }], ...spec } } },
    });
    const stored = async (name: string) => {
      const { metadata, spec } = await kubectl.json<Stored>(['get', resource, name, '-n', keeper.namespace]);
      return { generation: metadata.generation, template: spec.template, secrets: spec.template.spec.imagePullSecrets };
    };

    test('a custom resource that lists no secret gets one, and keeps it when its file is applied again', async () => {
      await apply(object('web', 'good.example.com/web:1'));
      const first = await stored('web');
      expect(first.secrets).toEqual([{ name: 'corp-pull' }]);
      for (const flags of [[], ['--server-side', '--force-conflicts']]) {
        await apply(object('web', 'good.example.com/web:1'), flags);
        expect(await stored('web')).toEqual(first);
      }
      await kubectl(['replace', '-f', '-', '-n', keeper.namespace], { stdin: JSON.stringify(object('web', 'good.example.com/web:1')) });
      expect(await stored('web')).toEqual(first);
    });

    test('a custom resource that lists secrets is left alone, because each apply would remove added ones', async () => {
      const listed = object('listed', 'good.example.com/web:1', { imagePullSecrets: [{ name: 'mine' }] });
      await apply(listed);
      const first = await stored('listed');
      await apply(listed);
      expect(await stored('listed')).toEqual(first);
      expect(first.secrets).toEqual([{ name: 'mine' }]);
    });

    test('a custom resource with an image from an unknown registry is denied when the image is introduced, and a label change is allowed', async () => {
      const { stderr } = await tryTo(['create'], object('bad', 'unknown.example.com/web'));
      expect(stderr).toContain('denied the request');
      expect(stderr).toContain('container "app"');
      expect((await tryTo(['apply'], object('web', 'unknown.example.com/web'))).stderr).toContain('unknown.example.com/web');
      await kubectl(['label', resource, 'web', 'a=b', '-n', keeper.namespace]);
    });
  });

  test('a TaskRun is denied because of the image of a step, and is stored as it was sent', async () => {
    const taskRun = (name: string, image: string) => ({
      apiVersion: 'tekton.dev/v1',
      kind: 'TaskRun',
      metadata: { name },
      spec: {
        taskSpec: {
          steps: [
            { name: 'a', image },
            { name: 'b', image: '$(params.image)' },
          ],
        },
      },
    });
    const { stderr } = await tryTo(['create'], taskRun('bad', 'unknown.example.com/step'));
    expect(stderr).toContain('spec.taskSpec.steps[0].image');
    await apply(taskRun('good', 'good.example.com/step'));
    const { spec } = await kubectl.json<{ spec: object }>(['get', 'taskruns.tekton.dev', 'good', '-n', keeper.namespace]);
    expect(spec).toEqual(taskRun('good', 'good.example.com/step').spec);
  });

  describe('with secret delivery', () => {
    let delivery: DeliveryProcess | undefined;
    beforeAll(async () => {
      await applyDelivery(kubectl, keeper.folder);
      await applyDeliveryRights(kubectl, keeper.folder, rules, customKinds);
      await applySource(kubectl, 'good.example.com');
      delivery = await startDelivery({ kubectl, directory: join(keeper.folder, 'delivery'), flags: customKinds });
    });
    afterAll(async () => {
      await delivery?.end('SIGKILL');
      await deleteDelivery(kubectl);
    });

    // Its controller does not run, so nothing else in the namespace needs the secret.
    test('a namespace gets a secret that only a custom resource needs', async () => {
      const namespace = await cluster.namespace({ tier: 'prod' });
      const rollout = {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata: { name: 'web' },
        spec: { template: { spec: { containers: [{ name: 'app', image: 'good.example.com/web:1' }] } } },
      };
      await kubectl(['create', '-f', '-', '-n', namespace], { stdin: JSON.stringify(rollout) });
      const copy = () => kubectl(['get', 'secret', 'corp-pull', '-n', namespace], { allowFailure: true });
      await waitFor(async () => (await copy()).code === 0, { deadlineSeconds: 60, what: 'the copy' });
    });
  });

  async function apply(object: object, flags: readonly string[] = []): Promise<void> {
    await kubectl(['apply', '-f', '-', '-n', keeper.namespace, ...flags], { stdin: JSON.stringify(object) });
  }

  function tryTo(verb: readonly string[], object: object) {
    return kubectl([...verb, '-f', '-', '-n', keeper.namespace], { stdin: JSON.stringify(object), allowFailure: true });
  }
});

type Stored = {
  readonly metadata: { readonly generation: number };
  readonly spec: { readonly template: { readonly spec: { readonly imagePullSecrets?: readonly { name: string }[] } } };
};

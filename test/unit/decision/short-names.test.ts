/** Tests the warning on names without a registry that a node may resolve otherwise than the rules do. */
import { describe, expect, test } from 'vitest';
import { ruleSetOf } from '../rules/documents.ts';
import { change, containers, decided, deployment, pod } from './changes.ts';

const openShift = ruleSetOf(
  'internalRegistries: ["image-registry.openshift-image-registry.svc:5000"]\nunconfigured: allow\nrules: [{registry: docker.io}, {registry: docker.io/evil, trust: false}]',
);
const searching = ruleSetOf('shortNames: [a.io, b.io]\nrules: [{registry: [a.io, b.io]}]');
const oneRegistry = ruleSetOf('shortNames: [a.io]\nrules: [{registry: a.io}]');
const elsewhere = ruleSetOf('rules: [{registry: docker.io}]');

function warningsOf(...args: Parameters<typeof decided>): readonly string[] {
  return decided(...args)
    .notices.filter(({ reason }) => reason === 'short-name-uncertain')
    .map(({ message }) => message);
}

describe('a warning about an allowed name without a registry', () => {
  test('on OpenShift has the full name', () => {
    expect(warningsOf(change('Pod', pod('nginx:1.29')), openShift)).toEqual([
      'image "nginx:1.29" does not specify a registry. The node may pull it from a registry other than docker.io, or reject it. Include the registry, for example "docker.io/library/nginx:1.29".',
    ]);
  });

  test('shows the target of a published alias', () => {
    expect(warningsOf(change('Pod', pod('fedora:43')), openShift)).toEqual([
      expect.stringContaining('The node may resolve it to "registry.fedoraproject.org/fedora", or reject it'),
    ]);
  });

  test('is issued if several registries are searched', () => {
    expect(warningsOf(change('Deployment', deployment(pod('team/app'))), searching)).toEqual([
      expect.stringContaining('for example "a.io/team/app"'),
    ]);
  });

  test('is issued for a debug container, and not for the images that the Pod had before', () => {
    const debugged = { spec: { ...pod('nginx').spec, ephemeralContainers: containers('busybox') } };
    expect(warningsOf(change('Pod', debugged, pod('nginx')), openShift)).toEqual([
      expect.stringContaining('for example "docker.io/library/busybox"'),
    ]);
  });

  test('is issued once for each name', () => {
    const object = { spec: { containers: containers('nginx', 'nginx', 'redis', 'docker.io/library/nginx') } };
    expect(warningsOf(change('Pod', object), openShift)).toHaveLength(2);
  });
});

const mirrorPod = { ...pod('nginx'), metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } };

// Builders push with `docker://`, whatever registries the nodes search.
describe('a name without a registry to which a build pushes means Docker Hub', () => {
  const to = (name: string) => ({ spec: { output: { to: { kind: 'DockerImage', name } } } });
  const corp = '{name: corp, registry: registry.example.com, pullSecret: corp-pull, pushSecret: corp-push}';

  test.each([
    ['one host is searched', 'shortNames: [registry.example.com]'],
    ['several hosts are searched', 'shortNames: [registry.example.com, docker.io]'],
    ['such names are rejected', 'shortNames: reject'],
    ['such names mean Docker Hub everywhere', 'shortNames: docker.io'],
  ])('if %s', (_name, shortNames) => {
    const rules = ruleSetOf(`${shortNames}\nrules: [${corp}, {name: hub, registry: docker.io, pushSecret: hub-push}]`);
    const decision = decided(change('BuildConfig', to('team/app:1')), rules);
    expect(decision.images.map(({ verdict, rule }) => [verdict, rule?.name])).toEqual([['trusted', 'hub']]);
    expect(decision.injected).toEqual([{ path: 'spec.output.pushSecret', secret: 'hub-push', from: 'rule' }]);
    expect(decision.notices).toEqual([]);
  });

  test('also if Docker Hub is denied', () => {
    const rules = ruleSetOf(`shortNames: [registry.example.com]\nrules: [${corp}, {registry: docker.io, trust: false}]`);
    expect(decided(change('BuildConfig', to('team/app:1')), rules).outcome).toBe('denied');
  });

  test('so its full name is the same image before and after a change', () => {
    const rules = ruleSetOf(`shortNames: [registry.example.com]\nrules: [${corp}, {registry: docker.io, trust: false}]`);
    expect(decided(change('BuildConfig', to('docker.io/team/app'), to('team/app:latest')), rules).outcome).toBe('warned');
  });
});

describe('there is no warning', () => {
  test.each([
    ['if one registry is searched', change('Pod', pod('nginx')), oneRegistry],
    ['if nodes are not known to run OpenShift', change('Pod', pod('nginx')), elsewhere],
    ['about a name with a registry', change('Pod', pod('docker.io/library/nginx')), openShift],
    ['about a denied name', change('Pod', pod('evil/app')), openShift],
    ['about the image of a mirror Pod', change('Pod', mirrorPod, undefined, 'system:node:n1'), openShift],
    ['about an existing image', change('Deployment', deployment(pod('nginx')), deployment(pod('nginx', ['a']))), openShift],
    [
      'about a build, whose images OpenShift pulls from Docker Hub',
      change('BuildConfig', { spec: { strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: 'nginx' } } } } }),
      openShift,
    ],
  ])('%s', (_name, request, rules) => {
    expect(warningsOf(request, rules)).toEqual([]);
  });
});

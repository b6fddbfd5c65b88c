/**
 * The OpenShift starter rules allow the Pods that OpenShift creates in the namespaces of users, so that enforcing them stops no builds and
 * deployments. The Pods are as openshift-controller-manager creates them (pkg/build/controller/strategy, pkg/apps/deployer).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { withPlatform } from '../../../src/rules/store/add-platform-rules.ts';
import { accounts, change, decided, type Kind } from '../decision/changes.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';

const manifest = readFileSync(join(import.meta.dirname, '../../../deploy/openshift/starter-rules.yaml'), 'utf8');
const text: string = parse(manifest).data['rules.yaml'];
const audited = ruleSetOf(text);
const enforced = ruleSetOf(text.replace(/^mode: audit$/m, 'mode: enforce'));
const payload = `quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:${'6d5c2f1e'.repeat(8)}`;
const registry = 'image-registry.openshift-image-registry.svc:5000';
const platform = {
  internalRegistries: [
    { registry, object: 'images.config.openshift.io/cluster' },
    { registry: '172.30.81.14:5000', object: 'service openshift-image-registry/image-registry' },
  ],
  shortNames: 'reject' as const,
};
const facts = accounts({
  builder: ['builder-dockercfg-x7k2p'],
  deployer: ['deployer-dockercfg-9qv4m'],
  default: ['default-dockercfg-hb2nz'],
});

const buildPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-1-build',
    namespace: 'shop',
    annotations: { 'openshift.io/build.name': 'web-1' },
    labels: { 'openshift.io/build.name': 'web-1' },
    ownerReferences: [{ apiVersion: 'build.openshift.io/v1', kind: 'Build', name: 'web-1', uid: 'u', controller: true }],
  },
  spec: {
    serviceAccountName: 'builder',
    imagePullSecrets: [{ name: 'builder-dockercfg-x7k2p' }],
    initContainers: [
      { name: 'git-clone', image: payload, command: ['openshift-git-clone'] },
      { name: 'manage-dockerfile', image: payload, command: ['openshift-manage-dockerfile'] },
    ],
    containers: [
      {
        name: 'sti-build',
        image: payload,
        command: ['openshift-sti-build'],
        env: [
          { name: 'BUILD', value: '{"spec":{"strategy":{"sourceStrategy":{"from":{"kind":"DockerImage","name":"evil.example.com/x"}}}}}' },
        ],
      },
    ],
    restartPolicy: 'Never',
  },
};

const deployerPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-3-deploy',
    namespace: 'shop',
    annotations: { 'openshift.io/deployment.name': 'web-3', 'openshift.io/deployment-config.name': 'web' },
    labels: { 'openshift.io/deployer-pod-for.name': 'web-3' },
  },
  spec: {
    serviceAccountName: 'deployer',
    imagePullSecrets: [{ name: 'deployer-dockercfg-9qv4m' }],
    containers: [{ name: 'deployment', image: payload, command: ['openshift-deploy'] }],
    restartPolicy: 'Never',
  },
};

/** A hook before, during or after a rollout, which the deployer starts with the application's own image. */
const hookPod = {
  metadata: { name: 'web-3-hook-pre', namespace: 'shop' },
  spec: {
    serviceAccountName: 'default',
    imagePullSecrets: [{ name: 'default-dockercfg-hb2nz' }],
    containers: [{ name: 'lifecycle', image: `${registry}/shop/web@sha256:${'a'.repeat(64)}` }],
  },
};

const pods: [name: string, kind: Kind, object: object][] = [
  ['a build Pod', 'Pod', buildPod],
  ['a deployer Pod', 'Pod', deployerPod],
  ['a hook Pod with the application’s image', 'Pod', hookPod],
  ['a Pod with an image by the registry’s address', 'Pod', podOf('172.30.81.14:5000/shop/web:latest')],
  ['a Pod with an operator’s image', 'Pod', podOf(`registry.redhat.io/amq7/amq-broker-rhel8@sha256:${'b'.repeat(64)}`)],
  ['a build from a stream that is imported from Red Hat’s registry', 'BuildConfig', buildOf('registry.redhat.io/ubi9/nodejs-20:latest')],
];

describe.each([
  ['as shipped', audited],
  ['enforced', enforced],
])('under the starter rules, %s', (_name, rules) => {
  const onOpenShift = withPlatform(rules, platform, sha256).ruleSet;

  test.each(pods)('%s is allowed, trusted, and unchanged', (_what, kind, object) => {
    const { outcome, images, patch, notices } = decided(change(kind, object), onOpenShift, facts);
    expect(outcome).toBe('allowed');
    expect(images.map(({ verdict }) => verdict)).toEqual(images.map(() => 'trusted'));
    expect([patch, notices]).toEqual([[], []]);
  });
});

test('the starter rules deny nothing, and report what they would deny once enforced', () => {
  const onOpenShift = withPlatform(audited, platform, sha256).ruleSet;
  for (const image of ['docker.io/library/nginx', 'nginx', 'quay.io/somebody/x', 'quay.io/openshift-release-dev-x/y']) {
    const { outcome, outcomeBeforeMode } = decided(change('Pod', podOf(image)), onOpenShift, facts);
    expect([image, outcome, outcomeBeforeMode]).toEqual([image, 'allowed', 'denied']);
  }
});

describe('short names under the starter rules', () => {
  const decidedWith = (searched: readonly string[] | 'reject') =>
    decided(change('Pod', podOf('ubi9/nodejs-20')), withPlatform(enforced, { ...platform, shortNames: searched }, sha256).ruleSet, facts);

  test('are denied on a cluster whose search registries are unknown', () => {
    expect(decidedWith('reject').images[0]?.reason).toBe('short-name');
  });

  test('are allowed if all registries that the cluster searches are trusted', () => {
    expect(decidedWith(['registry.redhat.io']).outcome).toBe('allowed');
  });

  test('are denied if one of them is not', () => {
    const { outcome, findings } = decidedWith(['registry.redhat.io', 'docker.io']);
    expect(outcome).toBe('denied');
    expect(findings[0]?.message).toContain('to registry.redhat.io/ubi9/nodejs-20 or docker.io/ubi9/nodejs-20');
  });
});

function podOf(image: string) {
  return { metadata: { name: 'web' }, spec: { containers: [{ name: 'web', image }] } };
}

function buildOf(image: string) {
  return { metadata: { name: 'web' }, spec: { strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: image } } } } };
}

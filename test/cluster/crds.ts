/** Installs CRDs into the test cluster: those of OpenShift's kinds, the Prometheus operator's and OpenReports, and some without a schema. */
import { join } from 'node:path';
import type { Kubectl } from './kubectl.ts';

const folder = join(import.meta.dirname, 'crds');
const definitions = [
  'buildconfigs.build.openshift.io',
  'builds.build.openshift.io',
  'deploymentconfigs.apps.openshift.io',
  'imagestreams.image.openshift.io',
  'imagestreamimports.image.openshift.io',
  'imagestreammappings.image.openshift.io',
  'imagestreamtags.image.openshift.io',
  'imagetags.image.openshift.io',
  'prometheusrules.monitoring.coreos.com',
  'servicemonitors.monitoring.coreos.com',
  'reports.openreports.io',
];

/** Returns when all kinds are served. Idempotent. */
export async function installCrds(kubectl: Kubectl): Promise<void> {
  await kubectl(['apply', '--server-side', '--field-manager=regkeeper-tests', '-f', folder]);
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', ...definitions]);
}

export type SchemalessKind = {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly scope?: 'Namespaced' | 'Cluster';
};

/** Serves kinds whose objects can have any fields. Returns when all of them are served. */
export async function serveWithoutSchema(kubectl: Kubectl, kinds: readonly SchemalessKind[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: kinds.map(definitionOf) };
  await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', ...kinds.map(definitionName)]);
}

export function definitionName({ plural, group }: SchemalessKind): string {
  return `${plural}.${group}`;
}

function definitionOf(served: SchemalessKind): object {
  const { group, version, plural, kind, scope = 'Namespaced' } = served;
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: definitionName(served) },
    spec: { group, scope, names: { plural, kind }, versions: [{ name: version, served: true, storage: true, schema }] },
  };
}

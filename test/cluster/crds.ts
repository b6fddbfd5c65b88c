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
];

/** Serves the kinds of OpenShift and of the Prometheus operator as custom resources, and returns when they are served. Applying them again changes nothing. */
export async function installCrds(kubectl: Kubectl): Promise<void> {
  await kubectl(['apply', '--server-side', '--field-manager=regkeeper-tests', '-f', folder]);
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', ...definitions]);
}

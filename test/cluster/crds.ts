/** Installs the CRDs of OpenShift's kinds, the Prometheus operator's, and OpenReports into the test cluster. */
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

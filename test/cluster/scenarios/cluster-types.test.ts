/** Types of clusters in docs/compatibility.md: IPv6, dual-stack, and an API server in FIPS mode. Each has its own control plane. */

import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../control-plane.ts';
import { type Kubectl, kubectlOf } from '../kubectl.ts';
import { applyBase, type Regkeeper, startRegkeeper } from '../regkeeper.ts';
import { waitFor } from '../wait-for.ts';

const rules = JSON.stringify({
  data: { 'rules.yaml': 'mode: enforce\nrules: [{registry: registry.example.com, pullSecret: corp-pull}]\n' },
});

type Cluster = ControlPlaneOptions & { readonly name: string; readonly families: readonly string[] };

/** Go's own module for FIPS 140-3, which every Go program contains. */
const fips = { GODEBUG: 'fips140=on' };

describe.each<Cluster>([
  { name: 'IPv6, and FIPS mode', serviceRange: 'fd00:10:96::/112', families: ['IPv6'], apiServerEnv: fips },
  { name: 'dual-stack', serviceRange: '10.96.0.0/16,fd00:10:96::/112', families: ['IPv4'] },
])('a cluster with $name', ({ families, ...options }) => {
  let plane: ControlPlane;
  let kubectl: Kubectl;
  let server: Regkeeper;

  beforeAll(async () => {
    plane = await startControlPlane(options);
    kubectl = kubectlOf(plane);
    await applyBase(kubectl);
    await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', 'regkeeper', '--type=merge', '-p', rules]);
    const directory = join(plane.directory, 'server');
    await mkdir(directory);
    const flags = ['--shutdown-delay-seconds', '0', '--host', '::'];
    server = await startRegkeeper({ kubectl, kubeconfig: plane.kubeconfig, directory, routeService: plane.services.route, flags });
  });
  afterAll(async () => {
    await server?.end('SIGKILL');
    await plane?.stop();
  });

  const run = async (image: string) => {
    const args = ['run', 'try', `--image=${image}`, '--dry-run=server', '-o', 'json'];
    const { stdout, stderr } = await kubectl(args, { allowFailure: true });
    return stdout + stderr;
  };

  test('calls regkeeper: images are denied, and secrets are added', async () => {
    await waitFor(async () => (await run('docker.io/library/nginx')).includes('is not from a configured registry'), {
      deadlineSeconds: 60,
      what: 'the webhooks to take effect',
    });
    expect(await run('registry.example.com/app')).toContain('corp-pull');
  });

  test('gives the Service an address of its primary family', async () => {
    const { spec } = await kubectl.json<{ spec: { ipFamilies: string[] } }>(['get', 'service', 'regkeeper', '-n', 'regkeeper']);
    expect(spec.ipFamilies).toEqual(families);
  });

  if (options.apiServerEnv !== fips) return;

  test('is in FIPS mode: it does not call a webhook that offers only X25519', async () => {
    const life = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) };
    const ca = issueCa({ commonName: 'other', ...life });
    const names = { commonName: 'other', dnsNames: ['other.default.svc'], ipAddresses: [] };
    const { certificate, key } = issueServerCertificate({ ca, ...names, ...life });
    const other = createServer({ cert: certificate, key, ecdhCurve: 'X25519' }, (_request, response) => response.end()).listen(
      0,
      '127.0.0.1',
    );
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    await kubectl(['create', 'service', 'clusterip', 'other', '--tcp=443:443']);
    await plane.services.route({ namespace: 'default', service: 'other', port: 443 }, (other.address() as AddressInfo).port);
    const webhook = {
      name: 'other.example.com',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      clientConfig: { service: { namespace: 'default', name: 'other' }, caBundle: Buffer.from(ca.certificate).toString('base64') },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
    };
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'other' },
      webhooks: [webhook],
    };
    await kubectl(['create', '-f', '-'], { stdin: JSON.stringify(configuration) });
    const failure = await waitFor(
      async () => (await kubectl(['create', 'configmap', 'x', '--dry-run=server'], { allowFailure: true })).stderr || undefined,
      { deadlineSeconds: 60, what: 'the other webhook to be called' },
    );
    expect(failure).toMatch(/failed to call webhook.*handshake failure/);
  });
});

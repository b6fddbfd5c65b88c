/**
 * Writes `fixtures/`: the requests that a real API server sends for usual objects. Runs on the test cluster.
 *
 *     node bench/speed/capture.ts
 *
 * The images are placeholders, which `bodies.ts` replaces.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';
import { startControlPlane } from '../../test/cluster/control-plane.ts';
import { installCrds } from '../../test/cluster/crds.ts';
import { kubectlOf } from '../../test/cluster/kubectl.ts';
import { waitFor } from '../../test/cluster/wait-for.ts';
import { buildConfigManifest, largeDeployment, webDeployment } from './manifests.ts';

const folder = join(import.meta.dirname, 'fixtures');
const namespace = 'shop';

type Review = {
  readonly request: {
    readonly uid: string;
    readonly kind: { readonly kind: string };
    readonly operation: string;
    readonly userInfo: { readonly username: string };
    readonly name?: string;
  };
};

const captured: { readonly review: Review; readonly text: string }[] = [];
const recorder = await startRecorder();
const plane = await startControlPlane();
try {
  const kubectl = kubectlOf(plane);
  await installCrds(kubectl);
  await kubectl(['create', 'namespace', namespace]);
  await kubectl(['label', 'namespace', namespace, 'team=payments', 'env=prod']);
  await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(recorder.configuration) });
  const apply = (manifest: object) => kubectl(['apply', '-n', namespace, '-f', '-'], { stdin: JSON.stringify(manifest) });
  // The API server needs a moment until it calls a new webhook.
  await waitFor(
    async () => {
      await kubectl(['create', '-n', namespace, '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(webDeployment('probe', 1)) });
      return captured.length > 0 ? true : undefined;
    },
    { deadlineSeconds: 20, what: 'the webhook to be called' },
  );
  await apply(webDeployment('checkout', 3));
  await write('pod.json', 'Pod', 'CREATE');
  await kubectl(['create', '-n', namespace, '-f', '-'], { stdin: JSON.stringify(buildConfigManifest('checkout')) });
  await write('build-config.json', 'BuildConfig', 'CREATE');
  await apply(largeDeployment('platform'));
  await kubectl(['-n', namespace, 'rollout', 'status', 'deployment/platform', '--timeout=2s'], { allowFailure: true });
  await kubectl(['-n', namespace, 'set', 'image', 'deployment/platform', 'gateway=placeholder-9.example.com/image:v1']);
  await write('deployment.json', 'Deployment', 'UPDATE', 'admin');
} finally {
  await plane.stop();
  recorder.close();
}

/** The last request of this kind, operation and user. */
async function write(file: string, kind: string, operation: string, user?: string): Promise<void> {
  const isMatch = ({ request }: Review) =>
    request.kind.kind === kind && request.operation === operation && (user === undefined || request.userInfo.username === user);
  const found = await waitFor(async () => captured.findLast(({ review }) => isMatch(review)), { deadlineSeconds: 30, what: file });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), found.text.endsWith('\n') ? found.text : `${found.text}\n`);
  console.log(`${file}: ${Buffer.byteLength(found.text)} bytes`);
}

async function startRecorder() {
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const ca = issueCa({ commonName: 'recorder', ...validity });
  const leaf = issueServerCertificate({ ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'], ...validity });
  const server = createServer({ key: leaf.key, cert: leaf.certificate }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const review = JSON.parse(text) as Review;
    captured.push({ review, text });
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid: review.request.uid, allowed: true },
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const rule = (apiGroups: string[], resources: string[]) => ({
    apiGroups,
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE'],
    resources,
  });
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'recorder' },
    webhooks: [
      {
        name: 'recorder.example.com',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        clientConfig: { url: `https://localhost:${port}/`, caBundle: Buffer.from(ca.certificate).toString('base64') },
        rules: [rule([''], ['pods']), rule(['apps'], ['deployments']), rule(['build.openshift.io'], ['buildconfigs'])],
      },
    ],
  };
  return { configuration, close: () => server.close() };
}

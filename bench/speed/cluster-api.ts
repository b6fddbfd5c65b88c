/**
 * A scripted API server with ServiceAccounts and Namespaces that never change, in another process. Their text is made before it listens,
 * so that the server under test does not wait for it. It streams initial states as Kubernetes 1.34 and later do, and with `--paged` rejects
 * that as older ones do. Sends its URL and CA to the parent process.
 *
 *     node cluster-api.ts 20000 5000 [--paged]
 */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { issueCa, issueServerCertificate, validityFrom } from '../../src/certificates/issue.ts';

const { values, positionals } = parseArgs({ options: { paged: { type: 'boolean', default: false } }, allowPositionals: true });
const [accounts = 20_000, namespaces = 5_000] = positionals.map(Number);
const version = '1000';
/** The API server flushes what has come together since the last write. */
const eventsPerWrite = 20;

type Collection = { readonly kind: string; readonly apiVersion: string; readonly items: readonly string[] };

const collections: Readonly<Record<string, Collection>> = {
  '/api/v1/serviceaccounts': { kind: 'ServiceAccount', apiVersion: 'v1', items: texts(accounts, serviceAccount) },
  '/api/v1/namespaces': { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', items: texts(namespaces, namespace) },
};
const empty: Collection = { kind: 'Secret', apiVersion: 'v1', items: [] };

const validity = validityFrom(new Date(), 86_400_000);
const ca = issueCa({ commonName: 'scripted', ...validity });
const { certificate, key } = issueServerCertificate({ commonName: 'scripted', dnsNames: [], ipAddresses: ['127.0.0.1'], ca, ...validity });

const server = createServer({ cert: certificate, key }, (request, response) => {
  const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'https://api');
  // A cluster without OpenShift: its groups do not exist.
  if (path.includes('openshift.io')) return sendStatus(response, 404, 'NotFound', 'not found');
  const collection = collections[path] ?? empty;
  if (query.get('watch') !== 'true') return sendPage(response, collection, query);
  if (values.paged && query.has('sendInitialEvents')) return sendStatus(response, 422, 'Invalid', 'sendInitialEvents is forbidden');
  void watch(response, collection, query);
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: ca.certificate });
});
process.once('disconnect', () => process.exit());

function texts(count: number, make: (index: number) => object): readonly string[] {
  return Array.from({ length: count }, (_, index) => JSON.stringify(make(index)));
}

/** Several accounts for each namespace, as OpenShift has them: each with the two secrets that its controller creates. */
function serviceAccount(index: number) {
  const namespace = nameOf(index % Math.max(namespaces, 1));
  const name = ['default', 'builder', 'deployer', 'pipeline'][Math.floor(index / Math.max(namespaces, 1))] ?? `robot-${index}`;
  return {
    metadata: {
      name,
      namespace,
      uid: uidOf(index),
      resourceVersion: String(100_000 + index),
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: { 'openshift.io/internal-registry-pull-secret-ref': `${name}-dockercfg-x7k2p` },
      managedFields: [
        {
          manager: 'openshift.io/image-registry-pull-secrets_service-account-controller',
          operation: 'Apply',
          apiVersion: 'v1',
          time: '2026-01-01T00:00:00Z',
          fieldsType: 'FieldsV1',
          fieldsV1: {
            'f:imagePullSecrets': { [`k:{"name":"${name}-dockercfg-x7k2p"}`]: {} },
            'f:metadata': { 'f:annotations': { 'f:openshift.io/internal-registry-pull-secret-ref': {} } },
            'f:secrets': { [`k:{"name":"${name}-dockercfg-x7k2p"}`]: {} },
          },
        },
      ],
    },
    secrets: [{ name: `${name}-dockercfg-x7k2p` }],
    imagePullSecrets: [{ name: `${name}-dockercfg-x7k2p` }, { name: 'corp-pull' }],
  };
}

function namespace(index: number) {
  const name = nameOf(index);
  return {
    metadata: {
      name,
      uid: uidOf(index),
      resourceVersion: String(200_000 + index),
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'kubernetes.io/metadata.name': name, team: `team-${index % 200}`, env: 'prod' },
      annotations: { 'openshift.io/description': `the shop of team ${index}`, 'openshift.io/sa.scc.mcs': 's0:c26,c5' },
      managedFields: [
        {
          manager: 'kubectl-create',
          operation: 'Update',
          apiVersion: 'v1',
          time: '2026-01-01T00:00:00Z',
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, 'f:env': {}, 'f:kubernetes.io/metadata.name': {}, 'f:team': {} } } },
        },
      ],
    },
  };
}

/** The first is that of the captured requests. */
function nameOf(index: number): string {
  return index === 0 ? 'shop' : `shop-${String(index).padStart(5, '0')}`;
}

function uidOf(index: number): string {
  return `6b0e9f7e-2f0c-4f0a-9f5a-${String(index).padStart(12, '0')}`;
}

function sendPage(response: ServerResponse, { kind, apiVersion, items }: Collection, query: URLSearchParams): void {
  const start = Number(query.get('continue') ?? 0);
  const end = Math.min(items.length, start + (Number(query.get('limit')) || items.length));
  const rest = items.length - end;
  const metadata = JSON.stringify({ resourceVersion: version, ...(rest > 0 && { continue: String(end), remainingItemCount: rest }) });
  const list = `{"kind":"${kind}List","apiVersion":"${apiVersion}","metadata":${metadata},"items":[${items.slice(start, end).join(',')}]}`;
  response.writeHead(200, { 'content-type': 'application/json' }).end(list);
}

function sendStatus(response: ServerResponse, code: number, reason: string, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify({ kind: 'Status', code, reason, message }));
}

async function watch(response: ServerResponse, { kind, apiVersion, items }: Collection, query: URLSearchParams): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
  if (query.get('sendInitialEvents') !== 'true') return;
  const head = `{"type":"ADDED","object":{"kind":"${kind}","apiVersion":"${apiVersion}",`;
  for (let start = 0; start < items.length; start += eventsPerWrite) {
    const events = items.slice(start, start + eventsPerWrite).map((item) => `${head}${item.slice(1)}}\n`);
    if (!response.write(events.join(''))) await new Promise((resolve) => response.once('drain', resolve));
  }
  const metadata = { resourceVersion: version, annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { kind, apiVersion, metadata } })}\n`);
}

/**
 * A simulated API server for `bench:delivery`, in its own process: a large cluster whose objects are made when they are sent. It streams
 * initial states, serves pages, stores the Lease, and rejects the dry runs of the fence. Prints its URL. With `--paged` it rejects streamed initial
 * states, as an API server without WatchList.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({ options: { paged: { type: 'boolean', default: false } }, allowPositionals: true });
const [namespaces = 10_000, pods = 150_000, deployments = 20_000, replicaSets = 60_000, copies = 5_000] = positionals.map(Number);
const version = '1000';
const rules = `rules: [{registry: reg.example.com, pullSecret: corp-pull}]
secrets: [{name: corp-pull, source: corp-pull, namespaces: "*"}]
`;

const label = (index: number) => `team-${String(index % namespaces).padStart(5, '0')}`;
const uid = (index: number) => `6b0e9f7e-2f0c-4f0a-9f5a-${String(index).padStart(12, '0')}`;

/** About as large as the metadata of a real Pod: labels, annotations of a network plugin, an owner and two field managers. */
function podLike(kind: string, index: number): object {
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: `web-${index % 97}-7d9c5b7b9d`,
    uid: uid(index % 5_000),
    controller: true,
  };
  const fields = (names: readonly string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]));
  const spec = fields(['affinity', 'containers', 'dnsPolicy', 'restartPolicy', 'schedulerName', 'securityContext', 'serviceAccount']);
  const status = fields(['conditions', 'containerStatuses', 'hostIP', 'phase', 'podIP', 'podIPs', 'startTime']);
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {
      name: `web-${index % 97}-7d9c5b7b9d-${index.toString(36).padStart(5, '0')}`,
      namespace: label(index),
      uid: uid(index),
      resourceVersion: String(100_000 + index),
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: `web-${index % 97}`, 'app.kubernetes.io/name': 'web', 'pod-template-hash': '7d9c5b7b9d', team: label(index) },
      annotations: {
        'regkeeper.io/secrets': 'corp-pull',
        'cni.projectcalico.org/podIP': `10.${index % 250}.${index % 240}.7/32`,
        'k8s.v1.cni.cncf.io/network-status': '[{"name":"k8s-pod-network","ips":["10.1.2.3"],"default":true,"dns":{}}]',
      },
      ...(kind === 'deployments' ? {} : { ownerReferences: [kind === 'pods' ? owner : { ...owner, kind: 'Deployment' }] }),
      managedFields: [
        { manager: 'kube-controller-manager', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:spec': spec } },
        { manager: 'kubelet', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:status': status } },
      ],
    },
  };
}

const namespace = (index: number) => ({
  metadata: {
    name: label(index),
    uid: uid(index),
    resourceVersion: '1',
    labels: { 'kubernetes.io/metadata.name': label(index), tier: 'prod' },
  },
});

const copy = (index: number) => ({
  metadata: {
    name: 'corp-pull',
    namespace: label(index),
    uid: uid(index),
    resourceVersion: '1',
    labels: { 'regkeeper.io/delivered': 'true' },
    annotations: { 'regkeeper.io/source-version': '0123456789abcdef', 'regkeeper.io/copy-rules': '0123456789abcdef' },
    managedFields: [{ manager: 'regkeeper-deliver', operation: 'Apply', fieldsV1: { 'f:data': { 'f:.dockerconfigjson': {} } } }],
  },
});

const source = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'corp-pull', namespace: 'regkeeper', uid: uid(1), resourceVersion: '1', labels: { 'regkeeper.io/source': 'true' } },
  type: 'kubernetes.io/dockerconfigjson',
  data: { '.dockerconfigjson': btoa(JSON.stringify({ auths: { 'reg.example.com': { auth: btoa('robot:secret') } } })) },
};

const rulesConfigMap = {
  metadata: { name: 'rules', namespace: 'regkeeper', uid: uid(2), resourceVersion: '1', labels: { 'regkeeper.io/rules': 'cluster' } },
  data: { 'rules.yaml': rules },
};

type Collection = { readonly size: number; item(index: number): object };

const collections: Readonly<Record<string, Collection>> = {
  '/api/v1/namespaces': { size: namespaces, item: namespace },
  '/api/v1/pods': { size: pods, item: (index) => podLike('pods', index) },
  '/apis/apps/v1/deployments': { size: deployments, item: (index) => podLike('deployments', index) },
  '/apis/apps/v1/replicasets': { size: replicaSets, item: (index) => podLike('replicasets', index) },
  '/api/v1/secrets': { size: copies, item: copy },
  '/api/v1/namespaces/regkeeper/secrets': { size: 1, item: () => source },
  '/api/v1/namespaces/regkeeper/configmaps': { size: 1, item: () => rulesConfigMap },
};
const empty: Collection = { size: 0, item: () => ({}) };

let lease: Record<string, unknown> | undefined;
let writes = 0;

const server = createServer((request, response) => void answer(request, response));
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
  const body = await text(request);
  if (path === '/writes') return send(response, 200, { writes });
  if (path.endsWith('/selfsubjectrulesreviews')) return send(response, 201, { status: { resourceRules: rights } });
  if (path.includes('/leases')) return answerLease(request.method ?? '', body, response);
  if (request.method === 'PATCH') {
    const fence = "ValidatingAdmissionPolicy 'regkeeper-delivery' with binding 'regkeeper-delivery' denied request";
    if (query.has('dryRun')) return send(response, 403, { kind: 'Status', reason: 'Forbidden', code: 403, message: fence });
    writes += 1;
    return send(response, 200, { metadata: { name: 'corp-pull', uid: uid(3), resourceVersion: String(writes) } });
  }
  if (/openshift\.io/.test(path) || path.endsWith('regkeeper-rules-snapshot'))
    return send(response, 404, { kind: 'Status', code: 404, reason: 'NotFound' });
  // Every ReplicaSet here belongs to a Deployment.
  const collection = query.get('labelSelector') === '!pod-template-hash' ? empty : (collections[path] ?? empty);
  const one = path === '/api/v1/namespaces' ? /^metadata\.name=team-(\d+)$/.exec(query.get('fieldSelector') ?? '')?.[1] : undefined;
  if (one !== undefined) {
    return send(response, 200, { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: version }, items: [namespace(Number(one))] });
  }
  if (query.get('watch') === 'true') return watch(response, collection, query);
  const offset = Number(query.get('continue') ?? 0);
  const limit = Number(query.get('limit') ?? 500);
  const items = Array.from({ length: Math.min(limit, collection.size - offset) }, (_, index) => collection.item(offset + index));
  const next = offset + limit < collection.size ? String(offset + limit) : undefined;
  send(response, 200, { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: version, continue: next }, items });
}

const rights = [
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['corp-pull'], verbs: ['create', 'patch', 'delete', 'list', 'watch', 'get'] },
];

function answerLease(method: string, body: string, response: ServerResponse): void {
  if (method === 'GET') {
    send(response, lease ? 200 : 404, lease ?? { kind: 'Status', code: 404, reason: 'NotFound' });
    return;
  }
  const written = JSON.parse(body) as { metadata: object };
  lease = { ...written, metadata: { ...written.metadata, uid: uid(9), resourceVersion: String(Date.now()) } };
  send(response, 200, lease);
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function watch(response: ServerResponse, { size, item }: Collection, query: URLSearchParams): Promise<void> {
  if (values.paged && query.has('sendInitialEvents')) {
    const message = 'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled';
    return send(response, 422, { kind: 'Status', reason: 'Invalid', code: 422, message });
  }
  response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
  if (query.get('sendInitialEvents') !== 'true') return;
  for (let start = 0; start < size; start += 100) {
    const lines = Array.from(
      { length: Math.min(100, size - start) },
      (_, index) => `${JSON.stringify({ type: 'ADDED', object: item(start + index) })}\n`,
    );
    if (!response.write(lines.join(''))) await new Promise((resolve) => response.once('drain', resolve));
  }
  const metadata = { resourceVersion: version, annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
}

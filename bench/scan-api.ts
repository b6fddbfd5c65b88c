/**
 * A scripted API server with a large cluster: Deployments, each with a current ReplicaSet, old ones and Pods. It runs in another process, so
 * that its cost does not count. Objects are rendered page by page, with the fields and the size of real ones. Started by `bench/scan.ts`, to
 * which it sends its address and CA.
 */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { issueCa, issueServerCertificate, validityFrom } from '../src/certificates/issue.ts';

const [templates = 0, podsEach = 0, oldEach = 0, namespaces = 1] = process.argv.slice(2).map(Number);

type Collection = { readonly kind: string; readonly count: number; readonly render: (index: number) => object };

const collections: Readonly<Record<string, Collection>> = {
  '/api/v1/namespaces': { kind: 'Namespace', count: namespaces, render: renderNamespace },
  '/api/v1/serviceaccounts': { kind: 'ServiceAccount', count: namespaces, render: renderAccount },
  '/api/v1/secrets': { kind: 'Secret', count: namespaces, render: (index) => ({ metadata: metadataOf(index, 'corp-pull') }) },
  '/apis/apps/v1/deployments': { kind: 'Deployment', count: templates, render: renderDeployment },
  '/apis/apps/v1/replicasets': { kind: 'ReplicaSet', count: templates * (oldEach + 1), render: renderReplicaSet },
  '/api/v1/pods': { kind: 'Pod', count: templates * podsEach, render: renderPod },
};

const validity = validityFrom(new Date(), 86_400_000);
const ca = issueCa({ commonName: 'scripted', ...validity });
const { certificate, key } = issueServerCertificate({ commonName: 'scripted', dnsNames: [], ipAddresses: ['127.0.0.1'], ca, ...validity });

const server = createServer({ cert: certificate, key }, (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'https://api');
  const { status, body } = answer(pathname, searchParams);
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: ca.certificate });
});
process.once('disconnect', () => process.exit());

const nothing = { count: 0, render: () => ({}) };

function answer(path: string, query: URLSearchParams): { readonly status: number; readonly body: string } {
  const collection = collections[path];
  // Every secret has the right type.
  if (query.get('fieldSelector')?.includes('type!=')) return { status: 200, body: renderPage(path, { ...nothing, kind: 'Secret' }, query) };
  if (collection) return { status: 200, body: renderPage(path, collection, query) };
  const names = Object.keys(collections).flatMap((each) => (each.startsWith(`${path}/`) ? [{ name: each.slice(path.length + 1) }] : []));
  if (names.length > 0) return { status: 200, body: JSON.stringify({ kind: 'APIResourceList', resources: names }) };
  return { status: 404, body: JSON.stringify({ kind: 'Status', code: 404, reason: 'NotFound', message: 'not found' }) };
}

function renderPage(path: string, { kind, count, render }: Collection, query: URLSearchParams): string {
  const start = Number(query.get('continue') ?? 0);
  const end = Math.min(count, start + (Number(query.get('limit')) || count));
  const items: string[] = [];
  for (let index = start; index < end; index += 1) items.push(JSON.stringify(render(index)));
  const metadata = { resourceVersion: '1000', ...(end < count && { continue: String(end), remainingItemCount: count - end }) };
  const apiVersion = path.startsWith('/apis/apps') ? 'apps/v1' : 'v1';
  return `{"kind":"${kind}List","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[${items.join(',')}]}`;
}

function renderNamespace(index: number): object {
  return { metadata: { name: `team-${index}`, uid: uidOf(index), resourceVersion: '1', labels: { team: String(index) } } };
}

function renderAccount(index: number): object {
  return { metadata: { ...metadataOf(index, 'default'), namespace: `team-${index}` }, imagePullSecrets: [{ name: 'corp-pull' }] };
}

function renderDeployment(index: number): object {
  return {
    metadata: { ...metadataOf(index, appOf(index)), annotations: { 'deployment.kubernetes.io/revision': '11' }, managedFields },
    spec: { replicas: podsEach, selector: { matchLabels: { app: appOf(index) } }, template: templateOf(index), strategy: {} },
    status: { observedGeneration: 11, replicas: podsEach, readyReplicas: podsEach, conditions: conditionsOf(2) },
  };
}

/** The first of each Deployment is the current one. */
function renderReplicaSet(index: number): object {
  const [owner, age] = [Math.floor(index / (oldEach + 1)), index % (oldEach + 1)];
  const replicas = age === 0 ? podsEach : 0;
  return {
    metadata: {
      ...metadataOf(owner, `${appOf(owner)}-${age}`),
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: appOf(owner), uid: uidOf(owner), controller: true }],
      annotations: { 'deployment.kubernetes.io/desired-replicas': '5', 'deployment.kubernetes.io/revision': String(11 - age) },
      managedFields,
    },
    spec: { replicas, selector: { matchLabels: { app: appOf(owner) } }, template: templateOf(owner, age) },
    status: { observedGeneration: 2, replicas, readyReplicas: replicas },
  };
}

function renderPod(index: number): object {
  const owner = Math.floor(index / podsEach);
  const { spec } = templateOf(owner);
  const volume = { name: 'kube-api-access-x7k2p', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true };
  return {
    metadata: {
      ...metadataOf(owner, `${appOf(owner)}-0-${index}`),
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${appOf(owner)}-0`, uid: uidOf(owner), controller: true }],
      managedFields,
    },
    spec: {
      ...spec,
      containers: spec.containers.map((container) => ({ ...container, volumeMounts: [volume] })),
      nodeName: `node-${index % 1_000}`,
      serviceAccountName: 'default',
      imagePullSecrets: [{ name: 'corp-pull' }],
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      volumes: [{ name: volume.name, projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3_607, path: 'token' } }] } }],
    },
    status: {
      phase: 'Running',
      conditions: conditionsOf(5),
      hostIP: '10.0.0.1',
      podIP: '10.1.0.1',
      containerStatuses: spec.containers.map(({ name, image }) => ({
        name,
        image,
        imageID: `${image}@sha256:${'0123456789abcdef'.repeat(4)}`,
        containerID: `containerd://${'0123456789abcdef'.repeat(4)}`,
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: '2026-11-01T00:00:00Z' } },
      })),
      qosClass: 'Burstable',
    },
  };
}

/** One in ten images is from a registry without a rule. */
function templateOf(index: number, age = 0) {
  const registry = index % 10 === 0 ? 'unknown.example.com' : 'registry.example.com';
  return {
    metadata: { labels: { app: appOf(index), 'pod-template-hash': `5d9c${age}` }, annotations: { 'prometheus.io/scrape': 'true' } },
    spec: {
      containers: [
        {
          name: 'app',
          image: `${registry}/team-${index % namespaces}/${appOf(index)}:1.${20 - age}.0`,
          ports: [{ containerPort: 8080, protocol: 'TCP' }],
          env: Array.from({ length: 12 }, (_, number) => ({ name: `SETTING_${number}`, value: `value-${number}-of-${index}` })),
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
          livenessProbe: { httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' }, timeoutSeconds: 1, periodSeconds: 10 },
          readinessProbe: { httpGet: { path: '/readyz', port: 8080, scheme: 'HTTP' }, timeoutSeconds: 1, periodSeconds: 10 },
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      securityContext: {},
      schedulerName: 'default-scheduler',
    },
  };
}

function appOf(index: number): string {
  return `app-${index}`;
}

function metadataOf(index: number, name: string) {
  return {
    name,
    namespace: `team-${index % namespaces}`,
    uid: uidOf(index),
    resourceVersion: String(100_000 + index),
    generation: 3,
    creationTimestamp: '2026-11-01T00:00:00Z',
    labels: { app: appOf(index), 'app.kubernetes.io/managed-by': 'Helm' },
  };
}

function uidOf(index: number): string {
  return `6b0e9f7e-2f0c-4f0a-9f5a-${String(index).padStart(12, '0')}`;
}

function conditionsOf(count: number): readonly object[] {
  return Array.from({ length: count }, (_, number) => ({
    type: `Condition${number}`,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: '2026-11-01T00:00:00Z',
    message: 'as it should be',
  }));
}

/** About as long as those of a Deployment that Helm manages. */
const managedFields = ['helm', 'kube-controller-manager'].map((manager, entry) => ({
  manager,
  operation: 'Update',
  apiVersion: 'apps/v1',
  time: '2026-11-01T00:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1: {
    'f:metadata': { 'f:labels': { '.': {}, 'f:app': {}, 'f:app.kubernetes.io/managed-by': {} } },
    'f:spec': Object.fromEntries(Array.from({ length: 25 - 10 * entry }, (_, number) => [`f:aFieldOfTheTemplate${number}`, { '.': {} }])),
  },
}));

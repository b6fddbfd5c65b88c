/**
 * An outage: no replica answers, and both webhook configurations are filled. Tests the table of outages in docs/operations.md for every
 * kind, and the recovery, which needs no manual step.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { type ApiClient, ApiError, type ApiRequest } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { applyBase, deleteBase, ownNamespace, type Regkeeper, startRegkeeper } from '../regkeeper.ts';
import { collectionOf, notServedHere, sampleObject, samples } from '../samples.ts';
import { target, waitFor } from '../target.ts';
import { actingIn, deployment, pod, running, workload } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;
const service = { namespace: ownNamespace, service: 'regkeeper', port: 443 };
const unreached = 'failed calling webhook';

const rows = kindsWithImages.filter(({ kind }) => !notServedHere.includes(kind));
const changeable = rows.filter(({ kind }) => samples[kind]?.image !== undefined);

let admin: ApiClient;
let server: Regkeeper;
let folder = '';
/** A namespace with two objects of every kind from before the outage, `x` and `held`, and with workloads for the controllers. */
let namespace = '';
/** A namespace with one object of every kind. */
let doomed = '';
const acting = actingIn(kubectl, () => namespace);

const image = 'registry.example.com/x:1';
const rules = 'mode: enforce\nunconfigured: deny\nrules:\n- {registry: registry.example.com, pullSecret: corp-pull}\n';
const laterRules = `${rules}- {registry: later.example.com, pullSecret: later-pull}\n`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-outage-'));
  admin = connectApi(await loadKubeConfig({ file: cluster.kubeconfig, env: {} }));
  await applyBase(kubectl);
  [namespace, doomed] = await Promise.all([cluster.namespace(), cluster.namespace()]);
  await writeRules(rules);
  server = await startRegkeeper({ kubectl, kubeconfig: cluster.kubeconfig, directory: folder, routeService: cluster.routeService });
  await makeObjects();
  await waitFor(async () => (await errorOf(create('Pod', 'try', 'unknown.example.com/x')))?.includes('denied the request'), {
    deadlineSeconds: 60,
    what: 'the rules to take effect',
  });
  await server.end('SIGKILL');
});

afterAll(async () => {
  await server?.end('SIGKILL');
  await kubectl(['delete', 'node', node, '--ignore-not-found']);
  await deleteBase(kubectl);
  await admin?.close();
  await rm(folder, { recursive: true, force: true });
});

async function makeObjects(): Promise<void> {
  for (const row of rows) {
    for (const name of ['x', 'held']) await admin.create(collectionOf(row, namespace), sampleObject(row, name));
    await admin.create(collectionOf(row, doomed), sampleObject(row, 'x'));
  }
  await acting.create(
    pod('evicted', running(image)),
    pod('bound', running(image)),
    deployment('scaled', running(image), { replicas: 1 }),
    deployment('collected', running(image), { replicas: 1 }),
    {
      ...workload('batch/v1', 'Job', 'ending', running(image, { restartPolicy: 'Never' })),
      spec: { template: { spec: running(image, { restartPolicy: 'Never' }) } },
    },
  );
  await waitFor(async () => (await podsOf('app=scaled')) + (await podsOf('app=collected')) + (await podsOf('job-name=ending')) === 3, {
    deadlineSeconds: 60,
    what: 'the Pods of the controllers',
  });
}

test('every registered kind has its row here', () => {
  expect(Object.keys(samples).sort()).toEqual(rows.map(({ kind }) => kind).sort());
});

describe.each(rows)('while no replica responds: $kind', (row) => {
  const collection = () => collectionOf(row, namespace);
  const object = () => `${collection()}/x`;
  const { changes = {}, deniedChanges = {}, subresources = {} } = samples[row.kind] ?? {};

  test('labels, annotations, finalizers and owners can change', async () => {
    const owner = await admin.get<{ metadata: { uid: string } }>(`/api/v1/namespaces/${namespace}/configmaps/kube-root-ca.crt`);
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'kube-root-ca.crt', uid: owner.metadata.uid }];
    for (const metadata of [
      { labels: { 'example.com/a': 'b' } },
      { annotations: { 'example.com/a': 'b' } },
      { finalizers: ['example.com/hold'] },
      { finalizers: null },
      { ownerReferences },
      { ownerReferences: null },
    ])
      await merge(object(), { metadata });
  });

  test('the same can be applied server-side and replaced', async () => {
    const applied = { ...sampleObject(row, 'x'), metadata: { name: 'x', labels: { applied: 'yes' } } };
    await admin.patchApply(object(), applied, { fieldManager: 'outage', force: true });
    await waitFor(
      async () => {
        // A controller may write the status in between, which causes a conflict.
        const present = await admin.get<{ metadata: { annotations?: object } }>(object());
        return await admin.replace<object>(object(), { ...present, metadata: { ...present.metadata, annotations: { replaced: 'yes' } } });
      },
      { deadlineSeconds: 60, what: 'the replacement' },
    );
  });

  test.each(Object.entries(changes))('%s can change', async (_name, patch) => {
    await merge(object(), patch);
  });

  test.each(Object.entries(subresources))('%s can change', async (subresource, patch) => {
    await merge(`${object()}/${subresource}`, patch, row.group.includes('.') ? undefined : 'application/strategic-merge-patch+json');
  });

  test.each(Object.entries(deniedChanges))('%s cannot change', async (_name, patch) => {
    expect(await errorOf({ ...mergeOf(object(), patch), query: { dryRun: 'All' } })).toContain(unreached);
  });

  test.each([
    ['a new one is denied', {}],
    ['so is a dry run of it', { dryRun: 'All' }],
  ])('%s', async (_name, query) => {
    expect(await errorOf({ method: 'POST', path: collection(), query, body: sampleObject(row, 'new') })).toContain(unreached);
  });

  test('one with a finalizer can be deleted in the foreground', async () => {
    const held = `${collection()}/held`;
    await merge(held, { metadata: { finalizers: ['example.com/hold'] } });
    await admin.delete(held, { propagationPolicy: 'Foreground' });
    await merge(held, { metadata: { finalizers: null } });
    await waitFor(async () => await isGone(held), { deadlineSeconds: 50, what: 'the object to go' });
  });
});

test.each(changeable)('while no replica responds, $kind accepts no different image, whether by patch, replace or apply', async (row) => {
  const object = `${collectionOf(row, namespace)}/x`;
  const path = samples[row.kind]?.image ?? '';
  const body = [{ op: 'replace', path, value: 'registry.example.com/x:2' }];
  expect(await errorOf({ method: 'PATCH', path: object, body, contentType: 'application/json-patch+json' })).toContain(
    `${unreached} "${row.resource}${row.group && `.${row.group}`}.mutate.regkeeper.io"`,
  );
  const present = JSON.stringify(await admin.get<object>(object)).replaceAll(image, 'registry.example.com/x:2');
  expect(await errorOf({ method: 'PUT', path: object, body: JSON.parse(present) })).toContain(unreached);
  const applied = JSON.parse(JSON.stringify(sampleObject(row, 'x')).replaceAll(image, 'registry.example.com/x:2'));
  const query = { fieldManager: 'outage', force: true };
  expect(await errorOf({ method: 'PATCH', path: object, query, body: applied, contentType: 'application/apply-patch+yaml' })).toContain(
    unreached,
  );
});

describe('while no replica responds, with kubectl', () => {
  test.each([
    ['kubectl label', ['label', 'deployment/scaled', 'a=b']],
    ['kubectl annotate', ['annotate', 'deployment/scaled', 'a=b']],
    ['kubectl rollout pause', ['rollout', 'pause', 'deployment/scaled']],
    ['kubectl rollout resume', ['rollout', 'resume', 'deployment/scaled']],
    ['kubectl autoscale', ['autoscale', 'deployment/collected', '--min=1', '--max=2']],
    ['kubectl expose', ['expose', 'deployment/scaled', '--port=80']],
  ])('%s is allowed', async (_name, args) => {
    await acting(...args);
  });

  test.each([
    ['kubectl set image', ['set', 'image', 'deployment/scaled', 'app=registry.example.com/x:2']],
    ['kubectl set env', ['set', 'env', 'deployment/scaled', 'A=b']],
    ['kubectl rollout restart', ['rollout', 'restart', 'deployment/scaled']],
    ['kubectl debug', ['debug', 'x', '--image=registry.example.com/tools', '--attach=false', '-c', 'tools']],
    ['kubectl run', ['run', 'another', `--image=${image}`]],
    ['kubectl create job --from', ['create', 'job', 'started', '--from=cronjob/x']],
  ])('%s is denied', async (_name, args) => {
    const { code, stderr } = await acting.attempt(args);
    expect(code).not.toBe(0);
    expect(stderr).toContain(unreached);
  });

  test('a Pod can be bound to a node, evicted and deleted', async () => {
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const named = (name: string) => ({ metadata: { name } });
    await admin.create<object>(`${pods}/bound/binding`, { ...named('bound'), target: { kind: 'Node', name: node } });
    await admin.create<object>(`${pods}/evicted/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', ...named('evicted') });
    await waitFor(async () => await isGone(`${pods}/evicted`), { deadlineSeconds: 60, what: 'the evicted Pod to go' });
    await acting('delete', 'pod', 'bound', '--grace-period=0', '--force');
  });
});

/** The name of a Node without a machine. The DaemonSet controller creates Pods for it. */
const node = 'outage-node';

describe('while no replica responds, what a cluster depends on is left alone:', () => {
  const asNode = ['--as', `system:node:${node}`, '--as-group', 'system:nodes', '--as-group', 'system:masters'];
  const make = (object: object, args: readonly string[] = []) => kubectl(['create', '-f', '-', ...args], { stdin: JSON.stringify(object) });

  test('a node and its heartbeat', async () => {
    await make({ apiVersion: 'v1', kind: 'Node', metadata: { name: node } }, asNode);
    await make(
      {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: node, namespace: 'kube-node-lease' },
        spec: { holderIdentity: node },
      },
      asNode,
    );
    onTestFinished(async () => void (await kubectl(['delete', 'lease', node, '-n', 'kube-node-lease'])));
    await kubectl([
      'patch',
      'node',
      node,
      '--subresource=status',
      '-p',
      JSON.stringify({ status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
      ...asNode,
    ]);
  });

  test('Pods in kube-system are allowed: those of a DaemonSet, and mirror Pods of static Pods', async () => {
    const daemon = workload('apps/v1', 'DaemonSet', 'outage', running(image, { tolerations: [{ operator: 'Exists' }] }));
    await make(daemon, ['-n', 'kube-system']);
    onTestFinished(async () => void (await kubectl(['delete', 'daemonset', 'outage', '-n', 'kube-system'])));
    await waitFor(async () => (await podsOf('app=outage', 'kube-system')) === 1, { deadlineSeconds: 60, what: 'the Pod of the DaemonSet' });
    await make(await mirrorPod(), [...asNode, '-n', 'kube-system']);
    await kubectl(['delete', 'pod', 'static', '-n', 'kube-system', '--grace-period=0', '--force']);
  });

  test('a mirror Pod elsewhere is denied, and its static Pod keeps running', async () => {
    const { stderr } = await kubectl(['create', '-f', '-', '-n', namespace, ...asNode], {
      stdin: JSON.stringify(await mirrorPod()),
      allowFailure: true,
    });
    expect(stderr).toContain(unreached);
  });

  test('certificate requests, endpoints, events, volumes, Secrets, ConfigMaps, accounts and their tokens, permissions, namespaces', async () => {
    const request = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: namespace },
      spec: { request: Buffer.from(certificateRequest).toString('base64'), signerName: 'example.com/any', usages: ['client auth'] },
    };
    await make(request, asNode);
    onTestFinished(async () => void (await kubectl(['delete', 'csr', namespace])));
    await kubectl(['certificate', 'approve', namespace]);
    const metadata = { name: 'untouched', namespace };
    const items = [
      { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata, addressType: 'IPv4', endpoints: [{ addresses: ['10.1.1.1'] }] },
      { apiVersion: 'v1', kind: 'Event', metadata, involvedObject: { kind: 'Pod', namespace, name: 'x' }, reason: 'Seen' },
      { apiVersion: 'v1', kind: 'Secret', metadata },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata, rules: [] },
      { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: { holderIdentity: 'x' } },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata,
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata,
        spec: { minAvailable: 0, selector: { matchLabels: { no: 'pod' } } },
      },
    ];
    await make({ apiVersion: 'v1', kind: 'List', items });
    await acting('create', 'token', 'default');
    const another = await cluster.namespace();
    await kubectl(['delete', 'namespace', another, '--wait=false']);
  });

  async function mirrorPod(): Promise<object> {
    const { metadata } = await admin.get<{ metadata: { uid: string } }>(`/api/v1/nodes/${node}`);
    return pod('static', running(image, { nodeName: node }), {
      annotations: { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node, uid: metadata.uid, controller: true }],
    });
  }
});

describe('while no replica responds, the controllers', () => {
  test('complete a Job whose Pod has ended', async () => {
    const [made] = await acting.list('pods', '-l', 'job-name=ending');
    await acting('patch', 'pod', made?.metadata.name ?? '', '--subresource=status', '-p', '{"status":{"phase":"Succeeded"}}');
    await acting('wait', '--for=condition=Complete', 'job/ending', '--timeout=30s');
    await acting('delete', 'job', 'ending', '--cascade=foreground', '--timeout=30s');
    expect(await podsOf('job-name=ending')).toBe(0);
  });

  test('remove the ReplicaSets and Pods of a deleted Deployment', async () => {
    await acting('delete', 'deployment', 'collected', '--cascade=background');
    await waitFor(async () => (await podsOf('app=collected')) + (await acting.list('replicasets', '-l', 'app=collected')).length === 0, {
      deadlineSeconds: 60,
      what: 'what the Deployment owned to go',
    });
  });

  test('report in the status of a Deployment that was scaled up why it lacks Pods', async () => {
    await acting('scale', 'deployment/scaled', '--replicas=3');
    const { message } = await waitFor(
      async () => {
        const { status } = await acting.get<{ status: { conditions?: { type: string; message: string }[] } }>('deployment', 'scaled');
        return status.conditions?.find(({ type }) => type === 'ReplicaFailure');
      },
      { deadlineSeconds: 60, what: 'the failure to be reported' },
    );
    expect(message).toContain(unreached);
    expect(await podsOf('app=scaled')).toBe(1);
  });

  test('remove a namespace with every kind in it', async () => {
    await kubectl(['delete', 'namespace', doomed, '--timeout=60s']);
  });
});

describe("while no replica responds, regkeeper's own namespace", () => {
  const own = ['-n', ownNamespace];
  const uids = async () =>
    (await kubectl.json<{ items: { metadata: { uid: string } }[] }>(['get', 'pods', ...own])).items.map(({ metadata }) => metadata.uid);

  test('regkeeper gets new Pods after all of its Pods were deleted: a cold start', async () => {
    const before = await uids();
    expect(before).toHaveLength(2);
    await kubectl(['delete', 'pods', '--all', ...own]);
    await waitFor(async () => (await uids()).filter((uid) => !before.includes(uid)).length === 2, {
      deadlineSeconds: 60,
      what: 'two new Pods',
    });
  });

  test('it can be upgraded to another release', async () => {
    const before = await uids();
    await kubectl(['set', 'image', 'deployment/regkeeper', 'regkeeper=registry.example.com/regkeeper:2', ...own]);
    await waitFor(async () => (await uids()).some((uid) => !before.includes(uid)), {
      deadlineSeconds: 60,
      what: 'a Pod of the new release',
    });
  });

  test('it accepts new rules, valid and invalid: the guard locks no one out', async () => {
    await writeRules('mode: enforce\nrulez: []\n');
    await writeRules(rules);
  });
});

describe.each<[string, () => Promise<Server>, RegExp, string]>([
  ['a server accepts connections and never responds', startUnresponsive, /deadline exceeded|timeout/i, 'Build'],
  ['a server responds with an untrusted certificate', startUntrusted, /x509/, 'Job'],
])('while %s', (_name, start, reason, deleted) => {
  beforeAll(async () => {
    const listening = await start();
    await cluster.routeService(service, (listening.address() as AddressInfo).port);
    return () => void listening.close();
  });

  test('images are denied in new and in existing objects', async () => {
    const [added, changed] = await Promise.all([
      errorOf(create('Pod', 'new', image)),
      errorOf(
        mergeOf(`${collectionOf(rowOf('Deployment'), namespace)}/scaled`, { spec: { template: { metadata: { labels: { a: 'b' } } } } }),
      ),
    ]);
    for (const error of [added, changed]) {
      expect(error).toContain(unreached);
      expect(error).toMatch(reason);
    }
  });

  test('labels, finalizers, scaling, status and deletion are allowed', async () => {
    const scaled = `${collectionOf(rowOf('Deployment'), namespace)}/scaled`;
    await merge(scaled, { metadata: { labels: { outage: 'yes' }, finalizers: ['example.com/hold'] } });
    await merge(scaled, { metadata: { finalizers: null } });
    await merge(`${scaled}/scale`, { spec: { replicas: 4 } });
    await merge(`${scaled}/scale`, { spec: { replicas: 3 } });
    await merge(`${collectionOf(rowOf('Pod'), namespace)}/x/status`, { status: { message: 'seen' } });
    await admin.delete(`${collectionOf(rowOf(deleted), namespace)}/x`);
  });

  test('an edit of the rules is allowed', async () => {
    await writeRules(laterRules);
  });
});

describe('when a replica is available again', () => {
  test('it responds according to the latest rules, and the denied Pods are created', async () => {
    server = await startRegkeeper({ kubectl, kubeconfig: cluster.kubeconfig, directory: folder, routeService: cluster.routeService });
    const later = await waitFor(
      async () => (await admin.request<{ spec: { imagePullSecrets?: object[] } }>(create('Pod', 'later', 'later.example.com/x'))).spec,
      { deadlineSeconds: 60, what: 'a Pod of the new rule' },
    );
    expect(later?.imagePullSecrets).toEqual([{ name: 'later-pull' }]);
    expect(await errorOf(create('Pod', 'unknown', 'unknown.example.com/x'))).toContain('denied the request');
    await waitFor(async () => (await podsOf('app=scaled')) === 3, { deadlineSeconds: 50, what: 'the Pods that were scaled up' });
    const pods = await acting.list('pods', '-l', 'app=scaled');
    expect(pods.map(({ spec }) => spec.imagePullSecrets)).toEqual(Array(3).fill([{ name: 'corp-pull' }]));
  });
});

function create(kind: string, name: string, ofImage: string): ApiRequest {
  const body = JSON.parse(JSON.stringify(sampleObject(rowOf(kind), name)).replaceAll(image, ofImage));
  return { method: 'POST', path: collectionOf(rowOf(kind), namespace), body };
}

function mergeOf(path: string, body: object, contentType = 'application/merge-patch+json'): ApiRequest {
  return { method: 'PATCH', path, body, contentType };
}

async function merge(path: string, body: object, contentType?: string): Promise<void> {
  await admin.request(mergeOf(path, body, contentType));
}

/** Sends the request. Returns the API server's error, or undefined where it succeeds. */
async function errorOf(request: ApiRequest): Promise<string | undefined> {
  try {
    await admin.request(request);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

async function isGone(path: string): Promise<boolean> {
  return (await errorOf({ method: 'GET', path }))?.includes('NotFound') === true;
}

function rowOf(wanted: string) {
  const row = rows.find(({ kind }) => kind === wanted);
  if (!row) throw new Error(`there is no kind ${wanted}`);
  return row;
}

async function podsOf(selector: string, where = namespace): Promise<number> {
  return (await kubectl.json<{ items: object[] }>(['get', 'pods', '-l', selector, '-n', where])).items.length;
}

async function writeRules(text: string): Promise<void> {
  const patch = JSON.stringify({ data: { 'rules.yaml': text } });
  await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
}

async function startUnresponsive(): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => socket.destroy())));
  server.once('close', () => {
    for (const socket of sockets) socket.destroy();
  });
  return await listening(server);
}

async function startUntrusted(): Promise<Server> {
  const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)];
  const ca = issueCa({ commonName: 'nobody trusts it', notBefore, notAfter });
  const host = `regkeeper.${ownNamespace}.svc`;
  const leaf = issueServerCertificate({ ca, commonName: host, dnsNames: [host], ipAddresses: [], notBefore, notAfter });
  return await listening(createTlsServer({ key: leaf.key, cert: leaf.certificate }));
}

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** A certificate request of system:node:outage-node. Its private key was not kept. */
const certificateRequest = `-----BEGIN CERTIFICATE REQUEST-----
MIHzMIGbAgEAMDkxFTATBgNVBAoMDHN5c3RlbTpub2RlczEgMB4GA1UEAwwXc3lz
dGVtOm5vZGU6b3V0YWdlLW5vZGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQe
Yf/jb7uWiig2zdCdcA4i9AsDp9CI7SXHS5E89ER8l/TOcjSOdOoTJbnGdw7VYqfW
kawJyJgzkwZxf0iAoCAToAAwCgYIKoZIzj0EAwIDRwAwRAIgUDs82vvvHpjcsZ8d
1rhloukBNcAJu/PHswxrVHwem8QCIBUIy9HVN1aWALNl3cn2FFH3f7aMQpN572qW
SJaLyBA8
-----END CERTIFICATE REQUEST-----
`;

/**
 * The rights that `deploy/` grants are exactly those that the server uses. Runs on this file's own control plane, whose audit log shows the
 * server's requests. As on OpenShift, setting an ownerReference requires the right to delete the object.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { installCrds, serveWithoutSchema } from '../crds.ts';
import { type Kubectl, kubectlOf } from '../kubectl.ts';
import { launchRegkeeper, ownNamespace, type Regkeeper, routeTo, startRegkeeper, waitUntilFilled } from '../regkeeper.ts';
import { waitFor } from '../wait-for.ts';

const user = 'system:serviceaccount:regkeeper:regkeeper';
const deploy = join(import.meta.dirname, '../../../deploy');

type Verdict = 'allow' | 'forbid';
type AuditEvent = {
  verb: string;
  objectRef?: { apiGroup?: string; resource: string; subresource?: string; namespace?: string; name?: string };
  annotations: { 'authorization.k8s.io/decision': Verdict };
  requestURI: string;
};
type PolicyRule = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] };
type Role = { kind: string; metadata: { name: string; namespace?: string }; rules: PolicyRule[] };
/** One verb on one resource, limited to one name where the rule has resourceNames. */
type Right = { role: string; namespace?: string | undefined; apiGroup: string; resource: string; name?: string | undefined; verb: string };

/** Rights that no request uses, and the reason to grant them. */
const unused = [
  {
    right: 'ClusterRole regkeeper-registration: delete mutatingwebhookconfigurations.admissionregistration.k8s.io regkeeper',
    reason: 'asked for by OwnerReferencesPermissionEnforcement when the ownerReference is set; the test below shows it',
  },
  {
    right: 'ClusterRole regkeeper-registration: delete validatingwebhookconfigurations.admissionregistration.k8s.io regkeeper',
    reason: 'the same',
  },
];

let plane: ControlPlane;
let kubectl: Kubectl;
let server: Regkeeper;
let ownerReferenceError = '';

beforeAll(async () => {
  plane = await startControlPlane({ auditOf: user, admissionPlugins: ['OwnerReferencesPermissionEnforcement'] });
  const { kubeconfig, directory } = plane;
  kubectl = kubectlOf(plane);
  await installCrds(kubectl);
  await serveOpenShiftApis();
  const overlay = join(directory, 'overlay');
  await mkdir(overlay);
  const [base, namespaceRules] = ['base', 'namespace-rules'].map((name) => relative(overlay, join(deploy, name)));
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify({ resources: [base], components: [namespaceRules] }));
  await kubectl(['apply', '-k', overlay]);

  // Removes the right to delete at first, to show that it is needed.
  const withoutDelete = [{ op: 'replace', path: '/rules/0/verbs', value: ['list', 'watch', 'patch'] }];
  await kubectl(['patch', 'clusterrole', 'regkeeper-registration', '--type=json', '-p', JSON.stringify(withoutDelete)]);
  const settings = { kubectl, kubeconfig, directory: join(directory, 'server'), routeService: plane.services.route };
  server = await launchRegkeeper({ ...settings, flags: ['--namespace-rules', '--shutdown-delay-seconds', '0'] });
  await routeTo(server, settings);
  ownerReferenceError = await waitFor(
    () =>
      server
        .log()
        .map(({ msg }) => String(msg))
        .find((msg) => msg.includes('cannot register the webhooks')),
    {
      deadlineSeconds: 60,
      what: 'the rejection of the ownerReference',
    },
  );
  await kubectl(['apply', '-k', overlay]);
  await waitUntilFilled(kubectl);
  await server.end();
  server = await startRegkeeper({ ...settings, flags: ['--namespace-rules', '--shutdown-delay-seconds', '0'] });
  await causeRequests();
});

afterAll(async () => {
  await server?.end('SIGKILL');
  await plane?.stop();
});

/** Causes requests that the server does not send at its start: a new certificate, changed rules, a repair. */
async function causeRequests(): Promise<void> {
  const certificate = async () =>
    (await kubectl.json<{ data?: Record<string, string> }>(['get', 'secret', 'regkeeper-tls', '-n', ownNamespace])).data?.['tls.crt'];
  const before = await certificate();
  await kubectl(['patch', 'secret', 'regkeeper-tls', '-n', ownNamespace, '--type=json', '--patch=[{"op":"remove","path":"/data"}]']);
  await waitFor(async () => ((await certificate()) ?? before) !== before, { deadlineSeconds: 60, what: 'a new certificate' });

  const text = `mode: warn
rules: [{registry: a.example.com, pullSecret: corp-pull}]
secrets: [{name: corp-pull, source: corp-pull, namespaces: "*"}]
`;
  const rules = JSON.stringify({ data: { 'rules.yaml': text } });
  await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', rules]);
  await waitFor(
    async () =>
      (await kubectl(['get', 'configmap', 'regkeeper-rules-snapshot', '-n', ownNamespace, '-o', 'json'])).stdout.includes('a.example.com'),
    { deadlineSeconds: 60, what: 'the snapshot' },
  );

  const weaken = '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]';
  await kubectl(['patch', 'validatingwebhookconfiguration', 'regkeeper', '--type=json', `--patch=${weaken}`]);
  await waitFor(() => server.log().some(({ msg }) => String(msg).includes('restored the')), { deadlineSeconds: 60, what: 'the repair' });
  await causeEvents();
}

/**
 * A warned Pod of each kind of owner that is read, and a warned object of each kind that owns such an owner. Two of the owners belong to a
 * third, so that all three have one Event, which is counted.
 */
async function causeEvents(): Promise<void> {
  const labels = { app: 'x' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'a.example.com/x' }] } };
  const selector = { matchLabels: labels };
  const metadata = { name: 'owner' };
  const top = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { replicas: 0, selector, template, serviceName: 'x' } };
  await create(top);
  const ofTop = { name: 'owner', ownerReferences: [ownerReference(await kubectl.json<Owner>(['get', 'statefulset', 'owner']))] };
  const job = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  await create(
    { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: ofTop, spec: { replicas: 0, selector, template } },
    { apiVersion: 'batch/v1', kind: 'Job', metadata: ofTop, spec: { suspend: true, template: job } },
    { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata, spec: { selector, template } },
    { apiVersion: 'v1', kind: 'ReplicationController', metadata, spec: { replicas: 0, selector: labels, template } },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas: 0, paused: true, selector, template } },
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata,
      spec: { schedule: '0 0 1 1 *', suspend: true, jobTemplate: { spec: { template: job } } },
    },
  );
  const resources = ['statefulset', 'replicaset', 'job', 'daemonset', 'replicationcontroller'];
  const owners = await Promise.all(resources.map((resource) => kubectl.json<Owner>(['get', resource, 'owner'])));
  const pods = owners.map((owner) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    // Without the label, so that no controller counts or deletes the Pod.
    metadata: { generateName: 'owned-', ownerReferences: [ownerReference(owner)] },
    spec: { containers: [{ name: 'app', image: 'unknown.example.com/x' }] },
  }));
  const ownedBy = async (resource: string) => ({
    name: `of-${resource}`,
    ownerReferences: [ownerReference(await kubectl.json<Owner>(['get', resource, 'owner']))],
  });
  // Not served here. The request for it is authorized, and then answered with 404.
  const config = { apiVersion: 'apps.openshift.io/v1', kind: 'DeploymentConfig', name: 'owner', uid: 'none', controller: true };
  const spec = { containers: [{ name: 'app', image: 'unknown.example.com/x' }] };
  const warned = { metadata: { labels }, spec };
  const warnedJob = { metadata: { labels }, spec: { ...spec, restartPolicy: 'Never' } };
  await create(
    ...pods,
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: await ownedBy('deployment'),
      spec: { replicas: 0, selector, template: warned },
    },
    { apiVersion: 'batch/v1', kind: 'Job', metadata: await ownedBy('cronjob'), spec: { suspend: true, template: warnedJob } },
    {
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: { name: 'of-config', ownerReferences: [config] },
      spec: { replicas: 0, selector: labels, template: warned },
    },
  );
  const patches = async () => (await events()).filter(({ verb, objectRef }) => verb === 'patch' && objectRef?.resource === 'events');
  const lookUps = async () => (await events()).filter(({ verb, objectRef }) => verb === 'get' && objectRef?.name === 'owner');
  await waitFor(async () => (await patches()).length > 0 && (await lookUps()).length >= 8, {
    deadlineSeconds: 60,
    what: 'Events for all owners',
  });
}

function ownerReference({ apiVersion, kind, metadata: { name, uid } }: Owner) {
  return { apiVersion, kind, name, uid, controller: true };
}

type Owner = { apiVersion: string; kind: string; metadata: { name: string; uid: string } };

/** Serves the OpenShift APIs that the server has rights for. */
async function serveOpenShiftApis(): Promise<void> {
  const inConfig = { group: 'config.openshift.io', version: 'v1', scope: 'Cluster' } as const;
  await serveWithoutSchema(kubectl, [
    { ...inConfig, plural: 'images', kind: 'Image' },
    { ...inConfig, plural: 'clusterversions', kind: 'ClusterVersion' },
  ]);
  await create(
    { apiVersion: 'config.openshift.io/v1', kind: 'Image', metadata: { name: 'cluster' } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'openshift-image-registry' } },
  );
  await create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'image-registry', namespace: 'openshift-image-registry' },
    spec: { ports: [{ port: 5000 }] },
  });
}

async function create(...items: object[]): Promise<void> {
  await kubectl(['create', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
}

/** regkeeper's namespace is read by a request only while its informer has not synced, which depends on timing. */
const usedInRaces = ['ClusterRole regkeeper-registration: get namespaces'];

describe('what the server requests from the API server', () => {
  test('is allowed, always', async () => {
    const denied = (await events()).filter(({ annotations }) => annotations['authorization.k8s.io/decision'] !== 'allow');
    expect(denied.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
  });

  test('the server uses exactly the permissions that it is granted', async () => {
    const used = await events();
    const idle = (await grantedRights()).filter((right) => !used.some((event) => uses(event, right))).map(render);
    expect(idle.filter((right) => !usedInRaces.includes(right)).sort()).toEqual(unused.map(({ right }) => right).sort());
  });

  test('includes permission to delete a webhook configuration, which setting an ownerReference requires, and never uses it', async () => {
    expect(ownerReferenceError).toContain("cannot set an ownerRef on a resource you can't delete");
    expect((await events()).filter(({ verb }) => verb === 'delete')).toEqual([]);
  });

  test('includes every kind of request that the audit log can show, so the log is not empty for lack of auditing', async () => {
    const verbs = new Set((await events()).map(({ verb }) => verb));
    expect([...verbs].sort()).toEqual(expect.arrayContaining(['get', 'list', 'patch', 'update', 'watch']));
  });
});

async function events(): Promise<AuditEvent[]> {
  const lines = (await readFile(plane.auditLog, 'utf8')).split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as AuditEvent);
}

async function grantedRights(): Promise<Right[]> {
  const { items } = await kubectl.json<{ items: Role[] }>(['get', 'clusterroles,roles', '-A', '-l', 'app.kubernetes.io/name=regkeeper']);
  expect(items.map(({ metadata }) => metadata.name).sort()).toEqual([
    'regkeeper-certificate',
    'regkeeper-delivery-state',
    'regkeeper-events',
    'regkeeper-facts',
    'regkeeper-leader',
    'regkeeper-namespace-rules',
    'regkeeper-openshift',
    'regkeeper-registration',
    'regkeeper-rules',
  ]);
  return items.flatMap(({ kind, metadata, rules }) =>
    rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
      apiGroups.flatMap((apiGroup) =>
        resources.flatMap((resource) =>
          resourceNames.flatMap((name) =>
            verbs.map((verb) => ({ role: `${kind} ${metadata.name}`, namespace: metadata.namespace, apiGroup, resource, name, verb })),
          ),
        ),
      ),
    ),
  );
}

/** Whether a request uses a right. Only a request for more than regkeeper's namespace uses a cluster-wide right. */
function uses({ verb, objectRef }: AuditEvent, right: Right): boolean {
  if (objectRef === undefined || objectRef.subresource !== undefined || verb !== right.verb) return false;
  if ((objectRef.apiGroup ?? '') !== right.apiGroup || objectRef.resource !== right.resource) return false;
  if (right.name !== undefined) return objectRef.name === right.name;
  return right.namespace === undefined ? isOfCluster(objectRef) : objectRef.namespace === right.namespace;
}

/** Whether a Role in regkeeper's namespace would not suffice for the request. For Namespaces the API server sets `namespace` to the Namespace's own name. */
function isOfCluster({ resource, namespace }: NonNullable<AuditEvent['objectRef']>): boolean {
  return resource === 'namespaces' || namespace === undefined || namespace !== ownNamespace;
}

function render({ role, apiGroup, resource, name, verb }: Right): string {
  return `${role}: ${verb} ${resource}${apiGroup && `.${apiGroup}`}${name === undefined ? '' : ` ${name}`}`;
}

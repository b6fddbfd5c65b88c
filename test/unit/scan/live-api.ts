/** An API server with a cluster in memory, for commands that read live objects, and objects to put into it. */
import { type ApiClient, ApiError, type KubeObject, type ListOptions, type Query } from '../../../src/kube/api-client.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';

export type LiveObject = KubeObject & { readonly apiVersion: string; readonly kind: string; readonly [field: string]: unknown };

export type LiveApiOptions = {
  /** Collections and objects that the caller may not read, by path. */
  readonly forbidden?: readonly string[];
  /** Answers for other errors, by path. */
  readonly failures?: Readonly<Record<string, ApiError>>;
  /** Paths whose first list expires after its last page, so that it starts over. */
  readonly expiring?: readonly string[];
};

const otherResources: Readonly<Record<string, string>> = {
  'Namespace.v1': 'namespaces',
  'ServiceAccount.v1': 'serviceaccounts',
  'Secret.v1': 'secrets',
  'Service.v1': 'services',
  'ConfigMap.v1': 'configmaps',
  'Image.config.openshift.io/v1': 'images',
  'ValidatingWebhookConfiguration.admissionregistration.k8s.io/v1': 'validatingwebhookconfigurations',
  'Report.openreports.io/v1alpha1': 'reports',
  'Rollout.argoproj.io/v1alpha1': 'rollouts',
};

/** Serves the API groups of its objects, and those of Kubernetes itself. */
export function liveApi(objects: readonly LiveObject[], { forbidden = [], failures = {}, expiring = [] }: LiveApiOptions = {}) {
  const stored = new Map(objects.map((object) => [pathOf(object), structuredClone(object)]));
  const expired = new Set<string>();
  const requested: string[] = [];

  function check(path: string, method = 'GET'): void {
    requested.push(path);
    const failure = failures[path];
    if (failure) throw failure;
    if (forbidden.includes(path)) throw new ApiError(403, 'Forbidden', `${method} ${path}: Forbidden (403): user "dev" cannot read it`);
  }

  async function resourcesOf(groupVersion: string): Promise<ReadonlySet<string>> {
    check(`/discovery/${groupVersion}`);
    const own = kindsWithImages.filter(
      ({ group, version }) => !group.endsWith('openshift.io') && versionOf(group, version) === groupVersion,
    );
    const ofObjects = [...stored.values()].filter(({ apiVersion }) => apiVersion === groupVersion).map(resourceOf);
    return new Set([...own.map(({ resource }) => resource), ...ofObjects]);
  }

  const client = {
    async get<T>(path: string): Promise<T> {
      check(path);
      const object = stored.get(path);
      if (!object) throw new ApiError(404, 'NotFound', `GET ${path}: NotFound (404)`);
      return structuredClone(object) as T;
    },
    async list<T extends KubeObject>(path: string, query: Query = {}, { keep, onBegin, onPage }: ListOptions<T> = {}) {
      check(path);
      const selected = [...stored].filter(([key, object]) => isBelow(key, path) && isSelected(object, query)).map(([, object]) => object);
      for (let attempt = 0; ; attempt += 1) {
        onBegin?.();
        const items = selected.flatMap((object) => {
          const copy = structuredClone(object) as unknown as T;
          return keep ? (keep(copy) ?? []) : copy;
        });
        onPage?.({ objects: selected.length, remaining: 0 });
        if (!expiring.includes(path) || expired.has(path) || attempt > 0) return { items, resourceVersion: '1' };
        expired.add(path);
      }
    },
    async patchApply<T>(path: string, body: unknown): Promise<T> {
      check(path, 'PATCH');
      stored.set(path, structuredClone(body) as LiveObject);
      return body as T;
    },
    async delete(path: string): Promise<void> {
      check(path, 'DELETE');
      stored.delete(path);
    },
    resourcesOf,
    hasResource: async (groupVersion: string, plural: string) => (await resourcesOf(groupVersion)).has(plural),
    close: async () => undefined,
  } as unknown as ApiClient;
  return { client, requested, get: (path: string) => stored.get(path), paths: () => [...stored.keys()] };
}

function pathOf(object: LiveObject): string {
  const { apiVersion, metadata } = object;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${place}/${resourceOf(object)}/${metadata.name}`;
}

function resourceOf({ apiVersion, kind }: Pick<LiveObject, 'apiVersion' | 'kind'>): string {
  const row = kindsWithImages.find((each) => each.kind === kind && versionOf(each.group, each.version) === apiVersion);
  const resource = row?.resource ?? otherResources[`${kind}.${apiVersion}`];
  if (resource === undefined) throw new Error(`this API server has no kind ${kind} of ${apiVersion}`);
  return resource;
}

function versionOf(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

function isBelow(path: string, collection: string): boolean {
  const below = path.slice(0, path.lastIndexOf('/'));
  return below === collection || below.replace(/\/namespaces\/[^/]+(?=\/)/, '') === collection;
}

function isSelected(object: LiveObject, { labelSelector = '', fieldSelector = '' }: Query): boolean {
  const terms = (selector: Query[string]) => String(selector).split(',').filter(Boolean);
  return (
    terms(labelSelector).every((term) => {
      const [key = '', value] = term.split('=');
      return object.metadata.labels?.[key] === value;
    }) &&
    terms(fieldSelector).every((term) => {
      const [field, value] = term.split(/!?=/);
      const actual = field === 'metadata.name' ? object.metadata.name : object[field ?? ''];
      return (actual === value) !== term.includes('!=');
    })
  );
}

export function namespace(name: string, labels: Record<string, string> = {}): LiveObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } } };
}

/** A rules ConfigMap of the cluster. */
export function rulesConfigMap(
  text: string,
  name = 'regkeeper-rules',
  labels: Record<string, string> = { 'regkeeper.io/rules': 'cluster' },
) {
  const metadata = { name, namespace: 'regkeeper', labels, creationTimestamp: '2026-01-01T00:00:00Z' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': text } } satisfies LiveObject;
}

export type WorkloadSample = {
  readonly namespace?: string;
  readonly name?: string;
  readonly image: string;
  readonly pods?: number;
  /** Images of old ReplicaSets. */
  readonly before?: readonly string[];
  readonly labels?: Record<string, string>;
};

/** A Deployment with its ReplicaSets and Pods, as its controllers create them. */
export function deployment({ namespace: place = 'shop', name = 'web', image, pods = 0, before = [], labels = {} }: WorkloadSample) {
  const current = `${name}-new`;
  const own: LiveObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: place, labels },
    spec: { replicas: pods, template: { metadata: { labels }, spec: specWith(image) } },
  };
  const replicaSet = (replicaSetName: string, from: string, replicas: number): LiveObject => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: replicaSetName, namespace: place, labels, ...ownedBy('apps/v1', 'Deployment', name) },
    spec: { replicas, template: { metadata: { labels }, spec: specWith(from) } },
    status: { replicas },
  });
  return [
    own,
    replicaSet(current, image, pods),
    ...before.map((old, index) => replicaSet(`${name}-old-${index}`, old, 0)),
    ...Array.from({ length: pods }, (_, index) =>
      pod({ namespace: place, name: `${current}-${index}`, image, labels, owner: ['apps/v1', 'ReplicaSet', current] }),
    ),
  ];
}

export type PodSample = Omit<WorkloadSample, 'pods' | 'before'> & {
  readonly owner?: readonly [apiVersion: string, kind: string, name: string];
  readonly phase?: string;
  readonly annotations?: Record<string, string>;
};

export function pod({
  namespace: place = 'shop',
  name = 'alone',
  image,
  labels,
  owner,
  phase = 'Running',
  annotations,
}: PodSample): LiveObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: place,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(owner && ownedBy(...owner)),
    },
    spec: { ...specWith(image), nodeName: 'node-1' },
    status: { phase },
  };
}

export function ownedBy(apiVersion: string, kind: string, name: string) {
  return { ownerReferences: [{ apiVersion, kind, name, uid: `uid-of-${name}`, controller: true }] };
}

export function specWith(image: string) {
  return { containers: [{ name: 'app', image }], serviceAccountName: 'default' };
}

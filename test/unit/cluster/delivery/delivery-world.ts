/** A cluster in memory with the whole of secret delivery on it, except for the rules' way into the process. */
import { onTestFinished } from 'vitest';
import type { CopyWrite } from '../../../../src/cluster/delivery/controller.ts';
import { createDelivery } from '../../../../src/cluster/delivery/delivery.ts';
import { copyType, foreignRejection } from '../../../../src/delivery/names.ts';
import type { CopyFinding } from '../../../../src/delivery/plan-copy.ts';
import {
  type ApiClient,
  ApiError,
  type ApiRequest,
  type KubeObject,
  type ListOptions,
  type Query,
  type ReadOptions,
} from '../../../../src/kube/api-client.ts';
import { kindsWithImages } from '../../../../src/object/kinds.ts';
import type { RuleSet } from '../../../../src/rules/rule-set.ts';
import type { RulesInForce } from '../../../../src/rules/store/rules-in-force.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import { settle, virtualClock } from './virtual-clock.ts';

export const label = { 'regkeeper.io/delivered': 'true' };
/** An empty list of names would permit all. */
const rights = (names: readonly string[], verbs: readonly string[]) =>
  names.length === 0 ? [] : [{ apiGroups: [''], resources: ['secrets'], resourceNames: names, verbs }];

type Secret = KubeObject & { type?: string; data?: Record<string, string>; immutable?: boolean };

export type WorldOptions = {
  readonly rules: string;
  /** Names that the account may deliver, and sources that it may read. */
  readonly permitted?: readonly string[];
  readonly sources?: readonly string[];
  readonly kinds?: typeof kindsWithImages;
};

export async function deliveryWorld({
  rules: text,
  permitted = ['corp'],
  sources = ['corp-source'],
  kinds = kindsWithImages.slice(0, 4),
}: WorldOptions) {
  const clock = virtualClock();
  const memory = memoryApi();
  const log = recordingLog();
  const state = {
    leads: true,
    fenced: true,
    permitted,
    sources,
    failing: undefined as ApiError | undefined,
    unseen: [] as KubeObject[],
    /** Whether the watch of namespaces reports nothing, as one that has stalled. */
    namespacesStalled: false,
    /** The same for the watches of Secrets in all namespaces. */
    secretsStalled: false,
    /** An excluded namespace that the policy does not list. */
    notInPolicy: undefined as string | undefined,
    /** Milliseconds between the clock of this process and that of the API server. */
    serverAhead: 0,
    namespacesUnreadable: undefined as ApiError | undefined,
  };
  const writes: string[] = [];
  const written: CopyWrite[] = [];
  const findings: string[] = [];
  const rotations: { source: string; copies: number; seconds: number }[] = [];
  const failures: string[] = [];
  const reminders: string[] = [];

  const rejections: string[] = [];

  function reject(path: string, why = ''): never {
    const policy = "ValidatingAdmissionPolicy 'regkeeper-delivery' with binding 'b' denied request";
    throw new ApiError(403, 'Forbidden', `PATCH ${path}: ${policy}: ${why}`);
  }

  function check(path: string, metadata: { uid?: string; resourceVersion?: string } = {}, type?: string): Secret | undefined {
    const found = memory.get(path) as Secret | undefined;
    if (state.failing) throw state.failing;
    const isCopy = found?.metadata.labels?.['regkeeper.io/delivered'] === 'true' && found.type === copyType;
    if (found && !isCopy) rejections.push(path);
    // Before it asks the policy, the API server validates the object.
    if (found && type !== undefined && found.type !== type) {
      const message = `Secret "${found.metadata.name}" is invalid: type: Invalid value: "${copyType}": field is immutable`;
      throw new ApiError(422, 'Invalid', `PATCH ${path}: Invalid (422): ${message}`);
    }
    if (found && !isCopy) reject(path, foreignRejection);
    if (
      metadata.uid !== undefined &&
      (metadata.uid !== found?.metadata.uid || metadata.resourceVersion !== found?.metadata.resourceVersion)
    ) {
      throw new ApiError(409, 'Conflict', `PATCH ${path}: Conflict`);
    }
    return found;
  }

  async function patch({ path, body, contentType }: ApiRequest): Promise<KubeObject> {
    const { metadata, type, data } = body as Secret;
    const found = check(path, metadata, type);
    if (contentType?.includes('merge-patch')) {
      const annotations = Object.fromEntries(
        Object.entries({ ...found?.metadata.annotations, ...metadata.annotations }).filter(([, value]) => value !== null),
      );
      memory.put(path, { ...found, metadata: { ...found?.metadata, annotations } } as KubeObject);
    } else {
      if (found?.immutable && JSON.stringify(found.data) !== JSON.stringify(data)) {
        const message = `Secret "${found.metadata.name}" is invalid: data: Forbidden: field is immutable when \`immutable\` is set`;
        throw new ApiError(422, 'Invalid', `PATCH ${path}: Invalid (422): ${message}`);
      }
      const managedFields = [{ manager: 'regkeeper-deliver', operation: 'Apply', fieldsV1: { 'f:data': { 'f:.dockerconfigjson': {} } } }];
      const [, , , , namespace] = path.split('/');
      const annotations = { ...found?.metadata.annotations, ...metadata.annotations };
      memory.put(path, {
        ...found,
        type,
        data,
        metadata: { ...found?.metadata, ...metadata, annotations, namespace, managedFields },
      } as KubeObject);
    }
    writes.push(`${contentType?.includes('merge-patch') ? 'annotate' : 'apply'} ${path.replace('/api/v1/namespaces/', '')}`);
    return memory.get(path) as KubeObject;
  }

  const client: ApiClient = {
    ...memory.client,
    serverTime: () => clock.now() + state.serverAhead,
    async request<T>(request: ApiRequest): Promise<T> {
      const { method, path, body } = request;
      if (path.endsWith('selfsubjectrulesreviews')) {
        const copies = rights(state.permitted, ['create', 'patch', 'delete', 'list', 'watch']);
        return { status: { resourceRules: [...copies, ...rights(state.sources, ['get', 'list', 'watch'])] } } as T;
      }
      if (method === 'PATCH') return (await patch(request)) as T;
      if (method !== 'DELETE') return memory.client.request<T>(request);
      check(path, (body as { preconditions: { uid: string; resourceVersion: string } }).preconditions);
      memory.remove(path);
      writes.push(`delete ${path.replace('/api/v1/namespaces/', '')}`);
      return undefined as T;
    },
    async list<T extends KubeObject>(path: string, query: Query = {}, options: ListOptions<T> = {}) {
      if (state.namespacesUnreadable && path === '/api/v1/namespaces') throw state.namespacesUnreadable;
      if (path === '/api/v1/namespaces/a/pods') for (const pod of state.unseen) options.keep?.(pod as T);
      return await memory.client.list<T>(path, query, options);
    },
    async *watch<T extends KubeObject>(path: string, query: Query, signal: AbortSignal, options?: ReadOptions) {
      for await (const event of memory.client.watch<T>(path, query, signal, options)) {
        const stalled = path === '/api/v1/namespaces' ? state.namespacesStalled : path === '/api/v1/secrets' && state.secretsStalled;
        if (!stalled) yield event;
      }
    },
    async patchApply<T>(path: string): Promise<T> {
      if (state.fenced && !(state.notInPolicy && path.includes(`/${state.notInPolicy}/`))) reject(path);
      return {} as T;
    },
  };

  let ruleSet: RuleSet | undefined = ruleSetOf(text);
  const listeners = new Set<(event: never) => void>();
  const rules: RulesInForce = {
    current: () => ruleSet,
    written: () => ruleSet,
    onChange(listener) {
      listeners.add(listener as never);
      return () => void listeners.delete(listener as never);
    },
    documentsChanged: () => undefined,
    platformChanged: () => undefined,
  };
  const leadershipListeners = new Set<() => void>();
  const delivery = createDelivery({
    client,
    namespace: 'regkeeper',
    rules,
    kinds,
    isExcluded: ({ namespace }) => namespace === 'regkeeper' || namespace === 'kube-system',
    isSelected: ({ labels = {} }) => labels.unselected === undefined,
    excludedNamespaces: ['kube-node-lease', 'kube-system', 'later'],
    leadership: {
      leads: () => state.leads,
      onChange(listener) {
        leadershipListeners.add(listener);
        return () => void leadershipListeners.delete(listener);
      },
    },
    hash: (part) => part,
    observer: {
      written: (write) => void written.push(write),
      failed: ({ namespace, name, error }) => void failures.push(`${namespace}/${name}: ${String(error)}`),
      found({ namespace, name, finding, repeated }) {
        (repeated ? reminders : findings).push(`${namespace}/${name}: ${finding satisfies CopyFinding}`);
      },
      rotated: (rotation) => void rotations.push(rotation),
    },
    log,
    clock,
    timings: { random: () => 0 },
  });

  const pathOf = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/secrets/${name}`;
  const world = {
    clock,
    log,
    state,
    delivery,
    writes: () => writes.splice(0),
    /** Writes that the policy rejected because the Secret is not a copy. */
    rejections: () => rejections.splice(0),
    written,
    findings: () => findings.splice(0),
    /** Findings that were reported before. */
    reminders: () => reminders.splice(0),
    failures: () => failures.splice(0),
    rotations,
    secret: (namespace: string, name = 'corp') => memory.get(pathOf(namespace, name)) as Secret | undefined,
    putSecret: (namespace: string, name: string, secret: Omit<Partial<Secret>, 'metadata'> & { metadata?: object }) =>
      memory.put(pathOf(namespace, name), {
        type: 'kubernetes.io/dockerconfigjson',
        ...secret,
        metadata: { name, namespace, ...secret.metadata },
      } as KubeObject),
    removeSecret: (namespace: string, name = 'corp') => memory.remove(pathOf(namespace, name)),
    putSource(login: string, { name = 'corp-source', labels = { 'regkeeper.io/source': 'true' } as Record<string, string> } = {}) {
      const content = { auths: { 'reg.example.com': { auth: btoa(login) } } };
      world.putSecret('regkeeper', name, { metadata: { labels }, data: { '.dockerconfigjson': btoa(JSON.stringify(content)) } });
    },
    putNamespace: (name: string, labels: Record<string, string> = {}) =>
      memory.put(`/api/v1/namespaces/${name}`, { metadata: { name, labels } }),
    removeNamespace: (name: string) => memory.remove(`/api/v1/namespaces/${name}`),
    putObject: (path: string, object: KubeObject) => memory.put(path, object),
    putPod: (namespace: string, name: string, needs = 'corp') =>
      memory.put(`/api/v1/namespaces/${namespace}/pods/${name}`, {
        metadata: { name, namespace, annotations: { 'regkeeper.io/secrets': needs } },
      }),
    removePod: (namespace: string, name: string) => memory.remove(`/api/v1/namespaces/${namespace}/pods/${name}`),
    setRules(changed: string) {
      ruleSet = ruleSetOf(changed);
      for (const listener of listeners) listener({} as never);
    },
    lead(leads: boolean) {
      state.leads = leads;
      for (const listener of leadershipListeners) listener();
    },
    /** Lets the process react, and some time pass. */
    async react(milliseconds = 100) {
      for (let turn = 0; turn < 5; turn += 1) {
        await clock.advance(milliseconds / 5);
        await settle();
      }
    },
    /** A new process on the same cluster. */
    stop: async () => void (await Promise.all([...delivery.components].reverse().map((component) => component.stop?.()))),
    login: (namespace: string, name = 'corp') => {
      const data = world.secret(namespace, name)?.data?.['.dockerconfigjson'];
      return data && atob(JSON.parse(atob(data)).auths['reg.example.com'].auth);
    },
  };
  onTestFinished(world.stop);
  return {
    ...world,
    async start() {
      for (const component of delivery.components) await component.start?.(new AbortController().signal);
      await world.react(2_000);
      return world;
    },
  };
}

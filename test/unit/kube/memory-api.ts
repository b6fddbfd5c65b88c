/** An API server in memory, for tests that need objects but no HTTP. */
import { setImmediate } from 'node:timers/promises';
import {
  type ApiClient,
  ApiError,
  type ApiRequest,
  type KubeObject,
  type ListOptions,
  type Query,
  type WatchEvent,
} from '../../../src/kube/api-client.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { type Clock, systemClock } from '../../../src/time/clock.ts';

type Handler = (path: string, body: KubeObject) => void;

/** Objects in memory behind the interface of an API client: versions, conflicts and watches like on a real server. */
export function memoryApi(objects: Record<string, KubeObject> = {}, { groups = [] as string[] } = {}) {
  const objectsByPath = new Map<string, KubeObject>();
  const watchers = new Set<{ collection: string; query: Query; notify(event: WatchEvent<KubeObject>): void }>();
  const failures: { method: string; error: Error; before?: (() => void) | undefined }[] = [];
  const calls: { method: string; path: string; body?: unknown; options?: unknown }[] = [];
  let version = 0;

  const store: Handler = (path, body) => {
    const known = objectsByPath.get(path);
    version += 1;
    const metadata = { uid: known?.metadata.uid ?? `uid-${version}`, ...body.metadata, resourceVersion: String(version) };
    objectsByPath.set(path, structuredClone({ ...body, metadata }));
    notify(known ? 'MODIFIED' : 'ADDED', path);
  };
  const remove = (path: string) => {
    version += 1;
    notify('DELETED', path);
    objectsByPath.delete(path);
  };
  const notify = (type: 'ADDED' | 'MODIFIED' | 'DELETED', path: string) => {
    const object = structuredClone(objectsByPath.get(path) as KubeObject);
    const event = { type, object: { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } } };
    for (const watcher of watchers) if (isSelected(path, object, watcher.collection, watcher.query)) watcher.notify(event);
  };
  const enter = async (method: string, path: string, body?: unknown, options?: unknown) => {
    await setImmediate();
    calls.push({ method, path, body: structuredClone(body), options });
    const index = failures.findIndex((each) => each.method === method);
    const [failure] = index === -1 ? [] : failures.splice(index, 1);
    failure?.before?.();
    if (failure && failure.error.message !== '') throw failure.error;
  };
  const found = (path: string): KubeObject => {
    const object = objectsByPath.get(path);
    if (!object) throw new ApiError(404, 'NotFound', `GET ${path}: NotFound (404)`);
    return structuredClone(object);
  };
  const missing = () => {
    throw new Error('not of this API');
  };

  const client: ApiClient = {
    request<T>({ method, path, body, contentType }: ApiRequest): Promise<T> {
      if (method === 'GET') return client.get(path);
      if (method === 'PATCH' && contentType === 'application/merge-patch+json') return mergePatch(path, body as Partial<KubeObject>);
      if (method === 'POST') return client.create(path, body as T);
      return method === 'PUT' ? client.replace(path, body as T) : missing();
    },
    delete: missing,
    serverTime: () => undefined,
    close: async () => undefined,
    async get<T>(path: string) {
      await enter('get', path);
      return found(path) as T;
    },
    async list<T extends KubeObject>(path: string, query: Query = {}, { keep = (object: T) => object }: ListOptions<T> = {}) {
      await enter('list', path);
      const items = [...objectsByPath]
        .filter(([key, object]) => isSelected(key, object, path, query))
        .flatMap(([, object]) => keep(structuredClone(object) as T) ?? []);
      return { items, resourceVersion: String(version + 1) };
    },
    async create<T>(path: string, body: T) {
      await enter('create', path, body);
      const object = body as KubeObject;
      const place = `${path}/${object.metadata.name}`;
      if (objectsByPath.has(place)) throw new ApiError(409, 'AlreadyExists', `POST ${path}: AlreadyExists (409)`);
      store(place, object);
      return found(place) as T;
    },
    async replace<T>(path: string, body: T) {
      await enter('replace', path, body);
      const object = body as KubeObject;
      if (found(path).metadata.resourceVersion !== object.metadata.resourceVersion)
        throw new ApiError(409, 'Conflict', `PUT ${path}: Conflict (409)`);
      store(path, object);
      return found(path) as T;
    },
    async patchApply<T>(path: string, body: unknown, options: object) {
      await enter('apply', path, body, options);
      const { metadata, ...rest } = body as KubeObject;
      if (metadata.uid !== undefined && !objectsByPath.has(path))
        throw new ApiError(409, 'Conflict', `PATCH ${path}: Conflict (409): uid mismatch: no existing object was found`);
      const before = found(path);
      if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== before.metadata.resourceVersion)
        throw new ApiError(409, 'Conflict', `PATCH ${path}: Conflict (409)`);
      store(path, { ...before, ...rest, metadata: { ...before.metadata, ...metadata, ...managed(rest as Filled, options) } });
      return found(path) as T;
    },
    async *watch<T extends KubeObject>(collection: string, query: Query, signal: AbortSignal) {
      const queue: WatchEvent<T>[] = [];
      let wake = () => {};
      const watcher = {
        collection,
        query,
        notify: (event: WatchEvent<KubeObject>) => {
          queue.push(event as WatchEvent<T>);
          wake();
        },
      };
      watchers.add(watcher);
      signal.addEventListener('abort', () => wake());
      try {
        while (!signal.aborted) {
          yield* queue.splice(0);
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (queue.length > 0 || signal.aborted) resolve();
          });
        }
      } finally {
        watchers.delete(watcher);
      }
      throw signal.reason;
    },
    resourcesOf: async (groupVersion) => new Set(groups.includes(groupVersion.split('/')[0] ?? '') ? everyResource : []),
    hasResource: async (groupVersion) => groups.includes(groupVersion.split('/')[0] ?? ''),
  };
  /** Merges the fields, and those of the metadata. Nothing deeper, and no removal. */
  async function mergePatch<T>(path: string, body: Partial<KubeObject>): Promise<T> {
    await enter('patch', path, body);
    const before = found(path);
    const { resourceVersion } = body.metadata ?? {};
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
      throw new ApiError(409, 'Conflict', `PATCH ${path}: Conflict (409)`);
    store(path, { ...before, ...body, metadata: { ...before.metadata, ...body.metadata } });
    return found(path) as T;
  }
  for (const [path, object] of Object.entries(objects)) store(path, object);

  return {
    client,
    calls,
    get: (path: string) => objectsByPath.get(path),
    /** A write by another client. */
    put: store,
    remove,
    /** The next call of this method fails with the error. */
    failNext: (method: string, error: Error) => void failures.push({ method, error }),
    /** Calls `happens` just before the next call of this method takes effect. */
    before: (method: string, happens: () => void) => void failures.push({ method, error: new Error(''), before: happens }),
  };
}

const everyResource = [
  ...kindsWithImages.flatMap(({ entryPoints }) => entryPoints.map(({ resource }) => resource)),
  'clusterversions',
  'images',
];

type Filled = { webhooks?: ({ name: string; matchConditions?: { name: string }[] } & Record<string, unknown>)[] };

/** The managedFields of webhook entries. Writes by other clients have none, as if they had taken over all fields. */
function managed({ webhooks = [] }: Filled, { fieldManager }: { fieldManager?: string }) {
  const entries = webhooks.map(({ name, matchConditions = [], ...fields }) => {
    const conditions = matchConditions.map((each) => [`k:{"name":"${each.name}"}`, {}]);
    const written = Object.fromEntries(Object.keys(fields).map((field) => [`f:${field}`, {}]));
    const nested = { 'f:clientConfig': { 'f:caBundle': {} }, 'f:matchConditions': Object.fromEntries(conditions) };
    return [`k:{"name":"${name}"}`, { ...written, ...nested }];
  });
  return { managedFields: [{ manager: fieldManager, operation: 'Apply', fieldsV1: { 'f:webhooks': Object.fromEntries(entries) } }] };
}

/**
 * A collection contains the objects directly below it, and one without a namespace those of all namespaces. Field selectors support name
 * and type.
 */
function isSelected(path: string, object: unknown, collection: string, { fieldSelector }: Query): boolean {
  const below = path.slice(0, path.lastIndexOf('/'));
  const name = path.slice(below.length + 1);
  const inAnyNamespace = below.replace(/\/namespaces\/[^/]+(?=\/)/, '');
  if (below !== collection && inAnyNamespace !== collection) return false;
  const type = (object as { type?: string } | undefined)?.type ?? '';
  const terms = typeof fieldSelector === 'string' ? fieldSelector.split(',') : [];
  return terms.every((term) => {
    const [field, wanted] = term.split(/!?=/);
    if (field === 'metadata.name') return wanted === name;
    return field !== 'type' || wanted !== type;
  });
}

/** Short timers run at once, the others when the test advances the time. */
export function handClock(longestMilliseconds = 5_000) {
  const waiting = new Set<() => void>();
  const passTime = () => {
    for (const due of [...waiting]) due();
  };
  const schedule = (work: () => void, milliseconds: number) => {
    const due = () => {
      if (waiting.delete(due)) work();
    };
    waiting.add(due);
    if (milliseconds <= longestMilliseconds) globalThis.setImmediate(due);
    return () => void waiting.delete(due);
  };
  return {
    schedule,
    clock: { ...systemClock, schedule } satisfies Clock,
    /** Runs every scheduled timer now. */
    passTime,
    /** For polling: advances the time before each check. */
    passing:
      <Value>(look: () => Value) =>
      () => {
        passTime();
        return look();
      },
  };
}

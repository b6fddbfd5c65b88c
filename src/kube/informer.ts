/** An informer: lists a collection of the API server, watches it, and keeps a copy in memory. */

import type { Log } from '../contracts/log.ts';
import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { type ApiClient, ApiError, isNotFound, type KubeObject, type Query, type WatchEvent } from './api-client.ts';
import { describeRequiredRole, explainApiError } from './explain-api-error.ts';
import { backoffAfter } from './informer-backoff.ts';
import { createMapStore, type InformerStore } from './informer-store.ts';

/**
 * A change, sent after `items` has changed. `synced` is sent once, for the first list as a whole. All later changes are sent one by one.
 * An object that was deleted and recreated while the watch was interrupted is one `modified`.
 */
export type InformerEvent<T> =
  | { readonly type: 'synced'; readonly object?: undefined; readonly items: Iterable<T> }
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T; readonly items: Iterable<T> };

/** Limits that tests replace. Times are in milliseconds. */
export type InformerTimings = {
  /** At least 0, below 1. */
  random(): number;
  /**
   * How long a watch may be idle. After the first event the API server sends a bookmark about once a minute. Where nothing happens, the
   * first bookmark comes after 180 s (measured on Kubernetes 1.36).
   */
  readonly stallAfter: number;
  /** The timeout of one page of a list, and of opening a watch. Undefined means the client's own limits. */
  readonly answerWithin: number | undefined;
  /** How long a watch may be idle before it has sent its whole initial state. */
  readonly initialStallAfter: number;
};

export type InformerOptions<T extends KubeObject> = {
  readonly client: ApiClient;
  /** The collection, e.g. `/api/v1/namespaces` or `/apis/apps/v1/namespaces/ns/deployments`. */
  readonly path: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects in the first page of a list, 50 by default. */
  readonly pageSize?: number | undefined;
  /** Requests metadata only. Of Secrets no data arrives, except where an annotation repeats it. */
  readonly metadataOnly?: boolean | undefined;
  /** What to keep of each object, to save memory. It must keep the metadata's name, namespace, uid and resourceVersion. */
  readonly keep?: ((object: T) => T) | undefined;
  /** Where the objects are kept. An object that the store rejects is not kept anywhere else. */
  readonly store?: InformerStore<T> | undefined;
  readonly log: Log;
  /** Called in order and at once. If it throws, the error is logged and the watch continues. */
  readonly onChange?: ((change: InformerEvent<T>) => void) | undefined;
  /** Called for each list or watch that failed. The informer retries regardless. It must not throw. */
  readonly onFailure?: ((failure: Error) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

/** A live copy of a collection. Once synced it always answers, if necessary with the state at the last contact. */
export type Informer<T> = {
  /** Starts to list and watch. */
  start(): void;
  readonly synced: boolean;
  /** Resolves after the first list. Rejects when the informer is stopped before. */
  whenSynced(): Promise<void>;
  get(namespace: string | undefined, name: string): T | undefined;
  /** The objects without `metadata.managedFields`. Each iteration has the present state. */
  items(): Iterable<T>;
  readonly size: number;
  /** Epoch milliseconds of the last successful response or chunk of a watch, or of the start where there was none. */
  lastContact(): number;
  /** Lists everything again. The known objects stay until the list is complete. */
  reload(): void;
  /** Resolves when nothing runs any more. No change is sent afterwards. */
  stop(): Promise<void>;
};

/**
 * Lists a collection and watches it until it is stopped. The API server may end the stream, forget the resourceVersion, fail, reject the
 * request or become idle. In each case the informer resumes at the last resourceVersion, or lists again and sends the differences.
 */
export function createInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { client, path, labelSelector, fieldSelector, pageSize, metadataOnly = false, keep, log, onChange, onFailure } = options;
  const { store = createMapStore<T>(), clock = systemClock } = options;
  const { now } = clock;
  const timings = { ...defaultTimings, ...options.timings };
  const { random } = timings;
  const selection = { labelSelector, fieldSelector };
  const closing = new AbortController();
  const firstSync = Promise.withResolvers<void>();
  // Stopping before the first list must not be an unhandled rejection.
  firstSync.promise.catch(() => undefined);

  let objects = store.create();
  store.adopt(objects);
  let synced = false;
  /** Whether the initial state is requested as a stream (WatchList). Set to false once the server rejects that. */
  let streamsInitialState = client.streamsInitialState ?? false;
  /** Streams in a row that ended before the initial state was complete. */
  let incomplete = 0;
  let endStream: ((reason: Error) => void) | undefined;
  /** Set when `reload` is called during a list, whose first pages may be older than the call. */
  let reloadAsked = false;
  let contact = now();
  /** The last resourceVersion seen. Undefined when the collection must be listed. */
  let position: string | undefined;
  const items: Iterable<T> = { [Symbol.iterator]: () => objects.values() };
  const collection = { path, lastContact: () => contact };
  const transitions = createTransitionLog(log, { path, ...selection });
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    let failures = 0;
    /** Consecutive streams that had events and ended within a second. */
    let brief = 0;
    /** How often in a row the server rejected a watch at the present resourceVersion. */
    let rejections = 0;
    while (!closing.signal.aborted) {
      const { failure, progressed, lasted } = await attempt();
      if (closing.signal.aborted) break;
      if (failure instanceof Reload) continue;
      if (failure) {
        transitions.failing(failure);
        onFailure?.(failure);
      }
      rejections = position !== undefined && !progressed && mayRejectVersion(failure) ? rejections + 1 : 0;
      // A server restored from a backup rejects the old resourceVersion for ever, because it is in the future (Timeout, 504). Where list is
      // allowed but watch is not, this is at least a slow poll.
      if ((failure && mustRelist(failure)) || rejections >= 5) {
        position = undefined;
        rejections = 0;
      }
      brief = progressed && !lasted ? brief + 1 : 0;
      // Something that ends each stream after its first event, for instance a proxy, must not cause a fast loop. One such end is routine.
      if (progressed && (!failure || isExpired(failure))) failures = Math.max(0, Math.min(brief - 1, 2));
      else failures = progressed ? 1 : failures + 1;
      if (failures > 0) await sleep(clock, backoffAfter(failures, failure, random), closing.signal);
    }
  }

  /** Lists if necessary, then watches until the stream ends. Returns whether the stream brought anything, and whether it lasted. */
  async function attempt(): Promise<{ failure?: Error; progressed: boolean; lasted: boolean }> {
    const stream: Stream = { openedAt: undefined, lastContactAt: undefined, events: 0, complete: true };
    const lasted = () => stream.openedAt !== undefined && now() - stream.openedAt >= 1_000;
    const progressed = () => stream.complete && (stream.events > 0 || lasted());
    try {
      if (position === undefined && streamsInitialState && incomplete < maxIncomplete && (await watchFromStart(stream))) {
        if (progressed()) transitions.watching();
        return { progressed: progressed(), lasted: lasted() };
      }
      position ??= await relist();
      incomplete = 0;
      await watchFrom(position, stream);
      if (progressed()) transitions.watching();
      return { progressed: progressed(), lasted: lasted() };
    } catch (error) {
      return { failure: error instanceof Error ? error : new Error(String(error)), progressed: progressed(), lasted: lasted() };
    }
  }

  async function relist(): Promise<string> {
    let next = store.create();
    reloadAsked = false;
    const { resourceVersion } = await client.list<T>(path, selection, {
      pageSize,
      onBegin: () => {
        next = store.create();
      },
      keep: (object) => addTo(next, object),
      signal: closing.signal,
      timeoutMilliseconds: timings.answerWithin,
      onContact: () => {
        contact = now();
      },
      accept: metadataOnly ? partialMetadata('PartialObjectMetadataList') : undefined,
    });
    closing.signal.throwIfAborted();
    if (reloadAsked) throw new Reload(`GET ${path}: everything is read again`);
    // Other JSON responses must not count as an empty collection.
    if (resourceVersion === '') throw new ApiError(0, 'Unreadable', `GET ${path}: the answer is no list: it has no resourceVersion`);
    replaceObjects(next);
    return resourceVersion;
  }

  function addTo(next: Map<string, T>, object: T): T | undefined {
    if (!object?.metadata?.name) throw new ApiError(0, 'Unreadable', `GET ${path}: the answer is no list: an object in it has no name`);
    const kept = withoutManagedFields(keep ? keep(object) : object);
    next.set(keyOf(kept), kept);
    // Keeps no second reference to an object that the store has rejected.
    return next.has(keyOf(kept)) ? kept : undefined;
  }

  function replaceObjects(next: Map<string, T>): void {
    const before = objects;
    objects = next;
    store.adopt(next);
    if (synced) {
      notifyDifferences(before, objects);
    } else {
      synced = true;
      notify({ type: 'synced', items });
      firstSync.resolve();
    }
  }

  function notifyDifferences(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): void {
    for (const [key, object] of before) if (!after.has(key)) notify({ type: 'deleted', object, items });
    for (const [key, object] of after) {
      const known = before.get(key);
      if (!known) notify({ type: 'added', object, items });
      else if (!sameVersion(known, object)) notify({ type: 'modified', object, items });
    }
  }

  async function watchFrom(resourceVersion: string, stream: Stream): Promise<void> {
    for await (const event of openStream({ resourceVersion }, stream)) {
      handleEvent(event);
      stream.events += 1;
      transitions.watching();
    }
  }

  /**
   * Initial state and changes in one stream (WatchList, on by default since Kubernetes 1.34). Only one object at a time is in transit,
   * however many and however large they are. Returns false where the server does not offer it. Then nothing has changed.
   */
  async function watchFromStart(stream: Stream): Promise<boolean> {
    stream.complete = false;
    const next = store.create();
    try {
      for await (const event of openStream({ sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }, stream)) {
        if (stream.complete) {
          handleEvent(event);
          stream.events += 1;
        } else if (endsInitialState(event)) {
          stream.complete = true;
          incomplete = 0;
          replaceObjects(next);
          position = event.object.metadata.resourceVersion;
        } else {
          handleInitialEvent(next, event);
        }
        if (stream.complete) transitions.watching();
      }
    } catch (error) {
      if (!stream.complete && isRejectedStream(error)) {
        if (isNotOffered(error)) streamsInitialState = false;
        stream.complete = true;
        stream.openedAt = undefined;
        log.debug({ path, err: error }, `${path}: the server does not stream its initial state; it is listed in pages`);
        return false;
      }
      if (!stream.complete && !(error instanceof Reload)) incomplete += 1;
      throw error;
    }
    if (stream.complete) return true;
    incomplete += 1;
    throw new ApiError(0, 'Unreachable', `watch of ${path}: the stream ended before the initial state was complete`);
  }

  /** Changes during the initial state may arrive before it is complete. */
  function handleInitialEvent(next: Map<string, T>, { type, object }: WatchEvent<T>): void {
    if (type === 'BOOKMARK') return;
    if (type === 'DELETED') next.delete(keyOf(object));
    else addTo(next, object);
  }

  async function* openStream(start: Query, stream: Stream): AsyncGenerator<WatchEvent<T>> {
    const ending = new AbortController();
    endStream = (reason) => ending.abort(reason);
    const signal = AbortSignal.any([closing.signal, ending.signal]);
    // Servers limit a watch to 30 to 60 minutes. A shorter, random limit spreads the watches over the API servers.
    const timeoutSeconds = Math.round(300 + random() * 300);
    const query = { ...selection, ...start, allowWatchBookmarks: true, timeoutSeconds };
    const accept = metadataOnly ? partialMetadata('PartialObjectMetadata') : undefined;
    const onContact = () => {
      contact = now();
      stream.lastContactAt = contact;
      stream.openedAt ??= contact;
    };
    void abortWhenStalled(stream, ending);
    try {
      yield* client.watch<T>(path, query, signal, { accept, onContact, timeoutMilliseconds: timings.answerWithin });
    } finally {
      endStream = undefined;
      ending.abort();
    }
  }

  async function abortWhenStalled(stream: Stream, ending: AbortController): Promise<void> {
    const startedAt = now();
    while (!ending.signal.aborted) {
      // When the clock is set back, the wait restarts. Otherwise it could take a day.
      stream.lastContactAt = Math.min(now(), stream.lastContactAt ?? startedAt);
      const idleTime = now() - stream.lastContactAt;
      const maxIdleTime = stream.complete ? timings.stallAfter : Math.min(timings.stallAfter, timings.initialStallAfter);
      if (idleTime < maxIdleTime) await sleep(clock, maxIdleTime - idleTime, ending.signal);
      else ending.abort(new WatchStalled(`watch of ${path}: silent for ${Math.round(idleTime / 1_000)} s, connecting anew`));
    }
  }

  function handleEvent({ type, object }: WatchEvent<T>): void {
    const resourceVersion = object?.metadata?.resourceVersion;
    if (type !== 'BOOKMARK') {
      if (!object?.metadata?.name) throw new ApiError(0, 'Unreadable', `watch of ${path}: a ${type} event without an object`);
      applyChange(type, withoutManagedFields(keep ? keep(object) : object));
    }
    if (resourceVersion) position = resourceVersion;
  }

  function applyChange(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    const key = keyOf(object);
    const known = objects.get(key);
    if (type === 'DELETED') {
      if (objects.delete(key)) notify({ type: 'deleted', object, items });
      return;
    }
    objects.set(key, object);
    if (!objects.has(key)) {
      if (known) notify({ type: 'deleted', object: known, items });
      return;
    }
    if (!known) notify({ type: 'added', object, items });
    else if (!sameVersion(known, object)) notify({ type: 'modified', object, items });
  }

  function notify(change: InformerEvent<T>): void {
    if (closing.signal.aborted) return;
    const logFailure = (err: unknown) => log.error({ err, path, change: change.type }, 'a listener failed; the watch goes on');
    try {
      // The compiler accepts an async function as a listener. Its rejection would end the process.
      const result: unknown = onChange?.(change);
      if (result instanceof Promise) result.catch(logFailure);
    } catch (err) {
      logFailure(err);
    }
  }

  return {
    start() {
      if (running || closing.signal.aborted) return;
      contact = now();
      client.watchedCollections?.add(collection);
      running = run();
    },
    get synced() {
      return synced;
    },
    get size() {
      return objects.size;
    },
    whenSynced: () => firstSync.promise,
    get: (namespace, name) => objects.get(`${namespace ?? ''}/${name}`),
    items: () => items,
    lastContact: () => contact,
    reload() {
      position = undefined;
      reloadAsked = true;
      endStream?.(new Reload(`watch of ${path}: everything is read again`));
    },
    async stop() {
      closing.abort();
      client.watchedCollections?.delete(collection);
      firstSync.reject(new Error(`the watch of ${path} was stopped before its first list`));
      await running;
    },
  };
}

/** The progress of one watch. Times are in epoch milliseconds. */
type Stream = {
  openedAt: number | undefined;
  lastContactAt: number | undefined;
  events: number;
  /** Whether the initial state is complete. */
  complete: boolean;
};

/** After this many consecutive streams without a complete initial state, the collection is listed in pages once. */
const maxIncomplete = 2;

/** Ends a stream on purpose, in order to list again. */
class Reload extends Error {
  override readonly name = 'Reload';
}

function endsInitialState<T extends KubeObject>({ type, object }: WatchEvent<T>): boolean {
  return type === 'BOOKMARK' && object?.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true';
}

/**
 * Servers without WatchList answer 422 to `sendInitialEvents`, older ones to `resourceVersionMatch` of a watch (apimachinery
 * pkg/apis/meta/internalversion/validation). Errors that any other request would also get are no evidence.
 */
function isNotOffered(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 422 || error.status === 400);
}

/**
 * Also an API server that knows the request and cannot serve it. With an etcd before 3.4.31 or 3.5.13, or before it has queried etcd, it
 * answers 500: "the required storage feature RequestWatchProgress is disabled" (apiserver pkg/storage/cacher). It still answers a list.
 */
function isRejectedStream(error: unknown): boolean {
  return isNotOffered(error) || (error instanceof ApiError && error.status === 500);
}

class WatchStalled extends Error {
  override readonly name = 'Silence';
}

const defaultTimings: InformerTimings = {
  random: Math.random,
  stallAfter: 300_000,
  answerWithin: undefined,
  // A server that ignores the request for initial events would never complete them.
  initialStallAfter: 30_000,
};

/**
 * The server answers 406 when the kind of a single object is requested for a list, or the reverse. Plain JSON is not accepted as a
 * fallback.
 */
function partialMetadata(kind: 'PartialObjectMetadata' | 'PartialObjectMetadataList'): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1`;
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** The least that `keep` must return. */
export function identityOf({ metadata: { name, namespace, uid, resourceVersion } }: KubeObject): KubeObject['metadata'] {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** About how many bytes of memory the identity needs, including the key of the object in the store. */
export function identitySize({ name, namespace = '', uid = '', resourceVersion = '' }: KubeObject['metadata']): number {
  return 2 * (name.length + namespace.length) + uid.length + resourceVersion.length;
}

/** False where an object has no resourceVersion. */
export function sameVersion({ metadata: one }: KubeObject, { metadata: other }: KubeObject): boolean {
  return one.resourceVersion !== undefined && one.resourceVersion === other.resourceVersion && one.uid === other.uid;
}

/** managedFields are often the larger half of an object, and nothing here reads them. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function isExpired(failure: Error): boolean {
  return failure instanceof ApiError && failure.status === 410;
}

/** Whether the error could be about the resourceVersion, and not about the credential or the load of the server. */
function mayRejectVersion(failure: Error | undefined): boolean {
  return failure instanceof ApiError && failure.status > 0 && failure.status !== 401 && failure.status !== 429;
}

/**
 * An unreadable line of a watch would arrive again at each resume, and a list skips it. So does it after an unforeseen error, which is any
 * other than ApiError.
 */
function mustRelist(failure: Error): boolean {
  if (failure instanceof ApiError) return isExpired(failure) || failure.reason === 'Unreadable';
  return !(failure instanceof WatchStalled);
}

type Selection = { readonly path: string; readonly labelSelector?: string | undefined; readonly fieldSelector?: string | undefined };

/** Logs transitions, not states: one line for the first of several equal failures in a row, and one line for the recovery. */
function createTransitionLog(log: Log, selection: Selection): { watching(): void; failing(failure: Error): void } {
  let state = 'watching';
  return {
    watching() {
      if (state !== 'watching') log.info(selection, `watching ${selection.path} again`);
      state = 'watching';
    },
    failing(err) {
      const before = state;
      // The server forgets old resourceVersions every few minutes. That is routine, and not a transition.
      if (!isExpired(err)) state = err instanceof ApiError ? `${err.status} ${err.reason}` : err.name;
      if (state === before) log.debug({ ...selection, err }, err.message);
      else log.warn({ ...selection, err }, explainFailure(err, selection));
    },
  };
}

function explainFailure(failure: Error, { path, fieldSelector }: Selection): string {
  if (!(failure instanceof ApiError)) return failure.message;
  if (isNotFound(failure)) return `${failure.message}; the API server does not serve ${path}: is this API installed?`;
  const name = /(?:^|,)metadata\.name=([^,]+)/.exec(fieldSelector ?? '')?.[1];
  return explainApiError(failure, describeRequiredRole({ path, name, verbs: ['list', 'watch'] }));
}

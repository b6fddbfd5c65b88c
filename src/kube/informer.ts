import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { type ApiClient, ApiError, type KubeObject, type Log, type Query, type WatchEvent } from './api-client.ts';
import { describeRequiredRole, explainApiError } from './explain-api-error.ts';
import { createMapStore, type InformerStore } from './informer-store.ts';

/**
 * What happened, after `items` has changed. `synced` comes once, for the first list as a whole; all later changes come one
 * by one. An object deleted and made again while nobody watched is one `modified`.
 */
export type InformerEvent<T> =
  | { readonly type: 'synced'; readonly object?: undefined; readonly items: Iterable<T> }
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T; readonly items: Iterable<T> };

/** Limits that tests replace. Times are in milliseconds. */
export type InformerTimings = {
  /** At least 0, below 1. */
  random(): number;
  /**
   * The longest silence of a watch. After the first event the API server sends a bookmark about once a minute; where nothing happens the first
   * bookmark comes at 180 s (measured on Kubernetes 1.36).
   */
  readonly stallAfter: number;
  /** The longest wait for one page of the list, and for a watch to begin; the client's own limits where undefined. */
  readonly answerWithin: number | undefined;
  /** The longest silence of a watch that has not yet sent its whole initial state. */
  readonly initialStallAfter: number;
};

export type InformerOptions<T extends KubeObject> = {
  readonly client: ApiClient;
  /** The collection, e.g. `/api/v1/namespaces` or `/apis/apps/v1/namespaces/ns/deployments`. */
  readonly path: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects in the first page of a list; 50 unless given. */
  readonly pageSize?: number | undefined;
  /** Ask for metadata alone: of Secrets no data arrives, but for what an annotation repeats of it. */
  readonly metadataOnly?: boolean | undefined;
  /** What to hold of each object, where most of it is of no use. Must keep the metadata's name, namespace, uid and resourceVersion. */
  readonly keep?: ((object: T) => T) | undefined;
  /** Where the objects are kept; one that refuses an object holds nothing of it. */
  readonly store?: InformerStore<T> | undefined;
  readonly log: Log;
  /** Called in order, without delay. What it throws is logged and changes nothing. */
  readonly onChange?: ((change: InformerEvent<T>) => void) | undefined;
  /** Called for each list or watch that failed; it is tried again all the same. Must not throw. */
  readonly onFailure?: ((failure: Error) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

/** A live copy of a collection. Once synced it always answers, if need be with what was true at the last contact. */
export type Informer<T> = {
  /** Begins to list and to watch. */
  start(): void;
  readonly synced: boolean;
  /** Rejects when stopped before. */
  whenSynced(): Promise<void>;
  get(namespace: string | undefined, name: string): T | undefined;
  /** Objects come without `metadata.managedFields`. Iterable more than once, always as of now. */
  items(): Iterable<T>;
  readonly size: number;
  /** Epoch milliseconds of the last successful response or byte of a watch; of the start when there was none yet. */
  lastContact(): number;
  /** Reads everything again from the API server. What is known stays until that is complete. */
  reload(): void;
  /** Resolves when nothing runs any more; no change is told afterwards. */
  stop(): Promise<void>;
};

/**
 * Lists a collection and follows it for ever. Whatever the API server does (ends the stream, forgets the resourceVersion,
 * fails, refuses, falls silent), it goes on from where it was, or lists again and tells the differences.
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
  /** Whether the initial state is asked for as a stream (WatchList); not any more where a server has refused that. */
  let streamsInitialState = client.streamsInitialState ?? false;
  /** Streams in a row that ended before the initial state was complete. */
  let incomplete = 0;
  let endStream: ((reason: Error) => void) | undefined;
  /** Asked for while a list is under way, whose first pages may be from before. */
  let reloadAsked = false;
  let contact = now();
  /** The last resourceVersion seen; undefined when the collection must be listed (again). */
  let position: string | undefined;
  const items: Iterable<T> = { [Symbol.iterator]: () => objects.values() };
  const collection = { path, lastContact: () => contact };
  const transitions = createTransitionLog(log, { path, ...selection });
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    let failures = 0;
    /** Streams in a row that brought something and ended within a second. */
    let brief = 0;
    /** How often the server refused to watch from the present position. */
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
      // A server restored from a backup refuses the old resourceVersion as lying in the future, for ever (Timeout, 504); and
      // who may list but not watch gets at least a slow poll.
      if ((failure && mustRelist(failure)) || rejections >= 5) {
        position = undefined;
        rejections = 0;
      }
      brief = progressed && !lasted ? brief + 1 : 0;
      // Whatever ends each stream after its first event, a proxy for instance, must not set the pace; one such end is routine.
      if (progressed && (!failure || isExpired(failure))) failures = Math.max(0, Math.min(brief - 1, 2));
      else failures = progressed ? 1 : failures + 1;
      if (failures > 0) await sleep(clock, backoffAfter(failures, failure, random), closing.signal);
    }
  }

  /** Lists if need be, then watches until the stream ends, and says whether the stream was of any use, and lasted. */
  async function attempt(): Promise<{ failure?: Error; progressed: boolean; lasted: boolean }> {
    const stream: Stream = { openedAt: undefined, heardAt: undefined, events: 0, complete: true };
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
    // Anything else that answers in JSON must not pass for an empty collection.
    if (resourceVersion === '') throw new ApiError(0, 'Unreadable', `GET ${path}: the answer is no list: it has no resourceVersion`);
    replaceObjects(next);
    return resourceVersion;
  }

  function addTo(next: Map<string, T>, object: T): T | undefined {
    if (!object?.metadata?.name) throw new ApiError(0, 'Unreadable', `GET ${path}: the answer is no list: an object in it has no name`);
    const kept = withoutManagedFields(keep ? keep(object) : object);
    next.set(keyOf(kept), kept);
    // Not a second reference to what the store has refused.
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
   * Initial state and changes in one stream (WatchList, on by default since Kubernetes 1.34): one object at a time is in memory, however many
   * and however large they are. False where the server does not offer it; nothing has changed then.
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

  /** What changes meanwhile may come before the initial state is complete. */
  function handleInitialEvent(next: Map<string, T>, { type, object }: WatchEvent<T>): void {
    if (type === 'BOOKMARK') return;
    if (type === 'DELETED') next.delete(keyOf(object));
    else addTo(next, object);
  }

  async function* openStream(start: Query, stream: Stream): AsyncGenerator<WatchEvent<T>> {
    const ending = new AbortController();
    endStream = (reason) => ending.abort(reason);
    const signal = AbortSignal.any([closing.signal, ending.signal]);
    // Servers give a watch 30 to 60 minutes; shorter and uneven spreads the watchers over the API servers.
    const timeoutSeconds = Math.round(300 + random() * 300);
    const query = { ...selection, ...start, allowWatchBookmarks: true, timeoutSeconds };
    const accept = metadataOnly ? partialMetadata('PartialObjectMetadata') : undefined;
    const onContact = () => {
      contact = now();
      stream.heardAt = contact;
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
      // A clock that was set back starts the wait anew; it must not make it a day long.
      stream.heardAt = Math.min(now(), stream.heardAt ?? startedAt);
      const idleTime = now() - stream.heardAt;
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
      // An async function is a fine listener for the compiler; its rejection would end the process.
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

/** What one watch has shown so far; times in epoch milliseconds. */
type Stream = {
  openedAt: number | undefined;
  heardAt: number | undefined;
  events: number;
  /** Whether the initial state is known. */
  complete: boolean;
};

/** After so many streams in a row that brought no complete initial state, it is listed in pages once. */
const maxIncomplete = 2;

/** Ends a stream on purpose. */
class Reload extends Error {
  override readonly name = 'Reload';
}

function endsInitialState<T extends KubeObject>({ type, object }: WatchEvent<T>): boolean {
  return type === 'BOOKMARK' && object?.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true';
}

/**
 * Servers without WatchList answer 422 to `sendInitialEvents`, older ones to `resourceVersionMatch` of a watch (apimachinery
 * pkg/apis/meta/internalversion/validation). What a request without them would be answered too says nothing about it.
 */
function isNotOffered(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 422 || error.status === 400);
}

/**
 * Also an API server that knows the request and cannot carry it out: with an etcd before 3.4.31 or 3.5.13, or before it has asked etcd, it sends
 * an error of 500, "the required storage feature RequestWatchProgress is disabled" (apiserver pkg/storage/cacher). A list is answered then.
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
  // A server that knows nothing of initial events and does not say so would never complete them.
  initialStallAfter: 30_000,
};

/** The server answers 406 to the kind of one object for a list, and the other way round; no plain JSON is accepted instead. */
function partialMetadata(kind: 'PartialObjectMetadata' | 'PartialObjectMetadataList'): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1`;
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** The least that `keep` must keep. */
export function identityOf({ metadata: { name, namespace, uid, resourceVersion } }: KubeObject): KubeObject['metadata'] {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** About how many bytes of memory the identity takes, with the key by which the object is held. */
export function identitySize({ name, namespace = '', uid = '', resourceVersion = '' }: KubeObject['metadata']): number {
  return 2 * (name.length + namespace.length) + uid.length + resourceVersion.length;
}

/** False where an object has no resourceVersion. */
export function sameVersion({ metadata: one }: KubeObject, { metadata: other }: KubeObject): boolean {
  return one.resourceVersion !== undefined && one.resourceVersion === other.resourceVersion && one.uid === other.uid;
}

/** They are often the larger half of an object, and nothing here reads them. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function isExpired(failure: Error): boolean {
  return failure instanceof ApiError && failure.status === 410;
}

/** An answer that could be about the resourceVersion; not one about the credential or the server's load. */
function mayRejectVersion(failure: Error | undefined): boolean {
  return failure instanceof ApiError && failure.status > 0 && failure.status !== 401 && failure.status !== 429;
}

/** What cannot be read in a watch would come again at each resume; a list goes past it. Nobody foresaw it: what is no ApiError. */
function mustRelist(failure: Error): boolean {
  if (failure instanceof ApiError) return isExpired(failure) || failure.reason === 'Unreadable';
  return !(failure instanceof WatchStalled);
}

/** Milliseconds: between half of and the whole of 0.4 s, doubled with each failure in a row up to 10 s, since requests wait for what is read here; at least what the server asked for. */
function backoffAfter(failures: number, failure: Error | undefined, random: () => number): number {
  const ceiling = Math.min(10_000, 400 * 2 ** (failures - 1));
  const retryAfter = failure instanceof ApiError ? (failure.retryAfterSeconds ?? 0) * 1_000 : 0;
  return Math.max(ceiling / 2 + (random() * ceiling) / 2, Math.min(retryAfter, 300_000));
}

type Selection = { readonly path: string; readonly labelSelector?: string | undefined; readonly fieldSelector?: string | undefined };

/** Says what changes and is silent about what lasts: one line for the first of equal failures in a row, one for the recovery. */
function createTransitionLog(log: Log, selection: Selection): { watching(): void; failing(failure: Error): void } {
  let state = 'watching';
  return {
    watching() {
      if (state !== 'watching') log.info(selection, `watching ${selection.path} again`);
      state = 'watching';
    },
    failing(err) {
      const before = state;
      // The server forgets old resourceVersions every few minutes: routine, and no change of state.
      if (!isExpired(err)) state = err instanceof ApiError ? `${err.status} ${err.reason}` : err.name;
      if (state === before) log.debug({ ...selection, err }, err.message);
      else log.warn({ ...selection, err }, explainFailure(err, selection));
    },
  };
}

function explainFailure(failure: Error, { path, fieldSelector }: Selection): string {
  if (!(failure instanceof ApiError)) return failure.message;
  if (failure.status === 404) return `${failure.message}; the API server does not serve ${path}: is this API installed?`;
  const name = /(?:^|,)metadata\.name=([^,]+)/.exec(fieldSelector ?? '')?.[1];
  return explainApiError(failure, describeRequiredRole({ path, name, verbs: ['list', 'watch'] }));
}

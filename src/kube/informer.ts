/** An informer: lists a collection of the API server, watches it, and keeps a copy in memory. */

import type { Log } from '../contracts/log.ts';
import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { type ApiClient, ApiError, type KubeObject, type Query, type WatchEvent } from './api-client.ts';
import { type AttemptResult, createRetryPolicy } from './informer/backoff.ts';
import { createInformerCopy, type InformerEvent } from './informer/copy.ts';
import { isNotOffered, isRejectedStream, Reload, WatchStalledError } from './informer/failures.ts';
import { createTransitionLog } from './informer/log.ts';
import { createMapStore, type InformerStore } from './informer-store.ts';
import { keyOf } from './object-identity.ts';
import { partialMetadata } from './partial-metadata.ts';

export type { InformerEvent } from './informer/copy.ts';

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

  const copy = createInformerCopy({ path, store, keep, onChange, signal: closing.signal, log });
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
  const collection = { path, lastContact: () => contact };
  const transitions = createTransitionLog(log, { path, ...selection });
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    const nextAttempt = createRetryPolicy(random);
    while (!closing.signal.aborted) {
      const result = await attempt();
      const { failure } = result;
      if (closing.signal.aborted) break;
      if (failure instanceof Reload) continue;
      if (failure) {
        transitions.failing(failure);
        onFailure?.(failure);
      }
      const { needsList, delayMilliseconds } = nextAttempt(result, position !== undefined);
      if (needsList) position = undefined;
      if (delayMilliseconds > 0) await sleep(clock, delayMilliseconds, closing.signal);
    }
  }

  /** Lists if necessary, then watches until the stream ends. */
  async function attempt(): Promise<AttemptResult> {
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
    let next = copy.begin();
    reloadAsked = false;
    const { resourceVersion } = await client.list<T>(path, selection, {
      pageSize,
      onBegin: () => {
        next = copy.begin();
      },
      keep(object) {
        copy.add(next, object);
        // The list need not keep it a second time.
        return undefined;
      },
      signal: closing.signal,
      timeoutMilliseconds: timings.answerWithin,
      onContact: () => {
        contact = now();
      },
      accept: metadataOnly ? partialMetadata('PartialObjectMetadataList') : undefined,
    });
    closing.signal.throwIfAborted();
    if (reloadAsked) throw new Reload(`GET ${path}: reloading`);
    // Other JSON responses must not count as an empty collection.
    if (resourceVersion === '') throw new ApiError(0, 'Unreadable', `GET ${path}: the response is not a list: it has no resourceVersion`);
    adopt(next);
    return resourceVersion;
  }

  function adopt(next: Map<string, T>): void {
    copy.replace(next);
    firstSync.resolve();
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
    const next = copy.begin();
    try {
      for await (const event of openStream({ sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }, stream)) {
        if (stream.complete) {
          handleEvent(event);
          stream.events += 1;
        } else if (endsInitialState(event)) {
          stream.complete = true;
          incomplete = 0;
          adopt(next);
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
        log.debug({ path, err: error }, `${path}: the API server does not stream the initial state. Listing in pages`);
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
    else copy.add(next, object);
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
      else ending.abort(new WatchStalledError(`watch of ${path}: no data for ${Math.round(idleTime / 1_000)} s. Reconnecting`));
    }
  }

  function handleEvent({ type, object }: WatchEvent<T>): void {
    const resourceVersion = object?.metadata?.resourceVersion;
    if (type !== 'BOOKMARK') {
      if (!object?.metadata?.name) throw new ApiError(0, 'Unreadable', `watch of ${path}: a ${type} event without an object`);
      copy.apply(type, object);
    }
    if (resourceVersion) position = resourceVersion;
  }

  return {
    start() {
      if (running || closing.signal.aborted) return;
      contact = now();
      client.watchedCollections?.add(collection);
      running = run();
    },
    get synced() {
      return copy.synced;
    },
    get size() {
      return copy.size;
    },
    whenSynced: () => firstSync.promise,
    get: copy.get,
    items: () => copy.items,
    lastContact: () => contact,
    reload() {
      position = undefined;
      reloadAsked = true;
      endStream?.(new Reload(`watch of ${path}: reloading`));
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

function endsInitialState<T extends KubeObject>({ type, object }: WatchEvent<T>): boolean {
  return type === 'BOOKMARK' && object?.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true';
}

const defaultTimings: InformerTimings = {
  random: Math.random,
  stallAfter: 300_000,
  answerWithin: undefined,
  // A server that ignores the request for initial events would never complete them.
  initialStallAfter: 30_000,
};

/** The objects of an informer, and the notifications about their changes. */
import type { Log } from '../../contracts/log.ts';
import { ApiError, type KubeObject } from '../api-client.ts';
import type { InformerStore } from '../informer-store.ts';
import { keyOf, sameVersion } from '../object-identity.ts';

/**
 * A change, sent after `items` has changed. `synced` is sent once, for the first list as a whole. All later changes are sent one by one.
 * An object that was deleted and recreated while the watch was interrupted is one `modified`.
 */
export type InformerEvent<T> =
  | { readonly type: 'synced'; readonly object?: undefined; readonly items: Iterable<T> }
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T; readonly items: Iterable<T> };

export type CopyOptions<T extends KubeObject> = {
  readonly path: string;
  readonly store: InformerStore<T>;
  readonly keep: ((object: T) => T) | undefined;
  readonly onChange: ((change: InformerEvent<T>) => void) | undefined;
  /** No change is sent after it is aborted. */
  readonly signal: AbortSignal;
  readonly log: Log;
};

export type InformerCopy<T extends KubeObject> = {
  /** The objects. Each iteration has the present state. */
  readonly items: Iterable<T>;
  readonly size: number;
  /** Whether the first list is complete. */
  readonly synced: boolean;
  get(namespace: string | undefined, name: string): T | undefined;
  /** The store for a new list. It may be discarded before it is complete. */
  begin(): Map<string, T>;
  /** Adds an object to a new list. */
  add(next: Map<string, T>, object: T): void;
  /** The list is complete. Sends `synced` for the first one, and the differences for each later one. */
  replace(next: Map<string, T>): void;
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void;
};

export function createInformerCopy<T extends KubeObject>({ path, store, keep, onChange, signal, log }: CopyOptions<T>): InformerCopy<T> {
  let objects = store.create();
  store.adopt(objects);
  let synced = false;
  const items: Iterable<T> = { [Symbol.iterator]: () => objects.values() };
  const reduce = (object: T) => withoutManagedFields(keep ? keep(object) : object);

  function replace(next: Map<string, T>): void {
    const before = objects;
    objects = next;
    store.adopt(next);
    if (synced) {
      notifyDifferences(before, objects);
    } else {
      synced = true;
      notify({ type: 'synced', items });
    }
  }

  function notifyDifferences(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): void {
    for (const [key, object] of before) if (!after.has(key)) notify({ type: 'deleted', object, items });
    for (const [key, object] of after) notifyIfChanged(before.get(key), object);
  }

  function apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', arrived: T): void {
    const object = reduce(arrived);
    const key = keyOf(object);
    const known = objects.get(key);
    if (type === 'DELETED') {
      if (objects.delete(key)) notify({ type: 'deleted', object, items });
      return;
    }
    objects.set(key, object);
    if (objects.has(key)) notifyIfChanged(known, object);
    else if (known) notify({ type: 'deleted', object: known, items });
  }

  function notifyIfChanged(known: T | undefined, object: T): void {
    if (!known) notify({ type: 'added', object, items });
    else if (!sameVersion(known, object)) notify({ type: 'modified', object, items });
  }

  function notify(change: InformerEvent<T>): void {
    if (signal.aborted) return;
    const logFailure = (err: unknown) => log.error({ err, path, change: change.type }, 'a listener failed. The watch continues');
    try {
      // The compiler accepts an async function as a listener. Its rejection would end the process.
      const result: unknown = onChange?.(change);
      if (result instanceof Promise) result.catch(logFailure);
    } catch (err) {
      logFailure(err);
    }
  }

  return {
    items,
    get size() {
      return objects.size;
    },
    get synced() {
      return synced;
    },
    get: (namespace, name) => objects.get(`${namespace ?? ''}/${name}`),
    begin: () => store.create(),
    add(next, object) {
      if (!object?.metadata?.name)
        throw new ApiError(0, 'Unreadable', `GET ${path}: the response is not a list: it contains an object without a name`);
      const kept = reduce(object);
      next.set(keyOf(kept), kept);
    },
    replace,
    apply,
  };
}

/** managedFields are often the larger half of an object, and nothing here reads them. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

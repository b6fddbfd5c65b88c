/**
 * Limits the memory for objects that tenants write. Each namespace may use 4 MiB for names and tags in all collections together. Beyond
 * that none of its objects are kept and its entries count as too large, until the namespace fits again.
 */

import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import type { KubeObject } from '../../kube/api-client.ts';
import type { InformerStore } from '../../kube/informer-store.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import type { Clock } from '../../time/clock.ts';

export type NamespaceBudget = {
  /** Creates a store whose objects count towards the budget. */
  store<T extends KubeObject>(collection: BudgetedCollection<T>): BudgetedStore<T>;
  /** The namespaces that exceed their budget. */
  over(): readonly string[];
  /** Bytes of all namespaces, as the collections count them. */
  heldBytes(): number;
  start(): void;
  stop(): Promise<void>;
};

export type BudgetedStore<T extends KubeObject> = InformerStore<T> & {
  /** Whether objects of the namespace were omitted from the last adopted list, or from a change since. */
  isOmitted(namespace: string): boolean;
  /** For an omitted namespace: whether the object has the flag. True for every name in a namespace with too many flagged objects. */
  isFlagged(namespace: string, name: string): boolean;
};

export type BudgetedCollection<T extends KubeObject> = {
  /** About how many bytes of memory the object needs in the store. */
  readonly sizeOf: (object: T) => number;
  /** A flag that is remembered even for objects of a namespace over its budget. */
  readonly flags?: ((object: T) => boolean) | undefined;
  /**
   * The bytes that all objects of the namespace would need now. Reads them from the API server without keeping them, and may stop at more
   * than `most`.
   */
  readonly measure: (namespace: string, most: number, signal: AbortSignal) => Promise<number>;
  /** Lists the collection again, because a namespace fits again. */
  readonly reload: () => void;
};

export type NamespaceBudgetOptions = {
  readonly log: Log;
  readonly clock?: Clock | undefined;
  /** In bytes. */
  readonly perNamespace?: number | undefined;
  readonly inAll?: number | undefined;
};

/** Enough for about 7,500 service accounts with three secrets each. */
const defaultPerNamespace = 4 * 1024 * 1024;
/**
 * Enough for about 120,000 service accounts. During a relist the old list is in memory together with the new one. Both need at most twice
 * this, which is 28 % of the 453 MiB of heap that Node gets with the shipped memory limit.
 */
const defaultInAll = 64 * 1024 * 1024;

/** A namespace that reached the limit must shrink well below it. Otherwise it would be dropped and listed again in turn. */
const shareToReturn = 3 / 4;

const minute = 60_000;

type Collection = Pick<BudgetedCollection<KubeObject>, 'measure' | 'reload'> & { current: Budgeted };

export function createNamespaceBudget({
  log,
  clock,
  perNamespace = defaultPerNamespace,
  inAll = defaultInAll,
}: NamespaceBudgetOptions): NamespaceBudget {
  const over = new Set<string>();
  const collections: Collection[] = [];
  let lastFailure: string | undefined;

  const reconcileLoop = createReconcileLoop({
    reconcile: async (signal) => {
      if (over.size === 0) return undefined;
      const { returned, failures } = await measureAll(signal);
      signal.throwIfAborted();
      report(failures[0]);
      for (const namespace of returned) {
        over.delete(namespace);
        log.info(
          { namespace },
          `namespace ${namespace} is within its memory budget again. Its service accounts and image streams are being reloaded`,
        );
      }
      if (returned.length > 0) for (const { reload } of collections) reload();
      return failures.length > 0 ? 'requeue' : undefined;
    },
    onFailure: report,
    resyncMilliseconds: 5 * minute,
    minIntervalMilliseconds: minute,
    clock,
  });

  /** The namespaces that fit again, all of them together. */
  async function measureAll(signal: AbortSignal): Promise<{ returned: readonly string[]; failures: readonly unknown[] }> {
    const returned: string[] = [];
    const failures: unknown[] = [];
    let reserved = 0;
    for (const namespace of [...over]) {
      const room = Math.min(perNamespace, inAll - heldBytes() - reserved) * shareToReturn;
      const bytes = await measure(namespace, room, { failures, signal });
      if (bytes === undefined || bytes > room) continue;
      returned.push(namespace);
      reserved += bytes;
    }
    return { returned, failures };
  }

  /**
   * A collection that cannot be measured counts as 0, so an API that is unavailable does not prevent the others from being listed. The
   * budget applies again when that API can be read. Undefined where a relist would bring nothing.
   */
  async function measure(
    namespace: string,
    most: number,
    { failures, signal }: { readonly failures: unknown[]; readonly signal: AbortSignal },
  ): Promise<number | undefined> {
    let bytes = 0;
    const unmeasured = new Set<Collection>();
    for (const collection of collections) {
      if (bytes > most) return bytes;
      try {
        bytes += await collection.measure(namespace, most - bytes, signal);
      } catch (error) {
        failures.push(error);
        unmeasured.add(collection);
      }
    }
    const omitting = collections.filter(({ current }) => current.isOmitted(namespace));
    return omitting.length > 0 && omitting.every((each) => unmeasured.has(each)) ? undefined : bytes;
  }

  function report(err: unknown): void {
    const message = err === undefined ? undefined : errorMessage(err);
    if (message !== undefined && message !== lastFailure)
      log.warn({ err }, `cannot measure the memory usage of namespaces over their memory budget: ${message}. Retrying`);
    lastFailure = message;
  }

  function heldBytes(): number {
    return collections.reduce((sum, { current }) => sum + current.total, 0);
  }

  /** `store` is the store of a list in progress, or of the collection itself. */
  function admit(store: Budgeted, own: Collection, namespace: string, bytes: number): boolean {
    if (over.has(namespace)) return false;
    const others = collections.filter((each) => each !== own).map(({ current }) => current);
    const ofNamespace = others.reduce((sum, each) => sum + each.of(namespace), store.of(namespace) + bytes);
    if (ofNamespace > perNamespace) {
      exceed(namespace, tooMuch);
      return false;
    }
    const total = others.reduce((sum, each) => sum + each.total, store.total + bytes);
    if (total > inAll) {
      const [largest = namespace] = largestOf(sumsOf([store, ...others], [[namespace, bytes]])) ?? [];
      store.drop(largest);
      exceed(largest, tooMuchInAll);
      return largest !== namespace;
    }
    return true;
  }

  /** Lists in progress at the same time did not count each other. */
  function enforce(): void {
    const stores = () => collections.map(({ current }) => current);
    for (const [namespace, bytes] of sumsOf(stores())) if (bytes > perNamespace) exceed(namespace, tooMuch);
    while (heldBytes() > inAll) {
      const largest = largestOf(sumsOf(stores()));
      if (!largest) return;
      exceed(largest[0], tooMuchInAll);
    }
  }

  const tooMuch = `needs more than ${mebibytes(perNamespace)} of memory for names, labels and tags`;
  const tooMuchInAll = `needs the most memory for names, labels and tags, and all namespaces together need more than ${mebibytes(inAll)}`;

  function exceed(namespace: string, what: string): void {
    over.add(namespace);
    for (const { current } of collections) current.drop(namespace);
    log.warn(
      { namespace },
      `namespace ${namespace} ${what}. Its service accounts and image streams are ignored: templates get no pull secrets, Pods get only the pull secrets that the rules specify, and builds from its image streams are denied. Delete unneeded service accounts and image streams. Memory usage is rechecked every 5 min`,
    );
  }

  return {
    store<T extends KubeObject>({ sizeOf, flags = () => false, measure, reload }: BudgetedCollection<T>): BudgetedStore<T> {
      const create = () => {
        const store: BudgetedMap<T> = new BudgetedMap({
          sizeOf,
          flags,
          maxFlagBytes: inAll / 16,
          admit: (namespace, bytes) => admit(store, own, namespace, bytes),
        });
        return store;
      };
      const own: Collection = { current: new BudgetedMap<T>({ sizeOf, flags, maxFlagBytes: 0, admit: () => false }), measure, reload };
      collections.push(own);
      return {
        create,
        adopt(store) {
          if (!(store instanceof BudgetedMap)) throw new Error('the store belongs to another collection');
          // Another collection may have used up the budget during this list.
          for (const namespace of over) store.drop(namespace);
          own.current = store;
          enforce();
        },
        isOmitted: (namespace) => own.current.isOmitted(namespace),
        isFlagged: (namespace, name) => own.current.isFlagged(namespace, name),
      };
    },
    over: () => [...over],
    heldBytes,
    start: reconcileLoop.start,
    stop: reconcileLoop.stop,
  };
}

/** The part of a `BudgetedMap` that is counted. */
type Budgeted = {
  /** Bytes of all objects and flags. */
  readonly total: number;
  of(namespace: string): number;
  sums(): Iterable<[namespace: string, bytes: number]>;
  /** Removes the objects of the namespace and keeps their flags. */
  drop(namespace: string): void;
  isOmitted(namespace: string): boolean;
  isFlagged(namespace: string, name: string): boolean;
};

type MapOptions<T> = {
  readonly sizeOf: (object: T) => number;
  readonly flags: (object: T) => boolean;
  readonly maxFlagBytes: number;
  readonly admit: (namespace: string, bytes: number) => boolean;
};

/** A map by `namespace/name` that rejects objects beyond the budget. */
class BudgetedMap<T extends KubeObject> extends Map<string, T> implements Budgeted {
  readonly #options: MapOptions<T>;
  readonly #bytes = new Map<string, number>();
  readonly #flags: FlaggedNames;
  readonly #omitted = new Set<string>();
  #total = 0;

  constructor(options: MapOptions<T>) {
    super();
    this.#options = options;
    this.#flags = new FlaggedNames(options.maxFlagBytes);
  }

  get total(): number {
    return this.#total + this.#flags.bytes;
  }

  of(namespace: string): number {
    return this.#bytes.get(namespace) ?? 0;
  }

  sums(): Iterable<[namespace: string, bytes: number]> {
    return this.#bytes;
  }

  isOmitted(namespace: string): boolean {
    return this.#omitted.has(namespace);
  }

  isFlagged(namespace: string, name: string): boolean {
    return this.#flags.has(namespace, name);
  }

  drop(namespace: string): void {
    if (this.of(namespace) === 0) return;
    for (const [key, object] of this) if (namespaceOf(key) === namespace) this.#omit(key, object);
  }

  override set(key: string, object: T): this {
    this.delete(key);
    const bytes = this.#options.sizeOf(object);
    const namespace = namespaceOf(key);
    if (this.#options.admit(namespace, bytes)) {
      this.#add(namespace, bytes);
      return super.set(key, object);
    }
    // Objects of this namespace that the list in progress has added before.
    this.drop(namespace);
    this.#omit(key, object);
    return this;
  }

  override delete(key: string): boolean {
    this.#flags.delete(namespaceOf(key), nameOf(key));
    return this.#remove(key);
  }

  #omit(key: string, object: T): void {
    this.#remove(key);
    this.#omitted.add(namespaceOf(key));
    if (this.#options.flags(object)) this.#flags.add(namespaceOf(key), nameOf(key));
  }

  #remove(key: string): boolean {
    const known = this.get(key);
    if (known !== undefined) this.#add(namespaceOf(key), -this.#options.sizeOf(known));
    return super.delete(key);
  }

  #add(namespace: string, bytes: number): void {
    const sum = this.of(namespace) + bytes;
    if (sum > 0) this.#bytes.set(namespace, sum);
    else this.#bytes.delete(namespace);
    this.#total += bytes;
  }
}

const maxFlaggedNames = 1_000;

/**
 * The flagged objects of omitted namespaces. A namespace with more than 1,000 of them counts as flagged as a whole until the collection is
 * listed again. So does the namespace with most of them when all together need too much memory.
 */
class FlaggedNames {
  readonly #most: number;
  readonly #names = new Map<string, Set<string> | 'all'>();
  readonly #sums = new Map<string, number>();
  bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  has(namespace: string, name: string): boolean {
    const names = this.#names.get(namespace);
    return names === 'all' || names?.has(name) === true;
  }

  add(namespace: string, name: string): void {
    const names = this.#names.get(namespace) ?? new Set();
    if (names === 'all' || names.has(name)) return;
    this.#names.set(namespace, names.add(name));
    this.#count(namespace, sizeOfName(name));
    if (names.size > maxFlaggedNames) this.#flagAll(namespace);
    while (this.bytes > this.#most) this.#flagAll(largestOf(this.#sums)?.[0] ?? namespace);
  }

  delete(namespace: string, name: string): void {
    const names = this.#names.get(namespace);
    if (names === undefined || names === 'all' || !names.delete(name)) return;
    this.#count(namespace, -sizeOfName(name));
    if (names.size === 0) this.#names.delete(namespace);
  }

  #flagAll(namespace: string): void {
    this.#names.set(namespace, 'all');
    this.#count(namespace, -(this.#sums.get(namespace) ?? 0));
  }

  #count(namespace: string, bytes: number): void {
    const sum = (this.#sums.get(namespace) ?? 0) + bytes;
    if (sum > 0) this.#sums.set(namespace, sum);
    else this.#sums.delete(namespace);
    this.bytes += bytes;
  }
}

/** Measured with one-byte characters in a set. */
function sizeOfName(name: string): number {
  return 72 + name.length;
}

function sumsOf(stores: readonly Budgeted[], more: readonly [namespace: string, bytes: number][] = []): Map<string, number> {
  const sums = new Map<string, number>(more);
  for (const store of stores) for (const [namespace, bytes] of store.sums()) sums.set(namespace, (sums.get(namespace) ?? 0) + bytes);
  return sums;
}

function largestOf(sums: Iterable<[namespace: string, bytes: number]>): [namespace: string, bytes: number] | undefined {
  let largest: [namespace: string, bytes: number] | undefined;
  for (const each of sums) if (!largest || each[1] > largest[1]) largest = each;
  return largest;
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

function mebibytes(bytes: number): string {
  return `${Math.round((bytes / 1024 / 1024) * 100) / 100} MiB`;
}

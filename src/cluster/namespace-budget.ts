/**
 * How much of what a tenant writes is held in memory. Each namespace may fill 4 MiB with names and tags, over all collections together. Beyond
 * that nothing of it is held and its entries count as too large, until the namespace fits again.
 */
import type { KubeObject, Log } from './api.ts';
import { keepChecking, type Schedule } from './checks.ts';
import type { CollectionStore } from './collection-store.ts';
import { messageOf } from './refusals.ts';

export type NamespaceBudget = {
  /** A store whose objects count. */
  store<T extends KubeObject>(collection: BudgetedCollection<T>): CollectionStore<T>;
  /** Whether nothing is held of the namespace. */
  isOver(namespace: string): boolean;
  /** The namespaces of which nothing is held. */
  over(): readonly string[];
  /** Of all namespaces, in bytes as the collections count them. */
  heldBytes(): number;
  close(): void;
};

export type BudgetedCollection<T extends KubeObject> = {
  /** About how many bytes of memory the object takes, as it is held. */
  readonly sizeOf: (object: T) => number;
  /**
   * What all objects of the namespace would take now, read from the API server without holding them; more than `most` need not be read to
   * the end.
   */
  readonly measure: (namespace: string, most: number) => Promise<number>;
  /** Reads the collection again, since a namespace fits that did not. */
  readonly reload: () => void;
};

export type NamespaceBudgetOptions = {
  readonly log: Log;
  readonly schedule?: Schedule | undefined;
  /** In bytes. */
  readonly perNamespace?: number | undefined;
  readonly inAll?: number | undefined;
};

/** Some 7,500 service accounts with three secrets each. */
const usualPerNamespace = 4 * 1024 * 1024;
/** A third of the heap that Node takes from the shipped memory limit. Some 240,000 service accounts. */
const usualInAll = 128 * 1024 * 1024;

/** One that has grown to the limit must have shrunk well below it, or it would be dropped and read again in turn. */
const shareToReturn = 3 / 4;

const minute = 60_000;

export function createNamespaceBudget({
  log,
  schedule,
  perNamespace = usualPerNamespace,
  inAll = usualInAll,
}: NamespaceBudgetOptions): NamespaceBudget {
  const over = new Set<string>();
  const collections: { current: Account; readonly measure: (namespace: string, most: number) => Promise<number>; reload(): void }[] = [];
  let lastFailure: string | undefined;

  const checks = keepChecking({
    check: async () => {
      const returned: string[] = [];
      for (const namespace of over) if (await fits(namespace)) returned.push(namespace);
      lastFailure = undefined;
      if (returned.length === 0) return;
      for (const namespace of returned) {
        over.delete(namespace);
        log.info(
          { namespace },
          `namespace ${namespace} is within its memory budget again: its service accounts and image streams are read again`,
        );
      }
      for (const { reload } of collections) reload();
    },
    onFailure: (err) => {
      const message = messageOf(err);
      if (message !== lastFailure)
        log.warn({ err }, `cannot measure the namespaces that are over their memory budget; retrying: ${message}`);
      lastFailure = message;
    },
    everyMilliseconds: 5 * minute,
    apartMilliseconds: minute,
    schedule,
  });

  async function fits(namespace: string): Promise<boolean> {
    let left = Math.min(perNamespace, inAll - heldBytes()) * shareToReturn;
    for (const { measure } of collections) {
      if (left < 0) return false;
      left -= await measure(namespace, left);
    }
    return left >= 0;
  }

  function heldBytes(): number {
    return collections.reduce((sum, { current }) => sum + current.total, 0);
  }

  /** `account` is that of a list under way or of the collection itself. */
  function admit(account: Account, own: { current: Account }, namespace: string, bytes: number): boolean {
    if (over.has(namespace)) return false;
    const others = collections.filter((each) => each !== own);
    const ofNamespace = others.reduce((sum, { current }) => sum + current.of(namespace), account.of(namespace) + bytes);
    if (ofNamespace > perNamespace) {
      exceed(namespace, `more than ${mebibytes(perNamespace)} of names, labels and tags`);
      return false;
    }
    const total = others.reduce((sum, { current }) => sum + current.total, account.total + bytes);
    if (total > inAll) {
      const sums = new Map<string, number>([[namespace, bytes]]);
      for (const each of [account, ...others.map(({ current }) => current)]) each.addTo(sums);
      const [largest = namespace] = [...sums].reduce((most, each) => (each[1] > most[1] ? each : most));
      account.drop(largest);
      exceed(largest, `more than any other, while all namespaces together have more than ${mebibytes(inAll)} of names, labels and tags`);
      return largest !== namespace;
    }
    return true;
  }

  function exceed(namespace: string, what: string): void {
    over.add(namespace);
    for (const { current } of collections) current.drop(namespace);
    log.warn(
      { namespace },
      `namespace ${namespace} has ${what}: its ServiceAccounts and ImageStreams are ignored. Templates in it get no pull secrets, its Pods get those of the rules, and builds from its image streams are denied. Delete what it does not need; it is measured again every 5 minutes`,
    );
  }

  return {
    store<T extends KubeObject>({ sizeOf, measure, reload }: BudgetedCollection<T>): CollectionStore<T> {
      const own = { current: new Account(() => undefined), measure, reload };
      collections.push(own);
      const create = () => {
        const store: BudgetedMap<T> = new BudgetedMap(sizeOf, (namespace, bytes) => admit(store.account, own, namespace, bytes));
        return store;
      };
      return {
        create,
        adopt(store) {
          if (!(store instanceof BudgetedMap)) throw new Error('a store of another collection');
          // While it was filled, another collection may have used up the room.
          for (const namespace of over) store.account.drop(namespace);
          own.current = store.account;
        },
      };
    },
    isOver: (namespace) => over.has(namespace),
    over: () => [...over],
    heldBytes,
    close: () => checks.close(),
  };
}

/** What the objects of one list take, by namespace. */
class Account {
  readonly #sums = new Map<string, number>();
  readonly #onDrop: (namespace: string) => void;
  total = 0;

  constructor(onDrop: (namespace: string) => void) {
    this.#onDrop = onDrop;
  }

  of(namespace: string): number {
    return this.#sums.get(namespace) ?? 0;
  }

  add(namespace: string, bytes: number): void {
    const sum = this.of(namespace) + bytes;
    if (sum > 0) this.#sums.set(namespace, sum);
    else this.#sums.delete(namespace);
    this.total += bytes;
  }

  addTo(sums: Map<string, number>): void {
    for (const [namespace, bytes] of this.#sums) sums.set(namespace, (sums.get(namespace) ?? 0) + bytes);
  }

  drop(namespace: string): void {
    if (this.of(namespace) > 0) this.#onDrop(namespace);
  }
}

/** A map by `namespace/name` that does not take what is beyond the budget. */
class BudgetedMap<T extends KubeObject> extends Map<string, T> {
  readonly account: Account;
  readonly #sizeOf: (object: T) => number;
  readonly #admit: (namespace: string, bytes: number) => boolean;

  constructor(sizeOf: (object: T) => number, admit: (namespace: string, bytes: number) => boolean) {
    super();
    this.#sizeOf = sizeOf;
    this.#admit = admit;
    this.account = new Account((namespace) => {
      for (const key of this.keys()) if (key.startsWith(`${namespace}/`)) this.delete(key);
    });
  }

  override set(key: string, object: T): this {
    this.delete(key);
    const bytes = this.#sizeOf(object);
    const namespace = namespaceOf(key);
    if (this.#admit(namespace, bytes)) {
      this.account.add(namespace, bytes);
      super.set(key, object);
    } else {
      // What the list under way has collected of it before.
      this.account.drop(namespace);
    }
    return this;
  }

  override delete(key: string): boolean {
    const known = this.get(key);
    if (known !== undefined) this.account.add(namespaceOf(key), -this.#sizeOf(known));
    return super.delete(key);
  }
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function mebibytes(bytes: number): string {
  return `${Math.round((bytes / 1024 / 1024) * 100) / 100} MiB`;
}

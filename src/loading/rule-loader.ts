/** The way of rules into the book: documents are parsed beside the requests. Those of namespaces have a queue of their own behind the cluster's. */
import type { Bundle, ReadBundle, RuleStore, RulesChange } from '../rules/store/rule-store.ts';
import type { Clock } from '../time/clock.ts';
import type { DocumentParser } from './document-parser.ts';
import { createNamespaceQueue, type NamespaceTimings } from './namespace-queue.ts';
import { readBundleInSteps } from './read-bundle.ts';

/**
 * As the book's own, but later: each resolves when it is done and told. The cluster's come in the order of the calls. Of a namespace's bundle
 * only the newest version counts, and its promise is that of the version which replaced it.
 */
export type RuleLoader = {
  /** Resolves when the rules of namespaces are read too; the cluster's are in force before. */
  open(bundles: readonly Bundle[], lastGood?: readonly Bundle[]): Promise<void>;
  offer(bundle: Bundle): Promise<void>;
  /** `scope` is that of the bundle, the cluster's unless given. */
  withdraw(id: string, scope?: Bundle['scope']): Promise<void>;
  /** Whether the namespace had rules at the opening that have not been read yet: what they deny is not known. */
  isStillLoading(namespace: string): boolean;
  /** What a replica should wait for before it is ready, for 20 s at most: rules of namespaces that were there at the start. */
  missing(): string | undefined;
  /** Namespaces whose rules have changed and wait to be read. */
  waitingNamespaces(): number;
  /**
   * Drops what waits and what is being read: nothing reaches the book or `onChange` from now on, and nothing counts as refused because its
   * thread ends. To be called before the parsers are stopped.
   */
  stop(): void;
};

export type RuleLoaderOptions = {
  readonly store: RuleStore;
  /** `namespaces` must be another thread than `cluster`: an edit of the cluster's rules never waits for a namespace's document. */
  readonly parsers: { readonly cluster: DocumentParser; readonly namespaces: DocumentParser };
  readonly onChange: (changes: readonly RulesChange[]) => void;
  /** Versions of a namespace's bundle that were not read, since a newer one came or nothing in them had changed. */
  readonly onSkipped?: (versions: number) => void;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<NamespaceTimings>;
};

export function createRuleLoader({ store, parsers, onChange, onSkipped = () => undefined, clock, timings }: RuleLoaderOptions): RuleLoader {
  const namespaces = createNamespaceQueue({ store, parser: parsers.namespaces, onChange, onSkipped, clock, timings });
  let last: Promise<void> = Promise.resolve();
  let stopped = false;

  /** What `read` gives is taken over at once, unless it was read while the program ended. */
  function enqueue<Read>(read: () => Promise<Read>, apply: (read: Read) => readonly RulesChange[]): Promise<void> {
    const turn = last.then(async () => {
      if (stopped) return;
      const done = await read();
      if (!stopped) onChange(apply(done));
    });
    // A failure is the caller's to tell; who comes next goes on.
    last = turn.catch(() => undefined);
    return turn;
  }

  async function readAll(bundles: readonly Bundle[]): Promise<ReadBundle[]> {
    const read: ReadBundle[] = [];
    for (const bundle of bundles) read.push(await readBundleInSteps(bundle, parsers.cluster.parse));
    return read;
  }

  return {
    async open(bundles, lastGood = []) {
      const ofNamespaces = bundles.filter(({ scope }) => scope?.kind === 'namespace');
      const ofCluster = bundles.filter(({ scope }) => scope?.kind !== 'namespace');
      const opened = enqueue(
        async () => [await readAll(ofCluster), await readAll(lastGood)] as const,
        (read) => store.open(...read),
      );
      await Promise.all([opened, namespaces.open(ofNamespaces, opened)]);
    },
    offer: (bundle) =>
      bundle.scope?.kind === 'namespace'
        ? namespaces.offer(bundle, bundle.scope.namespace)
        : enqueue(() => readBundleInSteps(bundle, parsers.cluster.parse), store.offer),
    withdraw: (id, scope) =>
      scope?.kind === 'namespace' ? namespaces.withdraw(id, scope.namespace) : enqueue(async () => id, store.withdraw),
    isStillLoading: namespaces.isStillLoading,
    missing: namespaces.missing,
    waitingNamespaces: namespaces.waitingNamespaces,
    stop() {
      stopped = true;
      namespaces.close();
    },
  };
}

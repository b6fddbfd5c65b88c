/** Parses rules off the request path and loads them into the rule store. Rules of namespaces have a separate queue behind the cluster's. */
import type { Bundle, ReadBundle, RuleStore, RulesChange } from '../rules/store/rule-store.ts';
import type { Clock } from '../time/clock.ts';
import type { DocumentParser } from './document-parser.ts';
import { createNamespaceQueue, type NamespaceTimings } from './namespace-queue.ts';
import { readBundleInSteps } from './read-bundle.ts';

/**
 * Like the rule store's own methods, but asynchronous: each resolves when its change is applied and reported. Changes of the cluster's
 * rules are applied in the order of the calls. Of a namespace's bundle only the newest version counts, and its promise is that of the
 * version which replaced it.
 */
export type RuleLoader = {
  /** Resolves when the rules of namespaces are loaded too. The cluster's are in force earlier. */
  open(bundles: readonly Bundle[], lastGood?: readonly Bundle[]): Promise<void>;
  offer(bundle: Bundle): Promise<void>;
  /** `scope` is that of the bundle. The default is the cluster's. */
  withdraw(id: string, scope?: Bundle['scope']): Promise<void>;
  /** Whether the namespace had rules at the start that have not been loaded yet. It is unknown what they deny. */
  isStillLoading(namespace: string): boolean;
  /** Why the replica should not be ready yet, for 20 s at most: rules of namespaces that existed at the start have not been loaded. */
  missing(): string | undefined;
  /** The number of namespaces whose changed rules have not been loaded yet. */
  waitingNamespaces(): number;
  /**
   * Drops all pending and running work. Nothing reaches the store or `onChange` from now on, and no document is rejected because its thread
   * ends. Call it before the parsers are stopped.
   */
  stop(): void;
};

export type RuleLoaderOptions = {
  readonly store: RuleStore;
  /** `namespaces` must be another thread than `cluster`, so that a change of the cluster's rules never waits for a namespace's document. */
  readonly parsers: { readonly cluster: DocumentParser; readonly namespaces: DocumentParser };
  readonly onChange: (changes: readonly RulesChange[]) => void;
  /**
   * Called with the number of versions of a namespace's bundle that were not parsed, because a newer one arrived or their texts had not
   * changed.
   */
  readonly onSkipped?: (versions: number) => void;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<NamespaceTimings>;
};

export function createRuleLoader({ store, parsers, onChange, onSkipped = () => undefined, clock, timings }: RuleLoaderOptions): RuleLoader {
  const namespaces = createNamespaceQueue({ store, parser: parsers.namespaces, onChange, onSkipped, clock, timings });
  let last: Promise<void> = Promise.resolve();
  let stopped = false;

  /** Applies the result of `read` after earlier calls are done, unless the loader was stopped meanwhile. */
  function enqueue<Read>(read: () => Promise<Read>, apply: (read: Read) => readonly RulesChange[]): Promise<void> {
    const turn = last.then(async () => {
      if (stopped) return;
      const done = await read();
      if (!stopped) onChange(apply(done));
    });
    // The caller reports the failure, and the next call continues.
    last = turn.catch(() => undefined);
    return turn;
  }

  async function readAll(bundles: readonly Bundle[]): Promise<ReadBundle[]> {
    const read: ReadBundle[] = [];
    const parse: DocumentParser['parse'] = (document) => parsers.cluster.parse(document, 'at start');
    for (const bundle of bundles) read.push(await readBundleInSteps(bundle, parse));
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

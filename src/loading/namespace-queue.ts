/** Loads the rules of namespaces, fairly between namespaces, and with a limit for the cost of each. */
import { createHash } from 'node:crypto';
import { setImmediate as yieldToRequests } from 'node:timers/promises';
import { maxProblems } from '../rules/language/parse.ts';
import { firstProblems } from '../rules/language/problem.ts';
import { addSizes, noRules, sizeOf } from '../rules/store/namespace-quota.ts';
import type { Bundle, ReadBundle, RuleStore, RulesChange, RulesStep } from '../rules/store/rule-store.ts';
import { type Clock, sleep, systemClock } from '../time/clock.ts';
import type { DocumentParser, TextToParse } from './document-parser.ts';
import { findWideningInSteps, readBundleInSteps } from './read-bundle.ts';
import { createRoundRobin } from './round-robin.ts';

export type NamespaceQueue = {
  /**
   * Loads the bundles that exist at the start. Parses nothing before `opened` resolves, since rules of namespaces depend on the cluster's
   * rules.
   */
  open(bundles: readonly Bundle[], opened: Promise<void>): Promise<void>;
  offer(bundle: Bundle, namespace: string): Promise<void>;
  withdraw(id: string, namespace: string): Promise<void>;
  isStillLoading(namespace: string): boolean;
  missing(): string | undefined;
  waitingNamespaces(): number;
  /** Drops all pending and running work. Nothing is passed to the store or reported from now on. */
  close(): void;
};

/** In milliseconds. */
export type NamespaceTimings = {
  /** Pause between two rounds of one namespace. Changes that arrive meanwhile are loaded together, each bundle once. */
  readonly betweenRounds: number;
};

export type NamespaceQueueOptions = {
  readonly store: RuleStore;
  readonly parser: DocumentParser;
  readonly onChange: (changes: readonly RulesChange[]) => void;
  readonly onSkipped: (versions: number) => void;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<NamespaceTimings> | undefined;
};

const defaultTimings: NamespaceTimings = { betweenRounds: 1_000 };

/** Bundles of one namespace in one round. Those over the quota are rejected without parsing and cost next to nothing. */
const maxBundlesPerRound = 40;
/** Namespaces whose changes are applied together, so that the rules in force are compiled once for all of them. */
const maxNamespacesPerChange = 50;
/**
 * After its work a namespace pauses four times as long. So does the main thread after it has applied rules of namespaces. So neither uses
 * more than a fifth of a CPU.
 */
const pauseFactor = 4;
/** A replica becomes ready after so long, even if rules of some namespaces have not been loaded. */
const maxStartMilliseconds = 20_000;

/** The pending action of a bundle: to load its newest version, which is read when its turn comes, or to withdraw it. */
type Action = { readonly readNewest: () => Bundle | undefined } | 'withdraw';
type PendingAction = { action: Action; readonly done: PromiseWithResolvers<void> };

type Lane = {
  readonly namespace: string;
  /** By the id of the bundle. */
  readonly pending: Map<string, PendingAction>;
  /** Bundles that existed at the start and have not been loaded. */
  readonly unreadAtStart: Set<string>;
  /** For each bundle id, a hash of the texts whose parse result would be the same again. */
  readonly readHashes: Map<string, string>;
  /** Bundles that were over the quota at their turn. There are never more than the informer keeps for the namespace. */
  readonly overQuota: Map<string, () => Bundle | undefined>;
  running: boolean;
};

export function createNamespaceQueue({
  store,
  parser,
  onChange,
  onSkipped,
  clock = systemClock,
  timings,
}: NamespaceQueueOptions): NamespaceQueue {
  const { betweenRounds } = { ...defaultTimings, ...timings };
  const { monotonic: now } = clock;
  const lanes = new Map<string, Lane>();
  const roundRobin = createRoundRobin();
  const applySteps = createStepQueue();
  let clusterRulesReadAt: number | undefined;
  let closed = false;

  function enqueue(namespace: string, id: string, action: Action, begin = true): Promise<void> {
    if (closed) return Promise.resolve();
    const lane = lanes.get(namespace) ?? newLane(namespace);
    lanes.set(namespace, lane);
    const work = lane.pending.get(id) ?? { action, done: withResolvers() };
    if (lane.pending.has(id)) onSkipped(1);
    work.action = action;
    lane.pending.set(id, work);
    if (begin && !lane.running) void run(lane);
    return work.done.promise;
  }

  async function run(lane: Lane): Promise<void> {
    lane.running = true;
    // Lets changes of the same watch event be loaded together.
    await yieldToRequests();
    while (lane.pending.size > 0 && !closed) {
      const pendingOfRound = new Map<string, PendingAction>();
      const spent = { milliseconds: 0 };
      try {
        const steps = await readRound(lane, pendingOfRound, spent);
        if (steps.length > 0 && !closed) await applySteps(steps);
        for (const id of pendingOfRound.keys()) lane.unreadAtStart.delete(id);
        for (const { done } of pendingOfRound.values()) done.resolve();
        if (lane.overQuota.size > 0) await retryOverQuota(lane, spent);
      } catch (error) {
        // The caller logs the failure, and the next round continues.
        for (const [id, work] of pendingOfRound) {
          // The action is not retried forever. A newer version that arrived meanwhile is a new action.
          if (lane.pending.get(id) === work) lane.pending.delete(id);
          lane.readHashes.delete(id);
          // Only the rules of the cluster apply then, as for a document that cannot be parsed.
          lane.unreadAtStart.delete(id);
          work.done.reject(error);
        }
      }
      await sleep(clock, Math.max(betweenRounds, pauseFactor * spent.milliseconds));
    }
    lane.running = false;
    if (lane.readHashes.size === 0 && lane.overQuota.size === 0) lanes.delete(lane.namespace);
  }

  /** Loads as many bundles as fit into the quota. The others wait for the next round. */
  async function readRound(lane: Lane, pendingOfRound: Map<string, PendingAction>, spent: { milliseconds: number }): Promise<RulesStep[]> {
    const steps: RulesStep[] = [];
    let size = noRules;
    // A copy, so that changes that arrive meanwhile wait for the next round.
    for (const [id, work] of [...lane.pending]) {
      if (pendingOfRound.size === maxBundlesPerRound) break;
      if (closed) break;
      // Before any step that can fail, so that a failure is reported for this action.
      pendingOfRound.set(id, work);
      const { action } = work;
      const bundle = action === 'withdraw' ? undefined : action.readNewest();
      const overQuota = bundle && store.rejectIfOverQuota(bundle);
      if (bundle && !overQuota) {
        // Together with the others of this round it may exceed the quota. The next round finds out.
        if (steps.length > 0 && store.rejectIfOverQuota(bundle, size)) {
          pendingOfRound.delete(id);
          break;
        }
        size = addSizes(size, sizeOf(bundle));
      }
      lane.pending.delete(id);
      lane.overQuota.delete(id);
      if (action === 'withdraw') {
        lane.readHashes.delete(id);
        steps.push({ withdraw: id });
      } else if (bundle && overQuota) {
        lane.readHashes.delete(id);
        if (bundle.readNewest) lane.overQuota.set(id, bundle.readNewest);
        steps.push({ offer: overQuota });
      } else if (bundle) {
        const read = await readOne(lane, bundle, spent);
        if (read) steps.push({ offer: read });
      }
      // Otherwise the bundle no longer exists, and its deletion is a separate action.
    }
    return steps;
  }

  /** Undefined if the same texts were parsed before, for example after a change of labels. */
  async function readOne(lane: Lane, bundle: Bundle, spent: { milliseconds: number }): Promise<ReadBundle | undefined> {
    const hash = hashOf(bundle);
    if (lane.readHashes.get(bundle.id) === hash) {
      onSkipped(1);
      return undefined;
    }
    const parse = async (document: TextToParse) => {
      const started = now();
      const result = await parser.parse(document);
      spent.milliseconds += now() - started;
      return result;
    };
    const read = await readBundleInSteps(bundle, (document) => roundRobin.run(lane.namespace, () => parse(document)));
    lane.readHashes.delete(bundle.id);
    if (lane.readHashes.size < maxHashes && isRepeatable(read)) lane.readHashes.set(bundle.id, hash);
    return read;
  }

  /**
   * Retries bundles that were over the quota. All of them are measured, since the last may be the only one that fits. The time counts as
   * the namespace's work.
   */
  async function retryOverQuota(lane: Lane, spent: { milliseconds: number }): Promise<void> {
    const entries = [...lane.overQuota];
    for (let from = 0; from < entries.length && !closed; from += maxBundlesPerRound) {
      await yieldToRequests();
      const started = now();
      for (const [id, readNewest] of entries.slice(from, from + maxBundlesPerRound)) {
        const bundle = lane.pending.has(id) || !lane.overQuota.has(id) ? undefined : readNewest();
        if (bundle && !store.rejectIfOverQuota(bundle)) lane.pending.set(id, { action: { readNewest }, done: withResolvers() });
      }
      spent.milliseconds += now() - started;
    }
  }

  /** Applies changes to the store one after the other, of several namespaces at once, with a pause after each. */
  function createStepQueue(): (steps: readonly RulesStep[]) => Promise<void> {
    let ready: { steps: readonly RulesStep[]; done: PromiseWithResolvers<void> }[] = [];
    let applying = false;

    async function applyAll(): Promise<void> {
      applying = true;
      while (ready.length > 0) {
        const together = ready.slice(0, maxNamespacesPerChange);
        ready = ready.slice(maxNamespacesPerChange);
        const started = now();
        try {
          if (!closed) onChange(await changeStore(together.flatMap(({ steps }) => steps)));
          for (const { done } of together) done.resolve();
        } catch (error) {
          for (const { done } of together) done.reject(error);
        }
        await sleep(clock, pauseFactor * (now() - started));
      }
      applying = false;
    }

    return (steps) => {
      const done = Promise.withResolvers<void>();
      ready.push({ steps, done });
      if (!applying) void applyAll();
      return done.promise;
    };
  }

  async function changeStore(steps: readonly RulesStep[]): Promise<readonly RulesChange[]> {
    const offered = new Map(steps.flatMap((step) => ('offer' in step ? [[step.offer.bundle.id, step.offer] as const] : [])));
    const changes: RulesChange[] = [];
    for (const change of store.change(steps)) {
      const read = change.problems.length === 0 ? offered.get(change.id) : undefined;
      const ineffective = read ? await findWideningInSteps(read, store) : [];
      changes.push(
        ineffective.length > 0
          ? { ...change, warnings: firstProblems([...change.warnings, ...ineffective], maxProblems.namespace) }
          : change,
      );
    }
    return changes;
  }

  return {
    async open(bundles, opened) {
      const all = bundles.map((bundle) => {
        const namespace = bundle.scope?.kind === 'namespace' ? bundle.scope.namespace : '';
        const done = enqueue(namespace, bundle.id, { readNewest: bundle.readNewest ?? (() => bundle) }, false);
        lanes.get(namespace)?.unreadAtStart.add(bundle.id);
        return done;
      });
      await opened.catch(() => undefined);
      clusterRulesReadAt = now();
      for (const lane of lanes.values()) if (!lane.running) void run(lane);
      await Promise.all(all);
    },
    offer: (bundle, namespace) => enqueue(namespace, bundle.id, { readNewest: bundle.readNewest ?? (() => bundle) }),
    withdraw: (id, namespace) => enqueue(namespace, id, 'withdraw'),
    isStillLoading: (namespace) => (lanes.get(namespace)?.unreadAtStart.size ?? 0) > 0,
    missing() {
      const left = [...lanes.values()].filter(({ unreadAtStart: opening }) => opening.size > 0).length;
      if (left === 0 || (clusterRulesReadAt !== undefined && now() - clusterRulesReadAt > maxStartMilliseconds)) return undefined;
      return `the rules of ${left} namespaces have not been loaded yet`;
    },
    waitingNamespaces: () => [...lanes.values()].filter(({ pending: works }) => works.size > 0).length,
    close() {
      closed = true;
      for (const { pending: works } of lanes.values()) {
        for (const { done } of works.values()) done.resolve();
        works.clear();
      }
    },
  };
}

/** Limit of hashes for one namespace. */
const maxHashes = 100;

/** Whether parsing the same texts would have the same result. This is not certain after a timeout. */
function isRepeatable({ results }: ReadBundle): boolean {
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  return !problems.some(({ code }) => code === 'document-too-costly');
}

function newLane(namespace: string): Lane {
  return { namespace, pending: new Map(), unreadAtStart: new Set(), readHashes: new Map(), overQuota: new Map(), running: false };
}

function withResolvers(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  // Not every caller handles the rejection.
  resolvers.promise.catch(() => undefined);
  return resolvers;
}

function hashOf({ documents }: Bundle): string {
  const texts = documents.map(({ source, text, unreadable }) => [source, text, unreadable]);
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}

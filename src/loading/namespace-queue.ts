/** The queue of the rules that namespaces have of their own: fair to each namespace, and bounded in what one of them can cost. */
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
  /** What is there at the start. Nothing is read before `opened` resolves: rules of namespaces count beside the cluster's. */
  open(bundles: readonly Bundle[], opened: Promise<void>): Promise<void>;
  offer(bundle: Bundle, namespace: string): Promise<void>;
  withdraw(id: string, namespace: string): Promise<void>;
  isStillLoading(namespace: string): boolean;
  missing(): string | undefined;
  waitingNamespaces(): number;
  /** Drops what waits and what is being read: nothing is offered to the book or reported from now on. */
  close(): void;
};

/** In milliseconds. */
export type NamespaceTimings = {
  /** Between two rounds of one namespace: changes that come meanwhile are read together, each bundle once. */
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

/** Bundles of one namespace in one round. Those that are too much are refused unread, and cost next to nothing. */
const maxBundlesPerRound = 40;
/** Namespaces whose changes are taken over at once: what is in force is put together once for all of them. */
const maxNamespacesPerChange = 50;
/**
 * After its work a namespace rests four times as long, and so does the thread that answers requests after work for the rules of namespaces:
 * neither has more than a fifth of a processor.
 */
const pauseFactor = 4;
/** A replica is ready after so long, even if the rules of some namespaces are still unread. */
const maxStartMilliseconds = 20_000;

/** What waits for a bundle: its newest version, asked for when its turn comes where that is possible, or its end. */
type Action = { readonly readNewest: () => Bundle | undefined } | 'withdraw';
type PendingAction = { action: Action; readonly done: PromiseWithResolvers<void> };

type Lane = {
  readonly namespace: string;
  /** By the id of the bundle. */
  readonly pending: Map<string, PendingAction>;
  /** Bundles of the start that have not been read. */
  readonly unreadAtStart: Set<string>;
  /** By the id of a bundle, a hash of the texts whose reading led to something that lasts. */
  readonly readHashes: Map<string, string>;
  /** Bundles that were too much when their turn came: no more than the watch holds of the namespace. */
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
    // What the same event of a watch brings is read together.
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
        // A failure is the caller's to log; the next round goes on.
        for (const [id, work] of pendingOfRound) {
          // Not tried once a second for ever. A newer version that came meanwhile is another work.
          if (lane.pending.get(id) === work) lane.pending.delete(id);
          lane.readHashes.delete(id);
          // The failure is logged. As with a document that cannot be read, the rules of the cluster alone count then.
          lane.unreadAtStart.delete(id);
          work.done.reject(error);
        }
      }
      await sleep(clock, Math.max(betweenRounds, pauseFactor * spent.milliseconds));
    }
    lane.running = false;
    if (lane.readHashes.size === 0 && lane.overQuota.size === 0) lanes.delete(lane.namespace);
  }

  /** Reads as much as a namespace may have; the rest waits for the next round. */
  async function readRound(lane: Lane, pendingOfRound: Map<string, PendingAction>, spent: { milliseconds: number }): Promise<RulesStep[]> {
    const steps: RulesStep[] = [];
    let size = noRules;
    // As of now: what comes while this is read waits for the next round.
    for (const [id, work] of [...lane.pending]) {
      if (pendingOfRound.size === maxBundlesPerRound) break;
      if (closed) break;
      // Before anything can fail, so that the failure is that of this work.
      pendingOfRound.set(id, work);
      const { action } = work;
      const bundle = action === 'withdraw' ? undefined : action.readNewest();
      const overQuota = bundle && store.rejectIfOverQuota(bundle);
      if (bundle && !overQuota) {
        // With the others of this round it may be too much, and the next round tells.
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
      // Otherwise it is gone; that it was deleted comes as a work of its own.
    }
    return steps;
  }

  /** Undefined where the same texts were read before, such as after a change of labels. */
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
   * There may be room now for what was too much before. All are measured, however many: the last may be the only one that fits. What that
   * takes counts as the namespace's work.
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

  /** Changes of the book are made in turn, several namespaces at once, with a rest behind. */
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
      return `the rules of ${left} namespaces have not been read yet`;
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

/** Hashes kept for one namespace. */
const maxHashes = 100;

/** Whether reading the same once more would come to the same: not where it took too long, nor where other bundles have a say. */
function isRepeatable({ results }: ReadBundle): boolean {
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  return !problems.some(({ code }) => code === 'document-too-costly');
}

function newLane(namespace: string): Lane {
  return { namespace, pending: new Map(), unreadAtStart: new Set(), readHashes: new Map(), overQuota: new Map(), running: false };
}

function withResolvers(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  // Not everybody waits for it.
  resolvers.promise.catch(() => undefined);
  return resolvers;
}

function hashOf({ documents }: Bundle): string {
  const texts = documents.map(({ source, text, unreadable }) => [source, text, unreadable]);
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}

/** Loads the rules of namespaces, fairly between namespaces, and with a limit for the cost of each. */
import { setImmediate as yieldToRequests } from 'node:timers/promises';
import { countOf } from '../image/wording.ts';
import type { Bundle, RuleStore, RulesChange } from '../rules/store/rule-store.ts';
import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { createApplyQueue } from './apply-queue.ts';
import type { DocumentParser } from './document-parser.ts';
import { type Action, createLaneReader, type Lane, newLane, type Round, withResolvers } from './namespace-lane.ts';

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

/**
 * After its work a namespace pauses four times as long. So does the main thread after it has applied rules of namespaces. So neither uses
 * more than a fifth of a CPU.
 */
const pauseFactor = 4;
/** A replica becomes ready after so long, even if rules of some namespaces have not been loaded. */
const maxStartMilliseconds = 20_000;

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
  let clusterRulesReadAt: number | undefined;
  let closed = false;
  const reader = createLaneReader({ store, parser, onSkipped, clock, isClosed: () => closed });
  const applyQueue = createApplyQueue({ store, onChange, clock, pauseFactor });

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
      const round: Round = { taken: new Map(), spent: 0 };
      try {
        const steps = await reader.read(lane, round);
        if (steps.length > 0 && !closed) await applyQueue.apply(steps);
        for (const id of round.taken.keys()) lane.unreadAtStart.delete(id);
        for (const { done } of round.taken.values()) done.resolve();
        if (lane.overQuota.size > 0) await reader.retryOverQuota(lane, round);
      } catch (error) {
        // The caller logs the failure, and the next round continues.
        for (const [id, work] of round.taken) {
          // The action is not retried forever. A newer version that arrived meanwhile is a new action.
          if (lane.pending.get(id) === work) lane.pending.delete(id);
          lane.readHashes.delete(id);
          // Only the rules of the cluster apply then, as for a document that cannot be parsed.
          lane.unreadAtStart.delete(id);
          work.done.reject(error);
        }
      }
      await sleep(clock, Math.max(betweenRounds, pauseFactor * round.spent));
    }
    lane.running = false;
    if (lane.readHashes.size === 0 && lane.overQuota.size === 0) lanes.delete(lane.namespace);
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
      return `the rules of ${countOf(left, 'namespace')} have not been loaded yet`;
    },
    waitingNamespaces: () => [...lanes.values()].filter(({ pending: works }) => works.size > 0).length,
    close() {
      closed = true;
      applyQueue.close();
      for (const { pending: works } of lanes.values()) {
        for (const { done } of works.values()) done.resolve();
        works.clear();
      }
    },
  };
}

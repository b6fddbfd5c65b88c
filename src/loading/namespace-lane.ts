/** The rules of one namespace that wait to be loaded, and how a round of them is read. */
import { createHash } from 'node:crypto';
import { setImmediate as yieldToRequests } from 'node:timers/promises';
import { addSizes, noRules, sizeOf } from '../rules/store/namespace-quota.ts';
import type { Bundle, ReadBundle, RuleStore, RulesStep } from '../rules/store/rule-store.ts';
import type { Clock } from '../time/clock.ts';
import type { DocumentParser, TextToParse } from './document-parser.ts';
import { readBundleInSteps } from './read-bundle.ts';
import { createRoundRobin } from './round-robin.ts';

/** Bundles of one namespace in one round. Those over the quota are rejected without parsing and cost next to nothing. */
const maxBundlesPerRound = 40;

/** The pending action of a bundle: to load its newest version, which is read when its turn comes, or to withdraw it. */
export type Action = { readonly readNewest: () => Bundle | undefined } | 'withdraw';
export type PendingAction = { action: Action; readonly done: PromiseWithResolvers<void> };

export type Lane = {
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

/** The work of one round. */
export type Round = {
  /** By the id of the bundle, what the round takes from the lane. Filled while it is read, so that a failure is reported for these. */
  readonly taken: Map<string, PendingAction>;
  /** Milliseconds of a thread's time that were used. */
  spent: number;
};

export type LaneReader = {
  /** Loads as many bundles as fit into the quota. The others wait for the next round. */
  read(lane: Lane, round: Round): Promise<readonly RulesStep[]>;
  /**
   * Retries bundles that were over the quota. All of them are measured, since the last may be the only one that fits. The time counts as
   * the namespace's work.
   */
  retryOverQuota(lane: Lane, round: Round): Promise<void>;
};

export type LaneReaderOptions = {
  readonly store: RuleStore;
  readonly parser: DocumentParser;
  readonly onSkipped: (versions: number) => void;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Whether the remaining work is to be dropped. */
  readonly isClosed: () => boolean;
};

export function createLaneReader({ store, parser, onSkipped, clock, isClosed }: LaneReaderOptions): LaneReader {
  const { monotonic: now } = clock;
  const roundRobin = createRoundRobin();

  async function read(lane: Lane, round: Round): Promise<readonly RulesStep[]> {
    const steps: RulesStep[] = [];
    let size = noRules;
    // A copy, so that changes that arrive meanwhile wait for the next round.
    for (const [id, work] of [...lane.pending]) {
      if (round.taken.size === maxBundlesPerRound || isClosed()) break;
      // Before any step that can fail, so that a failure is reported for this action.
      round.taken.set(id, work);
      const { action } = work;
      const bundle = action === 'withdraw' ? undefined : action.readNewest();
      const overQuota = bundle && store.rejectIfOverQuota(bundle);
      if (bundle && !overQuota) {
        // Together with the others of this round it may exceed the quota. The next round finds out.
        if (steps.length > 0 && store.rejectIfOverQuota(bundle, size)) {
          round.taken.delete(id);
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
        const offer = await readOne(lane, bundle, round);
        if (offer) steps.push({ offer });
      }
      // Otherwise the bundle no longer exists, and its deletion is a separate action.
    }
    return steps;
  }

  /** Undefined if the same texts were parsed before, for example after a change of labels. */
  async function readOne(lane: Lane, bundle: Bundle, round: Round): Promise<ReadBundle | undefined> {
    const hash = hashOf(bundle);
    if (lane.readHashes.get(bundle.id) === hash) {
      onSkipped(1);
      return undefined;
    }
    const parse = async (document: TextToParse) => {
      const started = now();
      const result = await parser.parse(document);
      round.spent += now() - started;
      return result;
    };
    const readBundle = await readBundleInSteps(bundle, (document) => roundRobin.run(lane.namespace, () => parse(document)));
    lane.readHashes.delete(bundle.id);
    if (lane.readHashes.size < maxHashes && isRepeatable(readBundle)) lane.readHashes.set(bundle.id, hash);
    return readBundle;
  }

  async function retryOverQuota(lane: Lane, round: Round): Promise<void> {
    const entries = [...lane.overQuota];
    for (let from = 0; from < entries.length && !isClosed(); from += maxBundlesPerRound) {
      await yieldToRequests();
      const started = now();
      for (const [id, readNewest] of entries.slice(from, from + maxBundlesPerRound)) {
        const bundle = lane.pending.has(id) || !lane.overQuota.has(id) ? undefined : readNewest();
        if (bundle && !store.rejectIfOverQuota(bundle)) lane.pending.set(id, { action: { readNewest }, done: withResolvers() });
      }
      round.spent += now() - started;
    }
  }

  return { read, retryOverQuota };
}

/** Limit of hashes for one namespace. */
const maxHashes = 100;

/** Whether parsing the same texts would have the same result. This is not certain after a timeout. */
function isRepeatable({ results }: ReadBundle): boolean {
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  return !problems.some(({ code }) => code === 'document-too-costly');
}

export function newLane(namespace: string): Lane {
  return { namespace, pending: new Map(), unreadAtStart: new Set(), readHashes: new Map(), overQuota: new Map(), running: false };
}

export function withResolvers(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  // Not every caller handles the rejection.
  resolvers.promise.catch(() => undefined);
  return resolvers;
}

function hashOf({ documents }: Bundle): string {
  const texts = documents.map(({ source, text, unreadable }) => [source, text, unreadable]);
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}

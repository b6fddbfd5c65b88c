/** The queue of the rules that namespaces have of their own: fair to each namespace, and bounded in what one of them can cost. */
import { createHash } from 'node:crypto';
import { setImmediate as otherWork } from 'node:timers/promises';
import { mostProblems } from '../rules/language/parse.ts';
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
  isUnread(namespace: string): boolean;
  opening(): string | undefined;
  waiting(): number;
  /** Drops what waits and what is being read: nothing is offered to the book or reported from now on. */
  close(): void;
};

/** In milliseconds. */
export type NamespaceTimings = {
  /** Between two rounds of one namespace: changes that come meanwhile are read together, each bundle once. */
  readonly betweenRounds: number;
};

export type NamespaceQueueOptions = {
  readonly book: RuleStore;
  readonly parser: DocumentParser;
  readonly onChange: (changes: readonly RulesChange[]) => void;
  readonly onSkipped: (versions: number) => void;
  readonly clock?: Clock | undefined;
  readonly timings?: Partial<NamespaceTimings> | undefined;
};

const defaultTimings: NamespaceTimings = { betweenRounds: 1_000 };

/** Bundles of one namespace in one round. Those that are too much are refused unread, and cost next to nothing. */
const mostInRound = 40;
/** Namespaces whose changes are taken over at once: what is in force is put together once for all of them. */
const mostTakenTogether = 50;
/**
 * After its work a namespace rests four times as long, and so does the thread that answers requests after work for the rules of namespaces:
 * neither has more than a fifth of a processor.
 */
const restFactor = 4;
/** A replica is ready after so long, even if the rules of some namespaces are still unread. */
const longestOpening = 20_000;

/** What waits for a bundle: its newest version, asked for when its turn comes where that is possible, or its end. */
type Action = { readonly newest: () => Bundle | undefined } | 'withdraw';
type Work = { action: Action; readonly done: PromiseWithResolvers<void> };

type Lane = {
  readonly namespace: string;
  /** By the id of the bundle. */
  readonly works: Map<string, Work>;
  /** Bundles of the start that have not been read. */
  readonly opening: Set<string>;
  /** By the id of a bundle, a hash of the texts whose reading led to something that lasts. */
  readonly known: Map<string, string>;
  /** Bundles that were too much when their turn came: no more than the watch holds of the namespace. */
  readonly overQuota: Map<string, () => Bundle | undefined>;
  running: boolean;
};

export function createNamespaceQueue({
  book,
  parser,
  onChange,
  onSkipped,
  clock = systemClock,
  timings,
}: NamespaceQueueOptions): NamespaceQueue {
  const { betweenRounds } = { ...defaultTimings, ...timings };
  const { monotonic: now } = clock;
  const lanes = new Map<string, Lane>();
  const turns = createRoundRobin();
  const takeOver = createTaking();
  let openedAt: number | undefined;
  let closed = false;

  function enqueue(namespace: string, id: string, action: Action, begin = true): Promise<void> {
    if (closed) return Promise.resolve();
    const lane = lanes.get(namespace) ?? newLane(namespace);
    lanes.set(namespace, lane);
    const work = lane.works.get(id) ?? { action, done: withResolvers() };
    if (lane.works.has(id)) onSkipped(1);
    work.action = action;
    lane.works.set(id, work);
    if (begin && !lane.running) void run(lane);
    return work.done.promise;
  }

  async function run(lane: Lane): Promise<void> {
    lane.running = true;
    // What the same event of a watch brings is read together.
    await otherWork();
    while (lane.works.size > 0 && !closed) {
      const taken = new Map<string, Work>();
      const spent = { milliseconds: 0 };
      try {
        const steps = await readRound(lane, taken, spent);
        if (steps.length > 0 && !closed) await takeOver(steps);
        for (const id of taken.keys()) lane.opening.delete(id);
        for (const { done } of taken.values()) done.resolve();
        if (lane.overQuota.size > 0) await retryOverQuota(lane, spent);
      } catch (error) {
        // A failure is the caller's to log; the next round goes on.
        for (const [id, work] of taken) {
          // Not tried once a second for ever. A newer version that came meanwhile is another work.
          if (lane.works.get(id) === work) lane.works.delete(id);
          lane.known.delete(id);
          // The failure is logged. As with a document that cannot be read, the rules of the cluster alone count then.
          lane.opening.delete(id);
          work.done.reject(error);
        }
      }
      await sleep(clock, Math.max(betweenRounds, restFactor * spent.milliseconds));
    }
    lane.running = false;
    if (lane.known.size === 0 && lane.overQuota.size === 0) lanes.delete(lane.namespace);
  }

  /** Reads as much as a namespace may have; the rest waits for the next round. */
  async function readRound(lane: Lane, taken: Map<string, Work>, spent: { milliseconds: number }): Promise<RulesStep[]> {
    const steps: RulesStep[] = [];
    let size = noRules;
    // As of now: what comes while this is read waits for the next round.
    for (const [id, work] of [...lane.works]) {
      if (taken.size === mostInRound) break;
      if (closed) break;
      // Before anything can fail, so that the failure is that of this work.
      taken.set(id, work);
      const { action } = work;
      const bundle = action === 'withdraw' ? undefined : action.newest();
      const tooMuch = bundle && book.rejectUnread(bundle);
      if (bundle && !tooMuch) {
        // With the others of this round it may be too much, and the next round tells.
        if (steps.length > 0 && book.rejectUnread(bundle, size)) {
          taken.delete(id);
          break;
        }
        size = addSizes(size, sizeOf(bundle));
      }
      lane.works.delete(id);
      lane.overQuota.delete(id);
      if (action === 'withdraw') {
        lane.known.delete(id);
        steps.push({ withdraw: id });
      } else if (bundle && tooMuch) {
        lane.known.delete(id);
        if (bundle.again) lane.overQuota.set(id, bundle.again);
        steps.push({ offer: tooMuch });
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
    if (lane.known.get(bundle.id) === hash) {
      onSkipped(1);
      return undefined;
    }
    const parse = async (document: TextToParse) => {
      const started = now();
      const result = await parser.parse(document);
      spent.milliseconds += now() - started;
      return result;
    };
    const read = await readBundleInSteps(bundle, (document) => turns.run(lane.namespace, () => parse(document)));
    lane.known.delete(bundle.id);
    if (lane.known.size < mostKnown && isLasting(read)) lane.known.set(bundle.id, hash);
    return read;
  }

  /**
   * There may be room now for what was too much before. All are measured, however many: the last may be the only one that fits. What that
   * takes counts as the namespace's work.
   */
  async function retryOverQuota(lane: Lane, spent: { milliseconds: number }): Promise<void> {
    const entries = [...lane.overQuota];
    for (let from = 0; from < entries.length && !closed; from += mostInRound) {
      await otherWork();
      const started = now();
      for (const [id, again] of entries.slice(from, from + mostInRound)) {
        const bundle = lane.works.has(id) || !lane.overQuota.has(id) ? undefined : again();
        if (bundle && !book.rejectUnread(bundle)) lane.works.set(id, { action: { newest: again }, done: withResolvers() });
      }
      spent.milliseconds += now() - started;
    }
  }

  /** Changes of the book are made in turn, several namespaces at once, with a rest behind. */
  function createTaking(): (steps: readonly RulesStep[]) => Promise<void> {
    let ready: { steps: readonly RulesStep[]; done: PromiseWithResolvers<void> }[] = [];
    let taking = false;

    async function takeAll(): Promise<void> {
      taking = true;
      while (ready.length > 0) {
        const together = ready.slice(0, mostTakenTogether);
        ready = ready.slice(mostTakenTogether);
        const started = now();
        try {
          if (!closed) onChange(await takeTogether(together.flatMap(({ steps }) => steps)));
          for (const { done } of together) done.resolve();
        } catch (error) {
          for (const { done } of together) done.reject(error);
        }
        await sleep(clock, restFactor * (now() - started));
      }
      taking = false;
    }

    return (steps) => {
      const done = Promise.withResolvers<void>();
      ready.push({ steps, done });
      if (!taking) void takeAll();
      return done.promise;
    };
  }

  async function takeTogether(steps: readonly RulesStep[]): Promise<readonly RulesChange[]> {
    const offered = new Map(steps.flatMap((step) => ('offer' in step ? [[step.offer.bundle.id, step.offer] as const] : [])));
    const changes: RulesChange[] = [];
    for (const change of book.change(steps)) {
      const read = change.problems.length === 0 ? offered.get(change.id) : undefined;
      const idle = read ? await findWideningInSteps(read, book) : [];
      changes.push(
        idle.length > 0 ? { ...change, warnings: firstProblems([...change.warnings, ...idle], mostProblems.namespace) } : change,
      );
    }
    return changes;
  }

  return {
    async open(bundles, opened) {
      const all = bundles.map((bundle) => {
        const namespace = bundle.scope?.kind === 'namespace' ? bundle.scope.namespace : '';
        const done = enqueue(namespace, bundle.id, { newest: bundle.again ?? (() => bundle) }, false);
        lanes.get(namespace)?.opening.add(bundle.id);
        return done;
      });
      await opened.catch(() => undefined);
      openedAt = now();
      for (const lane of lanes.values()) if (!lane.running) void run(lane);
      await Promise.all(all);
    },
    offer: (bundle, namespace) => enqueue(namespace, bundle.id, { newest: bundle.again ?? (() => bundle) }),
    withdraw: (id, namespace) => enqueue(namespace, id, 'withdraw'),
    isUnread: (namespace) => (lanes.get(namespace)?.opening.size ?? 0) > 0,
    opening() {
      const left = [...lanes.values()].filter(({ opening }) => opening.size > 0).length;
      if (left === 0 || (openedAt !== undefined && now() - openedAt > longestOpening)) return undefined;
      return `the rules of ${left} namespaces have not been read yet`;
    },
    waiting: () => [...lanes.values()].filter(({ works }) => works.size > 0).length,
    close() {
      closed = true;
      for (const { works } of lanes.values()) {
        for (const { done } of works.values()) done.resolve();
        works.clear();
      }
    },
  };
}

/** Hashes kept for one namespace. */
const mostKnown = 100;

/** Whether reading the same once more would come to the same: not where it took too long, nor where other bundles have a say. */
function isLasting({ results }: ReadBundle): boolean {
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  return !problems.some(({ code }) => code === 'document-too-costly');
}

function newLane(namespace: string): Lane {
  return { namespace, works: new Map(), opening: new Set(), known: new Map(), overQuota: new Map(), running: false };
}

function withResolvers(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  // Not everybody waits for it.
  made.promise.catch(() => undefined);
  return made;
}

function hashOf({ documents }: Bundle): string {
  const texts = documents.map(({ source, text, unreadable }) => [source, text, unreadable]);
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}

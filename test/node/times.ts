/** Compares how long Pods take with and without regkeeper: the request, the way to the registry, and the way to Running. */

import type { ApiClient, KubeObject } from '../../src/kube/api-client.ts';
import { createInformer } from '../../src/kube/informer.ts';

export interface ComparisonOptions {
  readonly pairs: number;
  /** As long as this returns false, further pairs follow, up to 30 in all. */
  readonly enough: (comparison: Comparison) => boolean;
  readonly with: Side;
  readonly without: Side;
  /** Epoch milliseconds of the node's first request to the registry for this Pod. */
  readonly firstRequestFor: (name: string) => number | undefined;
}

interface Side {
  readonly namespace: string;
  /** The name is also that of the image's repository. */
  readonly podOf: (name: string) => object;
}

/** Milliseconds. Of each list, the values with the same index belong together. */
export interface PodTimes {
  readonly names: string[];
  /** A dry run. */
  readonly dryRun: number[];
  /** From the request to its answer. */
  readonly created: number[];
  /** From the answer to the node's first request to the registry. */
  readonly pulling: number[];
  /** From there to the status Running, as a watch reports it. */
  readonly running: number[];
  /** From the request to Running. */
  readonly total: number[];
}

export interface Comparison {
  readonly with: PodTimes;
  readonly without: PodTimes;
}

const dryRunsPerPair = 10;
const mostPairs = 30;

/** One of each in turn, and each first in half of the pairs, so that the load of the machine meets both. */
export async function comparePods(client: ApiClient, options: ComparisonOptions): Promise<Comparison> {
  const { pairs, enough, firstRequestFor, ...sides } = options;
  const measured = { with: measure(client, sides.with, firstRequestFor), without: measure(client, sides.without, firstRequestFor) };
  const comparison = { with: measured.with.times, without: measured.without.times };
  for (let pair = 0; pair < pairs || (pair < mostPairs && !enough(comparison)); pair++) {
    const turns = pair % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const);
    for (const turn of turns) await measured[turn].run(`timed-${turn}-${pair}`);
    for (let dryRun = 0; dryRun < dryRunsPerPair; dryRun++) for (const turn of turns) await measured[turn].dryRun();
  }
  await Promise.all([measured.with.stop(), measured.without.stop()]);
  return comparison;
}

interface Measured {
  readonly times: PodTimes;
  run(name: string): Promise<void>;
  dryRun(): Promise<void>;
  stop(): Promise<void>;
}

function measure(client: ApiClient, { namespace, podOf }: Side, firstRequestFor: ComparisonOptions['firstRequestFor']): Measured {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const times: PodTimes = { names: [], dryRun: [], created: [], pulling: [], running: [], total: [] };
  const waiting = new Map<string, () => void>();
  const pods = createInformer<KubeObject & { readonly status?: { readonly phase?: string } }>({
    client,
    path,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onChange({ items }) {
      for (const { metadata, status } of items) if (status?.phase === 'Running') waiting.get(metadata.name)?.();
    },
  });
  pods.start();
  return {
    times,
    async run(name) {
      await pods.whenSynced();
      const isRunning = new Promise<void>((settle) => waiting.set(name, settle));
      const requested = now();
      await client.create(path, podOf(name));
      const created = now();
      await isRunning;
      const running = now();
      const asked = firstRequestFor(name);
      if (asked === undefined) throw new Error(`${name} runs, and the registry has not been asked for it`);
      times.names.push(name);
      times.created.push(created - requested);
      times.pulling.push(asked - created);
      times.running.push(running - asked);
      times.total.push(running - requested);
    },
    async dryRun() {
      const requested = now();
      await client.create(path, podOf('dry'), { dryRun: 'All' });
      times.dryRun.push(now() - requested);
    },
    stop: () => pods.stop(),
  };
}

/** Epoch milliseconds with fractions. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Where a machine is busy with something else, this is nearer to the cost of the work itself than the median. */
export function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 4)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

/** Of request to Running, the median of the differences of the pairs, in milliseconds. */
export function differenceToRunning(comparison: Comparison): number {
  return median(differencesOf(comparison, 'total'));
}

function differencesOf(comparison: Comparison, what: Exclude<keyof PodTimes, 'names'>): readonly number[] {
  return comparison.with[what].map((value, index) => value - (comparison.without[what][index] ?? Number.NaN));
}

/** A table: median and worst with and without regkeeper, and the median of the differences of the pairs. */
export function describeComparison(comparison: Comparison): string {
  const rows = [
    ['dry run of a Pod', 'dryRun'],
    ['request to answer', 'created'],
    ['answer to first request at the registry', 'pulling'],
    ['first request at the registry to Running', 'running'],
    ['request to Running', 'total'],
  ] as const;
  const lines = rows.map(([what, key]) => {
    const [one, other] = [comparison.with[key], comparison.without[key]];
    return [what, `${describe(one)}`, `${describe(other)}`, `${median(differencesOf(comparison, key)).toFixed(1)}`];
  });
  const table = [[`ms: median, worst of ${comparison.with.names.length}`, 'with regkeeper', 'without', 'median of differences'], ...lines];
  return table.map(([what = '', ...cells]) => what.padEnd(42) + cells.map((cell) => cell.padEnd(20)).join('')).join('\n');
}

function describe(values: readonly number[]): string {
  return `${median(values).toFixed(1)}, ${Math.max(...values).toFixed(1)}`;
}

/** The Prometheus metrics of secret delivery. docs/metrics.md has every name, and a test compares it with this file. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { CopyFinding } from '../delivery/plan-copy.ts';
import { addProcessMetrics, type ProcessSources } from './metrics.ts';

/** Called when the metrics are scraped. */
export type DeliveryMetricSources = ProcessSources & {
  /** The number of copies by name. */
  copies(): Iterable<readonly [secret: string, copies: number]>;
  /** The sources in the rules. `changedAt` is in epoch milliseconds. */
  sources(): Iterable<{ readonly name: string; readonly usable: boolean; readonly changedAt: number | undefined }>;
  findings(): ReadonlyMap<string, CopyFinding>;
  /** Names in the rules that may not be delivered. */
  notPermitted(): readonly string[];
  /** Copies and namespaces that wait. */
  waiting(): number;
  fenced(): boolean;
};

export type DeliveryMetrics = {
  readonly contentType: string;
  text(): Promise<string>;
  wrote(action: string): void;
  failed(action: string): void;
  rotated(source: string, seconds: number): void;
  rulesInForce(rules: { readonly revision: string }): void;
};

export const deliveryMetrics = {
  copies: {
    name: 'regkeeper_delivery_copies',
    help: 'Delivered copies in all namespaces, by secret.',
    labelNames: ['secret'],
  },
  writes: {
    name: 'regkeeper_delivery_writes_total',
    help: 'Writes to copies, by action and outcome.',
    labelNames: ['action', 'outcome'],
  },
  waiting: {
    name: 'regkeeper_delivery_waiting',
    help: 'Namespaces and copies waiting to be planned or written.',
    labelNames: [],
  },
  findings: {
    name: 'regkeeper_delivery_findings',
    help: 'Copies that an administrator has to correct, by finding.',
    labelNames: ['finding'],
  },
  sourceChanged: {
    name: 'regkeeper_delivery_source_changed_timestamp_seconds',
    help: 'Unix time at which the content of a source was last written.',
    labelNames: ['source'],
  },
  sourceUsable: {
    name: 'regkeeper_delivery_source_usable',
    help: 'Whether a source exists and has registry credentials.',
    labelNames: ['source'],
  },
  rotation: {
    name: 'regkeeper_delivery_rotation_seconds',
    help: 'Time from the last change of a source until its last copy was written.',
    labelNames: ['source'],
  },
  fenced: {
    name: 'regkeeper_delivery_policy_verified',
    help: 'Whether the ValidatingAdmissionPolicy that limits the delivery account was verified to be in effect.',
    labelNames: [],
  },
} as const;

const findings: readonly (CopyFinding | 'not-permitted')[] = [
  'foreign',
  'label-removed',
  'excluded-copy',
  'stuck-deletion',
  'content-unavailable',
  'not-permitted',
];

const actions = ['create', 'update', 'replace', 'delete', 'mark-unused', 'unmark-unused'];

export function createDeliveryMetrics(sources: DeliveryMetricSources): DeliveryMetrics {
  const registry = new Registry();
  const registers = [registry];
  const { revisionInForce } = addProcessMetrics(registry, sources);
  const writes = new Counter({ ...deliveryMetrics.writes, registers });
  const rotation = new Gauge({ ...deliveryMetrics.rotation, registers });
  // Counters begin with 0, since otherwise the first event would not be visible as an increase.
  for (const action of actions) for (const outcome of ['written', 'failed']) writes.inc({ action, outcome }, 0);
  collectOnScrape(registers, sources);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    wrote: (action) => writes.inc({ action, outcome: 'written' }),
    failed: (action) => writes.inc({ action, outcome: 'failed' }),
    rotated: (source, seconds) => rotation.set({ source }, seconds),
    rulesInForce: ({ revision }) => revisionInForce(revision),
  };
}

function collectOnScrape(registers: Registry[], sources: DeliveryMetricSources): void {
  new Gauge({
    ...deliveryMetrics.copies,
    registers,
    collect() {
      this.reset();
      for (const [secret, copies] of sources.copies()) this.set({ secret }, copies);
    },
  });
  new Gauge({
    ...deliveryMetrics.waiting,
    registers,
    collect() {
      this.set(sources.waiting());
    },
  });
  new Gauge({
    ...deliveryMetrics.findings,
    registers,
    collect() {
      for (const finding of findings) this.set({ finding }, 0);
      for (const finding of sources.findings().values()) this.inc({ finding });
      this.set({ finding: 'not-permitted' }, sources.notPermitted().length);
    },
  });
  new Gauge({
    ...deliveryMetrics.sourceChanged,
    registers,
    collect() {
      this.reset();
      for (const { name, changedAt } of sources.sources()) if (changedAt !== undefined) this.set({ source: name }, changedAt / 1_000);
    },
  });
  new Gauge({
    ...deliveryMetrics.sourceUsable,
    registers,
    collect() {
      this.reset();
      for (const { name, usable } of sources.sources()) this.set({ source: name }, usable ? 1 : 0);
    },
  });
  new Gauge({
    ...deliveryMetrics.fenced,
    registers,
    collect() {
      this.set(sources.fenced() ? 1 : 0);
    },
  });
}

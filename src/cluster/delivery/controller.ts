/**
 * The controller of secret delivery: plans the namespaces in which something has changed, and writes what the plans require. It has no state that
 * a restart would lose: every plan follows from what is in the cluster.
 */
import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import type { CopyAction, CopyFinding } from '../../delivery/plan-copy.ts';
import { errorMessage } from '../../errors/error-message.ts';
import type { KubeObject } from '../../kube/api-client.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { Copies } from './copies.ts';
import type { CopyToWrite, CopyWriter } from './copy-writer.ts';
import type { DeliveryNamespaces } from './namespaces.ts';
import type { LiveNamespace, PlannedCopy, Plans } from './plans.ts';
import { createRotations } from './rotations.ts';
import { createWriteQueue, type WriteLimits } from './write-queue.ts';

export type DeliveryController = Component & {
  /** Something has changed in the namespace. */
  changed(namespace: string): void;
  /** Something has changed that may matter for every namespace. */
  allChanged(): void;
  /** A source was written. Its copies follow, and the time until the last one is measured. */
  sourceChanged(source: string): void;
  /** What an administrator has to correct, by copy. */
  findings(): ReadonlyMap<string, CopyFinding>;
  /** Namespaces to plan, and copies to write. */
  waiting(): number;
};

export type WriteAction = Exclude<CopyAction, { do: 'leave' }>;

/** A write, for the audit record. */
export type CopyWrite = {
  readonly namespace: string;
  readonly name: string;
  readonly action: WriteAction;
  readonly planned: PlannedCopy;
  /** The metadata of the copy afterwards. Undefined if it was deleted. */
  readonly secret: KubeObject['metadata'] | undefined;
};

export type ControllerObserver = {
  written(write: CopyWrite): void;
  failed(failure: { readonly namespace: string; readonly name: string; readonly action: WriteAction; readonly error: unknown }): void;
  found(finding: FoundCopy): void;
  /** All copies of a source follow its latest content, so many seconds after it was written. */
  rotated(rotation: { readonly source: string; readonly copies: number; readonly seconds: number }): void;
};

/** A copy that an administrator has to correct. */
export type FoundCopy = {
  readonly namespace: string;
  readonly name: string;
  readonly finding: CopyFinding;
  readonly planned: PlannedCopy;
  /** Whether it was reported before, and is still the case. */
  readonly repeated: boolean;
};

export type ControllerOptions = {
  readonly plans: Plans;
  readonly writer: CopyWriter;
  readonly copies: Pick<Copies, 'names'>;
  readonly namespaces: Pick<DeliveryNamespaces, 'names' | 'readNow'>;
  /** Whether this replica may write: it is the leader, everything has been read, and the fence is proven. */
  readonly mayWrite: () => boolean;
  readonly observer: ControllerObserver;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly limits?: Partial<WriteLimits> | undefined;
};

/** Milliseconds of planning before other work gets its turn, such as renewing the Lease. */
const sliceMilliseconds = 10;
/** Everything is planned again this often, in case a change was missed. */
const resyncMilliseconds = 600_000;
/** How often plans that depend on the time are looked for. */
const tickMilliseconds = 1_000;

export function createDeliveryController(options: ControllerOptions): DeliveryController {
  const { plans, writer, copies, namespaces, mayWrite, observer, log, clock = systemClock } = options;
  const { monotonic, schedule } = clock;
  const dirty = new Set<string>();
  /** Monotonic times at which the plan for a namespace can change although nothing else does. */
  const rechecks = new Map<string, number>();
  const found = new Map<string, CopyFinding>();
  /** The resourceVersions of Secrets that the policy does not accept as copies. Their type, which does not change, is not known here. */
  const rejected = new Map<string, string>();
  const rotations = createRotations(monotonic, (rotation) => observer.rotated(rotation));
  const queue = createWriteQueue({ write, clock, limits: options.limits });
  let draining: Promise<void> | undefined;
  let cancelTick = () => {};
  let resyncAt = 0;
  let couldWrite = false;
  let stopped = false;

  function changed(namespace: string): void {
    if (stopped || !mayWrite()) return;
    dirty.add(namespace);
    draining ??= drain();
  }

  function allChanged(): void {
    if (stopped || !mayWrite()) return;
    resyncAt = monotonic() + resyncMilliseconds;
    forgetUnwatched();
    for (const namespace of namespaces.names()) changed(namespace);
  }

  /** A Secret of a name that is no longer watched is not planned any more. */
  function forgetUnwatched(): void {
    const watched = new Set(copies.names());
    for (const key of found.keys()) if (!watched.has(partsOf(key).name)) found.delete(key);
  }

  async function drain(): Promise<void> {
    await yieldToOthers();
    while (dirty.size > 0 && !stopped) {
      const until = performance.now() + sliceMilliseconds;
      for (const namespace of dirty) {
        dirty.delete(namespace);
        tryPlan(namespace);
        if (performance.now() >= until) break;
      }
      if (dirty.size > 0) await yieldToOthers();
    }
    draining = undefined;
    rotations.planned();
  }

  /** A bug in the plan for one namespace must not stop the delivery to all others. */
  function tryPlan(namespace: string): void {
    try {
      planNamespace(namespace);
    } catch (err) {
      log.error({ err, namespace }, `cannot plan the delivery of secrets: ${errorMessage(err)}`);
    }
  }

  function planNamespace(namespace: string): void {
    if (!mayWrite()) return;
    let recheckAfter = Number.POSITIVE_INFINITY;
    for (const name of copies.names()) {
      const planned = plan(namespace, name);
      if (!planned) continue;
      recheckAfter = Math.min(recheckAfter, planned.recheckAfter ?? recheckAfter);
      const key = keyOf(namespace, name);
      report(namespace, name, planned);
      if (planned.action.do === 'leave') continue;
      if (planned.secret) rotations.pending(planned.secret.source, key);
      queue.add(key, isUrgent(planned.action) ? 'urgent' : 'bulk');
    }
    if (recheckAfter === Number.POSITIVE_INFINITY) rechecks.delete(namespace);
    else rechecks.set(namespace, monotonic() + recheckAfter);
  }

  function plan(namespace: string, name: string, live?: LiveNamespace): PlannedCopy | undefined {
    const planned = plans.of(namespace, name, live);
    const version = planned && 'of' in planned.action ? planned.action.of.resourceVersion : undefined;
    const key = keyOf(namespace, name);
    if (planned && version !== undefined && rejected.get(key) === version) {
      return { ...planned, action: { do: 'leave', because: 'foreign' }, finding: 'foreign' };
    }
    if (planned) rejected.delete(key);
    return planned;
  }

  function report(namespace: string, name: string, planned: PlannedCopy): void {
    const key = keyOf(namespace, name);
    const { finding } = planned;
    if (finding === found.get(key)) return;
    if (finding === undefined) found.delete(key);
    else {
      found.set(key, finding);
      observer.found({ namespace, name, finding, planned, repeated: false });
    }
  }

  function remind(): void {
    for (const [key, finding] of found) {
      const { namespace, name } = partsOf(key);
      const planned = plan(namespace, name);
      if (planned?.finding === finding) observer.found({ namespace, name, finding, planned, repeated: true });
    }
  }

  async function write(key: string, signal: AbortSignal): Promise<'written' | 'nothing' | 'retry'> {
    const { namespace, name } = partsOf(key);
    const expected = planNow(namespace, name);
    if (!expected) {
      rotations.done(key);
      return 'nothing';
    }
    let { action } = expected;
    try {
      // A watch may be late. In the meantime the namespace may have lost its label, or another user may have created one of the same name.
      const live = dependsOnNamespace(action) ? { namespace: await namespaces.readNow(namespace, signal) } : undefined;
      const planned = live ? planNow(namespace, name, live) : expected;
      if (!planned) {
        rotations.done(key);
        return 'nothing';
      }
      action = planned.action;
      const copy = copyOf(namespace, name, planned);
      let outcome = await writer.write(copy, action, signal);
      if (outcome.result === 'immutable' && action.do === 'update') {
        action = { do: 'replace', because: 'immutable', of: action.of };
        outcome = await writer.write(copy, action, signal);
      }
      const { result, secret } = { secret: undefined, ...outcome };
      log.debug({ namespace, secret: name, action: action.do, result }, 'wrote a copy');
      // The need arrives with the next event of a watch.
      if (result === 'needed') rechecks.set(namespace, monotonic() + 30_000);
      if (result === 'conflict') return 'retry';
      if (result === 'foreign') {
        // The watch does not show the Secret yet, so the plan would be the same.
        if (!('of' in action)) return 'retry';
        rejected.set(key, action.of.resourceVersion);
        changed(namespace);
      }
      rotations.done(key, result === 'written');
      if (result === 'written') observer.written({ namespace, name, action, planned, secret });
      return result === 'written' && isContent(action) ? 'written' : 'nothing';
    } catch (error) {
      if (signal.aborted) return 'nothing';
      observer.failed({ namespace, name, action, error });
      return 'retry';
    }
  }

  /** Plans again, since the reason for the write may have gone while it waited. Undefined if there is nothing to write. */
  function planNow(namespace: string, name: string, live?: LiveNamespace): (PlannedCopy & { readonly action: WriteAction }) | undefined {
    const planned = mayWrite() ? plan(namespace, name, live) : undefined;
    return planned && isWrite(planned) ? planned : undefined;
  }

  function tick(): void {
    cancelTick = schedule(tick, tickMilliseconds);
    const canWrite = mayWrite();
    if (canWrite && couldWrite && monotonic() >= resyncAt) remind();
    if (canWrite && (!couldWrite || monotonic() >= resyncAt)) allChanged();
    // Another replica may lead, and report what is the case then.
    if (!canWrite) found.clear();
    couldWrite = canWrite;
    for (const [namespace, at] of rechecks) {
      if (monotonic() < at) continue;
      rechecks.delete(namespace);
      changed(namespace);
    }
  }

  return {
    name: 'secret delivery',
    changed,
    allChanged,
    sourceChanged(source) {
      if (mayWrite()) rotations.begin(source);
      allChanged();
    },
    findings: () => found,
    waiting: () => dirty.size + queue.size,
    start: tick,
    async stop() {
      stopped = true;
      cancelTick();
      await queue.stop();
      await draining;
    },
  };
}

function partsOf(key: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

function isWrite(planned: PlannedCopy): planned is PlannedCopy & { readonly action: WriteAction } {
  return planned.action.do !== 'leave';
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** A Pod may be waiting for a copy that does not exist, or that another writer has changed. */
function isUrgent(action: WriteAction): boolean {
  return action.do === 'create' || action.do === 'replace' || (action.do === 'update' && action.because === 'tampered');
}

/** Whether another writer could make the same write necessary again and again. */
function isContent(action: WriteAction): boolean {
  return action.do === 'create' || action.do === 'update' || action.do === 'replace';
}

/** Whether the action is for a namespace as the watch has reported it, and wrong for another one. */
function dependsOnNamespace(action: WriteAction): boolean {
  return isContent(action) || (action.do === 'delete' && action.because === 'not-entitled');
}

function copyOf(namespace: string, name: string, { content }: PlannedCopy): CopyToWrite {
  const data = content?.data;
  return { namespace, name, content: content && data ? { ...content, data } : undefined };
}

function yieldToOthers(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Starts the parts of the server in order, and stops them in reverse, whatever fails on the way. */
import type { Clock } from '../time/clock.ts';
import { within } from '../time/within.ts';

/**
 * A part of the server that lives as long as the server does. Its constructor wires and does no I/O.
 */
export type Component = {
  readonly name: string;
  /** Resolves when it works; rejects with what the operator must correct. The signal aborts when the start is given up. */
  start?(signal: AbortSignal): Promise<void> | void;
  /** Called once, also after a start that failed or never ended. Resolves when nothing of it runs any more. */
  stop?(): Promise<void> | void;
  /** Its own deadline for stopping, in milliseconds, where it needs more than others. */
  readonly stopWithinMilliseconds?: number;
  /** What is missing before requests can be answered; undefined when nothing is. */
  ready?(): string | undefined;
};

/** Components that start and stop together. */
export type Group = { readonly name: string; readonly components: readonly Component[] };

export function group(name: string, ...components: readonly (Component | undefined | false)[]): Group {
  return { name, components: components.filter((component) => component !== undefined && component !== false) };
}

export type LifecycleOptions = {
  /** A component that throws while it stops, or does not stop in time: the others stop all the same. */
  readonly onStopFailure: (component: string, error: unknown) => void;
  /** Deadline for stopping, in milliseconds, of components that have none themselves. */
  readonly stopWithinMilliseconds: number;
  readonly clock: Pick<Clock, 'schedule'>;
};

export type Lifecycle = {
  /** Resolves when every group has started; rejects with the first failure, after everything that was started has stopped again. */
  readonly started: Promise<void>;
  /** Gives up a start that still runs, then stops the groups in reverse. Never rejects; a second call waits for the first. */
  stop(): Promise<void>;
};

/** Group after group: the next one starts when all components of the one before have. */
export function runGroups(groups: readonly Group[], options: LifecycleOptions): Lifecycle {
  const { clock } = options;
  const abortStart = new AbortController();
  /** Groups whose start was begun, in that order. */
  const startedGroups: Group[] = [];
  let stopping: Promise<void> | undefined;

  async function startAll(): Promise<void> {
    for (const each of groups) {
      abortStart.signal.throwIfAborted();
      startedGroups.push(each);
      await startGroup(each);
    }
    abortStart.signal.throwIfAborted();
  }

  async function startGroup({ components }: Group): Promise<void> {
    const starts = components.map(async (component) => component.start?.(abortStart.signal));
    // A component that ignores the signal must not keep the others from being stopped.
    const abort = rejectOnAbort(abortStart.signal);
    try {
      await Promise.race([Promise.all(starts), abort.rejects]);
    } finally {
      abort.forget();
      for (const start of starts) start.catch(() => undefined);
    }
  }

  async function stopAll(): Promise<void> {
    abortStart.abort(new Error('the server was stopped before it had started'));
    for (const { components } of startedGroups.reverse()) await Promise.all(components.map(stopOne));
  }

  async function stopOne(component: Component): Promise<void> {
    const milliseconds = component.stopWithinMilliseconds ?? options.stopWithinMilliseconds;
    try {
      await within(clock, milliseconds, `did not stop within ${milliseconds / 1_000} s`, async () => component.stop?.());
    } catch (error) {
      options.onStopFailure(component.name, error);
    }
  }

  function stop(): Promise<void> {
    stopping ??= stopAll();
    return stopping;
  }

  const started = startAll().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  // The caller that stops the server need not wait for its start as well.
  started.catch(() => undefined);
  return { started, stop };
}

function rejectOnAbort(signal: AbortSignal): { readonly rejects: Promise<never>; forget(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  promise.catch(() => undefined);
  return { rejects: promise, forget: () => signal.removeEventListener('abort', onAbort) };
}

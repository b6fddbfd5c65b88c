/** Starts the components of the server in order, and stops them in reverse even if some of them fail. */
import type { Component } from '../contracts/component.ts';
import type { Clock } from '../time/clock.ts';
import { within } from '../time/within.ts';

/** The start was cancelled by `stop`: no failure of the server. */
export class StartCancelled extends Error {
  override readonly name = 'StartCancelled';
}

/** Components that start and stop together. */
export type Group = { readonly name: string; readonly components: readonly Component[] };

export function group(name: string, ...components: readonly (Component | undefined | false)[]): Group {
  return { name, components: components.filter((component) => component !== undefined && component !== false) };
}

export type LifecycleOptions = {
  /** Called for a component that throws while it stops, or misses its deadline. The other components are stopped nevertheless. */
  readonly onStopFailure: (component: string, error: unknown) => void;
  /** Deadline in milliseconds for components that set none. */
  readonly stopWithinMilliseconds: number;
  readonly clock: Pick<Clock, 'schedule'>;
};

export type Lifecycle = {
  /** Resolves when every group has started. Rejects with the first failure, after everything that was started has been stopped. */
  readonly started: Promise<void>;
  /** Cancels a start that is still running, then stops the groups in reverse. Never rejects. A second call waits for the first. */
  stop(): Promise<void>;
};

/** Starts the groups one after the other. The next one starts when all components of the previous one have started. */
export function runGroups(groups: readonly Group[], options: LifecycleOptions): Lifecycle {
  const { clock } = options;
  const abortStart = new AbortController();
  /** Groups whose start has begun, in that order. */
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
    abortStart.abort(new StartCancelled('the server was stopped before it had started'));
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
    const cancelled = abortStart.signal.aborted;
    await stop();
    throw cancelled ? abortStart.signal.reason : error;
  });
  // A caller that stops the server need not handle the rejected start as well.
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

/** Writes Events in the background. Whatever happens here affects no request. */
import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, ApiError, boundTo } from '../../kube/api-client.ts';
import { describeRequiredRole } from '../../kube/explain-api-error.ts';
import type { EventDrop } from '../../observe/event-drops.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { OfferedEvent } from './event.ts';
import { createEventQueue, type QueuedEvent } from './event-queue.ts';
import { type WrittenEvent, writeEvent } from './write-event.ts';

export type EventRecorder = ImmediateComponent & {
  /** Returns at once, and never throws. The Event is written later, or dropped. */
  offer(event: OfferedEvent): void;
};

export type EventRecorderOptions = {
  readonly client: ApiClient;
  readonly log: Pick<Log, 'warn'>;
  readonly onWritten: () => void;
  readonly onDropped: (reason: EventDrop) => void;
  readonly clock?: Clock | undefined;
};

/** An Event that keeps occurring is updated this often. In milliseconds. */
const updateInterval = 30_000;
/** After a failure of the API server. */
const retryInterval = 10_000;
const maxFailures = 3;
/** After a missing permission. */
const forbiddenInterval = 60_000;
const logInterval = 600_000;
/** Written Events whose count is remembered. Others are read when they occur again. */
const maxRemembered = 1_000;

/** What failed: finding the object that the Event is about, or writing the Event. */
type Stage = 'find' | 'write';

/** One Event is written at a time. */
export function createEventRecorder({ client, log, onWritten, onDropped, clock = systemClock }: EventRecorderOptions): EventRecorder {
  const { monotonic } = clock;
  const queue = createEventQueue();
  const written = new Map<string, WrittenEvent & { readonly at: number }>();
  const stopping = new AbortController();
  const api = boundTo(stopping.signal, client);
  let state: 'new' | 'idle' | 'writing' | 'stopped' = 'new';
  let writing = Promise.resolve();
  let cancel = () => {};
  let loggedAt = Number.NEGATIVE_INFINITY;

  function schedule(): void {
    if (state !== 'idle') return;
    cancel();
    const due = queue.due();
    if (due !== undefined) cancel = clock.schedule(writeNext, Math.max(0, due - monotonic()));
  }

  function writeNext(): void {
    const next = state === 'idle' ? queue.take(monotonic()) : undefined;
    if (next) {
      state = 'writing';
      writing = process(next).finally(() => {
        if (state === 'writing') state = 'idle';
        schedule();
      });
    } else schedule();
  }

  async function process(next: QueuedEvent): Promise<void> {
    const { event, occurrences } = next;
    const key = keyOf(event);
    const known = written.get(key);
    let stage: Stage = 'find';
    try {
      const regarding = known?.regarding ?? (await event.regarding(stopping.signal));
      if (!regarding) return onDropped('owner-unverified');
      stage = 'write';
      remember(key, await writeEvent({ client: api, event, regarding, known, occurrences, now: clock.now() }));
      onWritten();
    } catch (error) {
      if (!stopping.signal.aborted) handleFailure(next, error, stage);
    }
  }

  function remember(key: string, result: WrittenEvent): void {
    written.delete(key);
    written.set(key, { ...result, at: monotonic() });
    const [oldest] = written.keys();
    if (written.size > maxRemembered && oldest !== undefined) written.delete(oldest);
  }

  function handleFailure(failed: QueuedEvent, error: unknown, stage: Stage): void {
    const failure = failureOf(error);
    if (failure !== 'namespace-deleted') reportTrouble(failed, error, stage);
    // Without this permission, no other Event can be written either.
    if (failure === 'forbidden' && stage === 'write') queue.pause(monotonic() + forbiddenInterval);
    if (error instanceof ApiError && error.retryAfterSeconds !== undefined) queue.pause(monotonic() + error.retryAfterSeconds * 1_000);
    const retry = failure === 'unavailable' && failed.failures + 1 < maxFailures;
    if (!retry) onDropped(failure === 'unavailable' ? 'failed' : failure);
    else if (!queue.putBack(failed, monotonic() + retryInterval)) onDropped('queue-full');
  }

  function reportTrouble({ event: { namespace } }: QueuedEvent, err: unknown, stage: Stage): void {
    if (monotonic() - loggedAt < logInterval) return;
    loggedAt = monotonic();
    const isForbidden = err instanceof ApiError && err.status === 403;
    const writing = describeRequiredRole({ path: '/api/v1/events', verbs: ['create', 'patch'] });
    const fix = stage === 'write' ? writing : 'Grant regkeeper the ClusterRole regkeeper-events in deploy/program/rbac.yaml';
    const advice = isForbidden ? `${fix}. Alternatively, turn Events off with --events off` : 'Requests are served as usual';
    log.warn({ err, namespace }, `cannot write an Event in namespace ${namespace}: ${errorMessage(err)}. ${advice}`);
  }

  return {
    name: 'events',
    offer(event) {
      if (state === 'stopped') return;
      const last = written.get(keyOf(event));
      if (queue.offer(event, last && last.at + updateInterval)) schedule();
      else onDropped('queue-full');
    },
    start() {
      state = 'idle';
      schedule();
    },
    async stop() {
      state = 'stopped';
      cancel();
      stopping.abort(new Error('the server is stopping'));
      await writing;
    },
  };
}

function keyOf({ namespace, key, version = '' }: OfferedEvent): string {
  return JSON.stringify([namespace, key, version]);
}

/** `unavailable`: another attempt may succeed. */
function failureOf(error: unknown): Extract<EventDrop, 'forbidden' | 'namespace-deleted' | 'failed'> | 'unavailable' {
  if (!(error instanceof ApiError)) return 'failed';
  const { status, message } = error;
  // kubernetes apiserver plugin/pkg/admission/namespace/lifecycle
  if (status === 404 || (status === 403 && message.includes('because it is being terminated'))) return 'namespace-deleted';
  if (status === 403) return 'forbidden';
  return status === 0 || status === 409 || status === 429 || status >= 500 ? 'unavailable' : 'failed';
}

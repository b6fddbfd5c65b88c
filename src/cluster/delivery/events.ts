/** Writes Events about Secrets, so that a user who runs `kubectl describe` or `kubectl get events` sees why a copy is missing. */
import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, ApiError } from '../../kube/api-client.ts';
import { type Clock, systemClock } from '../../time/clock.ts';

export type SecretEvents = {
  /** Drops the Event if there were too many, or the same one a short time ago. */
  warn(secret: SecretReference, reason: string, message: string): void;
};

export type SecretReference = { readonly namespace: string; readonly name: string; readonly uid?: string | undefined };

export type SecretEventsOptions = { readonly client: ApiClient; readonly log: Log; readonly clock?: Clock | undefined };

/** Events at once. Tenants can cause one in each of their namespaces. */
const burst = 20;
const perSecond = 5;
/** Milliseconds. An API server keeps an Event for an hour, unless it is configured otherwise. Then the next one follows. */
const repeatAfter = 3_600_000;
const maxRemembered = 10_000;

export function createSecretEvents({ client, log, clock = systemClock }: SecretEventsOptions): SecretEvents {
  const sent = new Map<string, number>();
  let tokens = burst;
  let refilled = clock.monotonic();
  let lastFailure: string | undefined;

  function take(): boolean {
    const now = clock.monotonic();
    tokens = Math.min(burst, tokens + ((now - refilled) / 1_000) * perSecond);
    refilled = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }

  async function send(secret: SecretReference, reason: string, message: string): Promise<void> {
    const { namespace, name, uid } = secret;
    try {
      await client.create(`/api/v1/namespaces/${namespace}/events`, eventOf({ namespace, name, uid }, reason, message, clock.now()));
      lastFailure = undefined;
    } catch (error) {
      // Another replica was the leader a short time ago and wrote the same Event, or the last one has not expired yet.
      if (error instanceof ApiError && error.status === 409) sent.delete(keyOf(secret, reason));
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return;
      const failure = errorMessage(error);
      if (failure !== lastFailure) log.warn({ err: error }, `cannot write an Event: ${failure}`);
      lastFailure = failure;
    }
  }

  return {
    warn(secret, reason, message) {
      const key = keyOf(secret, reason);
      const now = clock.monotonic();
      if (now - (sent.get(key) ?? Number.NEGATIVE_INFINITY) < repeatAfter || !take()) return;
      if (sent.size >= maxRemembered) sent.clear();
      sent.set(key, now);
      void send(secret, reason, message);
    },
  };
}

function keyOf({ namespace, name, uid = '' }: SecretReference, reason: string): string {
  return `${namespace}/${name} ${uid} ${reason}`;
}

function eventOf({ namespace, name, uid }: SecretReference, reason: string, message: string, now: number): object {
  const time = new Date(now).toISOString();
  // One name for one reason, so that replicas and restarts write one Event.
  const id = `${name.slice(0, 200)}.${reason.toLowerCase()}.${(uid ?? 'none').slice(0, 8)}`;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: id, namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Secret', namespace, name, ...(uid !== undefined && { uid }) },
    reason,
    message: message.slice(0, 1_024),
    type: 'Warning',
    source: { component: 'regkeeper' },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}

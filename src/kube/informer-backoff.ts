/** The delay before an informer lists or watches again after a failure. */
import { ApiError } from './api-client.ts';

/**
 * Milliseconds of exponential backoff with jitter: 0.2 to 0.4 s, doubled with each consecutive failure up to 10 s, and at least the
 * server's Retry-After. The maximum is low because requests wait for what is read here.
 */
export function backoffAfter(failures: number, failure: Error | undefined, random: () => number): number {
  const ceiling = Math.min(10_000, 400 * 2 ** (failures - 1));
  const retryAfter = failure instanceof ApiError ? (failure.retryAfterSeconds ?? 0) * 1_000 : 0;
  return Math.max(ceiling / 2 + (random() * ceiling) / 2, Math.min(retryAfter, 300_000));
}

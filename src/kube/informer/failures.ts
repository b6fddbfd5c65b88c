/** What a failed list or watch means for an informer. */
import { ApiError } from '../api-client.ts';

/** A watch had no data for too long, and was ended in order to reconnect. */
export class WatchStalledError extends Error {
  override readonly name = 'WatchStalledError';
}

/** Ends a stream on purpose, in order to list again. It is not a failure. */
export class Reload extends Error {
  override readonly name = 'Reload';
}

/** The server no longer knows the resourceVersion, which is routine. */
export function isExpired(failure: Error): boolean {
  return failure instanceof ApiError && failure.status === 410;
}

/**
 * Servers without WatchList answer 422 to `sendInitialEvents`, older ones to `resourceVersionMatch` of a watch (apimachinery
 * pkg/apis/meta/internalversion/validation). Errors that any other request would also get are no evidence.
 */
export function isNotOffered(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 422 || error.status === 400);
}

/**
 * Also an API server that knows the request and cannot serve it. With an etcd before 3.4.31 or 3.5.13, or before it has queried etcd, it
 * answers 500: "the required storage feature RequestWatchProgress is disabled" (apiserver pkg/storage/cacher). It still answers a list.
 */
export function isRejectedStream(error: unknown): boolean {
  return isNotOffered(error) || (error instanceof ApiError && error.status === 500);
}

/** Whether the error could be about the resourceVersion, and not about the credential or the load of the server. */
export function mayRejectVersion(failure: Error | undefined): boolean {
  return failure instanceof ApiError && failure.status > 0 && failure.status !== 401 && failure.status !== 429;
}

/**
 * An unreadable line of a watch would arrive again at each resume, and a list skips it. So does it after an unforeseen error, which is any
 * other than ApiError.
 */
export function mustRelist(failure: Error): boolean {
  if (failure instanceof ApiError) return isExpired(failure) || failure.reason === 'Unreadable';
  return !(failure instanceof WatchStalledError);
}

/** The log lines of an informer about its watch. */
import type { Log } from '../../contracts/log.ts';
import { ApiError, isNotFound } from '../api-client.ts';
import { describeRequiredRole, explainApiError } from '../explain-api-error.ts';
import { isExpired, WatchStalledError } from './failures.ts';

type Selection = { readonly path: string; readonly labelSelector?: string | undefined; readonly fieldSelector?: string | undefined };

/** Logs transitions, not states: one line for the first of several equal failures in a row, and one line for the recovery. */
export function createTransitionLog(log: Log, selection: Selection): { watching(): void; failing(failure: Error): void } {
  let state = 'watching';
  return {
    watching() {
      if (state !== 'watching') log.info(selection, `watch of ${selection.path} recovered`);
      state = 'watching';
    },
    failing(err) {
      const before = state;
      // The server forgets old resourceVersions every few minutes. That is routine, and not a transition.
      if (!isExpired(err)) state = err instanceof ApiError ? `${err.status} ${err.reason}` : err.name;
      if (state === before) log.debug({ ...selection, err }, err.message);
      else log.warn({ ...selection, err }, explainFailure(err, selection));
    },
  };
}

function explainFailure(failure: Error, { path, fieldSelector }: Selection): string {
  if (!(failure instanceof ApiError)) return failure instanceof WatchStalledError ? failure.message : retrying(failure.message);
  if (isNotFound(failure)) return `${failure.message}. The API server does not serve ${path}. Check whether this API is installed`;
  const name = /(?:^|,)metadata\.name=([^,]+)/.exec(fieldSelector ?? '')?.[1];
  const explanation = explainApiError(failure, describeRequiredRole({ path, name, verbs: ['list', 'watch'] }));
  return explanation === failure.message ? retrying(explanation) : explanation;
}

function retrying(message: string): string {
  return `${message}. Retrying`;
}

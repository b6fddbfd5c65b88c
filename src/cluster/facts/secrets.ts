/**
 * Which namespaces have the secrets that the rules name. Only metadata is requested, and only names are kept. The type of a secret is not
 * metadata, so a field selector is used for it.
 */

import type { Log } from '../../contracts/log.ts';
import { registrySecretTypes } from '../../credentials/registry-secret.ts';
import type { SecretFacts } from '../../decision/facts.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { formatCount, listOf } from '../../image/wording.ts';
import { type ApiClient, ApiError, boundTo, type KubeObject } from '../../kube/api-client.ts';
import { createInformer, type Informer, type InformerTimings } from '../../kube/informer.ts';
import { identityOf } from '../../kube/object-identity.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import type { Clock } from '../../time/clock.ts';

export type WatchedSecrets = {
  /** Watches these names from now on, and no others. */
  follow(names: Iterable<string>): void;
  /** `unknown` while the name is not watched, not read yet, or not permitted. */
  get(namespace: string, name: string): SecretFacts;
  unwatched(): UnwatchedSecrets;
  start(): void;
  stop(): Promise<void>;
};

/** How many names are not watched, and why. */
export type UnwatchedSecrets = {
  /** Names in the rules beyond the limit. */
  readonly beyondLimit: number;
  readonly notPermitted: number;
};

export type SecretsOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly watchTimings?: Partial<InformerTimings> | undefined;
};

/** Each name needs two watches with their own connections. More names would burden the API server and this process. */
export const maxSecretNames = 250;

/** Concurrent SelfSubjectAccessReviews. */
const reviewsAtOnce = 10;

type SecretInformers = {
  readonly all: Informer<KubeObject>;
  readonly unusable: Informer<KubeObject>;
  /** Whether the last review said that watching is not permitted. */
  doubted: boolean;
};

/**
 * Watches secrets by name in all namespaces. Where that is not permitted, it logs this once with the fix, and checks again every five
 * minutes. So a permission that is granted later applies without a restart. When a permission is revoked, what was read with it is
 * dropped.
 */
export function createSecretFacts({ client, log, clock, watchTimings }: SecretsOptions): WatchedSecrets {
  let wanted: readonly string[] = [];
  const followed = new Map<string, SecretInformers>();
  let beyondLimit = 0;
  let notPermitted = 0;
  let reportedLacking = '';
  let lastFailure: string | undefined;
  let stopped = false;

  const reconcileLoop = createReconcileLoop({
    reconcile: async (signal) => {
      const lacking: string[] = [];
      let inDoubt = false;
      const requested = wanted;
      const answers = await mayWatchEach(boundTo(signal, client), requested);
      if (stopped) return;
      const stillWanted = new Set(wanted);
      for (const [index, name] of requested.entries()) {
        const permitted = answers[index] === true;
        if (!stillWanted.has(name)) continue;
        const informers = followed.get(name);
        if (permitted) {
          if (informers) informers.doubted = false;
          else followed.set(name, startWatching(name));
        } else if (informers && !informers.doubted) {
          // A role that is deleted and recreated, or an API server that has just started, must not cost five minutes.
          informers.doubted = true;
          inDoubt = true;
        } else {
          forget(name);
          lacking.push(name);
        }
      }
      lastFailure = undefined;
      notPermitted = lacking.length;
      if (inDoubt) return 'requeue';
      reportLacking(lacking);
      return;
    },
    onFailure: (err) => {
      const message = errorMessage(err);
      if (message !== lastFailure) log.warn({ err }, `cannot check the permission to watch secrets: ${message}. Retrying`);
      lastFailure = message;
    },
    resyncMilliseconds: 300_000,
    minIntervalMilliseconds: 1_000,
    clock,
  });

  function startWatching(name: string): SecretInformers {
    let forbidden = false;
    const createSecretInformer = (fieldSelector: string) =>
      createInformer<KubeObject>({
        client,
        path: '/api/v1/secrets',
        fieldSelector,
        metadataOnly: true,
        keep: keepName,
        log,
        onFailure(failure) {
          // Only once. Where the review and the watch disagree, more reviews would not help.
          if (!forbidden && failure instanceof ApiError && failure.status === 403) {
            forbidden = true;
            reconcileLoop.requeue();
          }
        },
        clock,
        timings: watchTimings,
      });
    const all = createSecretInformer(`metadata.name=${name}`);
    const unusable = createSecretInformer(`metadata.name=${name},${registrySecretTypes.map((type) => `type!=${type}`).join(',')}`);
    all.start();
    unusable.start();
    return { all, unusable, doubted: false };
  }

  function forget(name: string): void {
    const informers = followed.get(name);
    followed.delete(name);
    if (informers) void stopWatching(informers);
  }

  function reportLacking(names: readonly string[]): void {
    const list = listOf(names.toSorted(), 'and');
    if (list !== reportedLacking && list !== '') {
      log.warn(
        { secrets: names },
        `no permission to watch the secrets ${list}, so missing ones are not reported. Grant it with a ClusterRole: apiGroups [""], resources ["secrets"], resourceNames ${JSON.stringify(names)}, verbs ["list", "watch"]`,
      );
    }
    reportedLacking = list;
  }

  return {
    follow(names) {
      const all = [...new Set(names)];
      const beyond = Math.max(0, all.length - maxSecretNames);
      if (beyond > 0 && beyond !== beyondLimit) {
        log.warn(
          {},
          `the rules reference ${formatCount(all.length)} secrets, but only the first ${maxSecretNames} are watched. If one of the others is missing, it is not reported`,
        );
      }
      beyondLimit = beyond;
      wanted = all.slice(0, maxSecretNames);
      const kept = new Set(wanted);
      for (const name of followed.keys()) if (!kept.has(name)) forget(name);
      if (wanted.some((name) => !followed.has(name))) reconcileLoop.requeue();
    },
    get(namespace, name) {
      const informers = followed.get(name);
      if (!informers?.all.synced || !informers.unusable.synced) return 'unknown';
      if (!informers.all.get(namespace, name)) return 'absent';
      return informers.unusable.get(namespace, name) ? 'wrong-type' : 'present';
    },
    unwatched: () => ({ beyondLimit, notPermitted }),
    start: reconcileLoop.start,
    async stop() {
      stopped = true;
      await reconcileLoop.stop();
      await Promise.all([...followed.values()].map(stopWatching));
    },
  };
}

/** `kubectl apply` stores the whole secret in an annotation. */
export function keepName(secret: KubeObject): KubeObject {
  return { metadata: identityOf(secret) };
}

async function stopWatching({ all, unusable }: SecretInformers): Promise<void> {
  await Promise.all([all.stop(), unusable.stop()]);
}

/**
 * Whether the secrets of each name may be watched in all namespaces. Reviewed first, because a rejected watch would be retried again and
 * again. One review without a name covers a role for all secrets. Otherwise there is one review for each name, a few at a time.
 * @throws where there is no answer, or the answer has an evaluation error
 */
async function mayWatchEach(client: ApiClient, names: readonly string[]): Promise<readonly boolean[]> {
  if (names.length === 0) return [];
  if (names.length > 1 && (await mayWatch(client, undefined))) return names.map(() => true);
  const answers: boolean[] = [];
  for (let start = 0; start < names.length; start += reviewsAtOnce) {
    answers.push(...(await Promise.all(names.slice(start, start + reviewsAtOnce).map((name) => mayWatch(client, name)))));
  }
  return answers;
}

async function mayWatch(client: ApiClient, name: string | undefined): Promise<boolean> {
  const attributes = { group: '', resource: 'secrets', ...(name !== undefined && { name }) };
  const answers = await Promise.all(['list', 'watch'].map((verb) => isAllowed(client, { ...attributes, verb })));
  return answers.every((allowed) => allowed);
}

type Review = { readonly status?: { readonly allowed?: boolean; readonly evaluationError?: string } | null };

async function isAllowed(client: ApiClient, resourceAttributes: Readonly<Record<string, string>>): Promise<boolean> {
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
  const answer = await client.request<Review | undefined>({ method: 'POST', path, body });
  const { allowed, evaluationError = '' } = answer?.status ?? {};
  if (typeof allowed !== 'boolean') throw new ApiError(0, 'Unreadable', `POST ${path}: the response is not a review`);
  // One of several authorizers did not answer, so the result is unknown.
  if (!allowed && evaluationError !== '') throw new ApiError(0, 'Unreadable', `POST ${path}: ${evaluationError}`);
  return allowed;
}

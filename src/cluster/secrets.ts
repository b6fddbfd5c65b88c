/**
 * Which namespaces have the secrets that the rules name, without asking for one: metadata arrives, and only names are kept. The type is
 * metadata no more than the data is, so it is asked for by a selector.
 */
import { registrySecretTypes, type SecretFacts } from '../decision/facts.ts';
import { type ApiClient, ApiError, type KubeObject, type Log } from './api.ts';
import { keepChecking, type Schedule } from './checks.ts';
import { identityOf, type Reflector, type ReflectorTimings, watchCollection } from './reflector.ts';
import { messageOf } from './refusals.ts';

export type WatchedSecrets = {
  /** From now on these names, and no others. */
  follow(names: Iterable<string>): void;
  /** `unknown` as long as the name is not followed, not read yet, or not permitted. */
  get(namespace: string, name: string): SecretFacts;
  close(): Promise<void>;
};

export type SecretsOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly schedule?: Schedule | undefined;
  readonly watchTimings?: Partial<ReflectorTimings> | undefined;
};

/** Two watches each: more names than this are more than rules need, and a burden to the API server. */
const mostNames = 100;

type Watches = {
  readonly all: Reflector<KubeObject>;
  readonly unusable: Reflector<KubeObject>;
  /** The last answer was that they are not permitted. */
  doubted: boolean;
};

/**
 * Follows secrets by name over all namespaces. Where that is not permitted it does without, says so once with the fix, and looks again
 * every five minutes: a right that is granted later counts without a restart, and with one that is taken away goes what was known by it.
 */
export function watchSecrets({ client, log, schedule, watchTimings }: SecretsOptions): WatchedSecrets {
  let wanted: readonly string[] = [];
  const followed = new Map<string, Watches>();
  let told = '';
  let lastFailure: string | undefined;
  let closed = false;

  const checks = keepChecking({
    check: async () => {
      const lacking: string[] = [];
      let inDoubt = false;
      for (const name of wanted) {
        const permitted = await mayWatch(client, name);
        if (closed) return;
        if (!wanted.includes(name)) continue;
        const watches = followed.get(name);
        if (permitted) {
          if (watches) watches.doubted = false;
          else followed.set(name, startWatching(name));
        } else if (watches && !watches.doubted) {
          // A role that is deleted and made anew, or an API server that has just started, must not cost five minutes.
          watches.doubted = true;
          inDoubt = true;
        } else {
          forget(name);
          lacking.push(name);
        }
      }
      lastFailure = undefined;
      if (inDoubt) return 'again';
      tellLacking(lacking);
      return;
    },
    onFailure: (err) => {
      const message = messageOf(err);
      if (message !== lastFailure) log.warn({ err }, `whether secrets may be looked at could not be asked; asking again: ${message}`);
      lastFailure = message;
    },
    everyMilliseconds: 300_000,
    apartMilliseconds: 1_000,
    schedule,
  });

  function startWatching(name: string): Watches {
    let refused = false;
    const watch = (fieldSelector: string) =>
      watchCollection<KubeObject>({
        client,
        path: '/api/v1/secrets',
        fieldSelector,
        metadataOnly: true,
        // `kubectl apply` leaves the whole secret in an annotation.
        keep: (secret) => ({ metadata: identityOf(secret) }),
        log,
        onFailure(failure) {
          // Once: where the answer to the question is another than that to the watch, asking again and again would not help.
          if (!refused && failure instanceof ApiError && failure.status === 403) {
            refused = true;
            checks.soon();
          }
        },
        timings: watchTimings,
      });
    return {
      all: watch(`metadata.name=${name}`),
      unusable: watch(`metadata.name=${name},${registrySecretTypes.map((type) => `type!=${type}`).join(',')}`),
      doubted: false,
    };
  }

  function forget(name: string): void {
    const watches = followed.get(name);
    followed.delete(name);
    if (watches) void stop(watches);
  }

  function tellLacking(names: readonly string[]): void {
    const list = names.toSorted().join(', ');
    if (list !== told && list !== '') {
      log.warn(
        { secrets: names },
        `whether namespaces have the secrets ${list} is not known, so nobody is told of a missing one: a ClusterRole must grant apiGroups [""], resources ["secrets"], resourceNames ${JSON.stringify(names)}, verbs ["list", "watch"]`,
      );
    }
    told = list;
  }

  return {
    follow(names) {
      const all = [...new Set(names)];
      if (all.length > mostNames) {
        log.warn({}, `the rules name ${all.length} secrets; whether namespaces have them is looked at for the first ${mostNames} alone`);
      }
      wanted = all.slice(0, mostNames);
      for (const name of followed.keys()) if (!wanted.includes(name)) forget(name);
      if (wanted.some((name) => !followed.has(name))) checks.soon();
    },
    get(namespace, name) {
      const watches = followed.get(name);
      if (!watches?.all.synced || !watches.unusable.synced) return 'unknown';
      if (!watches.all.get(namespace, name)) return 'absent';
      return watches.unusable.get(namespace, name) ? 'wrong-type' : 'present';
    },
    async close() {
      closed = true;
      checks.close();
      await Promise.all([...followed.values()].map(stop));
    },
  };
}

async function stop({ all, unusable }: Watches): Promise<void> {
  await Promise.all([all.close(), unusable.close()]);
}

/**
 * In all namespaces. Asked first: a watch that is refused would be tried again and again.
 * @throws where there is no answer, or one that is not sure of itself
 */
async function mayWatch(client: ApiClient, name: string): Promise<boolean> {
  const answers = await Promise.all(['list', 'watch'].map((verb) => isAllowed(client, { group: '', resource: 'secrets', name, verb })));
  return answers.every((allowed) => allowed);
}

type Review = { readonly status?: { readonly allowed?: boolean; readonly evaluationError?: string } | null };

async function isAllowed(client: ApiClient, resourceAttributes: Readonly<Record<string, string>>): Promise<boolean> {
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
  const answer = await client.request<Review | undefined>({ method: 'POST', path, body });
  const { allowed, evaluationError = '' } = answer?.status ?? {};
  if (typeof allowed !== 'boolean') throw new ApiError(0, 'Unreadable', `POST ${path}: the answer is no review`);
  // One of several authorizers does not answer: what it would have said nobody knows.
  if (!allowed && evaluationError !== '') throw new ApiError(0, 'Unreadable', `POST ${path}: ${evaluationError}`);
  return allowed;
}

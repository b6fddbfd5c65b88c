/**
 * Which namespaces have the secrets that the rules name, without ever receiving one: only names and labels arrive. The type is metadata no
 * more than the data is, so it is asked for by a selector.
 */
import type { SecretFacts } from '../decision/facts.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import { keepChecking, type Schedule } from './checks.ts';
import { type Reflector, type ReflectorTimings, watchCollection } from './reflector.ts';

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

/** Both that a kubelet and a build can use for a registry. */
const usableTypes = ['kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg'];

type Watches = { readonly all: Reflector<KubeObject>; readonly unusable: Reflector<KubeObject> };

/**
 * Follows secrets by name over all namespaces. Where that is not permitted it does without, says so once with the fix, and looks again
 * every five minutes: a right that is granted later counts without a restart.
 */
export function watchSecrets({ client, log, schedule, watchTimings }: SecretsOptions): WatchedSecrets {
  let wanted: readonly string[] = [];
  const followed = new Map<string, Watches>();
  let told = '';
  let closed = false;

  const checks = keepChecking({
    check: async () => {
      const lacking: string[] = [];
      for (const name of wanted) {
        if (followed.has(name)) continue;
        const permitted = await mayWatch(client, name);
        if (closed || !wanted.includes(name)) continue;
        if (permitted) followed.set(name, startWatching(name));
        else lacking.push(name);
      }
      tellLacking(lacking);
    },
    onFailure: (err) => log.warn({ err }, 'whether secrets may be looked at could not be asked; asking again'),
    everyMilliseconds: 300_000,
    apartMilliseconds: 1_000,
    schedule,
  });

  function startWatching(name: string): Watches {
    const watch = (fieldSelector: string) =>
      watchCollection<KubeObject>({ client, path: '/api/v1/secrets', fieldSelector, metadataOnly: true, log, timings: watchTimings });
    return {
      all: watch(`metadata.name=${name}`),
      unusable: watch(`metadata.name=${name},${usableTypes.map((type) => `type!=${type}`).join(',')}`),
    };
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
      for (const [name, watches] of followed) {
        if (wanted.includes(name)) continue;
        followed.delete(name);
        void stop(watches);
      }
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

/** In all namespaces. Asked first: a watch that is refused would be tried again and again. */
async function mayWatch(client: ApiClient, name: string): Promise<boolean> {
  const answers = await Promise.all(
    ['list', 'watch'].map((verb) =>
      client.request<{ status?: { allowed?: boolean } }>({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { group: '', resource: 'secrets', name, verb } },
        },
      }),
    ),
  );
  return answers.every(({ status }) => status?.allowed === true);
}

/** What the engine asks about the cluster, answered from watches: never a call on the request path. */
import type { Facts } from '../decision/facts.ts';
import type { Kinds } from '../object/kinds.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import { watchImageStreams } from './image-streams.ts';
import { watchCollection } from './reflector.ts';
import { watchSecrets } from './secrets.ts';

type ServiceAccount = KubeObject & { readonly imagePullSecrets?: readonly { readonly name?: string }[] };

export type ClusterFacts = {
  /** Undefined until the first lists are complete. */
  current(): Facts | undefined;
  /** What is still to be read; undefined when nothing is. Nobody waits for secrets: they may not be permitted. */
  missing(): string | undefined;
  /** Whether namespaces have secrets of these names is to be known, as far as it is permitted. */
  followSecrets(names: Iterable<string>): void;
  close(): Promise<void>;
};

export type FactsOptions = { readonly client: ApiClient; readonly log: Log; readonly kinds?: Kinds };

export function watchClusterFacts({ client, log, kinds }: FactsOptions): ClusterFacts {
  const serviceAccounts = watchCollection<ServiceAccount>({ client, path: '/api/v1/serviceaccounts', log });
  // Labels are metadata, and nothing else of a namespace is asked for.
  const namespaces = watchCollection<KubeObject>({ client, path: '/api/v1/namespaces', metadataOnly: true, log });
  const watches = [
    { watch: serviceAccounts, of: 'the service accounts' },
    { watch: namespaces, of: 'the namespaces' },
  ];
  const secrets = watchSecrets({ client, log });
  const streams = watchImageStreams({ client, log });
  const unread = () => [
    ...watches.filter(({ watch }) => !watch.synced).map((each) => each.of),
    ...(streams.waiting() ? ['the image streams'] : []),
  ];

  const facts: Facts = {
    serviceAccount(namespace, name) {
      const account = serviceAccounts.get(namespace, name);
      if (!account) return { kind: 'absent' };
      return {
        kind: 'known',
        pullSecrets: (account.imagePullSecrets ?? []).flatMap((secret) => secret.name ?? []),
        onlyListedSecrets: account.metadata.annotations?.['kubernetes.io/enforce-mountable-secrets'] === 'true',
      };
    },
    namespace(name) {
      const namespace = namespaces.get(undefined, name);
      return namespace ? { kind: 'known', labels: namespace.metadata.labels ?? {} } : { kind: 'absent' };
    },
    secret: (namespace, name) => secrets.get(namespace, name),
    imageStream: (namespace, name) => streams.get(namespace, name),
    now: Date.now,
    ...(kinds && { kinds }),
  };
  return {
    current: () => (unread().length === 0 ? facts : undefined),
    missing() {
      const left = unread();
      return left.length === 0 ? undefined : `${left.join(', ')} of the cluster have not been read yet`;
    },
    followSecrets: (names) => secrets.follow(names),
    close: async () => void (await Promise.all([secrets.close(), streams.close(), ...watches.map(({ watch }) => watch.close())])),
  };
}

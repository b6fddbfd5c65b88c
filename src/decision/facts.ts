/** What the engine must know from outside. The cluster room answers from its watches; the command line from the files it is given; a test passes a plain object. */
export type Facts = {
  serviceAccount(namespace: string, name: string): ServiceAccountFacts;
  namespace(name: string): NamespaceFacts;
  /** Whether a namespace has a secret that a kubelet or a build could use for a registry. */
  secret(namespace: string, name: string): SecretFacts;
  /** Milliseconds since 1970. */
  now(): number;
};

export type ServiceAccountFacts =
  | {
      readonly kind: 'known';
      /** Names in the account's `imagePullSecrets`, in its order. */
      readonly pullSecrets: readonly string[];
      /** Annotation `kubernetes.io/enforce-mountable-secrets: "true"`: its pods may use no secret that it does not list. */
      readonly onlyListedSecrets: boolean;
    }
  /** The cluster is watched and has no such account, yet or any more. */
  | { readonly kind: 'absent' }
  /** Nobody can say: no cluster is watched. */
  | { readonly kind: 'unknown' };

export type NamespaceFacts =
  | { readonly kind: 'known'; readonly labels: Readonly<Record<string, string>> }
  /** The cluster is watched and has no such namespace, yet or any more. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

/** `wrong-type`: there is one of that name, of another type than `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`. */
export type SecretFacts = 'present' | 'absent' | 'wrong-type' | 'unknown';

/** For runs that know of nothing outside but the time. */
export function noFacts(now: () => number): Facts {
  return {
    serviceAccount: () => ({ kind: 'unknown' }),
    namespace: () => ({ kind: 'unknown' }),
    secret: () => 'unknown',
    now,
  };
}

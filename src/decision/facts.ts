/** What the engine must know from outside. The cluster room answers from its watches; a test passes a plain object. */
export type Facts = {
  serviceAccount(namespace: string, name: string): ServiceAccountFacts;
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

/** For runs without a cluster. */
export const noFacts: Facts = { serviceAccount: () => ({ kind: 'unknown' }) };

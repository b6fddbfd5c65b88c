import type { Kinds } from '../object/kinds.ts';
import type { WorkCounter } from '../object/work.ts';

/** What the engine must know from outside. The cluster room answers from its watches; the command line from the files it is given; a test passes a plain object. */
export type Facts = {
  serviceAccount(namespace: string, name: string): ServiceAccountFacts;
  namespace(name: string): NamespaceFacts;
  /** Whether a namespace has a secret that a kubelet or a build could use for a registry. */
  secret(namespace: string, name: string): SecretFacts;
  /** An image stream of OpenShift. */
  imageStream(namespace: string, name: string): ImageStreamFacts;
  /** Milliseconds since 1970. */
  now(): number;
  /** Counts the work of a decision, for tests; nobody counts in production. */
  readonly work?: WorkCounter;
  /** The kinds that are read; those of Kubernetes and OpenShift where nobody says more. */
  readonly kinds?: Kinds;
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
  /** The account exists or may exist, but its list of pull secrets, or all that its namespace has, is too large to be held. */
  | {
      readonly kind: 'too-large';
      /** A clause with `it` for the account, such as "it lists more than 1,000 pull secrets". */
      readonly why: string;
      /** As for a known account; also true where that could not be held either. */
      readonly onlyListedSecrets: boolean;
    }
  /** Nobody can say: no cluster is watched. */
  | { readonly kind: 'unknown' };

export type NamespaceFacts =
  | { readonly kind: 'known'; readonly labels: Readonly<Record<string, string>> }
  /** The cluster is watched and has no such namespace, yet or any more. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

/** The types of Secret that the kubelet and OpenShift's builds read as registry credentials. */
export const registrySecretTypes: readonly string[] = ['kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg'];

/** `wrong-type`: there is one of that name, of another type than the {@link registrySecretTypes}. */
export type SecretFacts = 'present' | 'absent' | 'wrong-type' | 'unknown';

export type ImageStreamFacts =
  | {
      readonly kind: 'known';
      /** `status.dockerImageRepository`: where the internal registry serves the stream, without tag. */
      readonly repository?: string;
      readonly tags: ReadonlyMap<string, StreamTag>;
    }
  | { readonly kind: 'absent' }
  /** The stream, or all that its namespace has, is too large to be held. `why` is a clause with `it` for the stream. */
  | { readonly kind: 'too-large'; readonly why: string }
  | { readonly kind: 'unknown' };

/** One tag of a stream, of `spec.tags` and `status.tags` together. */
export type StreamTag = {
  /** What somebody wrote for it; absent for a tag that has only been pushed to. */
  readonly spec?: {
    readonly from?: { readonly kind: string; readonly namespace?: string; readonly name: string };
    /** `referencePolicy.type: Local`: pulled through the internal registry. */
    readonly local: boolean;
  };
  /** What was imported or pushed, as the API has it: newest first. */
  readonly images: readonly StreamImage[];
};

export type StreamImage = {
  /** `sha256:…`; empty for a tag that is only a reference. */
  readonly image: string;
  /** Where it was imported from, or pushed to: `registry/repository@sha256:…`. */
  readonly reference: string;
  /** RFC 3339. */
  readonly created?: string;
};

/** For runs that know of nothing outside but the time. */
export function noFacts(now: () => number): Facts {
  return {
    serviceAccount: () => ({ kind: 'unknown' }),
    namespace: () => ({ kind: 'unknown' }),
    secret: () => 'unknown',
    imageStream: () => ({ kind: 'unknown' }),
    now,
  };
}

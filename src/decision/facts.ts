/** The engine's inputs from outside: service accounts, labels of namespaces, secrets, image streams and the time. */
import type { Kinds } from '../object/kinds.ts';
import type { WorkCounter } from '../object/work-counter.ts';

/** The server reads these from its watches, and the command line from files. A test passes a plain object. */
export type Facts = {
  serviceAccount(namespace: string, name: string): ServiceAccountFacts;
  namespace(name: string): NamespaceFacts;
  /** Whether the namespace has a secret that a kubelet or a build could use for a registry. */
  secret(namespace: string, name: string): SecretFacts;
  /** An image stream of OpenShift. */
  imageStream(namespace: string, name: string): ImageStreamFacts;
  /** False on a cluster that certainly has no image streams, and so no image triggers. Absent if that is unknown. */
  imageStreamsServed?(): boolean;
  /** True for objects from files: OpenShift has not yet replaced the names in them that mean image streams. */
  readonly namesAsWritten?: true;
  /** Whether `regkeeper deliver` is running. Absent if that is unknown. */
  delivery?(): DeliveryFacts;
  /** Milliseconds since 1970. */
  now(): number;
  /** Counts the work of a decision, in tests only. */
  readonly work?: WorkCounter;
  /** The kinds that are evaluated. By default those of Kubernetes and OpenShift. */
  readonly kinds?: Kinds;
};

export type ServiceAccountFacts =
  | {
      readonly kind: 'known';
      /** Names in the account's `imagePullSecrets`, in its order. */
      readonly pullSecrets: readonly string[];
      /** Annotation `kubernetes.io/enforce-mountable-secrets: "true"`: its pods may use only secrets that it lists. */
      readonly onlyListedSecrets: boolean;
    }
  /** The cluster is watched, and our watch knows no such account. It may be new or deleted. */
  | { readonly kind: 'absent' }
  /** The account exists or may exist. Its list of pull secrets, or those of its namespace together, exceed the memory limit. */
  | {
      readonly kind: 'too-large';
      /** A clause with `it` for the account, such as "it lists more than 1,000 pull secrets". */
      readonly why: string;
      /** As for a known account. Also true where even that exceeds the memory limit. */
      readonly onlyListedSecrets: boolean;
    }
  /** No cluster is watched. */
  | { readonly kind: 'unknown' };

export type NamespaceFacts =
  | { readonly kind: 'known'; readonly labels: Readonly<Record<string, string>> }
  /** The cluster is watched, and our watch knows no such namespace. It may be new or deleted. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

/** `wrong-type`: the secret exists, but its type is none of registry credentials (`registrySecretTypes`). */
export type SecretFacts = 'present' | 'absent' | 'wrong-type' | 'unknown';

export type DeliveryFacts =
  | { readonly kind: 'running' }
  /** `since` is in milliseconds since 1970, and absent if it was never seen running. */
  | { readonly kind: 'stopped'; readonly since?: number }
  | { readonly kind: 'unknown' };

export type ImageStreamFacts =
  | {
      readonly kind: 'known';
      /** `status.dockerImageRepository`: where the internal registry serves the stream, without tag. */
      readonly repository?: string;
      /** `spec.lookupPolicy.local`: an image of its namespace without a registry and path means this stream, if it has its name. */
      readonly localLookup?: true;
      readonly tags: ReadonlyMap<string, StreamTag>;
    }
  | { readonly kind: 'absent' }
  /** The stream, or those of its namespace together, exceed the memory limit. `why` is a clause with `it` for the stream. */
  | { readonly kind: 'too-large'; readonly why: string }
  | { readonly kind: 'unknown' };

/** One tag of a stream, merged from `spec.tags` and `status.tags`. */
export type StreamTag = {
  /** The tag in `spec.tags`. Absent for a tag that was only pushed to. */
  readonly spec?: {
    readonly from?: { readonly kind: string; readonly namespace?: string; readonly name: string };
    /** `referencePolicy.type: Local`: pulled through the internal registry. */
    readonly local: boolean;
  };
  /** The images that were imported or pushed, newest first, as in `status.tags`. */
  readonly images: readonly StreamImage[];
};

export type StreamImage = {
  /** `sha256:…`. Empty for a tag that is only a reference. */
  readonly image: string;
  /** The name that it was imported from or pushed to: `registry/repository@sha256:…`. */
  readonly reference: string;
  /** RFC 3339. */
  readonly created?: string;
};

/** Facts without a cluster: only the time is known. */
export function noFacts(now: () => number): Facts {
  return {
    serviceAccount: () => ({ kind: 'unknown' }),
    namespace: () => ({ kind: 'unknown' }),
    secret: () => 'unknown',
    imageStream: () => ({ kind: 'unknown' }),
    now,
  };
}

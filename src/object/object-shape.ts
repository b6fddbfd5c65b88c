/** Types of what is read from an object: image slots, fields for secrets, the mark, and whether the object may be written to. */

import type { BuildMark, PodMark } from './injection-mark.ts';
import type { Path } from './json.ts';
import type { WorkCounter } from './work-counter.ts';

export type GroupKind = { readonly group: string; readonly kind: string };

/** What the shape of an object depends on apart from the object: its kind, the operation, the subresource and the client. */
export type ReadingContext = GroupKind & {
  readonly operation: 'CREATE' | 'UPDATE';
  /** Absent or empty for the object itself. */
  readonly subresource?: string;
  /** False where no controller fills the placeholders of image triggers. */
  readonly imageTriggers?: boolean;
  /** Whether a kubelet sent the request. Without that, the annotation of a mirror pod is ignored. */
  readonly fromKubelet: boolean;
  /** Counts the work, for tests. */
  readonly work?: WorkCounter;
};

/** One field of one object that names an image. */
export type ImageSlot = {
  readonly path: Path;
  /** For messages: `container "app"`, `spec.output.to`, `FROM on line 3 of the inline Dockerfile`. */
  readonly displayName: string;
  readonly action: 'pull' | 'push';
  readonly content: SlotContent;
  /** For the user, where the image is not trusted: why the text is an image, and what to write instead. One or two sentences. */
  readonly advice?: string;
  /** The image is evaluated here, but another pod pulls it. That pod gets the secret when it is created. */
  readonly pulledElsewhere?: true;
  /** OpenShift's importer fetches the image, so a name without a registry is on Docker Hub, whatever registries the nodes search. */
  readonly imported?: true;
  /** OpenShift replaces a name that is that of an image stream with `lookupPolicy.local` before anything pulls it. */
  readonly localLookup?: true;
  /** The request stores nothing. It only asks the registry about the image. */
  readonly lookupOnly?: true;
};

/** The content of a slot: an image name, or something that is resolved to an image later, with the reason. */
export type SlotContent =
  | {
      readonly kind: 'image';
      readonly text: string;
      /** What precedes the text in the field of a custom resource, such as `oci://`. Not a part of the name. */
      readonly scheme?: string;
      /** Set where the text leaves open which tags are meant: all of the repository, or one that a build argument sets later. */
      readonly openTag?: true;
    }
  | {
      readonly kind: 'unresolved';
      readonly why: string;
      /** The text of the field. Absent where it is blank. */
      readonly written?: string;
      /** The image stream that the image comes from, if one is named. */
      readonly stream?: StreamReference;
    };

/** The text of the field. */
export function imageAsWritten({ scheme = '', text }: SlotContent & { readonly kind: 'image' }): string {
  return scheme + text;
}

/** A reference to an image stream, as it is written. */
export type StreamReference = {
  readonly kind: 'ImageStreamTag' | 'ImageStreamImage';
  /** Absent for the namespace of the object. */
  readonly namespace?: string;
  /** `stream:tag`, or `stream@digest`. */
  readonly name: string;
};

/** A pod, or the pod template of a workload. All its images share one list of pull secrets. */
export type PodShape = {
  readonly kind: 'pod';
  /** A pod is about to run. A template becomes pods later, and may change before that. */
  readonly stage: 'pod' | 'template';
  readonly slots: readonly ImageSlot[];
  /** Paths of the pod spec and of its metadata. */
  readonly spec: Path;
  readonly metadata: Path;
  /** Name of the service account, `default` if none is set. */
  readonly serviceAccount: string;
  /** Names in `imagePullSecrets`, in its order. Undefined for an entry without a name. */
  readonly pullSecrets: readonly (string | undefined)[];
  /** What an earlier pass of ours wrote into the list. */
  readonly mark: PodMark;
  /** Why nothing is written to it, although its images are evaluated. Absent where it is writable. */
  readonly readOnlyBecause?: 'owned' | 'mirror' | 'immutable';
  /** Secrets are added only to an empty list. True for a custom resource, whose list has no merge key. */
  readonly onlyIntoEmptyList?: true;
};

/** One field of a build with the name of a secret, and the images that the secret is used for. */
export type BuildCredential = {
  readonly path: Path;
  readonly action: 'pull' | 'push';
  /** The current name of the secret. */
  readonly current?: string;
  /** Images that are pulled or pushed with the secret. */
  readonly slots: readonly ImageSlot[];
  /** The base image of the build. Its secret wins where one secret is not enough for all images. */
  readonly base?: ImageSlot;
  /** Whether the base image is set in the build strategy, not in a Dockerfile. */
  readonly baseInStrategy: boolean;
  /** Whether images that the object does not show may be pulled with the secret: those of a Dockerfile in Git. */
  readonly unseenImages: boolean;
};

/** A BuildConfig or Build: several images, which use one or more fields for a secret. */
export type BuildShape = {
  readonly kind: 'build';
  readonly slots: readonly ImageSlot[];
  readonly credentials: readonly BuildCredential[];
  readonly mark: BuildMark;
  /** The `dockerfilePath`, where it makes the build use another file than the inline Dockerfile. */
  readonly otherDockerfile?: string;
  /** Set for an existing Build, whose spec cannot change. */
  readonly readOnlyBecause?: 'immutable';
};

/** An object that names images and has no field for a secret: it is evaluated, and never written to. */
export type NamingShape = {
  readonly kind: 'naming';
  readonly slots: readonly ImageSlot[];
};

export type ObjectShape = PodShape | BuildShape | NamingShape;

/** A field of a wrong type. Such an object cannot be evaluated, so it is denied. `message` is a predicate, to follow the path. */
export type MalformedObject = { readonly path: string; readonly message: string };

/** The result of reading an object of a known kind. */
export type ShapeReading<Shape = ObjectShape> =
  | { readonly kind: 'shape'; readonly shape: Shape }
  | { readonly kind: 'malformed'; readonly problem: MalformedObject };

export type ObjectReading =
  | ShapeReading
  /** A kind that is not evaluated. */
  | { readonly kind: 'unknown' };

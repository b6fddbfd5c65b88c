import type { Path } from './json.ts';
import type { BuildMark, PodMark } from './mark.ts';
import type { WorkCounter } from './work.ts';

export type GroupKind = { readonly group: string; readonly kind: string };

/** What the shape of an object depends on beside the object: who asks, and how. */
export type ReadingContext = GroupKind & {
  readonly operation: 'CREATE' | 'UPDATE';
  /** Whether a kubelet asks: only then is a mirror pod a mirror pod. */
  readonly fromKubelet: boolean;
  /** Counts the work, for tests. */
  readonly work?: WorkCounter;
};

/** One place in one object that names an image. */
export type ImageSlot = {
  readonly path: Path;
  /** The place in a person's words: `container "app"`, `spec.output.to`, `FROM in line 3 of the inline Dockerfile`. */
  readonly holder: string;
  readonly action: 'pull' | 'push';
  readonly content: SlotContent;
  /** What its author should know where it is not trusted: why it is an image at all, and what to write instead. A clause. */
  readonly advice?: string;
  /** Judged here, but pulled by another pod, which gets the secret when it comes. */
  readonly pulledElsewhere?: true;
  /** Fetched by OpenShift's importer, for which a name without registry is one of Docker Hub, whatever nodes search. */
  readonly imported?: true;
};

/** What stands in a slot: a name to judge, or something that becomes an image later, with the reason why it cannot be judged by itself. */
export type SlotContent =
  | { readonly kind: 'image'; readonly text: string }
  | {
      readonly kind: 'unresolved';
      readonly why: string;
      /** The image stream that says which image it will be, where one is named. */
      readonly stream?: StreamReference;
    };

/** A reference to an image stream, as it is written. */
export type StreamReference = {
  readonly kind: 'ImageStreamTag' | 'ImageStreamImage';
  /** Absent: that of the object. */
  readonly namespace?: string;
  /** `stream:tag`, or `stream@digest`. */
  readonly name: string;
};

/** A pod, or the pod template of a workload: all its images share one list of pull secrets. */
export type PodShape = {
  readonly kind: 'pod';
  /** A pod is about to run; a template will become one later, and may still be filled in. */
  readonly stage: 'pod' | 'template';
  readonly slots: readonly ImageSlot[];
  /** Where the pod spec and its metadata stand in the object. */
  readonly spec: Path;
  readonly metadata: Path;
  /** Name of the service account, `default` where none is written. */
  readonly serviceAccount: string;
  /** Entries of `imagePullSecrets` as they stand; undefined for an entry without a name. */
  readonly pullSecrets: readonly (string | undefined)[];
  /** What an earlier pass of ours wrote into the list. */
  readonly mark: PodMark;
  /** Why nothing may be written here although the images are judged; absent where writing is fine. */
  readonly untouchable?: 'owned' | 'mirror' | 'immutable';
  /** Of a custom resource, whose list of secrets is the author's as a whole, or nobody's. */
  readonly onlyIntoEmptyList?: true;
};

/** One place of a build that holds the name of one secret, and the images that secret serves. */
export type BuildCredential = {
  readonly path: Path;
  readonly action: 'pull' | 'push';
  /** The secret's name as it stands. */
  readonly current?: string;
  /** Images that are pulled or pushed with it. */
  readonly slots: readonly ImageSlot[];
  /** The image the build starts from, which wins when one secret cannot serve all. */
  readonly base?: ImageSlot;
  /** Whether the base was written in the build strategy itself, not in a Dockerfile. */
  readonly baseInStrategy: boolean;
  /** Whether images that this object does not show may be pulled with it: a Dockerfile that lives in Git. */
  readonly unseenImages: boolean;
};

/** A BuildConfig or Build: several images, each with one place for one secret. */
export type BuildShape = {
  readonly kind: 'build';
  readonly slots: readonly ImageSlot[];
  readonly credentials: readonly BuildCredential[];
  readonly mark: BuildMark;
  /** A Build that exists: its spec cannot change. */
  readonly untouchable?: 'immutable';
};

/** Something that names images and has no place for a secret: judged, and nothing is written. */
export type NamingShape = {
  readonly kind: 'naming';
  readonly slots: readonly ImageSlot[];
};

export type ObjectShape = PodShape | BuildShape | NamingShape;

/** A field that is not what the API says it is; nothing can be said of such an object, so nothing is allowed. */
export type MalformedObject = { readonly path: string; readonly message: string };

/** What came of reading an object of a kind that is known. */
export type ShapeReading<Shape = ObjectShape> =
  | { readonly kind: 'shape'; readonly shape: Shape }
  | { readonly kind: 'malformed'; readonly problem: MalformedObject };

export type ObjectReading =
  | ShapeReading
  /** A kind that names no images, as far as this version knows. */
  | { readonly kind: 'unknown' };

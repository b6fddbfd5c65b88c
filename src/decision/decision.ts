import type { ImageProblem, ImageReference } from '../image/reference.ts';
import type { JsonObject } from '../object/json.ts';
import type { ImageSlot, MalformedObject } from '../object/object-shape.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { Exemption, Mode, Rule } from '../rules/rule-set.ts';
import type { PatchOperation } from './inject/patch.ts';
import type { ReasonCode } from './reasons.ts';
import type { StreamResolution } from './streams.ts';

/** One change to one object, as far as judging it needs to know. */
export type ChangeRequest = {
  readonly operation: 'CREATE' | 'UPDATE';
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  /** Empty on CREATE with generateName. */
  readonly name: string;
  readonly user: string;
  readonly object: unknown;
  /** What it was before an UPDATE; null on CREATE. */
  readonly oldObject: JsonObject | null;
};

export type Verdict = 'trusted' | 'distrusted' | 'unconfigured' | 'unparseable' | 'unresolved';
export type Outcome = 'allow' | 'warn' | 'deny';

/** The verdict on an image name, before `mode` softens what follows from it, and apart from where the name stands. */
export type ImageEvaluation = {
  readonly verdict: Verdict;
  readonly reason: ReasonCode;
  readonly judged: Outcome;
  /** As understood; of several registries that a short name may mean, the one that decides. */
  readonly reference?: ImageReference;
  readonly problem?: ImageProblem;
  /** The rule that decides. */
  readonly rule?: Rule;
  /** The rules that trust it, whose secrets it needs: one, but for a short name that may mean several registries. Empty unless trusted. */
  readonly trustedBy: readonly Rule[];
  /** What lets it in although it is not trusted; or, where its day is past, what did. */
  readonly exemption?: Exemption;
  /** All registries that a short name may mean, where there are several. */
  readonly searched?: readonly ImageReference[];
  /** The first thing that selects by labels of the namespace, where these are unknown and would count: judged strictly then. */
  readonly unsure?: Origin;
};

/** What the rule set says of one slot, and what follows. */
export type ImageDecision = ImageEvaluation & {
  readonly slot: ImageSlot;
  /** The object had it before the change. */
  readonly old?: true;
  /** Why it is refused although it is trusted: a secret it needs is not there. */
  readonly missing?: string;
  /** What the image stream that the slot names stands for now; the judgement is that of this image. */
  readonly stream?: StreamResolution;
};

/** One secret written into the object. */
export type Injection = {
  /** Rendered path of the list or field it was written to. */
  readonly path: string;
  readonly secret: string;
  readonly from: 'rule' | 'serviceAccount';
};

/** Something the person should know that refuses nothing. */
export type Notice = { readonly reason: ReasonCode; readonly message: string };

export type Decision =
  | {
      readonly kind: 'decided';
      readonly images: readonly ImageDecision[];
      /** The worst of the images, before `mode`. */
      readonly judged: Outcome;
      /** What is answered. */
      readonly outcome: Outcome;
      readonly mode: Mode;
      readonly revision: string;
      /** What selects by labels of the namespace that nobody knows: the decision is the strictest they could lead to. Empty where it stands for sure. */
      readonly unsure: readonly Origin[];
      readonly patch: readonly PatchOperation[];
      readonly injected: readonly Injection[];
      /** Of the injection; for the mutating answer. */
      readonly notices: readonly Notice[];
      /** Of the judgement, one for each image that is not simply allowed, worst first; for the validating answer. */
      readonly findings: readonly Finding[];
    }
  | { readonly kind: 'malformed'; readonly problem: MalformedObject }
  | { readonly kind: 'unknown-kind' }
  /** The watches have not caught up with what the API server already knows: ask again in a second. */
  | { readonly kind: 'not-yet'; readonly message: string };

export type Finding = { readonly image: ImageDecision; readonly message: string };

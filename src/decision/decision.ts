/** Types of a change and of the decision about it. */
import type { ImageProblem, ImageReference } from '../image/reference.ts';
import type { JsonObject } from '../object/json.ts';
import type { ImageSlot, MalformedObject } from '../object/object-shape.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { Exemption, Mode, Rule } from '../rules/rule-set.ts';
import type { DeliveryFacts } from './facts.ts';
import type { PatchOperation } from './inject/patch.ts';
import type { ReasonCode } from './reasons.ts';
import type { StreamResolution } from './resolve-stream.ts';

/** One change to one object, with everything that the decision depends on. */
export type ChangeRequest = {
  readonly operation: 'CREATE' | 'UPDATE';
  readonly group: string;
  readonly kind: string;
  /** Absent or empty for the object itself. */
  readonly subresource?: string;
  readonly namespace: string;
  /** Empty on CREATE with generateName. */
  readonly name: string;
  readonly user: string;
  readonly object: unknown;
  /** The object before an UPDATE. Null on CREATE. */
  readonly oldObject: JsonObject | null;
  /** The reader of the messages may be anyone, so they must not repeat what image streams contain. */
  readonly hideStreamContents?: boolean;
};

export type Verdict = 'trusted' | 'untrusted' | 'unconfigured' | 'invalid' | 'unresolved';
export type Outcome = 'allowed' | 'warned' | 'denied';

/** The evaluation of an image name by the rules, independent of the slot, and before `mode` softens the outcome. */
export type ImageEvaluation = {
  readonly verdict: Verdict;
  readonly reason: ReasonCode;
  readonly outcomeBeforeMode: Outcome;
  /** The parsed name. For a short name that is searched in several registries, the name in the registry that decides. */
  readonly reference?: ImageReference;
  readonly problem?: ImageProblem;
  /** The rule that decides. */
  readonly rule?: Rule;
  /**
   * The rules that trust the image, whose secrets it needs: several only for a short name that is searched in several registries. Empty
   * unless trusted.
   */
  readonly trustedBy: readonly Rule[];
  /** The exemption that allows the image although it is not trusted, or that has expired. */
  readonly exemption?: Exemption;
  /** The names in all registries that a short name is searched in, if there are several. */
  readonly searched?: readonly ImageReference[];
  /** The first selector whose unknown labels of the namespace matter. The strictest result is assumed then. */
  readonly unsure?: Origin;
};

/** The evaluation of one slot. */
export type ImageDecision = ImageEvaluation & {
  readonly slot: ImageSlot;
  /** Whether the object had the image before the change. */
  readonly old?: true;
  /** The message about a missing secret, if the image is trusted and denied for that. */
  readonly missing?: ImageMessage;
  /** The current image of the image stream that the slot names. The evaluation is of that image. */
  readonly stream?: StreamResolution;
};

/** One secret written into the object. */
export type Injection = {
  /** Rendered path of the list or field. */
  readonly path: string;
  readonly secret: string;
  readonly from: 'rule' | 'serviceAccount';
};

/**
 * `brief` is the same without the location of rules and the full name of the image, for warnings, which are cut at 256 characters. Both end
 * with a full stop.
 */
export type Message = { readonly message: string; readonly brief: string };

/** `terse` also leaves out the name of the rule. */
export type ImageMessage = Message & { readonly terse: string };

/** A warning for the user that denies nothing. `brief` is absent if the message names no location. */
export type Notice = { readonly reason: ReasonCode; readonly message: string; readonly brief?: string };

export type Decision =
  | {
      readonly kind: 'decided';
      readonly images: readonly ImageDecision[];
      /** The worst outcome of the images, before `mode`. */
      readonly outcomeBeforeMode: Outcome;
      /** The outcome of the request, after `mode`. */
      readonly outcome: Outcome;
      readonly mode: Mode;
      readonly revision: string;
      /** Selectors whose unknown labels of the namespace matter: the strictest result is assumed. Empty if the decision is certain. */
      readonly unsure: readonly Origin[];
      /** The object is denied whatever the unknown labels are, although they matter to one of its images. */
      readonly certainlyDenied?: true;
      /** A kubelet reports a static Pod, which is already running. */
      readonly staticPod?: true;
      readonly patch: readonly PatchOperation[];
      readonly injected: readonly Injection[];
      /** See `supplied-secrets.ts`. Undefined if the secrets of the rules and the object do not determine what is written. */
      readonly suppliedSecrets: readonly string[] | undefined;
      /** Secrets with delivery that the object needs, as its annotation has them. Absent if the change does not concern the annotation. */
      readonly neededSecrets?: readonly string[];
      /** Missing secrets that are delivered to the namespace, and the state of the delivery. Absent if there are none. */
      readonly awaited?: { readonly secrets: readonly string[]; readonly delivery: DeliveryFacts };
      /** Warnings about the injection, for the mutating response. */
      readonly notices: readonly Notice[];
      /** One for each image whose outcome is not `allowed`, worst first, for the validating response. */
      readonly findings: readonly ImageFinding[];
    }
  | { readonly kind: 'malformed'; readonly problem: MalformedObject }
  | { readonly kind: 'unknown-kind' }
  /** Our watches are behind the API server: the client should retry in a second. */
  | { readonly kind: 'not-yet'; readonly message: string };

export type ImageFinding = ImageMessage & {
  readonly image: ImageDecision;
  /** As the user may read it. That of the image can depend on an image stream that the user may not read. */
  readonly reason: ReasonCode;
};

/** Evaluates one object with the engine. */
import { type SimulationResult, simulateAdmission } from '../admission/simulate.ts';
import type { ImageDecision, Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { PatchOperation } from '../decision/inject/patch.ts';
import type { ReasonCode } from '../decision/reasons.ts';
import { type JsonObject, textAt } from '../object/json.ts';
import { builtInKinds } from '../object/kinds.ts';
import { type DescribedImage, describeImage, hashImages } from '../observe/audit/image.ts';
import { type Origin, renderOrigin } from '../rules/language/problem.ts';
import type { Mode, RuleSet } from '../rules/rule-set.ts';
import type { Subject } from './not-evaluated.ts';
import type { Manifest } from './parse-manifests.ts';
import { groupOf } from './platform-kinds.ts';
import { type WhyUnread, whyNothingFound, whyUnread, whyUnserved } from './unread-object.ts';

export type ObjectEvaluationOptions = {
  /** Default namespace of the object. */
  readonly namespace: string;
  readonly user: string;
  /** Where objects that the result depends on come from. `files` by default. */
  readonly source?: ObjectSource;
};

export type ObjectSource = 'files' | 'cluster';

/** The shape of `check -o json`. */
export type ObjectResult = {
  readonly object: Subject & { readonly file: string; readonly line: number };
  readonly outcome: Outcome;
  /** The outcome that `mode: enforce` would have. Absent if it is the same. */
  readonly outcomeIfEnforced?: Outcome;
  readonly images: readonly EvaluatedImage[];
  /** The same hash as in an audit record that does not list all images. Absent if there are no images. */
  readonly imagesSha256?: string;
  readonly inject: readonly { readonly path: string; readonly secret: string; readonly from: string }[];
  readonly patch: readonly PatchOperation[];
  /** The exact messages for the client: warnings, then the denial. */
  readonly messages: readonly string[];
  /**
   * Which input is missing for a certain result, with the fix. The strictest case was assumed. Absent if none is missing, and for an object
   * that is denied in any case.
   */
  readonly uncertain?: readonly string[];
};

/** `written`: the text of the field, where it is not the name of an image: a variable, a placeholder, the name of a stream. */
export type EvaluatedImage = DescribedImage & {
  readonly written?: string;
  /** Which input is missing for a certain verdict, with the fix. */
  readonly uncertain?: string;
};

export type ObjectEvaluation =
  | {
      readonly kind: 'evaluated';
      readonly result: ObjectResult;
      /** The images of the result, in its order, as the engine decided them. */
      readonly decisions: readonly ImageDecision[];
      /** The reasons of messages of the result that are not about one image. */
      readonly reasons: ReadonlyMap<string, ReasonCode>;
      /** The mode of the namespace. Absent if the object could not be read. */
      readonly mode?: Mode;
      /** The object as it would be stored if it were allowed. */
      readonly stored: JsonObject;
    }
  /** Of a kind without images, or a custom resource in which nothing looks like one. */
  | { readonly kind: 'without-images' }
  | { readonly kind: 'not-evaluated'; readonly why: WhyUnread };

/** Evaluates the object as if it were created now. */
export function evaluateObject(manifest: Manifest, rules: RuleSet, facts: Facts, options: ObjectEvaluationOptions): ObjectEvaluation {
  const { kinds = builtInKinds } = facts;
  const { apiVersion, kind, object } = manifest;
  const group = groupOf(apiVersion);
  const row = kinds.find({ group, kind });
  const why = row ? whyUnserved(manifest, row) : whyUnread(manifest, group, kinds);
  if (why) return { kind: 'not-evaluated', why };
  if (!row) return { kind: 'without-images' };
  const simulation = simulateAdmission({ apiVersion, kind, object, namespace: options.namespace, user: options.user }, rules, facts);
  if (simulation.kind === 'unread') throw new Error(`the simulation does not support ${kind} in ${apiVersion}`);
  const isBlank = simulation.kind === 'answered' && simulation.outcome !== 'denied' && simulation.images.length === 0;
  const whyBlank = isBlank ? whyNothingFound(manifest, row) : undefined;
  if (whyBlank) return { kind: 'not-evaluated', why: whyBlank };
  const result = resultOf(manifest, simulation, options);
  if (simulation.kind !== 'answered') return { kind: 'evaluated', result, decisions: [], reasons: new Map(), stored: object };
  const { images, mode, reasons, object: stored } = simulation;
  return { kind: 'evaluated', result, decisions: images, reasons, ...(mode && { mode }), stored };
}

/** Certainly allowed. */
export function isClean({ outcome, uncertain }: Pick<ObjectResult, 'outcome' | 'uncertain'>): boolean {
  return outcome !== 'denied' && uncertain === undefined;
}

/** What follows the name of an object that the result depends on, and how to provide the object. */
const missingObjects: Readonly<Record<ObjectSource, { readonly predicate: string; readonly fix: string }>> = {
  files: { predicate: 'is not in the input', fix: '. Pass it with -f' },
  cluster: { predicate: 'could not be read', fix: '' },
};

function resultOf(
  manifest: Manifest,
  simulation: Exclude<SimulationResult, { kind: 'unread' }>,
  { namespace, source = 'files' }: ObjectEvaluationOptions,
): ObjectResult {
  const { fix } = missingObjects[source];
  const subject = { ...subjectOf(manifest, namespace), file: manifest.file, line: manifest.line };
  if (simulation.kind === 'not-yet') {
    const uncertain = [`${simulation.message}${fix}`];
    return { object: subject, outcome: 'denied', images: [], inject: [], patch: [], messages: [], uncertain };
  }
  const { outcome, outcomeIfEnforced, images, injected, patch, warnings, denial, unsure, certainlyDenied = false } = simulation;
  return {
    object: subject,
    outcome,
    ...(outcomeIfEnforced !== undefined && { outcomeIfEnforced }),
    images: images.map((image) => evaluatedImage(image, subject.namespace, source)),
    ...(images.length > 0 && { imagesSha256: hashImages(images) }),
    inject: injected.map(({ path, secret, from }) => ({ path, secret, from })),
    patch,
    messages: [...warnings, ...(denial === undefined ? [] : [denial])],
    ...(unsure.length > 0 &&
      !certainlyDenied && { uncertain: unsure.map((origin) => missingNamespace(origin, subject.namespace, source)) }),
  };
}

/** What identifies the object, with the namespace that applies if it names none. */
export function subjectOf({ apiVersion, kind, object }: Manifest, defaultNamespace: string): Subject {
  const namespace = textAt(object, ['metadata', 'namespace']) ?? defaultNamespace;
  const name = textAt(object, ['metadata', 'name']) ?? '';
  const generateName = textAt(object, ['metadata', 'generateName']);
  return { apiVersion, kind, namespace, name, ...(name === '' && generateName !== undefined && { generateName }) };
}

function evaluatedImage(image: ImageDecision, namespace: string, source: ObjectSource): EvaluatedImage {
  const { slot, stream, unsure } = image;
  const written = slot.content.kind === 'unresolved' && stream?.kind !== 'resolved' ? slot.content.written : undefined;
  // Only of a reference to a stream. A placeholder for the image of a stream has another reason.
  const isMissing = slot.path.at(-1) === 'name' && stream?.kind === 'unresolved' && stream.why === undefined;
  const { predicate, fix } = missingObjects[source];
  return {
    ...describeImage(image),
    ...(isMissing && { why: `the image stream ${predicate}${fix}` }),
    ...(written !== undefined && { written }),
    ...(unsure && { uncertain: missingNamespace(unsure, namespace, source) }),
  };
}

function missingNamespace(origin: Origin, namespace: string, source: ObjectSource): string {
  const { predicate, fix } = missingObjects[source];
  return `${renderOrigin(origin)} selects namespaces by label, and namespace "${namespace}" ${predicate}${fix}`;
}

/** `Deployment shop/web` */
export function renderSubject({ kind, namespace, name, generateName }: Subject): string {
  return `${kind} ${namespace}/${name === '' ? `${generateName ?? '(unnamed)'}…` : name}`;
}

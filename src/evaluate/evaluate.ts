/** Evaluates objects from files with the engine, for `check`, `test` and `diff`. */
import { type SimulationResult, simulateAdmission } from '../admission/simulate.ts';
import { parseRegistrySecret, type RegistrySecretProblem } from '../credentials/registry-secret.ts';
import type { ImageDecision, Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { PatchOperation } from '../decision/inject/patch.ts';
import { type JsonObject, textAt } from '../object/json.ts';
import { builtInKinds, type Kinds } from '../object/kinds.ts';
import { type DescribedImage, describeImage, hashImages } from '../observe/audit/image.ts';
import { type Origin, renderOrigin } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { factsFromObjects } from './facts-from-objects.ts';
import type { NotEvaluated, Subject } from './not-evaluated.ts';
import type { Manifest, ParsedManifests } from './parse-manifests.ts';
import { groupOf } from './platform-kinds.ts';
import { type WhyUnread, whyNothingFound, whyUnread, whyUnserved } from './unread-object.ts';

export type EvaluationOptions = {
  /** Default namespace of the objects. */
  readonly namespace: string;
  readonly user: string;
  /** True if objects that are not among the input do not exist. */
  readonly assumeComplete: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly kinds?: Kinds;
  /** True if objects of unknown kinds are accepted, although something in them looks like an image. */
  readonly skipUnknown?: boolean;
};

export type Evaluation = {
  readonly rulesRevision: string;
  /** One result per object of a kind with images, in input order. */
  readonly results: readonly ObjectResult[];
  /** The object of each result. */
  readonly evaluated: readonly Manifest[];
  /** Evaluated objects that name no images: of kinds without images, or custom resources in which nothing looks like one. */
  readonly withoutImages: readonly KindCount[];
  /** Objects of unknown kinds that were accepted. */
  readonly skipped: readonly KindCount[];
  /** Files and their parts, then objects, each in input order. */
  readonly notEvaluated: readonly NotEvaluated[];
  /** Numbers of objects. The undecided ones are among the others. */
  readonly summary: {
    readonly allowed: number;
    readonly warned: number;
    readonly denied: number;
    readonly undecided: number;
    readonly withoutImages: number;
  };
  /** Service accounts, as namespace/name, that are used and not among the objects. Their pull secrets are missing in the results. */
  readonly unknownAccounts: readonly string[];
  /** What is wrong with registry Secrets among the objects. Nothing of their contents but the keys of entries. */
  readonly malformedSecrets: readonly MalformedSecret[];
  /** All objects that would be allowed, as they would be stored, including the skipped ones, in input order. */
  readonly admitted: readonly JsonObject[];
};

export type KindCount = { readonly apiVersion: string; readonly kind: string; readonly count: number };

/** One problem of one Secret, as in `check -o json`. */
export type MalformedSecret = RegistrySecretProblem & {
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
};

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
  /** Which input is missing for a certain result, with the fix. The strictest case was assumed. Absent if none is missing. */
  readonly undecided?: readonly string[];
};

/** `written`: the text of the field, where it is not the name of an image: a variable, a placeholder, the name of a stream. */
export type EvaluatedImage = DescribedImage & { readonly written?: string };

export function evaluate({ manifests, problems }: ParsedManifests, rules: RuleSet, options: EvaluationOptions): Evaluation {
  const inputFacts = factsFromObjects(manifests, options);
  const results: ObjectResult[] = [];
  const evaluated: Manifest[] = [];
  const admitted: JsonObject[] = [];
  const notEvaluated: NotEvaluated[] = [...problems];
  const unknownAccounts = new Set<string>();
  const [withoutImages, skipped] = [new KindCounter(), new KindCounter()];
  for (const manifest of manifests) {
    const { apiVersion, kind, object } = manifest;
    const accountsNotFound = new Set<string>();
    const facts: Facts = {
      ...inputFacts,
      serviceAccount(namespace, name) {
        const account = inputFacts.serviceAccount(namespace, name);
        if (account.kind === 'unknown') accountsNotFound.add(`${namespace}/${name}`);
        return account;
      },
    };
    const simulate = () => simulateAdmission({ apiVersion, kind, object, namespace: options.namespace, user: options.user }, rules, facts);
    const outcome = evaluateObject(manifest, simulate, options.kinds);
    if (outcome.kind === 'not-evaluated' && !(outcome.why.code === 'unknown-kind' && options.skipUnknown)) {
      notEvaluated.push(notEvaluatedObject(manifest, outcome.why, options.namespace));
      continue;
    }
    if (outcome.kind !== 'simulated') {
      (outcome.kind === 'without-images' ? withoutImages : skipped).add(manifest);
      admitted.push(object);
      continue;
    }
    const { simulation } = outcome;
    const result = resultOf(manifest, simulation, options.namespace);
    results.push(result);
    evaluated.push(manifest);
    if (simulation.kind === 'answered' && isClean(result)) admitted.push(simulation.object);
    // If we add no secret to an object, Kubernetes itself adds those of its service account.
    if (result.inject.length > 0) for (const account of accountsNotFound) unknownAccounts.add(account);
  }
  const count = (outcome: Outcome) => results.filter((result) => result.outcome === outcome).length;
  const undecided = results.filter((result) => result.undecided !== undefined).length;
  return {
    rulesRevision: rules.revision,
    results,
    evaluated,
    withoutImages: withoutImages.counts(),
    skipped: skipped.counts(),
    notEvaluated,
    summary: {
      allowed: count('allowed'),
      warned: count('warned'),
      denied: count('denied'),
      undecided,
      withoutImages: withoutImages.total(),
    },
    unknownAccounts: [...unknownAccounts],
    malformedSecrets: manifests.flatMap((manifest) => problemsOfSecret(manifest, options.namespace)),
    admitted,
  };
}

type ObjectOutcome =
  | { readonly kind: 'simulated'; readonly simulation: Exclude<SimulationResult, { kind: 'unread' }> }
  | { readonly kind: 'without-images' }
  | { readonly kind: 'not-evaluated'; readonly why: WhyUnread };

function evaluateObject(manifest: Manifest, simulate: () => SimulationResult, kinds: Kinds = builtInKinds): ObjectOutcome {
  const group = groupOf(manifest.apiVersion);
  const row = kinds.find({ group, kind: manifest.kind });
  const why = row ? whyUnserved(manifest, row) : whyUnread(manifest, group, kinds);
  if (why) return { kind: 'not-evaluated', why };
  if (!row) return { kind: 'without-images' };
  const simulation = simulate();
  if (simulation.kind === 'unread') throw new Error(`the simulation does not support ${manifest.kind} in ${manifest.apiVersion}`);
  const isBlank = simulation.kind === 'answered' && simulation.outcome !== 'denied' && simulation.images.length === 0;
  const whyBlank = isBlank ? whyNothingFound(manifest, row) : undefined;
  return whyBlank ? { kind: 'not-evaluated', why: whyBlank } : { kind: 'simulated', simulation };
}

function notEvaluatedObject(manifest: Manifest, why: WhyUnread, defaultNamespace: string): NotEvaluated {
  const subject = subjectOf(manifest, defaultNamespace);
  return { file: manifest.file, line: manifest.line, code: why.code, message: `${renderSubject(subject)} ${why.message}`, object: subject };
}

class KindCounter {
  private readonly byKind = new Map<string, KindCount>();

  add({ apiVersion, kind }: Manifest): void {
    const key = `${apiVersion} ${kind}`;
    this.byKind.set(key, { apiVersion, kind, count: (this.byKind.get(key)?.count ?? 0) + 1 });
  }

  counts(): readonly KindCount[] {
    return [...this.byKind.values()];
  }

  total(): number {
    return this.counts().reduce((sum, { count }) => sum + count, 0);
  }
}

function problemsOfSecret(manifest: Manifest, defaultNamespace: string): readonly MalformedSecret[] {
  const { apiVersion, kind, object, file, line } = manifest;
  if (apiVersion !== 'v1' || kind !== 'Secret') return [];
  const { namespace, name } = subjectOf(manifest, defaultNamespace);
  return (parseRegistrySecret(object)?.problems ?? []).map((problem) => ({ namespace, name, file, line, ...problem }));
}

/** Certainly allowed. */
export function isClean({ outcome, undecided }: ObjectResult): boolean {
  return outcome !== 'denied' && undecided === undefined;
}

function resultOf(manifest: Manifest, simulation: Exclude<SimulationResult, { kind: 'unread' }>, defaultNamespace: string): ObjectResult {
  const subject = { ...subjectOf(manifest, defaultNamespace), file: manifest.file, line: manifest.line };
  if (simulation.kind === 'not-yet') {
    const undecided = [`${simulation.message}. Pass it with -f`];
    return { object: subject, outcome: 'denied', images: [], inject: [], patch: [], messages: [], undecided };
  }
  const { outcome, outcomeIfEnforced, images, injected, patch, warnings, denial, unsure } = simulation;
  return {
    object: subject,
    outcome,
    ...(outcomeIfEnforced !== undefined && { outcomeIfEnforced }),
    images: images.map(evaluatedImage),
    ...(images.length > 0 && { imagesSha256: hashImages(images) }),
    inject: injected.map(({ path, secret, from }) => ({ path, secret, from })),
    patch,
    messages: [...warnings, ...(denial === undefined ? [] : [denial])],
    ...(unsure.length > 0 && { undecided: unsure.map((origin) => missingNamespace(origin, subject.namespace)) }),
  };
}

function subjectOf({ apiVersion, kind, object }: Manifest, defaultNamespace: string): Subject {
  const namespace = textAt(object, ['metadata', 'namespace']) ?? defaultNamespace;
  const name = textAt(object, ['metadata', 'name']) ?? '';
  const generateName = textAt(object, ['metadata', 'generateName']);
  return { apiVersion, kind, namespace, name, ...(name === '' && generateName !== undefined && { generateName }) };
}

function evaluatedImage(image: ImageDecision): EvaluatedImage {
  const { slot, stream } = image;
  const written = slot.content.kind === 'unresolved' && stream?.kind !== 'resolved' ? slot.content.written : undefined;
  // Only of a reference to a stream. A placeholder for the image of a stream has another reason.
  const isMissing = slot.path.at(-1) === 'name' && stream?.kind === 'unresolved' && stream.why === undefined;
  return {
    ...describeImage(image),
    ...(isMissing && { why: 'the image stream is not in the input. Pass it with -f' }),
    ...(written !== undefined && { written }),
  };
}

function missingNamespace(origin: Origin, namespace: string): string {
  return `${renderOrigin(origin)} selects namespaces by label, and namespace "${namespace}" is not in the input. Pass it with -f`;
}

/** `Deployment shop/web` */
export function renderSubject({ kind, namespace, name, generateName }: Subject): string {
  return `${kind} ${namespace}/${name === '' ? `${generateName ?? '(unnamed)'}…` : name}`;
}

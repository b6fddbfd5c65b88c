/** Evaluates objects from files with the engine, for `check`, `test` and `diff`. */
import { type SimulationResult, simulateAdmission } from '../admission/simulate.ts';
import { parseRegistrySecret, type RegistrySecretProblem } from '../credentials/registry-secret.ts';
import type { Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { PatchOperation } from '../decision/inject/patch.ts';
import { type JsonObject, textAt } from '../object/json.ts';
import type { Kinds } from '../object/kinds.ts';
import { type DescribedImage, describeImage, hashImages } from '../observe/audit/image.ts';
import { type Origin, renderOrigin } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { factsFromObjects } from './facts-from-objects.ts';
import type { Manifest } from './parse-manifests.ts';

export type EvaluationOptions = {
  /** Default namespace of the objects. */
  readonly namespace: string;
  readonly user: string;
  /** True if objects that are not among the input do not exist. */
  readonly assumeComplete: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly kinds?: Kinds;
};

export type Evaluation = {
  readonly rulesRevision: string;
  /** One result per evaluated object, in input order. */
  readonly results: readonly ObjectResult[];
  /** Objects whose kinds contain no images. */
  readonly skipped: readonly { readonly apiVersion: string; readonly kind: string; readonly count: number }[];
  readonly summary: { readonly allowed: number; readonly warned: number; readonly denied: number; readonly undecided: number };
  /** Service accounts, as namespace/name, that are used and not among the objects. Their pull secrets are missing in the results. */
  readonly unknownAccounts: readonly string[];
  /** What is wrong with registry Secrets among the objects. Nothing of their contents but the keys of entries. */
  readonly malformedSecrets: readonly MalformedSecret[];
  /** All objects that would be allowed, as they would be stored, including the skipped ones, in input order. */
  readonly admitted: readonly JsonObject[];
};

/** One problem of one Secret, as in `check -o json`. */
export type MalformedSecret = RegistrySecretProblem & {
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
};

/** The shape of `check -o json`. */
export type ObjectResult = {
  readonly object: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    /** Empty if the object has only generateName. */
    readonly name: string;
    readonly generateName?: string;
    readonly file: string;
    readonly line: number;
  };
  readonly outcome: Outcome;
  readonly images: readonly DescribedImage[];
  /** The same hash as in an audit record that does not list all images. Absent if there are no images. */
  readonly imagesSha256?: string;
  readonly inject: readonly { readonly path: string; readonly secret: string; readonly from: string }[];
  readonly patch: readonly PatchOperation[];
  /** The exact messages for the client: warnings, then the denial. */
  readonly messages: readonly string[];
  /** Which input is missing for a certain result, with the fix. The strictest case was assumed. Absent if none is missing. */
  readonly undecided?: readonly string[];
};

export function evaluate(manifests: readonly Manifest[], rules: RuleSet, options: EvaluationOptions): Evaluation {
  const inputFacts = factsFromObjects(manifests, options);
  const results: ObjectResult[] = [];
  const admitted: JsonObject[] = [];
  const unknownAccounts = new Set<string>();
  const skipped = new Map<string, { apiVersion: string; kind: string; count: number }>();
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
    const simulation = simulateAdmission({ apiVersion, kind, object, namespace: options.namespace, user: options.user }, rules, facts);
    if (simulation.kind === 'unread') {
      const count = (skipped.get(`${apiVersion} ${kind}`)?.count ?? 0) + 1;
      skipped.set(`${apiVersion} ${kind}`, { apiVersion, kind, count });
      admitted.push(object);
      continue;
    }
    const result = resultOf(manifest, simulation, options.namespace);
    results.push(result);
    if (simulation.kind === 'answered' && isClean(result)) admitted.push(simulation.object);
    // If we add no secret to an object, Kubernetes itself adds those of its service account.
    if (result.inject.length > 0) for (const account of accountsNotFound) unknownAccounts.add(account);
  }
  const count = (outcome: Outcome) => results.filter((result) => result.outcome === outcome).length;
  const undecided = results.filter((result) => result.undecided !== undefined).length;
  return {
    rulesRevision: rules.revision,
    results,
    skipped: [...skipped.values()],
    summary: { allowed: count('allowed'), warned: count('warned'), denied: count('denied'), undecided },
    unknownAccounts: [...unknownAccounts],
    malformedSecrets: manifests.flatMap((manifest) => problemsOfSecret(manifest, options.namespace)),
    admitted,
  };
}

function problemsOfSecret({ apiVersion, kind, object, file, line }: Manifest, defaultNamespace: string): readonly MalformedSecret[] {
  if (apiVersion !== 'v1' || kind !== 'Secret') return [];
  const namespace = textAt(object, ['metadata', 'namespace']) ?? defaultNamespace;
  const name = textAt(object, ['metadata', 'name']) ?? '';
  return (parseRegistrySecret(object)?.problems ?? []).map((problem) => ({ namespace, name, file, line, ...problem }));
}

/** Certainly allowed. */
export function isClean({ outcome, undecided }: ObjectResult): boolean {
  return outcome !== 'denied' && undecided === undefined;
}

function resultOf(
  { apiVersion, kind, object, file, line }: Manifest,
  simulation: Exclude<SimulationResult, { kind: 'unread' }>,
  defaultNamespace: string,
): ObjectResult {
  const namespace = textAt(object, ['metadata', 'namespace']) ?? defaultNamespace;
  const name = textAt(object, ['metadata', 'name']) ?? '';
  const generateName = textAt(object, ['metadata', 'generateName']);
  const subject = { apiVersion, kind, namespace, name, ...(name === '' && generateName !== undefined && { generateName }), file, line };
  if (simulation.kind === 'not-yet') {
    const undecided = [`${simulation.message}: give it with -f`];
    return { object: subject, outcome: 'denied', images: [], inject: [], patch: [], messages: [], undecided };
  }
  const { outcome, images, injected, patch, warnings, denial, unsure } = simulation;
  return {
    object: subject,
    outcome,
    images: images.map((image) => describeImage(image)),
    ...(images.length > 0 && { imagesSha256: hashImages(images) }),
    inject: injected.map(({ path, secret, from }) => ({ path, secret, from })),
    patch,
    messages: [...warnings, ...(denial === undefined ? [] : [denial])],
    ...(unsure.length > 0 && { undecided: unsure.map((origin) => missingNamespace(origin, namespace)) }),
  };
}

function missingNamespace(origin: Origin, namespace: string): string {
  return `${renderOrigin(origin)} selects by the labels of namespace "${namespace}", which is not among the objects: give the Namespace with -f`;
}

/** `Deployment shop/web` */
export function renderSubject({ kind, namespace, name, generateName }: ObjectResult['object']): string {
  return `${kind} ${namespace}/${name === '' ? `${generateName ?? '(unnamed)'}…` : name}`;
}

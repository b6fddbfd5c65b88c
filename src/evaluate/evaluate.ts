/** Evaluates objects from files with the engine, for `check`, `test` and `diff`. */
import { parseRegistrySecret, type RegistrySecretProblem } from '../credentials/registry-secret.ts';
import type { ImageDecision, Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import { isUsualInternalRegistry } from '../image/openshift-registry.ts';
import type { JsonObject } from '../object/json.ts';
import type { Kinds } from '../object/kinds.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { Position } from '../yaml/yaml-error.ts';
import { countKinds, type KindCount } from './count-kinds.ts';
import { evaluateObject, isClean, type ObjectResult, renderSubject, subjectOf } from './evaluate-object.ts';
import { factsFromObjects } from './facts-from-objects.ts';
import type { NotEvaluated } from './not-evaluated.ts';
import type { Manifest, ParsedManifests } from './parse-manifests.ts';
import type { WhyUnread } from './unread-object.ts';

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
  /** Where the first image is that decides each result. Undefined if no image does, or if its position is unknown. */
  readonly decidingImages: readonly (() => Position | undefined)[];
  /** Evaluated objects that name no images: of kinds without images, or custom resources in which nothing looks like one. */
  readonly withoutImages: readonly KindCount[];
  /** Objects of unknown kinds that were accepted. */
  readonly skipped: readonly KindCount[];
  /** Files and their parts, then objects, each in input order. */
  readonly notEvaluated: readonly NotEvaluated[];
  /** Numbers of objects. The uncertain ones are among the others. */
  readonly summary: {
    readonly allowed: number;
    readonly warned: number;
    readonly denied: number;
    readonly uncertain: number;
    readonly withoutImages: number;
  };
  /** Service accounts, as namespace/name, that are used and not among the objects. Their pull secrets are missing in the results. */
  readonly unknownAccounts: readonly string[];
  /** Names of OpenShift's internal registry whose images are not allowed here. A server on OpenShift would trust them. */
  readonly internalRegistries: readonly string[];
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

export function evaluate({ manifests, problems }: ParsedManifests, rules: RuleSet, options: EvaluationOptions): Evaluation {
  const inputFacts = factsFromObjects(manifests, options);
  const results: ObjectResult[] = [];
  const evaluated: Manifest[] = [];
  const decidingImages: (() => Position | undefined)[] = [];
  const admitted: JsonObject[] = [];
  const notEvaluated: NotEvaluated[] = [...problems];
  const unknownAccounts = new Set<string>();
  const internalRegistries = new Set<string>();
  const [withoutImages, skipped]: [Manifest[], Manifest[]] = [[], []];
  for (const manifest of manifests) {
    const { object } = manifest;
    const accountsNotFound = new Set<string>();
    const facts: Facts = {
      ...inputFacts,
      serviceAccount(namespace, name) {
        const account = inputFacts.serviceAccount(namespace, name);
        if (account.kind === 'unknown') accountsNotFound.add(`${namespace}/${name}`);
        return account;
      },
    };
    const outcome = evaluateObject(manifest, rules, facts, options);
    if (outcome.kind === 'not-evaluated' && !(outcome.why.code === 'unknown-kind' && options.skipUnknown)) {
      notEvaluated.push(notEvaluatedObject(manifest, outcome.why, options.namespace));
      continue;
    }
    if (outcome.kind !== 'evaluated') {
      (outcome.kind === 'without-images' ? withoutImages : skipped).push(manifest);
      admitted.push(object);
      continue;
    }
    const { result } = outcome;
    results.push(result);
    evaluated.push(manifest);
    const path = decidingImage(outcome.decisions)?.slot.path;
    decidingImages.push(() => path && manifest.locate?.(path));
    for (const { reference, outcomeBeforeMode } of outcome.decisions) {
      if (reference && outcomeBeforeMode !== 'allowed' && isUsualInternalRegistry(reference))
        internalRegistries.add(`${reference.host}:${reference.port}`);
    }
    if (isClean(result)) admitted.push(outcome.stored);
    // If we add no secret to an object, Kubernetes itself adds those of its service account.
    if (result.inject.length > 0) for (const account of accountsNotFound) unknownAccounts.add(account);
  }
  const count = (outcome: Outcome) => results.filter((result) => result.outcome === outcome).length;
  const uncertain = results.filter((result) => result.uncertain !== undefined).length;
  return {
    rulesRevision: rules.revision,
    results,
    evaluated,
    decidingImages,
    withoutImages: countKinds(withoutImages),
    skipped: countKinds(skipped),
    notEvaluated,
    summary: {
      allowed: count('allowed'),
      warned: count('warned'),
      denied: count('denied'),
      uncertain,
      withoutImages: withoutImages.length,
    },
    unknownAccounts: [...unknownAccounts],
    internalRegistries: [...internalRegistries],
    malformedSecrets: manifests.flatMap((manifest) => problemsOfSecret(manifest, options.namespace)),
    admitted,
  };
}

/** The first one with the worst outcome. */
function decidingImage(images: readonly ImageDecision[]): ImageDecision | undefined {
  const worst = images.find(({ outcomeBeforeMode }) => outcomeBeforeMode === 'denied');
  return worst ?? images.find(({ outcomeBeforeMode, unsure }) => outcomeBeforeMode === 'warned' || unsure !== undefined);
}

function notEvaluatedObject(manifest: Manifest, why: WhyUnread, defaultNamespace: string): NotEvaluated {
  const subject = subjectOf(manifest, defaultNamespace);
  return { file: manifest.file, line: manifest.line, code: why.code, message: `${renderSubject(subject)} ${why.message}`, object: subject };
}

function problemsOfSecret(manifest: Manifest, defaultNamespace: string): readonly MalformedSecret[] {
  const { apiVersion, kind, object, file, line } = manifest;
  if (apiVersion !== 'v1' || kind !== 'Secret') return [];
  const { namespace, name } = subjectOf(manifest, defaultNamespace);
  return (parseRegistrySecret(object)?.problems ?? []).map((problem) => ({ namespace, name, file, line, ...problem }));
}

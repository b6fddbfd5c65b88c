/** Objects out of files, run through the engine. `check`, `test` and `diff` show what comes of it. */
import { type SimulationResult, simulateAdmission } from '../admission/simulate.ts';
import type { Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { PatchOperation } from '../decision/inject/patch.ts';
import { type JsonObject, textAt } from '../object/json.ts';
import type { Kinds } from '../object/kinds.ts';
import { type DescribedImage, describeImage, hashImages } from '../observe/audit/image.ts';
import { type Origin, renderOrigin } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { Manifest } from '../yaml/parse-manifests.ts';
import { factsFromObjects } from './facts-from-objects.ts';

export type EvaluationOptions = {
  /** Of objects that name none. */
  readonly namespace: string;
  readonly user: string;
  readonly complete: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly kinds?: Kinds;
};

export type Evaluation = {
  readonly rulesRevision: string;
  /** In the order of the objects, the judged ones alone. */
  readonly results: readonly ObjectResult[];
  /** Objects in whose kinds no images stand. */
  readonly skipped: readonly { readonly apiVersion: string; readonly kind: string; readonly count: number }[];
  readonly summary: { readonly allowed: number; readonly warned: number; readonly denied: number; readonly undecided: number };
  /** Service accounts, as namespace/name, that count and are not among the objects: pull secrets of their own are missing in the results. */
  readonly unknownAccounts: readonly string[];
  /** All objects that would be let in, as they would be stored, the skipped ones among them; in their order. */
  readonly admitted: readonly JsonObject[];
};

/** The shape of `check -o json`. */
export type ObjectResult = {
  readonly object: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    /** Empty where only generateName is written. */
    readonly name: string;
    readonly generateName?: string;
    readonly file: string;
    readonly line: number;
  };
  readonly outcome: Outcome;
  readonly images: readonly DescribedImage[];
  /** That of an audit record which does not show all images; absent where there are none. */
  readonly imagesSha256?: string;
  readonly inject: readonly { readonly path: string; readonly secret: string; readonly from: string }[];
  readonly patch: readonly PatchOperation[];
  /** What the client is told, word for word: warnings, then the refusal. */
  readonly messages: readonly string[];
  /** What is missing to be sure of all this, with the fix; the strictest was assumed. Only where something is. */
  readonly undecided?: readonly string[];
};

export function evaluate(manifests: readonly Manifest[], rules: RuleSet, options: EvaluationOptions): Evaluation {
  const given = factsFromObjects(manifests, options);
  const results: ObjectResult[] = [];
  const admitted: JsonObject[] = [];
  const unknownAccounts = new Set<string>();
  const skipped = new Map<string, { apiVersion: string; kind: string; count: number }>();
  for (const manifest of manifests) {
    const { apiVersion, kind, object } = manifest;
    const inVain = new Set<string>();
    const facts: Facts = {
      ...given,
      serviceAccount(namespace, name) {
        const account = given.serviceAccount(namespace, name);
        if (account.kind === 'unknown') inVain.add(`${namespace}/${name}`);
        return account;
      },
    };
    const rehearsal = simulateAdmission({ apiVersion, kind, object, namespace: options.namespace, user: options.user }, rules, facts);
    if (rehearsal.kind === 'unread') {
      const count = (skipped.get(`${apiVersion} ${kind}`)?.count ?? 0) + 1;
      skipped.set(`${apiVersion} ${kind}`, { apiVersion, kind, count });
      admitted.push(object);
      continue;
    }
    const result = resultOf(manifest, rehearsal, options.namespace);
    results.push(result);
    if (rehearsal.kind === 'answered' && isClean(result)) admitted.push(rehearsal.object);
    // An object that is given no secret gets those of its account from Kubernetes itself.
    if (result.inject.length > 0) for (const account of inVain) unknownAccounts.add(account);
  }
  const count = (outcome: Outcome) => results.filter((result) => result.outcome === outcome).length;
  const undecided = results.filter((result) => result.undecided !== undefined).length;
  return {
    rulesRevision: rules.revision,
    results,
    skipped: [...skipped.values()],
    summary: { allowed: count('allowed'), warned: count('warned'), denied: count('denied'), undecided },
    unknownAccounts: [...unknownAccounts],
    admitted,
  };
}

/** Let in for sure. */
export function isClean({ outcome, undecided }: ObjectResult): boolean {
  return outcome !== 'denied' && undecided === undefined;
}

function resultOf(
  { apiVersion, kind, object, file, line }: Manifest,
  rehearsal: Exclude<SimulationResult, { kind: 'unread' }>,
  fallback: string,
): ObjectResult {
  const namespace = textAt(object, ['metadata', 'namespace']) ?? fallback;
  const name = textAt(object, ['metadata', 'name']) ?? '';
  const generateName = textAt(object, ['metadata', 'generateName']);
  const subject = { apiVersion, kind, namespace, name, ...(name === '' && generateName !== undefined && { generateName }), file, line };
  if (rehearsal.kind === 'not-yet') {
    const undecided = [`${rehearsal.message}: give it with -f`];
    return { object: subject, outcome: 'denied', images: [], inject: [], patch: [], messages: [], undecided };
  }
  const { outcome, images, injected, patch, warnings, denial, unsure } = rehearsal;
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

/** The desired entries of both webhook configurations. Pure: the same options give the same entries. */
import { type KindRow, kindsWithImages } from '../../object/kinds.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import type { LabelRequirement } from '../../rules/rule-set.ts';
import { allExcludedNamespaces } from './excluded-namespaces.ts';

/** A kind as webhook rules name it. */
export type RegisteredKind = Pick<KindRow, 'group' | 'version' | 'kind' | 'resource' | 'entryPoints' | 'fields'>;

/**
 * What an installation may configure for the entries of kinds. None of it applies to the guard of the rules, which cannot block anything.
 */
export type WebhookPolicy = {
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly timeoutSeconds: number;
  /** Requirements in addition to the excluded namespaces, which always apply. */
  readonly namespaceSelector: readonly LabelRequirement[];
  /** A CEL expression. */
  readonly matchCondition: string | undefined;
};

const defaultPolicy: WebhookPolicy = { failurePolicy: 'Fail', timeoutSeconds: 5, namespaceSelector: [], matchCondition: undefined };

export type DesiredWebhookOptions = {
  /** The namespace of the Service. It is never intercepted, so that regkeeper can always start. */
  readonly namespace: string;
  readonly service: string;
  /** PEM of the CAs with which the API server verifies the webhook. */
  readonly caBundle: string;
  /** Namespaces that are not intercepted, in addition to regkeeper's own and the two system namespaces. */
  readonly excludedNamespaces: readonly string[];
  readonly policy?: WebhookPolicy | undefined;
  /** The kinds that the API server serves. All by default. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** Whether changes of the rules are reviewed. Not if the rules come from files. */
  readonly guard?: boolean | undefined;
  /** OpenShift reserves `openshift` and `openshift-*`. On other clusters any user may create a namespace with such a name. */
  readonly openshift?: boolean | undefined;
};

/**
 * One entry of `webhooks` in admissionregistration.k8s.io/v1. It sets every relevant field, so that no default of the API server matters.
 */
export type WebhookEntry = { readonly name: string } & Readonly<Record<string, unknown>>;

/**
 * The entries of both webhook configurations: one for each kind, because the condition for sending a request depends on the kind, and one
 * for the rules.
 */
export function desiredWebhooks(options: DesiredWebhookOptions): { mutating: WebhookEntry[]; validating: WebhookEntry[] } {
  const { kinds = kindsWithImages, guard = true } = options;
  return {
    // Another mutating webhook may add an image after this one.
    mutating: kinds.map((kind) => ({ ...entry(options, kind, 'mutate'), reinvocationPolicy: 'IfNeeded' })),
    validating: [...kinds.map((kind) => entry(options, kind, 'validate')), ...(guard ? [guardEntry(options)] : [])],
  };
}

function entry(options: DesiredWebhookOptions, kind: RegisteredKind, verb: 'mutate' | 'validate'): WebhookEntry {
  const { namespace, excludedNamespaces, openshift = false, policy = defaultPolicy } = options;
  const { failurePolicy, timeoutSeconds, namespaceSelector, matchCondition } = policy;
  return {
    name: `${kind.resource}${kind.group && `.${kind.group}`}.${verb}.regkeeper.io`,
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(options, verb),
    rules: rulesFor(kind),
    matchPolicy: 'Equivalent',
    namespaceSelector: {
      matchExpressions: [
        // The API server sets this label itself, and no one can change it.
        { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: allExcludedNamespaces(namespace, excludedNamespaces) },
        // The API server would not store an empty list of values, so the entry would never be as desired.
        ...namespaceSelector.map(({ key, operator, values }) => ({ key, operator, ...(values.length > 0 && { values }) })),
      ],
    },
    // Explicit although it is the default. Fields that are not written are not compared, so a selector of another writer would remain.
    objectSelector: {},
    matchConditions: [
      ...(openshift ? [{ name: platformCondition, expression: notOfThePlatform }] : []),
      { name: imageCondition, expression: bringsAnImage(kind) },
      ...(matchCondition === undefined ? [] : [{ name: chosenCondition, expression: matchCondition }]),
    ],
    failurePolicy,
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds,
  };
}

/** Excludes the namespaces of the platform, on OpenShift only. */
export const platformCondition = 'not-of-the-platform';
/** Excludes changes of other fields than those with images. */
export const imageCondition = 'brings-an-image';
const chosenCondition = 'chosen-for-this-installation';

/**
 * The entry for ConfigMaps with rules, in every namespace. It cannot block anything: while regkeeper does not answer, an edit passes, and
 * is evaluated when it is loaded.
 */
function guardEntry(options: DesiredWebhookOptions): WebhookEntry {
  return {
    name: 'configmaps.guard.regkeeper.io',
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(options, 'guard'),
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'], scope: 'Namespaced' }],
    matchPolicy: 'Equivalent',
    namespaceSelector: {},
    // Also matches the old object, so a removal of the label is noticed. Only regkeeper writes the snapshot.
    objectSelector: {
      matchExpressions: [
        { key: rulesLabel, operator: 'Exists' },
        { key: rulesLabel, operator: 'NotIn', values: ['snapshot'] },
      ],
    },
    failurePolicy: 'Ignore',
    sideEffects: 'None',
    timeoutSeconds: 5,
  };
}

function clientConfig({ namespace, service, caBundle }: DesiredWebhookOptions, path: string) {
  return {
    service: { namespace, name: service, port: 443, path: `/${path}` },
    caBundle: Buffer.from(caBundle).toString('base64'),
  };
}

// A namespaceSelector cannot match prefixes.
const notOfThePlatform = "request.namespace != 'openshift' && !request.namespace.startsWith('openshift-')";

function rulesFor({ group, version, entryPoints }: RegisteredKind): object[] {
  return entryPoints.map(({ resource, operations }) => ({
    apiGroups: [group],
    apiVersions: [version],
    operations,
    resources: [resource],
    scope: 'Namespaced',
  }));
}

/** Changes of labels, scale and finalizers are not sent, so they pass even while regkeeper does not answer. */
function bringsAnImage({ fields }: RegisteredKind): string {
  const changed = fields.map((field) => {
    // Optional at each step, because a condition that fails to evaluate denies the request.
    const path = field.map(celStep).join('');
    return `object${path} != oldObject${path}`;
  });
  return ["request.operation == 'CREATE'", ...changed].join(' || ');
}

/** Field names of custom resources may not be CEL identifiers, or may be reserved words. */
function celStep(name: string | number): string {
  const isPlain = /^[a-z][A-Za-z]*$/.test(name.toString()) && !celWords.has(name.toString());
  return isPlain ? `.?${name}` : `[?${JSON.stringify(name)}]`;
}

// biome-ignore format: one list
const celWords = new Set(['as', 'break', 'const', 'continue', 'else', 'false', 'for', 'function', 'if', 'import', 'in', 'let', 'loop', 'namespace', 'null', 'package', 'return', 'true', 'var', 'void', 'while']);

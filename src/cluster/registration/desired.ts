/** The entries that both webhook configurations should have. Pure: the same wishes give the same entries. */
import { type KindRow, kindsWithImages } from '../../object/kinds.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import type { LabelRequirement } from '../../rules/rule-set.ts';
import { allExcludedNamespaces } from './excluded-namespaces.ts';

/** A kind as webhook rules name it. */
export type RegisteredKind = Pick<KindRow, 'group' | 'version' | 'kind' | 'resource' | 'entryPoints' | 'fields'>;

/** What an installation may choose of the entries of kinds. The guard of the rules has none of it: it can lock nobody out. */
export type WebhookPolicy = {
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly timeoutSeconds: number;
  /** Requirements beside the exclusions, which always hold. */
  readonly namespaceSelector: readonly LabelRequirement[];
  /** In CEL. */
  readonly matchCondition: string | undefined;
};

const defaultPolicy: WebhookPolicy = { failurePolicy: 'Fail', timeoutSeconds: 5, namespaceSelector: [], matchCondition: undefined };

export type DesiredWebhookOptions = {
  /** Where the Service is; never intercepted, so that regkeeper can always start. */
  readonly namespace: string;
  readonly service: string;
  /** PEM of the authorities by which the API server verifies us. */
  readonly caBundle: string;
  /** Not intercepted beside regkeeper's own and the two of the system. */
  readonly excludedNamespaces: readonly string[];
  readonly policy?: WebhookPolicy | undefined;
  /** Those that the API serves; all unless told. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** Whether changes of the rules are asked about; not where they come from files. */
  readonly guard?: boolean | undefined;
  /** OpenShift reserves `openshift` and `openshift-*` for itself; elsewhere anybody may create a namespace with such a name. */
  readonly openshift?: boolean | undefined;
};

/** One entry of `webhooks`, as admissionregistration.k8s.io/v1 has it; it says everything that matters, and leaves no default to the API server. */
export type WebhookEntry = { readonly name: string } & Readonly<Record<string, unknown>>;

/** The entries of both webhook configurations. One for each kind, because what makes a request worth asking about differs by kind; and one for the rules. */
export function desiredWebhooks(options: DesiredWebhookOptions): { mutating: WebhookEntry[]; validating: WebhookEntry[] } {
  const { kinds = kindsWithImages, guard = true } = options;
  return {
    // Another mutating webhook may add an image after we have looked.
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
        // By a label that the API server sets itself and lets nobody change.
        { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: allExcludedNamespaces(namespace, excludedNamespaces) },
        // An empty list of values would not be stored, and so never be as wanted.
        ...namespaceSelector.map(({ key, operator, values }) => ({ key, operator, ...(values.length > 0 && { values }) })),
      ],
    },
    // Said although it is the default: what is not written here is not compared either, and a selector of another writer would stay.
    objectSelector: {},
    matchConditions: [
      ...(openshift ? [{ name: platformCondition, expression: notOfThePlatform }] : []),
      { name: 'brings-an-image', expression: bringsAnImage(kind) },
      ...(matchCondition === undefined ? [] : [{ name: chosenCondition, expression: matchCondition }]),
    ],
    failurePolicy,
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds,
  };
}

/** On OpenShift: leaves the namespaces of the platform out. */
export const platformCondition = 'not-of-the-platform';
const chosenCondition = 'chosen-for-this-installation';

/** Of the ConfigMaps that hold rules, in every namespace. It can lock nobody out: while nobody answers, an edit passes, and is judged when it is loaded. */
function guardEntry(options: DesiredWebhookOptions): WebhookEntry {
  return {
    name: 'configmaps.guard.regkeeper.io',
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(options, 'guard'),
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'], scope: 'Namespaced' }],
    matchPolicy: 'Equivalent',
    namespaceSelector: {},
    // Holds for the old object too, so that taking the label away is noticed. The snapshot is written by us alone.
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

// A namespaceSelector knows no prefixes.
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

/** Labels, scaling and finalizers are not worth asking about, and so they pass even while nobody answers. */
function bringsAnImage({ fields }: RegisteredKind): string {
  const changed = fields.map((field) => {
    // Optional at each step: a condition that fails to evaluate would refuse the request.
    const path = field.map(celStep).join('');
    return `object${path} != oldObject${path}`;
  });
  return ["request.operation == 'CREATE'", ...changed].join(' || ');
}

/** Names of custom resources' fields may be no identifiers of CEL, or words of its own. */
function celStep(name: string | number): string {
  const isPlain = /^[a-z][A-Za-z]*$/.test(name.toString()) && !celWords.has(name.toString());
  return isPlain ? `.?${name}` : `[?${JSON.stringify(name)}]`;
}

// biome-ignore format: one list
const celWords = new Set(['as', 'break', 'const', 'continue', 'else', 'false', 'for', 'function', 'if', 'import', 'in', 'let', 'loop', 'namespace', 'null', 'package', 'return', 'true', 'var', 'void', 'while']);

/** How a live webhook configuration differs from the desired one, and how severe that is. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { isObject, valueAt } from '../../object/json.ts';
import type { WebhookEntry } from './desired.ts';
import { isOurs, type LiveConfiguration, ownedPath, writersOf } from './live-configuration.ts';

/** The desired state of a configuration. */
export type DesiredConfiguration = {
  readonly webhooks: readonly WebhookEntry[];
  /** The uid of the namespace that owns it. */
  readonly owner: string;
  /** How to treat the requirements that AKS adds to each namespaceSelector. */
  readonly enforcer: EnforcerPolicy;
};

/** `tolerate`: they may remain. `disable`: a label and an annotation request that AKS ignores the configuration. */
export type EnforcerPolicy = 'tolerate' | 'disable';

export type Difference = {
  /**
   * `weakened`: requests may bypass evaluation, or be denied because no one answers. `narrowed`: the webhooks work, but not for namespaces
   * or objects with certain labels, or only metadata differs. If the latter is repaired again and again, two writers fight without end.
   */
  readonly severity: 'weakened' | 'narrowed';
  /** Readable, such as `pods.validate.regkeeper.io: failurePolicy`. */
  readonly fields: readonly string[];
  /** Paths of the fields in `managedFields`. */
  readonly owned: readonly (readonly string[])[];
};

/**
 * The admissions enforcer of AKS adds these to every webhook of a cluster, in any order: Azure/AKS#4002. Its field manager is
 * `admissionsenforcer`.
 */
export const enforcerRequirements = [
  { key: 'control-plane', operator: 'NotIn', values: ['true'] },
  { key: 'kubernetes.azure.com/managedby', operator: 'NotIn', values: ['aks'] },
] as const;

/** Some releases of AKS read the label, others the annotation. */
export const enforcerOptOut = { 'admissions.enforcer/disabled': 'true' } as const;

/**
 * With one of these annotations, another controller writes its own CA into each caBundle: cert-manager's cainjector, or OpenShift's
 * service CA.
 */
export const injectAnnotations = [
  'cert-manager.io/inject-ca-from',
  'cert-manager.io/inject-ca-from-secret',
  'cert-manager.io/inject-apiserver-ca',
  'service.beta.openshift.io/inject-cabundle',
] as const;

/** Undefined if nothing has to be written. */
export function differenceOf(live: LiveConfiguration, wanted: DesiredConfiguration): Difference | undefined {
  const found = [...differencesOfMetadata(live, wanted), ...differencesOfEntries(live, wanted)];
  if (found.length === 0) return undefined;
  return {
    severity: found.some(({ narrowed }) => !narrowed) ? 'weakened' : 'narrowed',
    fields: found.map(({ text }) => text),
    owned: found.map(({ owned }) => owned),
  };
}

/** The field managers that wrote the difference. Empty where they are unknown. */
export function fieldManagersOf(live: LiveConfiguration, { owned }: Difference): string[] {
  return writersOf(live, owned);
}

/** The entries, including the requirements of AKS where they are already present, so that our write does not remove them. */
export function withTolerated(live: LiveConfiguration, { webhooks, enforcer }: DesiredConfiguration): WebhookEntry[] {
  if (enforcer !== 'tolerate') return [...webhooks];
  return webhooks.map((entry) => {
    const present = (live.webhooks ?? []).find(({ name }) => name === entry.name);
    const added = addedRequirements(present?.namespaceSelector, entry.namespaceSelector)?.filter(isOfEnforcer) ?? [];
    if (added.length === 0) return entry;
    // In the order of the live entry if nothing else differs, because another order would be a change.
    const everything = requirementsOf(present?.namespaceSelector) ?? [];
    const ours = requirementsOf(entry.namespaceSelector) ?? [];
    const isExactly = everything.length === ours.length + added.length;
    return { ...entry, namespaceSelector: { matchExpressions: isExactly ? everything : [...ours, ...added] } };
  });
}

/**
 * What an apply of the desired entries leaves behind, because it removes only what its own manager wrote. These are entries with our names
 * from another writer, for instance from a restored backup, and match conditions added to our entries. Such conditions may disable an
 * entry.
 */
export function leftoversOf({ webhooks }: LiveConfiguration, wanted: readonly WebhookEntry[]): Leftover[] {
  return (webhooks ?? [])
    .filter(({ name }) => isOurs(name))
    .flatMap(({ name, matchConditions }) => {
      const entry = wanted.find((each) => each.name === name);
      if (!entry) return [{ entry: name }];
      const known = new Set(namesOf(entry.matchConditions));
      return namesOf(matchConditions).flatMap((condition) => (known.has(condition) ? [] : [{ entry: name, condition }]));
    });
}

/** A whole entry, or one condition of it. */
export type Leftover = { readonly entry: string; readonly condition?: string };

function namesOf(list: unknown): string[] {
  return (Array.isArray(list) ? list : []).map(({ name }) => String(name));
}

/** Annotations that make another controller write into our entries. */
export function injectAnnotationsOf({ metadata: { annotations = {} } }: LiveConfiguration): string[] {
  return injectAnnotations.filter((name) => Object.hasOwn(annotations, name));
}

type Found = { readonly text: string; readonly owned: readonly string[]; readonly narrowed: boolean };

function differencesOfMetadata(live: LiveConfiguration, { webhooks, owner, enforcer }: DesiredConfiguration): Found[] {
  const { ownerReferences, labels, annotations } = live.metadata;
  const found: Found[] = [];
  const ofMetadata = (field: 'labels' | 'annotations', name: string): Found => ({
    text: `metadata.${field}: ${name}`,
    owned: ['f:metadata', `f:${field}`, `f:${name}`],
    narrowed: true,
  });
  if (!ownerReferences?.some(({ uid }) => uid === owner)) {
    found.push({ text: 'metadata.ownerReferences', owned: ['f:metadata', 'f:ownerReferences'], narrowed: false });
  }
  if (webhooks.length > 0) found.push(...injectAnnotationsOf(live).map((name) => ofMetadata('annotations', name)));
  for (const [name, value] of Object.entries(enforcerOptOut)) {
    for (const [field, map] of Object.entries({ labels, annotations }) as ['labels' | 'annotations', typeof labels][]) {
      const { owned, ...rest } = ofMetadata(field, name);
      // A value that an administrator set is left alone. A value that we set is removed when the setting is changed.
      const differs = enforcer === 'disable' ? map?.[name] !== value : map?.[name] !== undefined && isOwnedByUs(live, owned);
      if (differs) found.push({ ...rest, owned });
    }
  }
  return found;
}

function isOwnedByUs({ ownership }: LiveConfiguration, path: readonly string[]): boolean {
  return valueAt(ownership?.ours, path) !== undefined;
}

/** Entries of other webhooks are ignored. */
function differencesOfEntries(live: LiveConfiguration, { webhooks, enforcer }: DesiredConfiguration): Found[] {
  const ours = (live.webhooks ?? []).filter(({ name }) => isOurs(name));
  const unwanted = ours.filter(({ name }) => !webhooks.some((entry) => entry.name === name));
  return [
    ...webhooks.flatMap((entry) => {
      const present = ours.find(({ name }) => name === entry.name);
      return present ? differencesOfEntry(present, entry, enforcer) : [wholeEntry(entry, 'is missing')];
    }),
    ...unwanted.map((entry) => wholeEntry(entry, 'is unexpected')),
  ];
}

function wholeEntry({ name }: WebhookEntry, what: string): Found {
  return { text: `${name} ${what}`, owned: ownedPath(name, 'name'), narrowed: false };
}

const selectors = ['namespaceSelector', 'objectSelector'];
/** Compared even where the entry does not contain them. If another writer adds them, they change which requests are sent. */
const decisive = [...selectors, 'matchConditions'];

/** Compares every field that we write, and those that decide which requests are sent. The API server adds defaults to the others. */
function differencesOfEntry(present: WebhookEntry, entry: WebhookEntry, enforcer: EnforcerPolicy): Found[] {
  return [...new Set([...Object.keys(entry), ...decisive])].flatMap((field): Found[] => {
    const [is, should] = [present[field], entry[field]];
    const found = { text: `${entry.name}: ${field}`, owned: ownedPath(entry.name, field) };
    if (!selectors.includes(field)) return isSame(field, is, should) ? [] : [{ ...found, narrowed: false }];
    const added = addedRequirements(is, should);
    if (added === undefined) return [{ ...found, narrowed: false }];
    const tolerated = field === 'namespaceSelector' && enforcer === 'tolerate' && added.every(isOfEnforcer);
    return added.length === 0 || tolerated ? [] : [{ ...found, narrowed: added.every(takesOut) }];
  });
}

function isSame(field: string, is: unknown, should: unknown): boolean {
  if (field !== 'matchConditions') return isDeepStrictEqual(is, should);
  // A map by name for the API server, so the order does not matter.
  const byName = (list: unknown) => new Map((Array.isArray(list) ? list : []).map(({ name, expression }) => [name, expression]));
  return isDeepStrictEqual(byName(is), byName(should));
}

type Requirement = { readonly key: string; readonly operator: string; readonly values?: readonly string[] };

/**
 * The requirements of a selector in addition to the desired ones. Undefined if a desired one is missing. Requirements are combined with
 * AND, so more of them select less.
 */
function addedRequirements(is: unknown, should: unknown): Requirement[] | undefined {
  const [present, wanted] = [requirementsOf(is), requirementsOf(should)];
  if (present === undefined || wanted === undefined) return undefined;
  const rest = [...present];
  for (const requirement of wanted) {
    const index = rest.findIndex((each) => isDeepStrictEqual(each, requirement));
    if (index === -1) return undefined;
    rest.splice(index, 1);
  }
  return rest;
}

/** The requirements of a selector, with `matchLabels` converted. */
function requirementsOf(selector: unknown): Requirement[] | undefined {
  if (selector === undefined || selector === null) return [];
  if (!isObject(selector)) return undefined;
  const { matchExpressions = [], matchLabels = {} } = selector as {
    matchExpressions?: Requirement[];
    matchLabels?: Record<string, string>;
  };
  return [...matchExpressions, ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In', values: [value] }))];
}

/**
 * Whether the requirement excludes some namespaces or objects but not all: those without the label remain. A requirement for a label could
 * exclude all of them. So does DoesNotExist with the name label, which the API server sets on every namespace.
 */
function takesOut({ key, operator }: Requirement): boolean {
  return operator === 'NotIn' || (operator === 'DoesNotExist' && key !== 'kubernetes.io/metadata.name');
}

function isOfEnforcer(requirement: Requirement): boolean {
  return enforcerRequirements.some((each) => isDeepStrictEqual(each, requirement));
}

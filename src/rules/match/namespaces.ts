import type { LabelRequirement, NamespaceContext, NamespaceSelector } from '../rule-set.ts';

/**
 * Whether a selector holds a namespace. Kubernetes' own label semantics: `NotIn` and `DoesNotExist` hold too where the label is absent.
 * `unknown` only where the namespace's labels are, and only where they count: the label with the namespace's name is always known.
 */
export function selects(selector: NamespaceSelector | undefined, place: NamespaceContext): boolean | 'unknown' {
  if (!selector) return true;
  return selector.kind === 'names'
    ? selector.names.some((name) => nameMatches(name, place.namespace))
    : labelsMatch(selector.requirements, place);
}

/** Whether an exact name, or a glob, holds a namespace's name. */
export function nameMatches(pattern: string, namespace: string): boolean {
  return isGlob(pattern) ? globMatches(pattern.split('*'), namespace) : pattern === namespace;
}

/**
 * A glob as its literal parts: `team-*-dev` is `['team-', '-dev']`, always at least two. The leftmost place for each inner part is as good
 * as any other, so nothing is tried twice.
 */
export function globMatches(parts: readonly string[], namespace: string): boolean {
  const prefix = parts[0] ?? '';
  const suffix = parts.at(-1) ?? '';
  const end = namespace.length - suffix.length;
  if (end < prefix.length || !namespace.startsWith(prefix) || !namespace.endsWith(suffix)) return false;
  let from = prefix.length;
  for (let index = 1; index < parts.length - 1; index++) {
    const part = parts[index] ?? '';
    const found = namespace.indexOf(part, from);
    if (found < 0 || found + part.length > end) return false;
    from = found + part.length;
  }
  return true;
}

/** Whether all requirements hold; `unknown` where none is known to fail and one cannot be told. */
export function labelsMatch(requirements: readonly LabelRequirement[], place: NamespaceContext): boolean | 'unknown' {
  let answer: boolean | 'unknown' = true;
  for (const requirement of requirements) {
    const holds = requirementHolds(requirement, place);
    if (holds === false) return false;
    if (holds === 'unknown') answer = 'unknown';
  }
  return answer;
}

function requirementHolds({ key, operator, values }: LabelRequirement, place: NamespaceContext): boolean | 'unknown' {
  const value = labelOf(place, key);
  if (value === unknownLabel) return 'unknown';
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

export const unknownLabel = Symbol('nobody can say');

/** A label of the namespace; undefined where it has none of that key. */
export function labelOf({ namespace, labels }: NamespaceContext, key: string): string | undefined | typeof unknownLabel {
  // The API server sets it on every namespace, and nobody can change it: kubernetes.io, Labels, Annotations and Taints.
  if (key === 'kubernetes.io/metadata.name') return namespace;
  if (!labels) return unknownLabel;
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** One way in which something applies to a namespace: everywhere, by one name, or by labels. A list of names is one term for each. */
export type Term =
  | { readonly kind: 'everywhere'; readonly rank: number }
  | { readonly kind: 'name'; readonly rank: number; readonly name: string }
  | { readonly kind: 'glob'; readonly rank: number; readonly glob: string }
  | { readonly kind: 'labels'; readonly rank: number; readonly requirements: readonly LabelRequirement[] };

/**
 * The terms of a selector, each with its rank; the higher is the more specific: an exact name, then the glob with more literal characters,
 * then the selector with more label requirements, then none.
 */
export function termsOf(selector: NamespaceSelector | undefined): readonly Term[] {
  if (!selector) return [everywhere];
  if (selector.kind === 'labels') {
    const requirements = distinctRequirements(selector.requirements);
    return [{ kind: 'labels', rank: requirements.length, requirements }];
  }
  return [...new Set(selector.names)].map((name) =>
    isGlob(name) ? { kind: 'glob', rank: anyGlob + name.replaceAll('*', '').length, glob: name } : { kind: 'name', rank: exactName, name },
  );
}

const everywhere: Term = { kind: 'everywhere', rank: 0 };
/** More than the label requirements that fit into a document. */
const anyGlob = 1_000_000;
/** More than the literal characters of any glob. */
const exactName = 2_000_000;

/** The rank with which a selector holds a namespace; undefined where it does not, or nobody can say. */
export function rankIn(selector: NamespaceSelector | undefined, place: NamespaceContext): number | undefined {
  const ranks = termsOf(selector)
    .filter((term) => termHolds(term, place) === true)
    .map(({ rank }) => rank);
  return ranks.length > 0 ? Math.max(...ranks) : undefined;
}

function termHolds(term: Term, place: NamespaceContext): boolean | 'unknown' {
  switch (term.kind) {
    case 'everywhere':
      return true;
    case 'name':
      return term.name === place.namespace;
    case 'glob':
      return nameMatches(term.glob, place.namespace);
    case 'labels':
      return labelsMatch(term.requirements, place);
  }
}

/** Whether there can be a namespace that both hold. Names and labels do not exclude each other. */
export function mayOverlap(one: NamespaceSelector | undefined, other: NamespaceSelector | undefined): boolean {
  const others = termsOf(other);
  return termsOf(one).some((term) => others.some((another) => termsMayOverlap(term, another)));
}

export function termsMayOverlap(one: Term, other: Term): boolean {
  if (one.kind === 'labels' && other.kind === 'labels') return labelsMayOverlap([...one.requirements, ...other.requirements]);
  const [name, otherName] = [nameOf(one), nameOf(other)];
  return name === undefined || otherName === undefined || commonName(name, otherName) !== undefined;
}

function nameOf(term: Term): string | undefined {
  return term.kind === 'name' ? term.name : term.kind === 'glob' ? term.glob : undefined;
}

/** Whether requirements leave some set of labels: each key can be looked at alone. */
function labelsMayOverlap(requirements: readonly LabelRequirement[]): boolean {
  const byKey = Map.groupBy(requirements, ({ key }) => key);
  return [...byKey.values()].every((ofKey) => mayBeAbsent(ofKey) || mayHaveValue(ofKey));
}

function mayBeAbsent(requirements: readonly LabelRequirement[]): boolean {
  return requirements.every(({ operator }) => operator === 'NotIn' || operator === 'DoesNotExist');
}

function mayHaveValue(requirements: readonly LabelRequirement[]): boolean {
  if (requirements.some(({ operator }) => operator === 'DoesNotExist')) return false;
  const [first, ...others] = requirements.filter(({ operator }) => operator === 'In');
  // Values that NotIn leaves out are few; there is always another one.
  if (!first) return true;
  const refused = new Set(requirements.filter(({ operator }) => operator === 'NotIn').flatMap(({ values }) => values));
  return first.values.some((value) => !refused.has(value) && others.every(({ values }) => values.includes(value)));
}

/** A name that both hold, each an exact name or a glob: for messages, and to know whether there is one. At most 63 × 63 steps. */
export function commonName(one: string, other: string): string | undefined {
  if (!isGlob(one)) return nameMatches(other, one) ? one : undefined;
  if (!isGlob(other)) return nameMatches(one, other) ? other : undefined;
  if (!agreeAtEnds(one, other)) return undefined;
  // Whether the rests from two positions on have a name in common, filled from the ends.
  const width = other.length + 1;
  const table = new Uint8Array((one.length + 1) * width);
  const common = (left: number, right: number) => left <= one.length && right <= other.length && table[left * width + right] === 1;
  for (let left = one.length; left >= 0; left--) {
    for (let right = other.length; right >= 0; right--) {
      const star = one[left] === '*' || other[right] === '*';
      const both = left === one.length && right === other.length;
      // A star is at its end, or takes one more of the other's characters.
      const holds =
        both || (star ? common(left + 1, right) || common(left, right + 1) : one[left] === other[right] && common(left + 1, right + 1));
      if (holds) table[left * width + right] = 1;
    }
  }
  return common(0, 0) ? spellCommon(one, other, common) : undefined;
}

/** What stands before the first and behind the last star settles most pairs. */
function agreeAtEnds(one: string, other: string): boolean {
  const [prefix, otherPrefix] = [one.slice(0, one.indexOf('*')), other.slice(0, other.indexOf('*'))];
  const [suffix, otherSuffix] = [one.slice(one.lastIndexOf('*') + 1), other.slice(other.lastIndexOf('*') + 1)];
  return (
    (prefix.startsWith(otherPrefix) || otherPrefix.startsWith(prefix)) && (suffix.endsWith(otherSuffix) || otherSuffix.endsWith(suffix))
  );
}

function spellCommon(one: string, other: string, common: (left: number, right: number) => boolean): string {
  let name = '';
  let left = 0;
  let right = 0;
  while (left < one.length || right < other.length) {
    const [here, there] = [one[left], other[right]];
    if (here === '*' || there === '*') {
      const step = common(left + 1, right);
      const passed = step ? here : there;
      // The character that the other's star takes belongs to the name.
      if (passed !== '*' && passed !== undefined) name += passed;
      if (step) left++;
      else right++;
    } else {
      name += here ?? '';
      left++;
      right++;
    }
  }
  return name;
}

/** A selector in words, the same for the same selector whatever its order: `namespaces a, b-*` or `namespaces with tier in (a, b), !legacy`. */
export function renderSelector(selector: NamespaceSelector | undefined): string {
  if (!selector) return 'all namespaces';
  const form = canonicalSelector(selector);
  if (typeof form === 'string') return `namespaces with ${form}`;
  return `${form.length === 1 && !isGlob(form[0] ?? '') ? 'namespace' : 'namespaces'} ${form.join(', ')}`;
}

/** The selector as JSON: sorted names, or the labels in kubectl's notation. The same for the same selector, whatever its order. */
export function canonicalSelector(selector: NamespaceSelector): readonly string[] | string {
  if (selector.kind === 'names') return [...new Set(selector.names)].sort();
  return distinctRequirements(selector.requirements).map(renderRequirement).join(',');
}

function distinctRequirements(requirements: readonly LabelRequirement[]): readonly LabelRequirement[] {
  if (requirements.length < 2) return requirements;
  const byText = new Map(requirements.map((requirement) => [renderRequirement(requirement), requirement]));
  return [...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, requirement]) => requirement);
}

function renderRequirement({ key, operator, values }: LabelRequirement): string {
  const list = () => values.toSorted().join(', ');
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${list()})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${list()})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}

export function isGlob(name: string): boolean {
  return name.includes('*');
}

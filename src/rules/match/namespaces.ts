/** Matches, ranks, compares and renders namespace selectors. */

import { formatCount } from '../../image/wording.ts';
import type { LabelRequirement, NamespaceContext, NamespaceSelector } from '../rule-set.ts';

/**
 * Whether a selector matches a namespace, with Kubernetes' label semantics: `NotIn` and `DoesNotExist` also match if the label is absent.
 * Returns `unknown` only if unknown labels decide. The label with the namespace's name is always known.
 */
export function selects(selector: NamespaceSelector | undefined, context: NamespaceContext): boolean | 'unknown' {
  if (!selector) return true;
  return selector.kind === 'names'
    ? selector.names.some((name) => nameMatches(name, context.namespace))
    : labelsMatch(selector.requirements, context);
}

/** Whether an exact name or a glob matches a namespace's name. */
export function nameMatches(pattern: string, namespace: string): boolean {
  return isGlob(pattern) ? globMatches(pattern.split('*'), namespace) : pattern === namespace;
}

/**
 * Matches a glob by its literal parts: `team-*-dev` is `['team-', '-dev']`, always at least two. The leftmost match of each inner part is
 * as good as any other, so there is no backtracking.
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

/** Whether all requirements match. Returns `unknown` if none fails and at least one depends on unknown labels. */
export function labelsMatch(requirements: readonly LabelRequirement[], context: NamespaceContext): boolean | 'unknown' {
  let answer: boolean | 'unknown' = true;
  for (const requirement of requirements) {
    const matches = requirementMatches(requirement, context);
    if (matches === false) return false;
    if (matches === 'unknown') answer = 'unknown';
  }
  return answer;
}

function requirementMatches({ key, operator, values }: LabelRequirement, context: NamespaceContext): boolean | 'unknown' {
  const value = labelOf(context, key);
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

export const unknownLabel = Symbol('unknown label');

/** A label of the namespace. Undefined if the namespace has no label of that key. */
export function labelOf({ namespace, labels }: NamespaceContext, key: string): string | undefined | typeof unknownLabel {
  // The API server sets this label on every namespace, and it cannot be changed: kubernetes.io, Labels, Annotations and Taints.
  if (key === 'kubernetes.io/metadata.name') return namespace;
  if (!labels) return unknownLabel;
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** One way in which an entry applies to a namespace: everywhere, by one name, or by labels. A list of names has one term for each. */
export type Term =
  | { readonly kind: 'everywhere'; readonly rank: number }
  | { readonly kind: 'name'; readonly rank: number; readonly name: string }
  | { readonly kind: 'glob'; readonly rank: number; readonly glob: string; readonly parts: readonly string[] }
  | { readonly kind: 'labels'; readonly rank: number; readonly requirements: readonly LabelRequirement[] };

/**
 * The terms of a selector, each with its rank. The higher rank is more specific: an exact name, then the glob with more literal characters,
 * then the selector with more label requirements, then none.
 */
export function termsOf(selector: NamespaceSelector | undefined): readonly Term[] {
  if (!selector) return everywhereOnly;
  if (selector.kind === 'labels' || selector.names.length < 10) return createTerms(selector);
  const known = knownTerms.get(selector);
  if (known) return known;
  const terms = createTerms(selector);
  knownTerms.set(selector, terms);
  return terms;
}

/** Thousands of rules may share one selector of thousands of names. */
const knownTerms = new WeakMap<NamespaceSelector, readonly Term[]>();

function createTerms(selector: NamespaceSelector): readonly Term[] {
  if (selector.kind === 'labels') {
    const requirements = distinctRequirements(selector.requirements);
    return [{ kind: 'labels', rank: requirements.length, requirements }];
  }
  return [...new Set(selector.names)].map((name): Term => {
    if (!isGlob(name)) return { kind: 'name', rank: exactName, name };
    const parts = name.split('*');
    return { kind: 'glob', rank: anyGlob + name.length - parts.length + 1, glob: name, parts };
  });
}

const everywhereOnly: readonly Term[] = [{ kind: 'everywhere', rank: 0 }];
/** More than the number of label requirements that fit into a document. */
const anyGlob = 1_000_000;
/** More than the number of literal characters in any glob. */
const exactName = 2_000_000;

/** The rank with which a selector matches a namespace. Undefined if it does not match, or if unknown labels decide. */
export function rankIn(selector: NamespaceSelector | undefined, context: NamespaceContext): number | undefined {
  const ranks = termsOf(selector)
    .filter((term) => termMatches(term, context) === true)
    .map(({ rank }) => rank);
  return ranks.length > 0 ? Math.max(...ranks) : undefined;
}

function termMatches(term: Term, context: NamespaceContext): boolean | 'unknown' {
  switch (term.kind) {
    case 'everywhere':
      return true;
    case 'name':
      return term.name === context.namespace;
    case 'glob':
      return nameMatches(term.glob, context.namespace);
    case 'labels':
      return labelsMatch(term.requirements, context);
  }
}

/** Whether a namespace can exist that both selectors match. A name and labels never exclude each other. */
export function mayOverlap(one: NamespaceSelector | undefined, other: NamespaceSelector | undefined): boolean {
  if (one?.kind !== 'names' || other?.kind !== 'names') {
    const others = termsOf(other);
    return termsOf(one).some((term) => others.some((another) => termsMayOverlap(term, another)));
  }
  const [some, others] = one.names.length < other.names.length ? [one, other] : [other, one];
  const { exact, patterns } = indexNames(others);
  // Different exact names have nothing in common, and lists of them can be long.
  return (
    some.names.some((name) => exact.has(name) || patterns.some((pattern) => haveCommonName(name, pattern))) ||
    indexNames(some).patterns.some((pattern) => others.names.some((name) => !isGlob(name) && nameMatches(pattern, name)))
  );
}

export function matchesEveryName(selector: SelectorByNames): boolean {
  return indexNames(selector).patterns.some((pattern) => /^\*+$/.test(pattern));
}

/** Whether each name of the second selector certainly is a name of the first one, or matches one of its patterns. */
export function namesCover(one: SelectorByNames, other: SelectorByNames): boolean {
  const { exact, patterns } = indexNames(one);
  return other.names.every(
    (name) => exact.has(name) || (isGlob(name) ? patterns.includes(name) : patterns.some((pattern) => nameMatches(pattern, name))),
  );
}

/** About how many steps `mayOverlap` and `namesCover` need for two selectors at most. A million takes about 30 ms. */
export function stepsToCompare(one: NamespaceSelector | undefined, other: NamespaceSelector | undefined): number {
  const [length, otherLength] = [lengthOf(one), lengthOf(other)];
  return Math.min(length, otherLength) + countPatterns(one) * otherLength + countPatterns(other) * length;
}

/** The number of names and patterns, or of label requirements and their values. */
export function lengthOf(selector: NamespaceSelector | undefined): number {
  if (!selector) return 0;
  if (selector.kind === 'names') return selector.names.length;
  return selector.requirements.reduce((sum, { values }) => sum + 1 + values.length, 0);
}

function countPatterns(selector: NamespaceSelector | undefined): number {
  return selector?.kind === 'names' ? indexNames(selector).patterns.length : 0;
}

type SelectorByNames = NamespaceSelector & { readonly kind: 'names' };
type NamesIndex = { readonly exact: ReadonlySet<string>; readonly patterns: readonly string[] };

/** A list of thousands of names is compared with those of many other rules. */
function indexNames(selector: SelectorByNames): NamesIndex {
  const known = knownNames.get(selector);
  if (known) return known;
  const index: NamesIndex = {
    exact: new Set(selector.names.filter((name) => !isGlob(name))),
    patterns: [...new Set(selector.names.filter(isGlob))],
  };
  knownNames.set(selector, index);
  return index;
}

const knownNames = new WeakMap<SelectorByNames, NamesIndex>();

export function termsMayOverlap(one: Term, other: Term): boolean {
  if (one.kind === 'labels' && other.kind === 'labels') return labelsMayOverlap(one.requirements, other.requirements);
  const [name, otherName] = [nameOf(one), nameOf(other)];
  return name === undefined || otherName === undefined || haveCommonName(name, otherName);
}

/** Whether there is a name that both match, each an exact name or a glob. */
function haveCommonName(one: string, other: string): boolean {
  if (!isGlob(one)) return nameMatches(other, one);
  if (!isGlob(other)) return nameMatches(one, other);
  // Between the longer beginning and the longer end, a common name can have the inner parts of one and then those of the other.
  return agreeAtEnds(one, other);
}

function nameOf(term: Term): string | undefined {
  return term.kind === 'name' ? term.name : term.kind === 'glob' ? term.glob : undefined;
}

/** Whether some set of labels fulfils the requirements of both. Each key can be checked separately. */
function labelsMayOverlap(one: readonly LabelRequirement[], other: readonly LabelRequirement[]): boolean {
  const byKey = Map.groupBy([...one, ...other], ({ key }) => key);
  return [...byKey.values()].every((ofKey) => mayBeAbsent(ofKey) || mayHaveValue(ofKey));
}

function mayBeAbsent(requirements: readonly LabelRequirement[]): boolean {
  return requirements.every(({ operator }) => operator === 'NotIn' || operator === 'DoesNotExist');
}

function mayHaveValue(requirements: readonly LabelRequirement[]): boolean {
  if (requirements.some(({ operator }) => operator === 'DoesNotExist')) return false;
  // The shortest list first, because its values are searched in the others.
  const [first, ...others] = requirements
    .filter(({ operator }) => operator === 'In')
    .sort((one, other) => one.values.length - other.values.length);
  // `NotIn` excludes only some values, so another one always exists.
  if (!first) return true;
  const required = others.map(valuesOf);
  const excluded = requirements.filter(({ operator }) => operator === 'NotIn').map(valuesOf);
  return first.values.some((value) => required.every((values) => values.has(value)) && !excluded.some((values) => values.has(value)));
}

/** A requirement with thousands of values is compared with those of many other rules. */
function valuesOf(requirement: LabelRequirement): ReadonlySet<string> {
  const known = knownValues.get(requirement);
  if (known) return known;
  const values = new Set(requirement.values);
  knownValues.set(requirement, values);
  return values;
}

const knownValues = new WeakMap<LabelRequirement, ReadonlySet<string>>();

/** A name that both match, each an exact name or a glob, for messages. At most 63 × 63 steps. */
export function commonName(one: string, other: string): string | undefined {
  if (!isGlob(one)) return nameMatches(other, one) ? one : undefined;
  if (!isGlob(other)) return nameMatches(one, other) ? other : undefined;
  if (!agreeAtEnds(one, other)) return undefined;
  // Whether the remainders from two positions on match a common name, filled from the ends.
  const width = other.length + 1;
  const table = new Uint8Array((one.length + 1) * width);
  const common = (left: number, right: number) => left <= one.length && right <= other.length && table[left * width + right] === 1;
  for (let left = one.length; left >= 0; left--) {
    for (let right = other.length; right >= 0; right--) {
      const star = one[left] === '*' || other[right] === '*';
      const both = left === one.length && right === other.length;
      // A star ends, or matches one more character of the other.
      const compatible =
        both || (star ? common(left + 1, right) || common(left, right + 1) : one[left] === other[right] && common(left + 1, right + 1));
      if (compatible) table[left * width + right] = 1;
    }
  }
  return common(0, 0) ? spellCommon(one, other, common) : undefined;
}

/** The text before the first star and after the last star decides most pairs. */
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
      // A character that the other's star matches belongs to the name.
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

/** A selector as text, independent of its order: `namespaces a, b-*` or `namespaces with tier in (a, b), !legacy`. */
export function renderSelector(selector: NamespaceSelector | undefined): string {
  if (!selector) return 'all namespaces';
  const form = canonicalSelector(selector);
  if (typeof form === 'string') return `namespaces with ${form}`;
  return `${form.length === 1 && !isGlob(form[0] ?? '') ? 'namespace' : 'namespaces'} ${form.join(', ')}`;
}

/**
 * The same for messages, shortened if it is longer than any that a person reads. Thousands of messages may name one selector with thousands of
 * names.
 */
export function describeSelector(selector: NamespaceSelector | undefined): string {
  if (!selector) return renderSelector(selector);
  const parts = selector.kind === 'names' ? selector.names : selector.requirements;
  const known = knownDescriptions.get(parts);
  if (known !== undefined) return known;
  const text = renderSelector(selector);
  if (text.length <= maxDescription) return text;
  const description = `${text.slice(0, maxDescription / 2)}… (${formatCount(text.length)} characters)`;
  knownDescriptions.set(parts, description);
  return description;
}

const maxDescription = 1_024;
/** By the names or requirements of the selector. Only the shortened ones, because others cost little. */
const knownDescriptions = new WeakMap<readonly unknown[], string>();

/** A selector as JSON: sorted names, or the labels in kubectl's notation. Independent of its order. */
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

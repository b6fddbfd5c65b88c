/** Parses the `namespaces` field of rules, exemptions, overrides and secrets. */
import type { LabelRequirement, NamespaceSelector } from '../rule-set.ts';
import type { WrittenNamespaces } from './schema.ts';

/** A mistake that the schema cannot detect, and its position below the `namespaces` field. */
export type SelectorProblem = {
  readonly code: 'empty-selector' | 'selector-values' | 'duplicate-namespace';
  /** JSON pointer relative to `namespaces`. Empty for the field itself. */
  readonly pointer: string;
  readonly message: string;
};

/** The selector, as far as the field matches the schema, and its mistakes. */
export type ReadSelector = { readonly selector: NamespaceSelector | undefined; readonly problems: readonly SelectorProblem[] };

/**
 * Parses the value of a `namespaces` field. `fits` returns whether the value at a pointer below the field matches the schema. Values that
 * do not are left out. The result is canonical: labels of both kinds become requirements, sorted by key, operator and values, without
 * duplicates.
 */
export function readNamespaces(written: WrittenNamespaces, fits: (pointer: string) => boolean): ReadSelector {
  if (typeof written === 'string') return { selector: { kind: 'names', names: [withoutDoubleStars(written)] }, problems: [] };
  return isList(written) ? readNames(written, fits) : readLabels(written, fits);
}

type WrittenLabels = Exclude<WrittenNamespaces, string | readonly string[]>;
type WrittenRequirement = NonNullable<WrittenLabels['matchExpressions']>[number];

function isList(written: Exclude<WrittenNamespaces, string>): written is string[] {
  return Array.isArray(written);
}

function readNames(written: readonly string[], fits: (pointer: string) => boolean): ReadSelector {
  const names = new Set<string>();
  const problems: SelectorProblem[] = [];
  for (const [index, text] of written.entries()) {
    const pointer = `/${index}`;
    if (!fits(pointer)) continue;
    const name = withoutDoubleStars(text);
    if (names.has(name)) problems.push({ code: 'duplicate-namespace', pointer, message: `repeats ${name}. Remove the duplicate.` });
    names.add(name);
  }
  return { selector: { kind: 'names', names: [...names] }, problems: problems };
}

/** Adjacent stars mean the same as one. */
function withoutDoubleStars(name: string): string {
  return name.replace(/\*+/g, '*');
}

function readLabels(written: WrittenLabels, fits: (pointer: string) => boolean): ReadSelector {
  const { matchLabels, matchExpressions } = written;
  const problems: SelectorProblem[] = [];
  const requirements: LabelRequirement[] = [];
  const isEmpty = (part: object | undefined, pointer: string) => part === undefined || (fits(pointer) && Object.keys(part).length === 0);
  const hasUnknownField = Object.keys(written).some((field) => field !== 'matchLabels' && field !== 'matchExpressions');
  if (!hasUnknownField && isEmpty(matchLabels, '/matchLabels') && isEmpty(matchExpressions, '/matchExpressions')) {
    problems.push(emptySelector);
  }
  if (matchLabels !== undefined && fits('/matchLabels')) {
    for (const [key, value] of Object.entries(matchLabels)) requirements.push({ key, operator: 'In', values: [value] });
  }
  if (matchExpressions !== undefined && fits('/matchExpressions')) {
    for (const [index, requirement] of matchExpressions.entries()) {
      const pointer = `/matchExpressions/${index}`;
      if (!['', '/key', '/operator', '/values'].every((part) => fits(pointer + part))) continue;
      const values = requirement.values ?? [];
      if (!values.every((_, at) => fits(`${pointer}/values/${at}`))) continue;
      const problem = valuesProblem(requirement, pointer);
      if (problem) problems.push(problem);
      else requirements.push({ key: requirement.key, operator: requirement.operator, values: [...new Set(values)].sort() });
    }
  }
  return { selector: { kind: 'labels', requirements: canonicalOrder(requirements) }, problems: problems };
}

function valuesProblem({ operator, values }: WrittenRequirement, pointer: string): SelectorProblem | undefined {
  const compares = operator === 'In' || operator === 'NotIn';
  const count = values?.length ?? 0;
  if (compares && count === 0) {
    const fix = 'Add values, or use Exists or DoesNotExist to test only for the label.';
    return values === undefined
      ? { code: 'selector-values', pointer, message: `has no values, but ${operator} needs them. ${fix}` }
      : { code: 'selector-values', pointer: `${pointer}/values`, message: `is empty, but ${operator} needs values. ${fix}` };
  }
  if (compares || count === 0) return undefined;
  const message = `must be empty, because ${operator} tests only for the label. Remove the values, or use ${operator === 'Exists' ? 'In' : 'NotIn'}.`;
  return { code: 'selector-values', pointer: `${pointer}/values`, message };
}

const emptySelector: SelectorProblem = {
  code: 'empty-selector',
  pointer: '',
  message:
    'is an empty selector, which would match every namespace. Specify matchLabels or matchExpressions. To match every namespace, remove the field from a rule or exemption, or move the settings of an override to the top level. In secrets, use "*" instead.',
};

function canonicalOrder(requirements: readonly LabelRequirement[]): readonly LabelRequirement[] {
  const byText = new Map(
    requirements.map((requirement) => [JSON.stringify([requirement.key, requirement.operator, requirement.values]), requirement]),
  );
  return [...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, requirement]) => requirement);
}

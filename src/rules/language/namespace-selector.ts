import type { LabelRequirement, NamespaceSelector } from '../rule-set.ts';
import type { WrittenNamespaces } from './schema.ts';

/** A slip that the schema cannot tell, and where it stands below the `namespaces` field. */
export type SelectorProblem = {
  readonly code: 'empty-selector' | 'selector-values' | 'duplicate-namespace';
  /** JSON pointer from `namespaces` on; empty for the field itself. */
  readonly pointer: string;
  readonly message: string;
};

/** What `namespaces` says, as far as it fits the schema, and what is odd about it. */
export type ReadSelector = { readonly selector: NamespaceSelector | undefined; readonly slips: readonly SelectorProblem[] };

/**
 * Reads the value of a `namespaces` field. `fits` says of a pointer below it whether the schema took what stands there; the rest is left
 * out. The result is canonical: labels of both kinds are requirements, in the order of their keys, operators and values, each once.
 */
export function readNamespaces(written: WrittenNamespaces, fits: (pointer: string) => boolean): ReadSelector {
  if (typeof written === 'string') return { selector: { kind: 'names', names: [withoutDoubleStars(written)] }, slips: [] };
  return isList(written) ? readNames(written, fits) : readLabels(written, fits);
}

type WrittenLabels = Exclude<WrittenNamespaces, string | readonly string[]>;
type WrittenRequirement = NonNullable<WrittenLabels['matchExpressions']>[number];

function isList(written: Exclude<WrittenNamespaces, string>): written is string[] {
  return Array.isArray(written);
}

function readNames(written: readonly string[], fits: (pointer: string) => boolean): ReadSelector {
  const names = new Set<string>();
  const slips: SelectorProblem[] = [];
  for (const [index, text] of written.entries()) {
    const pointer = `/${index}`;
    if (!fits(pointer)) continue;
    const name = withoutDoubleStars(text);
    if (names.has(name)) slips.push({ code: 'duplicate-namespace', pointer, message: `is ${name} once more; remove it` });
    names.add(name);
  }
  return { selector: { kind: 'names', names: [...names] }, slips };
}

/** Two stars say what one says. */
function withoutDoubleStars(name: string): string {
  return name.replace(/\*+/g, '*');
}

function readLabels({ matchLabels, matchExpressions }: WrittenLabels, fits: (pointer: string) => boolean): ReadSelector {
  const slips: SelectorProblem[] = [];
  const requirements: LabelRequirement[] = [];
  const isEmpty = (part: object | undefined, pointer: string) => part === undefined || (fits(pointer) && Object.keys(part).length === 0);
  if (isEmpty(matchLabels, '/matchLabels') && isEmpty(matchExpressions, '/matchExpressions')) slips.push(emptySelector);
  if (matchLabels !== undefined && fits('/matchLabels')) {
    for (const [key, value] of Object.entries(matchLabels)) requirements.push({ key, operator: 'In', values: [value] });
  }
  if (matchExpressions !== undefined && fits('/matchExpressions')) {
    for (const [index, requirement] of matchExpressions.entries()) {
      const pointer = `/matchExpressions/${index}`;
      if (!['', '/key', '/operator', '/values'].every((part) => fits(pointer + part))) continue;
      const values = requirement.values ?? [];
      if (!values.every((_, at) => fits(`${pointer}/values/${at}`))) continue;
      const slip = valuesSlip(requirement, pointer);
      if (slip) slips.push(slip);
      else requirements.push({ key: requirement.key, operator: requirement.operator, values: [...new Set(values)].sort() });
    }
  }
  return { selector: { kind: 'labels', requirements: canonicalOrder(requirements) }, slips };
}

function valuesSlip({ operator, values }: WrittenRequirement, pointer: string): SelectorProblem | undefined {
  const compares = operator === 'In' || operator === 'NotIn';
  const count = values?.length ?? 0;
  if (compares && count === 0) {
    const message = `${operator} compares with values and has none; write "values: [...]", or Exists or DoesNotExist for the label alone`;
    return { code: 'selector-values', pointer: values === undefined ? pointer : `${pointer}/values`, message };
  }
  if (compares || count === 0) return undefined;
  const message = `${operator} is about the label alone; remove the values, or write ${operator === 'Exists' ? 'In' : 'NotIn'}`;
  return { code: 'selector-values', pointer: `${pointer}/values`, message };
}

const emptySelector: SelectorProblem = {
  code: 'empty-selector',
  pointer: '',
  message:
    'is a selection without requirement, which Kubernetes takes for every namespace; write matchLabels or matchExpressions. Where every namespace is meant: a rule or exemption leaves namespaces out, and settings stand at the top level',
};

function canonicalOrder(requirements: readonly LabelRequirement[]): readonly LabelRequirement[] {
  const byText = new Map(
    requirements.map((requirement) => [JSON.stringify([requirement.key, requirement.operator, requirement.values]), requirement]),
  );
  return [...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, requirement]) => requirement);
}

/** Builds rules, exemptions and overrides as values, for tests that are not about parsing. */
import fc from 'fast-check';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { type ParsedDocument, portWritten, type WrittenSetting } from '../../../src/rules/language/parse.ts';
import { parsePattern, type RegistryPattern, resolvePattern } from '../../../src/rules/language/pattern.ts';
import type { Origin } from '../../../src/rules/language/problem.ts';
import type {
  DeliveredSecret,
  Exemption,
  LabelRequirement,
  NamespaceContext,
  NamespaceSelector,
  Override,
  Rule,
  RuleSet,
} from '../../../src/rules/rule-set.ts';
import { briefly, fileSource, sha256 } from './documents.ts';

export function patternOf(text: string, trust = true): RegistryPattern {
  const parsed = parsePattern(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return resolvePattern(parsed.pattern, trust);
}

export function names(...list: readonly string[]): NamespaceSelector {
  return { kind: 'names', names: list };
}

/** Label requirements as kubectl writes them, one text each: `team=a`, `tier in a b`, `tier notin a`, `legacy`, `!legacy`. */
export function labels(...texts: readonly string[]): NamespaceSelector {
  return { kind: 'labels', requirements: texts.map(requirement) };
}

function requirement(text: string): LabelRequirement {
  const [key = '', operator, ...values] = text.split(/[ =]/);
  if (text.includes('=')) return { key, operator: 'In', values: [operator ?? ''] };
  if (operator === 'in') return { key, operator: 'In', values };
  if (operator === 'notin') return { key, operator: 'NotIn', values };
  return key.startsWith('!') ? { key: key.slice(1), operator: 'DoesNotExist', values: [] } : { key, operator: 'Exists', values: [] };
}

export function inNamespace(namespace: string, ofNamespace: Readonly<Record<string, string>> | undefined = {}): NamespaceContext {
  return { namespace, labels: ofNamespace };
}

/** A namespace whose labels are unknown. */
export function unlabelled(namespace: string): NamespaceContext {
  return { namespace, labels: undefined };
}

let line = 0;

/** A different origin for each entry that is built. */
export function nextOrigin(file = 'rules.yaml'): Origin {
  return { source: fileSource(file), line: ++line, column: 1 };
}

export type BriefRule = Partial<Omit<Rule, 'pattern' | 'origin'>> & { readonly registry: string; readonly file?: string };

export function rule({ registry, trust = true, file, ...rest }: BriefRule): Rule {
  const pattern = patternOf(registry, trust);
  const parsed = parsePattern(registry);
  return {
    name: pattern.text,
    pattern,
    ...(parsed.ok && portWritten(parsed.pattern, trust)),
    trust,
    pullSecrets: [],
    onMissingSecret: 'warn',
    internal: false,
    origin: nextOrigin(file),
    ...rest,
  };
}

type BriefExemption = Partial<Omit<Exemption, 'pattern' | 'origin'>> & { readonly image: string };

export function exemption({ image, ...rest }: BriefExemption): Exemption {
  return { pattern: patternOf(image), until: '2027-03-31', reason: 'migration', origin: nextOrigin(), ...rest };
}

export function override(
  namespaces: NamespaceSelector,
  settings: Partial<Omit<Override, 'namespaces' | 'origin'>>,
  file?: string,
): Override {
  return { namespaces, ...settings, origin: nextOrigin(file) };
}

export function deliveredSecret(
  name: string,
  rest: Partial<Omit<DeliveredSecret, 'name' | 'origin'>> = {},
  file?: string,
): DeliveredSecret {
  return { name, source: name, namespaces: names('*'), deliver: 'onDemand', retainSeconds: 86_400, ...rest, origin: nextOrigin(file) };
}

export type BriefDocument = {
  readonly settings?: { readonly [Name in keyof ParsedDocument['settings']]?: NonNullable<ParsedDocument['settings'][Name]>['value'] };
  readonly rules?: readonly Rule[];
  readonly exemptions?: readonly Exemption[];
  readonly overrides?: readonly Override[];
  /** Patterns. */
  readonly delegate?: readonly string[];
  readonly deliveredSecrets?: readonly DeliveredSecret[];
  readonly namespace?: string;
  readonly file?: string;
};

export function documentWith({
  settings = {},
  rules = [],
  exemptions = [],
  overrides = [],
  delegate = [],
  deliveredSecrets = [],
  namespace,
  file,
}: BriefDocument): ParsedDocument {
  const written = Object.entries(settings).map(([name, value]): [string, WrittenSetting<unknown>] => [
    name,
    { value, origin: nextOrigin(file) },
  ]);
  return {
    source: fileSource(file ?? 'rules.yaml'),
    scope: namespace === undefined ? { kind: 'cluster' } : { kind: 'namespace', namespace },
    blank: false,
    settings: Object.fromEntries(written),
    rules,
    exemptions,
    overrides,
    delegate: delegate.map((text) => ({ pattern: patternOf(text), origin: nextOrigin(file) })),
    deliveredSecrets,
  };
}

export function compiled(...documents: readonly (BriefDocument | ParsedDocument)[]): RuleSet {
  const result = compileRuleSet(documents.map(asParsed), sha256);
  if (!result.ok) throw new Error(briefly(result.problems).join('\n'));
  return result.ruleSet;
}

/** Problems as `code message`, in order. */
export function problemsWith(...documents: readonly BriefDocument[]): readonly string[] {
  const result = compileRuleSet(documents.map(documentWith), sha256);
  return result.ok ? [] : result.problems.map(({ code, message }) => `${code} ${message}`);
}

function asParsed(document: BriefDocument | ParsedDocument): ParsedDocument {
  return 'scope' in document ? document : documentWith(document);
}

/** Few hosts, ports, paths, namespaces and labels, so that generated values overlap often. */
export const anyHost = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map((parts) => [...parts, 'io'].join('.'));
export const anyPattern = fc
  .record({
    host: fc.oneof(
      anyHost,
      anyHost.map((name) => `*.${name}`),
      fc.constantFrom('*', '*.io'),
    ),
    port: fc.constantFrom('', '', ':443', ':5000', ':*'),
    path: fc.array(fc.constantFrom('x', 'y', '*'), { maxLength: 4 }),
  })
  .map(({ host, port, path }) => [host + port, ...path].join('/'));

const anyName = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*'), minLength: 1, maxLength: 4 });
const anyRequirement = fc.oneof(
  fc.record({
    key: fc.constantFrom('team', 'tier', 'kubernetes.io/metadata.name'),
    operator: fc.constantFrom('In' as const, 'NotIn' as const),
    values: fc.uniqueArray(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 2 }).map((values) => values.sort()),
  }),
  fc.record({
    key: fc.constantFrom('team', 'tier'),
    operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
    values: fc.constant<readonly string[]>([]),
  }),
);
export const anySelector: fc.Arbitrary<NamespaceSelector | undefined> = fc.oneof(
  { weight: 2, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.uniqueArray(anyName, { minLength: 1, maxLength: 3 }).map((list) => names(...list)) },
  {
    weight: 2,
    arbitrary: fc
      .array(anyRequirement, { minLength: 1, maxLength: 3 })
      .map((requirements): NamespaceSelector => ({ kind: 'labels', requirements })),
  },
);

export const anyLabels = fc.record({ team: fc.constantFrom('a', 'b', 'ab'), tier: fc.constantFrom('a', 'b') }, { requiredKeys: [] });
/** Contains the label that the API server sets on every namespace. */
export const anyNamespace: fc.Arbitrary<NamespaceContext> = fc
  .record({ namespace: fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 5 }), others: anyLabels })
  .map(({ namespace, others }) => ({ namespace, labels: { ...others, 'kubernetes.io/metadata.name': namespace } }));

export const anyLookup = fc
  .record({
    host: anyHost,
    port: fc.constantFrom(undefined, 5000, 6000),
    path: fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 4 }),
  })
  .map(({ host, port, path }) => ({ host, path, ...(port !== undefined && { port }), written: host, qualified: true }));

export const anyRule = fc
  .record({ registry: anyPattern, trust: fc.boolean(), namespaces: anySelector })
  .map(({ namespaces, ...rest }) => rule({ ...rest, ...(namespaces && { namespaces }) }));

/** Rules that compile: those that tie with an earlier one are left out. */
export function untied(rules: readonly Rule[]): readonly Rule[] {
  const kept: Rule[] = [];
  for (const each of rules) if (compileRuleSet([documentWith({ rules: [...kept, each] })], sha256).ok) kept.push(each);
  return kept;
}

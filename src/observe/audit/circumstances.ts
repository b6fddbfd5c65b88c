/** What the outcome of a request depends on apart from its images and the rules, so that `diff --replay` can evaluate the record again. */
import type { Decision } from '../../decision/decision.ts';
import type { Facts, SecretFacts } from '../../decision/facts.ts';
import { trustingRules } from '../../decision/trusting-rules.ts';
import { labelKeysOf } from '../../rules/label-keys.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { budgets, type Cutter, maxBytesOf } from './record-limits.ts';

/** Fields of the record of a validating webhook. */
export type Circumstances = {
  /** The labels of the namespace that the rules select by. Null for one that it lacks. Absent if its labels are unknown. */
  readonly namespaceLabels?: Readonly<Record<string, string | null>>;
  /** How names without a registry were read, if not as names on Docker Hub. */
  readonly shortNames?: 'reject' | readonly string[];
  /** A kubelet has reported a static Pod. */
  readonly staticPod?: true;
  /** Of a Pod: whether its namespace has the secrets that the rules name for its images. */
  readonly secrets?: Readonly<Record<string, SecretFacts>>;
  /**
   * Pull secrets of a new Pod or pod template that its author or its service account listed. Absent if it is not known what other rules would
   * write into the object, or if the list is too long.
   */
  readonly suppliedSecrets?: readonly string[];
};

/** What the request was evaluated with. */
export type EvaluatedWith = { readonly rules: RuleSet; readonly facts: Pick<Facts, 'namespace' | 'secret'> };

type Evaluated = EvaluatedWith & {
  readonly decision: Decision & { kind: 'decided' };
  readonly namespace: string;
  readonly isPod: boolean;
};

export function describeCircumstances({ rules, facts, decision, namespace, isPod }: Evaluated, cutter: Cutter): Circumstances {
  const { shortNames } = rules.settings;
  const secrets = isPod ? namedSecrets(decision) : [];
  return {
    ...labelsOf(rules, facts, namespace, cutter),
    ...(shortNames === 'reject' && { shortNames }),
    ...(Array.isArray(shortNames) && { shortNames: cutter.texts(shortNames, budgets.shortNames) }),
    ...(decision.staticPod && { staticPod: true }),
    ...supplied(decision),
    ...(secrets.length > 0 && { secrets: shownEntries(secrets, (name) => facts.secret(namespace, name), budgets.secrets, cutter) }),
  };
}

function labelsOf(rules: RuleSet, facts: EvaluatedWith['facts'], name: string, cutter: Cutter): Pick<Circumstances, 'namespaceLabels'> {
  const namespace = facts.namespace(name);
  if (namespace.kind !== 'known') return {};
  const { labels } = namespace;
  const entryOf = (key: string) => (Object.hasOwn(labels, key) ? (labels[key] ?? null) : null);
  return { namespaceLabels: shownEntries(labelKeysOf(rules), entryOf, budgets.namespaceLabels, cutter) };
}

/** Whole or not at all, so that a long list does not keep the outcome from being replayed. */
function supplied({ suppliedSecrets: names }: Decision & { kind: 'decided' }): Pick<Circumstances, 'suppliedSecrets'> {
  const { count, bytes } = budgets.suppliedSecrets;
  if (!names || names.length > count) return {};
  if (maxBytesOf(names) > bytes && Buffer.byteLength(JSON.stringify(names)) > bytes) return {};
  return { suppliedSecrets: names };
}

function namedSecrets({ images }: Decision & { kind: 'decided' }): readonly string[] {
  return [...new Set(trustingRules(images).flatMap(({ pullSecrets }) => pullSecrets))];
}

/** As many entries as fit. */
function shownEntries<Value extends string | null>(
  keys: readonly string[],
  entryOf: (key: string) => Value,
  budget: (typeof budgets)['secrets' | 'namespaceLabels'],
  cutter: Cutter,
): Readonly<Record<string, Value>> {
  const entries = keys.slice(0, budget.count).map((key) => [key, entryOf(key)] as const);
  const shown = cutter.list(entries, budget);
  if (shown.length < keys.length) cutter.cut = true;
  return Object.fromEntries(shown);
}

/** Limits how many rules a namespace may write. Checked before parsing, so that rules over the limit cost nothing. */
import { countOf } from '../../image/wording.ts';
import type { RuleScope } from '../language/parse.ts';
import type { Problem, RuleSource } from '../language/problem.ts';

/** The parts of a bundle that are measured. */
type Measured = {
  readonly id: string;
  readonly scope?: RuleScope;
  readonly documents: readonly { readonly source: RuleSource; readonly text: string }[];
  readonly droppedSize?: RulesSize;
};

/** Number of rules documents (keys of ConfigMaps) and of their characters. */
export type RulesSize = { readonly documents: number; readonly characters: number };

/** For all rules ConfigMaps of one namespace together. Its 200 rules with every field and a comment each need about 40,000 characters. */
export const namespaceQuota: RulesSize = { documents: 20, characters: 131_072 };

/** The most rules that one namespace may have, since a tenant's rules use memory of the shared server. */
export const maxRulesOfNamespace = 200;

/** How many documents of a namespace's change or rejected bundle are named. A bundle within the quota never has more. */
export const maxSources = namespaceQuota.documents;

export const noRules: RulesSize = { documents: 0, characters: 0 };

/** A ConfigMap without a document counts as one, since it uses memory too. Characters are UTF-16 code units. */
export function sizeOf({
  documents,
  droppedSize,
}: {
  readonly documents: readonly { readonly text: string }[];
  readonly droppedSize?: RulesSize;
}): RulesSize {
  if (droppedSize) return droppedSize;
  return { documents: Math.max(1, documents.length), characters: documents.reduce((sum, { text }) => sum + text.length, 0) };
}

export function addSizes(one: RulesSize, other: RulesSize): RulesSize {
  return { documents: one.documents + other.documents, characters: one.characters + other.characters };
}

export function largerOf(one: RulesSize, other: RulesSize): RulesSize {
  return { documents: Math.max(one.documents, other.documents), characters: Math.max(one.characters, other.characters) };
}

/** Whether a size is within a namespace's quota. */
export function fits({ documents, characters }: RulesSize): boolean {
  return documents <= namespaceQuota.documents && characters <= namespaceQuota.characters;
}

/** The problem of a namespace's bundle that exceeds the quota together with the `others` of its namespace. Undefined if it fits. */
export function rejectOverQuota(bundle: Measured, others: RulesSize): Problem | undefined {
  if (bundle.scope?.kind !== 'namespace') return undefined;
  const { namespace } = bundle.scope;
  const own = sizeOf(bundle);
  const all = addSizes(own, others);
  // The texts of such a bundle were not kept, so it can never be accepted as it is.
  if (fits(all) && !bundle.droppedSize) return undefined;
  const rest = others.documents > 0 ? `, and the other rules ConfigMaps in namespace ${namespace} have ${render(others)}` : '';
  const advice = fits(all)
    ? 'It was not read, because a memory limit for namespace rules was reached. It is read when there is room. To retry immediately, apply it again.'
    : `A namespace may have at most ${render(namespaceQuota)}. Use fewer and shorter documents, or delete those that are not needed.`;
  const message = `this ConfigMap has ${render(own)} of rules${rest}. ${advice}`;
  const source = bundle.documents[0]?.source ?? { kind: 'configMap', namespace, name: bundle.id, key: '' };
  return { code: 'namespace-quota', message, origin: { source, line: 1, column: 1 } };
}

function render({ documents, characters }: RulesSize): string {
  return `${countOf(documents, 'document')} with ${countOf(characters, 'character')}`;
}

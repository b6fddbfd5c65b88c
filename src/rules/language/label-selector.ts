/** Parses label selectors in one line, in the format of `kubectl get -l`: `team in (a, b), !legacy, env=prod`. */

import type { LabelRequirement } from '../rule-set.ts';
import { labelKey, labelValue, maxLabelLength } from './label-grammar.ts';

export type ReadLabelSelector =
  | { readonly ok: true; readonly value: readonly LabelRequirement[] }
  | { readonly ok: false; readonly problem: string };

/** The requirements in written order. All of them must match. */
export function parseLabelSelector(text: string): ReadLabelSelector {
  const requirements: LabelRequirement[] = [];
  // Splits at commas outside parentheses.
  for (const part of text.split(/,(?![^(]*\))/)) {
    const requirement = parseRequirement(part.trim());
    const problem = typeof requirement === 'string' ? requirement : requirementProblem(requirement);
    if (problem !== undefined) return { ok: false, problem };
    if (typeof requirement !== 'string') requirements.push(requirement);
  }
  return { ok: true, value: requirements };
}

/** The requirement, or a message that says what is wrong with it. */
function parseRequirement(text: string): LabelRequirement | string {
  if (text === '') return `a requirement is empty. ${example}`;
  const [, absent] = /^!\s*([^\s=!<>()]+)$/.exec(text) ?? [];
  if (absent !== undefined) return { key: absent, operator: 'DoesNotExist', values: [] };
  const [, key, sign, value = ''] = /^([^\s=!<>()]+)\s*(==?|!=)\s*([^\s=!<>()]*)$/.exec(text) ?? [];
  if (key !== undefined) return { key, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] };
  const [, listed, word, values = ''] = /^([^\s=!<>()]+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text) ?? [];
  if (listed !== undefined) {
    const distinct = new Set(values.split(',').map((each) => each.trim()));
    return { key: listed, operator: word === 'in' ? 'In' : 'NotIn', values: [...distinct].sort() };
  }
  if (/^[^\s=!<>()]+$/.test(text)) return { key: text, operator: 'Exists', values: [] };
  if (/[<>]/.test(text)) return `"${text}" compares numbers, which the label selectors of webhooks do not support. ${example}`;
  return `"${text}" is not a label requirement. ${example}`;
}

const example = 'Use a selector such as "team in (a, b), env=prod, tier!=test, shared, !legacy".';

function requirementProblem({ key, values }: LabelRequirement): string | undefined {
  if (!new RegExp(labelKey).test(key)) return `the label key "${key}" is invalid.`;
  for (const value of values) {
    // Kubernetes reads this as the empty value, which hardly any label has. It is probably a typing error, and would select nothing.
    if (value === '') return `the label ${key} has an empty value. Add a value, or use ${key} alone to match any value.`;
    if (value.length > maxLabelLength || !new RegExp(labelValue).test(value)) return `the label value "${value}" is invalid.`;
  }
  return undefined;
}

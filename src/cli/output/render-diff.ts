/** Differences for people: plain text, a block for each object or a line for each change of the rules. */

import type { Comparison, Effect, ObjectChange } from '../../evaluate/compare-evaluations.ts';
import { renderSubject } from '../../evaluate/evaluate.ts';
import { renderOrigin, renderSourcePath } from '../../rules/language/problem.ts';
import type { ComparedValue, RuleChange } from '../../rules/store/compare.ts';

const labels: Readonly<Record<Effect, string>> = {
  'newly-denied': 'DENIED',
  'newly-allowed': 'allowed',
  'newly-warned': 'warned',
  'no-longer-warned': 'no warning',
  secrets: 'secrets',
};
const indent = 11;

export function renderObjectChanges({ changes, summary }: Comparison): string {
  const { newlyDenied, newlyAllowed, newlyWarned, noLongerWarned, secretsGained, secretsLost, undecided, unchanged } = summary;
  const parts = [
    `${newlyDenied} newly denied`,
    `${newlyAllowed} newly allowed`,
    `${newlyWarned} newly warned`,
    ...(noLongerWarned > 0 ? [`${noLongerWarned} no longer warned`] : []),
    `${secretsGained} gain secrets`,
    `${secretsLost} lose secrets`,
    `${unchanged} unchanged`,
    ...(undecided > 0 ? [`${undecided} uncertain`] : []),
  ];
  const objects = changes.length + unchanged;
  return `${changes.map(renderObjectChange).join('')}${objects} object${objects === 1 ? '' : 's'}: ${parts.join(', ')}\n`;
}

function renderObjectChange({ object, effect, secretsGained, secretsLost, images, messages, undecided = [] }: ObjectChange): string {
  const label = effect ? labels[effect] : 'UNSURE';
  const place = object.file === '-' ? `line ${object.line} of standard input` : `${object.file}:${object.line}`;
  const told = effect === 'newly-denied' || effect === 'newly-warned' ? messages.flatMap((message) => message.split('\n')) : [];
  const lines = [
    ...images.flatMap(({ path, image, before, after }) => [image ?? path, `  ${renderSaid(before)} -> ${renderSaid(after)}`]),
    ...secretsGained.map(({ path, secret }) => `+ ${path}: ${secret}`),
    ...secretsLost.map(({ path, secret }) => `- ${path}: ${secret}`),
    ...told,
    ...undecided.map((sentence) => `not sure: ${sentence}`),
  ];
  return [`${label.padEnd(indent)}${renderSubject(object)}  ${place}`, ...lines.map((line) => `${' '.repeat(indent)}${line}`), '', ''].join(
    '\n',
  );
}

function renderSaid({ verdict, reason, rule }: ObjectChange['images'][number]['before']): string {
  const how = reason === verdict ? verdict : `${verdict} (${reason})`;
  return rule ? `${how} by "${rule.name}"` : how;
}

/** `+` what is new, `-` what is gone, `~` what is said differently. */
export function renderRuleChanges(changes: readonly RuleChange[]): string {
  if (changes.length === 0) return 'the rules say the same\n';
  return changes.map((change) => `${renderRuleChange(change)}\n`).join('');
}

function renderRuleChange({ kind, about, before, after }: RuleChange): string {
  const subject = `${kind} ${about}`;
  if (kind === 'setting') return `~ ${subject}: ${inWords(before?.fields[about])} -> ${inWords(after?.fields[about])}`;
  if (before && after) return `~ ${subject}${placeOf(after)}: ${differences(before, after)}`;
  if (after) return `+ ${subject}${placeOf(after)}${listed(after)}`;
  return `- ${subject}${before ? placeOf(before) + listed(before) : ''}`;
}

function placeOf({ origin }: ComparedValue): string {
  return origin ? ` (${renderOrigin(origin)})` : '';
}

function listed({ fields }: ComparedValue): string {
  const texts = Object.entries(fields).map(([name, value]) => `${name} ${inWords(value)}`);
  return texts.length > 0 ? `: ${texts.join(', ')}` : '';
}

function differences(before: ComparedValue, after: ComparedValue): string {
  const names = [...new Set([...Object.keys(before.fields), ...Object.keys(after.fields)])];
  return names
    .filter((name) => JSON.stringify(before.fields[name]) !== JSON.stringify(after.fields[name]))
    .map((name) => `${name} ${inWords(before.fields[name])} -> ${inWords(after.fields[name])}`)
    .join(', ');
}

function inWords(value: unknown): string {
  if (value === undefined) return '(none)';
  if (Array.isArray(value)) return value.join(', ');
  const text = String(value);
  return /[\s,;:]/.test(text) ? JSON.stringify(text) : text;
}

/** A change of the rules in machine output. */
export function ruleChangeEntry({ kind, about, before, after }: RuleChange) {
  const change = before && after ? 'changed' : after ? 'added' : 'removed';
  return { kind, about, change, ...(before && { before: saidEntry(before) }), ...(after && { after: saidEntry(after) }) };
}

function saidEntry({ fields, origin }: ComparedValue) {
  return { ...fields, ...(origin && { source: { file: renderSourcePath(origin.source), line: origin.line } }) };
}

/** Renders differences as plain text for people: a block per object, or a line per change of the rules. */

import type { Comparison, Effect, ObjectChange } from '../../evaluate/compare-evaluations.ts';
import { countOf, formatCount } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import { renderOrigin, renderSourcePath } from '../../rules/language/problem.ts';
import type { ComparedValue, RuleChange } from '../../rules/store/compare-rule-sets.ts';
import type { RuleComparison, WorkloadChange } from '../../scan/compare-rules.ts';
import { type Meaning, type Paint, plain } from './paint.ts';
import { renderHead } from './render-results.ts';

type Label = readonly [text: string, meaning: Meaning];

const effectLabels: Readonly<Record<Effect, Label>> = {
  'newly-denied': ['DENIED', 'denied'],
  'newly-allowed': ['allowed', 'allowed'],
  'newly-warned': ['warned', 'warned'],
  'no-longer-warned': ['no warning', 'allowed'],
  secrets: ['gains secret', 'place'],
};
const losesSecret: Label = ['LOSES SECRET', 'removed'];
const uncertainLabel: Label = ['UNCERTAIN', 'uncertain'];
/** The width of the longest label, and two spaces. */
export const indent = 14;

/** The heading of a change. A lost secret comes before other effects, because it also causes exit code 1. */
export function labelOf({ effect, secretsLost }: { readonly effect?: Effect; readonly secretsLost: readonly unknown[] }): Label {
  if (effect === 'newly-denied') return effectLabels[effect];
  if (secretsLost.length > 0) return losesSecret;
  return effect ? effectLabels[effect] : uncertainLabel;
}

export type RenderDiffOptions = {
  readonly paint?: Paint;
  /** Leaves out the summary. */
  readonly quiet?: boolean;
};

export function renderObjectChanges({ changes, summary }: Comparison, { paint = plain, quiet = false }: RenderDiffOptions = {}): string {
  const blocks = changes.map((change) => renderChange(renderHead(change.object), change, paint)).join('');
  return quiet ? blocks : `${blocks}${countOf(changes.length + summary.unchanged, 'object')}: ${renderCounts(summary)}\n`;
}

/** The changes of the rules, of workloads in a cluster, and of delivered copies. */
export function renderWorkloadChanges(
  { rules, changes, copies, summary }: Pick<RuleComparison, 'rules' | 'changes' | 'copies' | 'summary'>,
  { paint = plain, quiet = false }: RenderDiffOptions = {},
): string {
  const ruleLines = rules.length > 0 ? renderRuleChanges(rules, { paint }) : quiet ? '' : 'no differences between the rules\n';
  const ruleBlock = ruleLines === '' ? '' : `${ruleLines}\n`;
  const blocks = changes.map((change) => renderChange(renderWorkloadHead(change), change, paint)).join('');
  const copyLines = copies.flatMap(({ secret, gained, lost }) => [
    ...renderCopies('added', `+ copies of secret ${secret} are delivered to`, gained, paint),
    ...renderCopies('removed', `- copies of secret ${secret} are removed from`, lost, paint),
  ]);
  const copyBlock = copyLines.length === 0 ? '' : `${copyLines.join('\n')}\n\n`;
  if (quiet) return ruleBlock + blocks + copyBlock;
  const { workloads, pods, newlyDeniedWhenRecreated: denied, newlyDeniedOnceEnforced: onceEnforced } = summary;
  const lines = [
    `${countOf(workloads, 'workload')} with ${countOf(pods, 'Pod')}: ${renderCounts(summary)}`,
    ...(denied.pods > 0
      ? [paint('denied', `${countOf(denied.pods, 'Pod')} of ${countOf(denied.workloads, 'workload')} would be denied when recreated`)]
      : []),
    ...(onceEnforced.workloads > 0
      ? [
          paint(
            'warned',
            `${countOf(onceEnforced.workloads, 'workload')} with ${countOf(onceEnforced.pods, 'Pod')} would be newly denied in enforce mode. Set mode: enforce in the files to list them`,
          ),
        ]
      : []),
    ...summary.deniedAfter.flatMap(({ date, ...affected }) => [
      ...renderDeniedAfter(affected.denied, `would be denied after ${date}`, 'denied', paint),
      ...renderDeniedAfter(affected.deniedOnceEnforced, `would be denied in enforce mode after ${date}`, 'warned', paint),
    ]),
  ];
  return `${ruleBlock}${blocks}${copyBlock}${lines.join('\n')}\n`;
}

type Affected = RuleComparison['summary']['deniedAfter'][number]['denied'];

function renderDeniedAfter({ workloads, pods }: Affected, predicate: string, meaning: Meaning, paint: Paint): readonly string[] {
  return workloads === 0 ? [] : [paint(meaning, `${countOf(workloads, 'workload')} with ${countOf(pods, 'Pod')} ${predicate}`)];
}

function renderWorkloadHead({ object, pods, podsNewlyDenied }: WorkloadChange): string {
  const { kind, namespace, name } = object;
  const running =
    pods === 0 ? '' : podsNewlyDenied > 0 ? `  ${countOf(podsNewlyDenied, 'Pod')} denied when recreated` : `  ${countOf(pods, 'Pod')}`;
  return `${escapeControls(`${kind} ${namespace}/${name}`)}${running}`;
}

function renderCopies(meaning: Meaning, text: string, namespaces: readonly string[], paint: Paint): readonly string[] {
  if (namespaces.length === 0) return [];
  return [paint(meaning, escapeControls(`${text} ${countOf(namespaces.length, 'namespace')}: ${namespaces.join(', ')}`))];
}

function renderCounts(summary: Comparison['summary']): string {
  const { uncertain } = summary;
  return [...countEffects(summary), ...(uncertain > 0 ? [`${formatCount(uncertain)} uncertain`] : [])].join(', ');
}

/** The part of a summary that objects and past requests have in common. */
export function countEffects(summary: Omit<Comparison['summary'], 'uncertain'>): readonly string[] {
  const { newlyDenied, newlyAllowed, newlyWarned, noLongerWarned, secretsGained, secretsLost, unchanged } = summary;
  return [
    `${formatCount(newlyDenied)} newly denied`,
    `${formatCount(newlyAllowed)} newly allowed`,
    `${formatCount(newlyWarned)} newly warned`,
    ...(noLongerWarned > 0 ? [`${formatCount(noLongerWarned)} no longer warned`] : []),
    `${formatCount(secretsGained)} gaining secrets`,
    `${formatCount(secretsLost)} losing secrets`,
    `${formatCount(unchanged)} unchanged`,
  ];
}

function renderChange(
  head: string,
  { effect, secretsGained, secretsLost, images, messages, uncertain = [] }: Omit<ObjectChange, 'object'>,
  paint: Paint,
): string {
  const [label, meaning] = labelOf({ ...(effect && { effect }), secretsLost });
  const shownMessages = effect === 'newly-denied' || effect === 'newly-warned' ? messages.flatMap((message) => message.split('\n')) : [];
  const lines = [
    ...images.flatMap(({ path, image, before, after }) => [
      escapeControls(image ?? path),
      `  ${renderImageResult(before)} -> ${renderImageResult(after)}`,
    ]),
    ...secretsGained.map(({ path, secret }) => paint('added', escapeControls(`+ ${path}: ${secret}`))),
    ...secretsLost.map(({ path, secret }) => paint('removed', escapeControls(`- ${path}: ${secret}`))),
    ...shownMessages.map(escapeControls),
    ...uncertain.map((sentence) => `uncertain: ${escapeControls(sentence)}`),
  ];
  const headLine = `${paint(meaning, label)}${' '.repeat(indent - label.length)}${head}`;
  return [headLine, ...lines.map((line) => `${' '.repeat(indent)}${line}`), '', ''].join('\n');
}

/** `trusted by "hub"` */
export function renderImageResult({ verdict, reason, rule }: ObjectChange['images'][number]['before']): string {
  const how = reason === verdict ? verdict : `${verdict} (${reason})`;
  return rule ? `${how} by "${rule.name}"` : how;
}

/** `+` is added, `-` removed, `~` changed. */
export function renderRuleChanges(changes: readonly RuleChange[], { paint = plain, quiet = false }: RenderDiffOptions = {}): string {
  if (changes.length === 0) return quiet ? '' : 'no differences\n';
  return changes.map((change) => `${paintChange(renderRuleChange(change), paint)}\n`).join('');
}

/** Lines that begin with + or - are coloured as in diff(1). */
function paintChange(line: string, paint: Paint): string {
  return line.startsWith('+ ') ? paint('added', line) : line.startsWith('- ') ? paint('removed', line) : line;
}

function renderRuleChange({ kind, about, before, after }: RuleChange): string {
  const subject = `${kind} ${about}`;
  if (kind === 'setting') return `~ ${subject}: ${renderValue(before?.fields[about])} -> ${renderValue(after?.fields[about])}`;
  if (before && after) return `~ ${subject}${renderPosition(after)}: ${renderDifferences(before, after)}`;
  if (after) return `+ ${subject}${renderPosition(after)}${renderFields(after)}`;
  return `- ${subject}${before ? renderPosition(before) + renderFields(before) : ''}`;
}

function renderPosition({ origin }: ComparedValue): string {
  return origin ? ` (${renderOrigin(origin)})` : '';
}

function renderFields({ fields }: ComparedValue): string {
  const texts = Object.entries(fields).map(([name, value]) => `${name} ${renderValue(value)}`);
  return texts.length > 0 ? `: ${texts.join(', ')}` : '';
}

function renderDifferences(before: ComparedValue, after: ComparedValue): string {
  const names = [...new Set([...Object.keys(before.fields), ...Object.keys(after.fields)])];
  return names
    .filter((name) => JSON.stringify(before.fields[name]) !== JSON.stringify(after.fields[name]))
    .map((name) => `${name} ${renderValue(before.fields[name])} -> ${renderValue(after.fields[name])}`)
    .join(', ');
}

function renderValue(value: unknown): string {
  if (value === undefined) return '(none)';
  if (Array.isArray(value)) return value.join(', ');
  const text = String(value);
  return /[\s,;:]/.test(text) ? JSON.stringify(text) : text;
}

/** One change of the rules in the output for programs. */
export function ruleChangeEntry({ kind, about, before, after }: RuleChange) {
  const change = before && after ? 'changed' : after ? 'added' : 'removed';
  return { kind, about, change, ...(before && { before: valueEntry(before) }), ...(after && { after: valueEntry(after) }) };
}

function valueEntry({ fields, origin }: ComparedValue) {
  return { ...fields, ...(origin && { source: { file: renderSourcePath(origin.source), line: origin.line } }) };
}

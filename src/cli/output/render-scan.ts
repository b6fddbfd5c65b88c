/** Renders a scan as plain text for people: a table of registries or namespaces, or a block for each finding. */
import type { Outcome } from '../../decision/decision.ts';
import { countOf } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import type { AuditedRule } from '../../observe/audit/audited-rule.ts';
import type { Scan } from '../../scan/scan.ts';
import {
  type Affected,
  byEndingRule,
  byFinding,
  byNamespace,
  byRegistry,
  type EndingRule,
  type Finding,
  type RegistryRow,
  type ScanSummary,
} from '../../scan/summarize.ts';
import { type Cell, renderColumns } from './columns.ts';
import { type Meaning, type Paint, plain } from './paint.ts';
import { renderSource } from './render-results.ts';

export const groupings = ['registry', 'namespace', 'finding'] as const;
export type Grouping = (typeof groupings)[number];

export function renderScan(scan: Scan, by: Grouping, paint: Paint = plain): string {
  switch (by) {
    case 'registry':
      return renderTable(registryHeadings, byRegistry(scan).map(registryCells), paint);
    case 'namespace':
      return renderTable(namespaceHeadings, byNamespace(scan).map(namespaceCells), paint);
    case 'finding':
      return byFinding(scan)
        .map((finding) => renderFinding(finding, paint))
        .join('');
  }
}

function renderTable(headings: readonly string[], rows: readonly (readonly Cell[])[], paint: Paint): string {
  return rows.length === 0 ? '' : `${renderColumns([headings, ...rows], paint)}\n`;
}

const registryHeadings = ['REGISTRY', 'RULE', 'RESULT', 'IMAGES', 'WORKLOADS', 'PODS', 'NAMESPACES'];

function registryCells(row: RegistryRow): readonly Cell[] {
  const { registry, rule, verdict, images, workloads, pods, namespaces } = row;
  const name = registry === undefined ? `(${verdict})` : escapeControls(registry);
  return [name, rule ? escapeControls(rule.name) : '-', resultCell(row), images, workloads, pods, namespaces];
}

type Result = { readonly outcome: Outcome; readonly outcomeIfEnforced?: Outcome; readonly until?: string };

function resultCell({ outcome, outcomeIfEnforced, until }: Result): Cell {
  const text = outcomeIfEnforced === undefined ? outcome : `${outcomeIfEnforced} in enforce mode`;
  return { text: until === undefined ? text : `${text}, until ${until}`, meaning: meaningOf(outcome, outcomeIfEnforced) };
}

/** What will be denied is only a warning. */
function meaningOf(outcome: Outcome, outcomeIfEnforced: Outcome | undefined): Meaning {
  return outcome !== 'denied' && outcomeIfEnforced === 'denied' ? 'warned' : outcome;
}

const namespaceHeadings = [
  'NAMESPACE',
  'WORKLOADS',
  'PODS',
  'ALLOWED',
  'WARNED',
  'DENIED',
  'PODS DENIED WHEN RECREATED',
  'IN ENFORCE MODE',
];

function namespaceCells(row: ReturnType<typeof byNamespace>[number]): readonly Cell[] {
  const { namespace, workloads, pods, allowed, warned, denied, deniedWhenRecreated, deniedOnceEnforced } = row;
  const name = namespace === '' ? '-' : namespace;
  return [name, workloads, pods, allowed, warned, denied, deniedWhenRecreated.pods, deniedOnceEnforced.pods];
}

function renderFinding(finding: Finding, paint: Paint): string {
  const { outcome, outcomeIfEnforced, rule, message, where } = finding;
  const title = [finding.finding, ...(rule ? [renderRule(rule)] : [])].join(', ');
  const cell = resultCell(finding) as Exclude<Cell, string | number>;
  const lines = [
    `${paint(finding.finding === 'uncertain' ? 'uncertain' : meaningOf(outcome, outcomeIfEnforced), cell.text)}: ${escapeControls(title)}`,
    `  ${renderAffected(finding)}`,
    ...(message === undefined ? [] : message.split('\n').map((line) => `  ${escapeControls(line)}`)),
    ...where.flatMap(({ kind, namespace, name, pods, images }) => [
      `  - ${escapeControls(`${kind} ${namespace}/${name}`)}${pods > 0 ? `, ${countOf(pods, 'Pod')}` : ''}`,
      ...images.map((image) => `      ${escapeControls(image)}`),
    ]),
  ];
  return `${lines.join('\n')}\n\n`;
}

function renderRule({ name, source }: AuditedRule): string {
  return `rule "${name}", ${renderSource(source)}`;
}

function renderAffected({ workloads, pods, namespaces }: Affected): string {
  return `${countOf(workloads, 'workload')} with ${countOf(pods, 'Pod')} in ${countOf(namespaces, 'namespace')}`;
}

/** The last lines of the table. */
export function renderScanSummary(summary: ScanSummary, scan: Scan, paint: Paint = plain): string {
  const { excluded, notEvaluated, notRead } = scan;
  const { allowed, warned, denied, uncertain, deniedWhenRecreated, deniedOnceEnforced, idleCopies, finishedPods } = summary;
  const parts = [`${allowed} allowed`, `${warned} warned`, `${denied} denied`, ...(uncertain > 0 ? [`${uncertain} uncertain`] : [])];
  const missing = notRead.length + notEvaluated.length;
  const lines = [
    `${renderAffected(summary)}: ${parts.join(', ')}`,
    ...renderRunning(deniedWhenRecreated, 'would be denied when recreated', 'denied', paint),
    ...renderRunning(deniedOnceEnforced, 'would be denied in enforce mode', 'warned', paint),
    ...renderEnds(byEndingRule(scan), paint),
    ...renderLeftOut(idleCopies, finishedPods),
    ...(excluded.objects > 0
      ? [`excluded from the webhooks: ${countOf(excluded.objects, 'object')} in ${excluded.namespaces.map(escapeControls).join(', ')}`]
      : []),
    ...(missing > 0 ? [paint('denied', `incomplete: ${countOf(missing, 'problem')} kept objects from being evaluated, see above`)] : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const shownEnds = 20;

function renderEnds(ends: readonly EndingRule[], paint: Paint): readonly string[] {
  const more = ends.length - shownEnds;
  return [
    ...ends.slice(0, shownEnds).map((end) => renderEnd(end, paint)),
    ...(more > 0 ? [`and ${countOf(more, 'more rule')} that ${more === 1 ? 'ends' : 'end'}. -o json has all`] : []),
  ];
}

/** Who is left. The names are in `--by finding`. */
function renderEnd({ rule, until, warnFrom, phase, ...left }: EndingRule, paint: Paint): string {
  const when = { lasting: `ends on ${until}`, ending: `warns since ${warnFrom} and ends on ${until}`, ended: `ended on ${until}` }[phase];
  const who =
    left.workloads === 0 ? 'no scanned workload uses it' : `${renderAffected(left)} still ${left.workloads === 1 ? 'uses' : 'use'} it`;
  const text = escapeControls(`rule "${rule.name}" ${when}: ${who}`);
  return left.workloads === 0 || phase === 'lasting' ? text : paint(phase === 'ended' ? 'denied' : 'warned', text);
}

function renderLeftOut(idleCopies: number, finishedPods: number): readonly string[] {
  const parts = [
    ...(idleCopies > 0 ? [countOf(idleCopies, 'old ReplicaSet, Job or Build', 'old ReplicaSets, Jobs and Builds')] : []),
    ...(finishedPods > 0 ? [countOf(finishedPods, 'finished Pod')] : []),
  ];
  return parts.length === 0 ? [] : [`not evaluated: ${parts.join(' and ')}`];
}

function renderRunning({ pods, workloads }: Affected, what: string, meaning: Meaning, paint: Paint): readonly string[] {
  if (pods === 0) return [];
  const run = pods === 1 ? 'is running and' : 'are running and';
  return [paint(meaning, `${countOf(pods, 'Pod')} of ${countOf(workloads, 'workload')} ${run} ${what}`)];
}

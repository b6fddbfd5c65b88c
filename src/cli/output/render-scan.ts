/** Renders a scan as plain text for people: a table of registries or namespaces, or a block for each finding. */

import type { Outcome } from '../../decision/decision.ts';
import type { ReasonCode } from '../../decision/reasons.ts';
import { countOf, formatCount } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import type { AuditedRule } from '../../observe/audit/audited-rule.ts';
import { renderLastDay } from '../../rules/trust-end.ts';
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
  // An exemption with a last day allows the image.
  const ended = verdict === 'untrusted' && (row.outcomeIfEnforced ?? row.outcome) === 'denied';
  const name = registry === undefined ? `(${verdict})` : escapeControls(registry);
  return [name, rule ? escapeControls(rule.name) : '-', resultCell({ ...row, ended }), images, workloads, pods, namespaces];
}

/** `ended`: `until` was the last day of the trust. */
type Result = { readonly outcome: Outcome; readonly outcomeIfEnforced?: Outcome; readonly until?: string; readonly ended: boolean };

function resultCell({ outcome, outcomeIfEnforced, until, ended }: Result): Cell {
  const text = outcomeIfEnforced === undefined ? outcome : `${outcomeIfEnforced} in enforce mode`;
  return { text: `${text}${renderLastDay(until, ended)}`, meaning: meaningOf(outcome, outcomeIfEnforced) };
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
  const { outcome, outcomeIfEnforced, message, where } = finding;
  const meaning = finding.finding === 'uncertain' ? 'uncertain' : meaningOf(outcome, outcomeIfEnforced);
  const lines = [
    renderTitle(finding, (text) => paint(meaning, text)),
    `  ${renderAffected(finding)}`,
    ...(message === undefined ? [] : message.split('\n').map((line) => `  ${escapeControls(line)}`)),
    ...where.flatMap(({ kind, namespace, name, pods, images }) => [
      `  - ${escapeControls(`${kind} ${namespace}/${name}`)}${pods > 0 ? `, ${countOf(pods, 'Pod')}` : ''}`,
      ...images.map((image) => `      ${escapeControls(image)}`),
    ]),
  ];
  return `${lines.join('\n')}\n\n`;
}

function renderTitle({ finding, reason, rule, ...result }: Finding, paint: (text: string) => string): string {
  const ended = finding === 'trust-ended';
  const { text } = resultCell({ ...result, ended }) as Exclude<Cell, string | number>;
  const effect = paint(text === 'warned' ? 'allowed with a warning' : text);
  const ofRule = rule ? escapeControls(renderRule(rule)) : undefined;
  // The result has the end, and is the whole finding where only the message explains it.
  if (ended || finding === 'denied') return [effect, ofRule].filter(Boolean).join(', ');
  const what = finding === 'ends' ? undefined : finding === 'warning' ? warningName(reason) : escapeControls(finding);
  const title = [what, ofRule].filter(Boolean).join(', ');
  return title === '' ? effect : `${effect}: ${title}`;
}

/** For warnings that are not about one image. Their message follows in the next lines. */
const warningNames: Partial<Record<ReasonCode, string>> = {
  'registry-spelling': 'non-canonical registry name',
  'short-name-uncertain': 'ambiguous short name',
  'secret-missing': 'missing secret',
  'secret-pending': 'secret that is not delivered yet',
  'needs-not-recorded': 'needed secrets that are not recorded in an annotation',
  'secrets-enforced': 'secret that the service account does not list',
  'account-too-large': 'service account with too many secrets',
  'dockerfile-unused': 'unused inline Dockerfile',
  'build-other-images': 'images of a build without a secret',
  'build-internal-images': 'build without access to the internal registry',
};

function warningName(reason: ReasonCode | undefined): string {
  if (reason === undefined) return '';
  const name = warningNames[reason];
  return name === undefined ? reason : `${name} (${reason})`;
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
  const parts = [
    `${formatCount(allowed)} allowed`,
    `${formatCount(warned)} warned`,
    `${formatCount(denied)} denied`,
    ...(uncertain > 0 ? [`${formatCount(uncertain)} uncertain`] : []),
  ];
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
    ...(more > 0 ? [`and ${countOf(more, 'more rule')} with an end date. Use -o json to list all of them`] : []),
  ];
}

/** Who is left. The names are in `--by finding`. */
function renderEnd({ rule, until, warnFrom, phase, ...left }: EndingRule, paint: Paint): string {
  const when = { lasting: `ends on ${until}`, ending: `has warned since ${warnFrom} and ends on ${until}`, ended: `ended on ${until}` }[
    phase
  ];
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

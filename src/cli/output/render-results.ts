/**
 * Renders results as plain text for people, readable in a hundred columns. Messages are never cut, because they are what a client would
 * see.
 */

import { type Evaluation, type ObjectResult, renderSubject } from '../../evaluate/evaluate.ts';
import type { AuditedSource } from '../../observe/audit/audited-rule.ts';
import type { DescribedImage } from '../../observe/audit/image.ts';
import { type Paint, plain } from './paint.ts';

/** One block of lines per object, separated by blank lines. */
export function renderResults(results: readonly ObjectResult[], paint: Paint = plain): string {
  return results.map((result) => `${renderResult(result, paint)}\n`).join('');
}

export function renderResult(result: ObjectResult, paint: Paint = plain): string {
  const { object, outcome, images, inject, messages, undecided = [] } = result;
  const label = undecided.length > 0 ? 'UNSURE' : outcome === 'denied' ? 'DENIED' : outcome;
  const meaning = undecided.length > 0 ? 'uncertain' : outcome;
  const lines = [
    ...images.flatMap(renderImage),
    ...inject.map(({ path, secret, from }) => `+ ${path}: ${secret}${from === 'serviceAccount' ? ' (from the service account)' : ''}`),
    ...[...undecided, ...messages].flatMap((message) => message.split('\n')),
  ];
  const head = `${paint(meaning, label)}${' '.repeat(indent - label.length)}${renderSubject(object)}  ${renderPlace(object.file, object.line)}`;
  return [head, ...lines.map((line) => `${' '.repeat(indent)}${line}`), ''].join('\n');
}

function renderPlace(file: string, line: number): string {
  return file === '-' ? `line ${line} of standard input` : `${file}:${line}`;
}

const indent = 8;

/** The image has its own line, because names are long. */
function renderImage({ image, stream, why, path, action, verdict, reason, rule, exemption }: DescribedImage): readonly string[] {
  const whyUnknown = () =>
    stream !== undefined ? `not known: image stream ${stream}` : why !== undefined ? `not known: ${why}` : `nothing written in ${path}`;
  const because = rule ? `${verdict === 'trusted' ? ' by' : ','} rule "${rule.name}", ${renderSource(rule.source)}` : '';
  const remark = reason === 'exempted' && exemption ? `; exempted until ${exemption.until}, ${renderSource(exemption.source)}` : '';
  return [`${action}  ${image ?? `(${whyUnknown()})`}`, `      ${verdict}${because}${remark}`];
}

function renderSource(source: AuditedSource): string {
  if ('cluster' in source) return source.cluster;
  return `${'file' in source ? source.file : `${source.configMap} ${source.key}`}:${source.line}`;
}

export function renderSummary({ allowed, warned, denied, undecided }: Evaluation['summary']): string {
  const parts = [`${allowed} allowed`, `${warned} warned`, `${denied} denied`];
  const objects = allowed + warned + denied;
  return `${objects} object${objects === 1 ? '' : 's'} evaluated: ${parts.join(', ')}${undecided > 0 ? `. The result is uncertain for ${undecided} of them` : ''}\n`;
}

/** A line for each fault of a Secret, for standard error. */
export function renderMalformedSecrets({ malformedSecrets }: Pick<Evaluation, 'malformedSecrets'>): string {
  return malformedSecrets
    .map(
      ({ namespace, name, file, line, message }) =>
        `regkeeper: Secret ${namespace}/${name === '' ? '(unnamed)' : name}  ${renderPlace(file, line)}: ${message}\n`,
    )
    .join('');
}

/** Lists objects that were not evaluated and service accounts that are unknown, for standard error. */
export function renderRemarks({ skipped, unknownAccounts }: Pick<Evaluation, 'skipped' | 'unknownAccounts'>): string {
  const lines: string[] = [];
  if (skipped.length > 0) {
    const total = skipped.reduce((sum, { count }) => sum + count, 0);
    const kinds = skipped.map(({ apiVersion, kind, count }) => `${count} ${kind} (${apiVersion})`);
    lines.push(`skipped: kinds that contain no images: ${total} object${total === 1 ? '' : 's'}: ${kinds.join(', ')}`);
  }
  if (unknownAccounts.length > 0) {
    lines.push(
      `service accounts not found: ${unknownAccounts.join(', ')}. Their own pull secrets would be added too. Pass the ServiceAccounts with -f`,
    );
  }
  return lines.map((line) => `regkeeper: ${line}\n`).join('');
}

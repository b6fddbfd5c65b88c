/**
 * Renders results as plain text for people, readable in a hundred columns. Messages are never cut, because they are what a client would
 * see.
 */

import type { KindCount } from '../../evaluate/count-kinds.ts';
import type { Evaluation } from '../../evaluate/evaluate.ts';
import { type EvaluatedImage, type ObjectResult, renderSubject } from '../../evaluate/evaluate-object.ts';
import { renderNotEvaluated } from '../../evaluate/not-evaluated.ts';
import { countOf, formatCount } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import type { AuditedSource } from '../../observe/audit/audited-rule.ts';
import { type Paint, plain } from './paint.ts';

/** One block of lines per object, separated by blank lines. */
export function renderResults(results: readonly ObjectResult[], paint: Paint = plain): string {
  return results.map((result) => `${renderResult(result, paint)}\n`).join('');
}

export function renderResult(result: ObjectResult, paint: Paint = plain): string {
  const { object, outcome, outcomeIfEnforced, images, inject, messages, uncertain = [] } = result;
  const label = uncertain.length > 0 ? 'UNCERTAIN' : outcome === 'denied' ? 'DENIED' : outcome;
  const meaning = uncertain.length > 0 ? 'uncertain' : outcome;
  const lines = [
    ...images.flatMap(renderImage),
    ...inject.map(({ path, secret, from }) => `+ ${path}: ${secret}${from === 'serviceAccount' ? ' (from the service account)' : ''}`),
    // In mode audit, no message says it.
    ...(outcomeIfEnforced === 'denied' && outcome === 'allowed' ? ['would be denied in enforce mode'] : []),
    ...[...(uncertain.length > 0 ? uncertain : uncertainImages(images)), ...messages].flatMap((message) => message.split('\n')),
  ];
  const head = `${paint(meaning, label)}${' '.repeat(indent - label.length)}${renderHead(object)}`;
  return [head, ...lines.map((line) => `${' '.repeat(indent)}${escapeControls(line)}`), ''].join('\n');
}

/** What is missing for some images of an object that is denied because of another one. */
function uncertainImages(images: readonly EvaluatedImage[]): readonly string[] {
  return [...new Set(images.flatMap(({ uncertain }) => (uncertain === undefined ? [] : [`uncertain: ${uncertain}`])))];
}

/** The object and its place. */
export function renderHead(object: ObjectResult['object']): string {
  return escapeControls(`${renderSubject(object)}  ${renderPlace(object.file, object.line)}`);
}

function renderPlace(file: string, line: number): string {
  return file === '-' ? `line ${line} of standard input` : `${file}:${line}`;
}

const indent = 11;

/** The image has its own line, because names are long. */
function renderImage(evaluated: EvaluatedImage): readonly string[] {
  const { image, stream, written, why, action, verdict, rule } = evaluated;
  const because = rule ? `${verdict === 'trusted' ? ' by' : ','} rule "${rule.name}", ${renderSource(rule.source)}` : '';
  return [
    `${action}  ${image ?? stream ?? written ?? '(no image)'}`,
    `      ${verdict}${image === undefined && why !== undefined ? `: ${why}` : ''}${because}${remarkOn(evaluated)}`,
  ];
}

function remarkOn(image: EvaluatedImage): string {
  return `${remarkOnEnd(image)}${image.uncertain === undefined ? '' : ', uncertain'}`;
}

function remarkOnEnd({ reason, rule, exemption }: EvaluatedImage): string {
  if (reason === 'exempted' && exemption) return `, exempted until ${exemption.until}, ${renderSource(exemption.source)}`;
  return reason === 'trust-ending' || reason === 'trust-ended' ? `, trusted until ${rule?.until}` : '';
}

export function renderSource(source: AuditedSource): string {
  if ('cluster' in source) return source.cluster;
  return `${'file' in source ? source.file : `${source.configMap} ${source.key}`}:${source.line}`;
}

export function renderSummary({ summary, notEvaluated }: Pick<Evaluation, 'summary' | 'notEvaluated'>): string {
  const { allowed, warned, denied, uncertain, withoutImages } = summary;
  const parts = [
    `${formatCount(allowed)} allowed`,
    `${formatCount(warned)} warned`,
    `${formatCount(denied)} denied`,
    ...(withoutImages > 0 ? [`${formatCount(withoutImages)} without images`] : []),
  ];
  const sentences = [
    `${countOf(allowed + warned + denied + withoutImages, 'object')} evaluated: ${parts.join(', ')}`,
    ...(uncertain > 0 ? [`The result is uncertain for ${formatCount(uncertain)} of them`] : []),
    ...(notEvaluated.length > 0 ? [renderNotEvaluatedCount(notEvaluated)] : []),
  ];
  return `${sentences.join('. ')}\n`;
}

function renderNotEvaluatedCount({ length }: Evaluation['notEvaluated']): string {
  return countOf(length, 'input was not evaluated', 'inputs were not evaluated');
}

/** A line for each file, document and object that was not evaluated, for standard error. */
export function renderNotEvaluatedList(notEvaluated: Evaluation['notEvaluated']): string {
  if (notEvaluated.length === 0) return '';
  const remedy = notEvaluated.some(({ code }) => code === 'unknown-kind') ? '. To skip objects of unknown kinds, use --skip-unknown' : '';
  return [...notEvaluated.map(renderNotEvaluated), `regkeeper: ${renderNotEvaluatedCount(notEvaluated)}${remedy}`]
    .map((line) => `${escapeControls(line)}\n`)
    .join('');
}

/** A line for each fault of a Secret, for standard error. */
export function renderMalformedSecrets({ malformedSecrets }: Pick<Evaluation, 'malformedSecrets'>): string {
  return malformedSecrets
    .map(
      ({ namespace, name, file, line, message }) =>
        `regkeeper: ${escapeControls(`Secret ${namespace}/${name === '' ? '(unnamed)' : name}  ${renderPlace(file, line)}: ${message}`)}\n`,
    )
    .join('');
}

/** Lists the kinds without images, the skipped objects, and what is unknown without a cluster, for standard error. */
export function renderRemarks({
  withoutImages,
  skipped,
  unknownAccounts,
  internalRegistries,
}: Pick<Evaluation, 'withoutImages' | 'skipped' | 'unknownAccounts' | 'internalRegistries'>): string {
  const lines: string[] = [];
  if (withoutImages.length > 0) lines.push(`objects that contain no images: ${renderKinds(withoutImages)}`);
  if (skipped.length > 0) lines.push(`skipped: objects of unknown kinds: ${renderKinds(skipped)}`);
  if (unknownAccounts.length > 0) {
    lines.push(
      `service accounts not found: ${unknownAccounts.join(', ')}. Pass them with -f, so that their own pull secrets are added too`,
    );
  }
  if (internalRegistries.length > 0) {
    const names = internalRegistries.map((name) => JSON.stringify(name)).join(', ');
    lines.push(
      `a server on OpenShift trusts its internal registry without a rule. For the same result, add to the rules: internalRegistries: [${names}]`,
    );
  }
  return lines.map((line) => `regkeeper: ${escapeControls(line)}\n`).join('');
}

function renderKinds(kinds: readonly KindCount[]): string {
  return kinds.map(({ apiVersion, kind, count }) => `${formatCount(count)} ${kind} (${apiVersion})`).join(', ');
}

/** Renders what a change of the rules does to past requests, as plain text for people. */
import type { ReplayChange, ReplayComparison } from '../../evaluate/replay/compare-replays.ts';
import { type RequestSubject, recordGaps } from '../../evaluate/replay/read-record.ts';
import { countOf, formatCount, inputName } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import { type Paint, plain } from './paint.ts';
import { countEffects, indent, labelOf, renderImageResult } from './render-diff.ts';

const shownBrokenLines = 10;

/** A block for each object whose requests fare differently, then a line with the numbers. */
export function renderReplay({ changes, requestsNotShown, summary }: ReplayComparison, { paint = plain, quiet = false } = {}): string {
  const blocks = changes.map((change) => renderChange(change, paint)).join('');
  const more = requestsNotShown > 0 ? `and ${countOf(requestsNotShown, 'request')} for other objects, also with a changed outcome\n\n` : '';
  return quiet ? blocks + more : blocks + more + renderSummary(summary);
}

function renderChange(change: ReplayChange, paint: Paint): string {
  const { effect, object, images, imagesOmitted = 0, secretsGained, secretsLost, requests, first, last } = change;
  const { users, requestsOfOtherUsers = 0 } = change;
  const [label, meaning] = labelOf(change);
  const when = requests === 1 ? `on ${renderTime(last)}` : `last on ${renderTime(last)}, first on ${renderTime(first)}`;
  const lines = [
    `${countOf(requests, 'request')}, ${when}`,
    ...users.map(({ name, requests: ofUser }) => `  by ${name}${requests === 1 ? '' : `: ${formatCount(ofUser)}`}`),
    ...(requestsOfOtherUsers > 0 ? [`  by other users: ${formatCount(requestsOfOtherUsers)}`] : []),
    ...images.flatMap(({ image, before, after }) => [image, `  ${renderResults(before, after, effect)}`]),
    ...(imagesOmitted > 0 ? [`and ${countOf(imagesOmitted, 'more image')}`] : []),
  ];
  const secrets = [
    ...secretsGained.map((name) => paint('added', escapeControls(`+ ${name}`))),
    ...secretsLost.map((name) => paint('removed', escapeControls(`- ${name}`))),
  ];
  const head = `${paint(meaning, label)}${' '.repeat(indent - label.length)}${escapeControls(renderObject(object))}`;
  return [head, ...[...lines.map(escapeControls), ...secrets].map((line) => `${' '.repeat(indent)}${line}`), '', ''].join('\n');
}

/** If only a setting of the rules has changed, such as `mode`, the result is the same. */
function renderResults(before: ImageResult, after: ImageResult, effect: ReplayChange['effect']): string {
  const [old, now] = [renderImageResult(before), renderImageResult(after)];
  if (old !== now) return `${old} -> ${now}`;
  return effect === 'secrets' ? now : `${now}, ${effect.replaceAll('-', ' ')}`;
}

type ImageResult = ReplayChange['images'][number]['before'];

/** `Deployment shop/web`, or `Pods of ReplicaSet shop/web-6d4c`. */
function renderObject({ kind, namespace, name, generateName, owner }: ReplayChange['object']): string {
  const place = namespace === '' ? '' : `${namespace}/`;
  if (owner) return `${kind} of ${owner.kind} ${place}${owner.name}`;
  return `${kind} ${place}${name === '' ? `${generateName ?? '(unnamed)'}…` : name}`;
}

/** In minutes, UTC. */
function renderTime(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)}`;
}

function renderSummary(summary: Summary): string {
  const { requests, notReplayable, first, last } = summary;
  const parts = [...countEffects(summary), ...(notReplayable > 0 ? [`${formatCount(notReplayable)} not replayable`] : [])];
  const period = first !== undefined && last !== undefined ? `, ${first.slice(0, 10)} to ${last.slice(0, 10)}` : '';
  return `${formatCount(requests)} past ${requests === 1 ? 'request' : 'requests'}${period}: ${parts.join(', ')}\n`;
}

type Summary = ReplayComparison['summary'];

/** For input without any record of a request, which is most likely another file. Its first line shows why. */
export function renderNoRecords({ brokenLines: [first], summary }: ReplayComparison): string {
  const found = `regkeeper: no audit records of requests found in ${countOf(summary.brokenLines + summary.otherLines, 'line')}`;
  return first ? `${found}. ${escapeControls(`${inputName(first.file)}:${first.line}: ${first.message}`)}\n` : `${found}\n`;
}

/** What could not be replayed or read, for standard error. Empty if nothing. */
export function renderReplayGaps({ notReplayable, brokenLines, summary }: ReplayComparison): string {
  const gaps = notReplayable.map(
    ({ reason, requests, example }) =>
      `not replayable: ${countOf(requests, 'request')} (${reason}). ${recordGaps[reason]}${example ? ` Example: ${renderExample(example)}` : ''}\n`,
  );
  const broken = brokenLines
    .slice(0, shownBrokenLines)
    .map(({ file, line, message }) => escapeControls(`${inputName(file)}:${line}: ${message}`).concat('\n'));
  const rest = summary.brokenLines - broken.length;
  const { secretsNotCompared } = summary;
  const withoutSecrets =
    secretsNotCompared > 0
      ? [`secrets not compared: ${countOf(secretsNotCompared, 'request')}. The record does not show which secrets the object would have\n`]
      : [];
  return [...broken, ...(rest > 0 ? [`and ${countOf(rest, 'more line')} that could not be read\n`] : []), ...gaps, ...withoutSecrets].join(
    '',
  );
}

function renderExample({ time, user, ...object }: RequestSubject): string {
  return escapeControls(`${renderObject(object)} by ${user} on ${renderTime(time)}`);
}

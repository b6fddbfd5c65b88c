/** Renders audit records of decisions for a developer who reads them on a terminal: one line each. */
import { countOf } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import type { AuditRecord } from './decision-record.ts';

/** Time, outcome, webhook, request, object, and why. Undefined for other records, since the log has lines about the rules. */
export function renderDecisionLine(record: object, time: string): string | undefined {
  if (!isDecision(record)) return undefined;
  const { outcome, outcomeIfEnforced, webhook, operation, kind, dryRun } = record;
  const result = outcome !== 'denied' && outcomeIfEnforced === 'denied' ? `${outcome} (denied in enforce mode)` : outcome;
  const request = `${webhook} ${operation} ${kind} ${objectOf(record)}${dryRun ? ' (dry run)' : ''}`;
  const why = explain(record);
  return `${escapeControls(`${time} ${result.padEnd(7)} ${request}${why === '' ? '' : `: ${why}`}`)}\n`;
}

function isDecision(record: object): record is AuditRecord {
  return 'event' in record && record.event === 'decision';
}

function objectOf({ namespace, name, generateName }: AuditRecord): string {
  const own = name !== '' ? name : generateName === undefined ? '(unnamed)' : `${generateName}…`;
  return namespace === '' ? own : `${namespace}/${own}`;
}

/** The first message, or the secrets that were added, or the images. */
function explain({ messages, messagesOmitted = 0, inject, images, imagesOmitted = 0 }: AuditRecord): string {
  const [first] = messages;
  const others = messages.length - 1 + messagesOmitted;
  if (first !== undefined) return `${first}${others > 0 ? ` And ${countOf(others, 'more message')}.` : ''}`;
  if (inject.length > 0) return inject.map(({ path, secret }) => `+ ${secret} (${path})`).join(', ');
  const shown = images.slice(0, 3).map(({ image, stream, verdict }) => `${image ?? stream ?? 'no image'} ${verdict}`);
  const more = images.length - shown.length + imagesOmitted;
  return [...shown, ...(more > 0 ? [countOf(more, 'more image')] : [])].join(', ');
}

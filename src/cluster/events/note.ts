/** The texts of Events: one line of at most 1,024 bytes, whatever the names and images in it contain. */
import { countOf } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';

/** In bytes of UTF-8. The API server accepts no longer note in an Event of events.k8s.io (kubernetes pkg/apis/core/validation/events.go). */
export const maxNoteBytes = 1_024;

/** One statement in full, and a shorter form of it. Each ends with a full stop. */
export type Statement = { readonly message: string; readonly brief?: string };

export type NoteParts = {
  /** The most important one comes first. */
  readonly statements: readonly Statement[];
  /** How many further statements are not passed. */
  readonly omitted?: number;
  /** What a statement is about. */
  readonly noun: 'image' | 'problem' | 'warning' | 'date';
  /** The end of the note: the first one that fits. The last one must be short. */
  readonly endings: readonly [string, ...string[]];
};

/**
 * As many statements as fit, with the number of the others, and the ending, which is never cut. Positions of rules are left out before a
 * statement is.
 */
export function renderNote({ statements, omitted = 0, noun, endings }: NoteParts): string {
  const texts = statements.map(({ message }) => oneLine(message));
  const briefs = statements.map(({ message, brief = message }) => oneLine(brief));
  const [ending] = endings.map(oneLine);
  const more = (count: number) => (count > 0 ? `${countOf(count, `more ${noun}`)}.` : '');
  for (const shown of [texts, briefs]) {
    const note = join([...shown, more(omitted), ending]);
    if (bytesOf(note) <= maxNoteBytes) return note;
  }
  for (let count = briefs.length - 1; count > 0; count--) {
    const note = join([...briefs.slice(0, count), more(briefs.length - count + omitted), ending]);
    if (bytesOf(note) <= maxNoteBytes) return note;
  }
  return renderFirst(briefs, more(briefs.length - 1 + omitted), endings);
}

/** The first statement alone does not fit. Whom to contact matters more than its end. */
function renderFirst([first = '']: readonly string[], rest: string, endings: NoteParts['endings']): string {
  const ending = endings.map(oneLine).find((each) => bytesOf(each) <= maxNoteBytes / 2) ?? '';
  const room = maxNoteBytes - bytesOf(join(['', rest, ending])) - 1;
  return join([cutBytes(first, room), rest, ending]);
}

function join(parts: readonly (string | undefined)[]): string {
  return parts.filter(Boolean).join(' ');
}

function oneLine(text: string): string {
  return escapeControls(text).trim();
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

/** Ends with `…` if it was cut. Half of a surrogate pair is left out. */
function cutBytes(text: string, most: number): string {
  if (bytesOf(text) <= most) return text;
  const ellipsis = '…';
  let room = most - bytesOf(ellipsis);
  let kept = '';
  for (const character of text) {
    room -= bytesOf(character);
    if (room < 0) break;
    kept += character;
  }
  return kept + ellipsis;
}

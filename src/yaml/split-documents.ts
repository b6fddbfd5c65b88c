/** Splits a stream of YAML documents, so that each can be read on its own. */
import type { TextPart } from './json-stream.ts';

/**
 * One part for each document, which begins with its marker `---`. YAML allows no line `---` inside any value (YAML 1.2.2, 9.1.3). The comments
 * before the first document are not part of any. Undefined for a text with directives, with ends of documents, with other text in the line of a
 * marker, or with line ends that are not a line feed.
 */
export function splitDocuments(text: string): readonly TextPart[] | undefined {
  if (unusual.test(text)) return undefined;
  const parts: TextPart[] = [];
  let start = 0;
  let startLine = 1;
  let line = 1;
  let hasContent = false;
  for (let at = 0; at < text.length; line += 1) {
    const isMarker = text.startsWith('---', at);
    if (isMarker) {
      if (hasContent) parts.push({ text: text.slice(start, at), line: startLine });
      start = at;
      startLine = line;
    }
    const end = text.indexOf('\n', at);
    hasContent ||= isMarker || !isBlankOrComment(text, at);
    at = end < 0 ? text.length : end + 1;
  }
  if (hasContent) parts.push({ text: text.slice(start), line: startLine });
  return parts;
}

/** A byte order mark may also precede a document inside of the text. */
const unusual = /^(?:%|\.\.\.|---[^\n])|[\r\ufeff]/m;

/** Whether the line at `start` has nothing, or only a comment, after spaces. It may end with a carriage return and a line feed. */
export function isBlankOrComment(text: string, start: number): boolean {
  let at = start;
  while (text[at] === ' ') at += 1;
  if (text[at] === '\r' && text[at + 1] === '\n') at += 1;
  return at === text.length || text[at] === '\n' || text[at] === '#';
}

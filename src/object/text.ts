/** Shortens texts that users control, so that they fit into an audit record, a log line or a response. */

/** UTF-16 code units. The longest valid image name, with host, port, path, tag and digest, has 781, so it is never cut. */
export const maxTextLength = 1_024;

const keptFirst = 256;
const keptLast = 128;

/** A text longer than {@link maxTextLength} is cut to its first 256 and last 128 code units, with its length in between. */
export function shortenText(text: string): string {
  if (text.length <= maxTextLength) return text;
  return `${whole(text.slice(0, keptFirst))}…[${text.length} characters]…${whole(text.slice(-keptLast))}`;
}

/**
 * The text on one line. What begins a line, moves the cursor or reverses letters is escaped. Such a text in an object could imitate other
 * lines of the output, or be a command for a terminal or for a CI system, which read commands at the beginning of lines.
 */
export function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Formats with commas between groups of three digits: `1,048,576`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Removes half of a surrogate pair that a cut has left at either end. */
function whole(part: string): string {
  return part.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
}

/** Shortens and escapes texts that users control, for audit records, log lines, responses and terminals. */

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
 * The text on one line: control and format characters and line breaks are escaped, such as `\u001b`. Others than the reader choose many of the
 * texts. A control character could rewrite the terminal, and a line that begins with `::` is a command for GitHub Actions.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Removes half of a surrogate pair that a cut has left at either end. */
function whole(part: string): string {
  return part.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
}

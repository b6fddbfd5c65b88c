/** Texts that tenants write, cut to what a record, a log line or an answer has room for. */

/** In UTF-16 code units. An image name with the longest host, port, path, tag and digest has 781, so none that can be pulled is cut. */
export const maxTextLength = 1_024;

const keptFirst = 256;
const keptLast = 128;

/** The text itself up to {@link maxTextLength}; of a longer one its first 256 and last 128 code units, and between them how long it was. */
export function shortenText(text: string): string {
  if (text.length <= maxTextLength) return text;
  return `${whole(text.slice(0, keptFirst))}…[${text.length} characters]…${whole(text.slice(-keptLast))}`;
}

/** With a comma between groups of three digits: `1,048,576`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Without the half of a character that a cut has left at either end. */
function whole(part: string): string {
  return part.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
}

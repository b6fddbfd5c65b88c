/** Finds the end of a list or object in a JSON text. */

/**
 * The index after the list or object that begins at `start`. Undefined if it does not end before `limit`. Takes time linear in the characters up
 * to `limit`, whatever the text is.
 */
export function endOfValue(text: string, start: number, limit: number): number | undefined {
  const part = text.slice(start, limit);
  let depth = 0;
  structure.lastIndex = 0;
  while (structure.test(part)) {
    const last = part[structure.lastIndex - 1];
    if (last === '{' || last === '[') depth += 1;
    else if (last !== '"' && --depth === 0) return start + structure.lastIndex;
  }
  return undefined;
}

/**
 * The next bracket, or whole string with its quotation marks, and what is before it. Sticky, so that nothing is searched behind a string that
 * does not end.
 */
const structure = /[^[\]{}"]*(?:[[\]{}]|"(?:[^"\\]|\\.)*")/y;

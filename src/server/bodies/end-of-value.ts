/** Finds the end of a list or object in a JSON text. */

/** The index after the list or object that begins at `start`. Undefined if it does not end before `limit`. */
export function endOfValue(text: string, start: number, limit: number): number | undefined {
  structure.lastIndex = start;
  let depth = 0;
  for (let match = structure.exec(text); match && structure.lastIndex <= limit; match = structure.exec(text)) {
    const [found] = match;
    if (found === '{' || found === '[') depth += 1;
    else if (found.length === 1 && --depth === 0) return structure.lastIndex;
  }
  return undefined;
}

/** A bracket, or a whole string with its quotation marks. */
const structure = /[[\]{}]|"(?:[^"\\]|\\.)*"/g;

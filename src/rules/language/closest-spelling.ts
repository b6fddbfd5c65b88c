/**
 * The candidate a person most likely meant: the one fewest typing slips away, upper and lower case aside.
 * Nothing when all are further off than a third of the word, and never further than two slips.
 */
export function closestSpelling(word: string, candidates: readonly string[]): string | undefined {
  const limit = maxTypingErrors(word);
  let nearest: string | undefined;
  let fewest = limit + 1;
  for (const candidate of candidates) {
    const slips = countTypingErrors(word.toLowerCase(), candidate.toLowerCase(), limit);
    if (slips < fewest) [nearest, fewest] = [candidate, slips];
  }
  return nearest;
}

/** How many slips still count as the same word: one for short words, two for longer ones. */
export function maxTypingErrors(word: string): number {
  return Math.min(2, Math.floor(word.length / 3));
}

/**
 * The number of letters dropped, added, changed or swapped with their neighbour between two words (optimal string alignment).
 * Gives `limit + 1` as soon as it must be more than `limit`, so the cost is length × limit however long the words are.
 */
export function countTypingErrors(from: string, to: string, limit: number): number {
  const tooMany = limit + 1;
  if (Math.abs(from.length - to.length) > limit) return tooMany;
  const width = to.length + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: width }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current: number[] = new Array(width).fill(tooMany);
    current[0] = row;
    let fewest = row;
    const firstColumn = Math.max(1, row - limit);
    const lastColumn = Math.min(to.length, row + limit);
    for (let column = firstColumn; column <= lastColumn; column++) {
      const same = from[row - 1] === to[column - 1];
      let slips = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) slips = Math.min(slips, at(beforeLast, column - 2) + 1);
      current[column] = slips;
      fewest = Math.min(fewest, slips);
    }
    if (fewest > limit) return tooMany;
    [beforeLast, last] = [last, current];
  }
  return Math.min(at(last, to.length), tooMany);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}

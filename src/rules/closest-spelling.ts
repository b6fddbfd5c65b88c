/**
 * The candidate that was most likely meant: the one with the fewest typing errors, ignoring upper and lower case. Undefined if every
 * candidate has more errors than a third of the word's letters, or more than two.
 */
export function closestSpelling(word: string, candidates: readonly string[]): string | undefined {
  const limit = maxTypingErrors(word);
  let nearest: string | undefined;
  let fewest = limit + 1;
  for (const candidate of candidates) {
    const errors = countTypingErrors(word.toLowerCase(), candidate.toLowerCase(), limit);
    if (errors < fewest) [nearest, fewest] = [candidate, errors];
  }
  return nearest;
}

/** How many errors still count as the same word: one in short words, two in longer ones. */
export function maxTypingErrors(word: string): number {
  return Math.min(2, Math.floor(word.length / 3));
}

/**
 * The number of letters dropped, added, changed or swapped with their neighbour between two words (optimal string alignment). Returns
 * `limit + 1` as soon as there must be more than `limit`, so the cost is length × limit for any words.
 */
export function countTypingErrors(from: string, to: string, limit: number): number {
  const tooMany = limit + 1;
  if (Math.abs(from.length - to.length) > limit) return tooMany;
  const width = to.length + 1;
  // Only cells near the diagonal are used. The rows take turns, so what is next to those cells is written too.
  let beforeLast: number[] = new Array(width + 1).fill(tooMany);
  let current: number[] = new Array(width + 1).fill(tooMany);
  let last = Array.from({ length: width + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    let fewest = row;
    const firstColumn = Math.max(1, row - limit);
    const lastColumn = Math.min(to.length, row + limit);
    current[firstColumn - 1] = firstColumn === 1 ? row : tooMany;
    current[lastColumn + 1] = tooMany;
    for (let column = firstColumn; column <= lastColumn; column++) {
      const same = from[row - 1] === to[column - 1];
      let errors = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) errors = Math.min(errors, at(beforeLast, column - 2) + 1);
      current[column] = errors;
      fewest = Math.min(fewest, errors);
    }
    if (fewest > limit) return tooMany;
    [beforeLast, last, current] = [last, current, beforeLast];
  }
  return Math.min(at(last, to.length), tooMany);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}

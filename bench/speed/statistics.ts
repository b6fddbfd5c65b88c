/** Medians of rounds, and the interval in which a median lies. */

export type Estimate = { readonly median: number; readonly low: number; readonly high: number };

/**
 * The median with a distribution-free interval of at least 95 %: the median lies between two of the sorted values unless too many rounds fell
 * on one side of it, which is as likely as that many heads of a coin. Fewer than six rounds cannot give 95 %, so the interval is the range.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = values.toSorted((one, other) => one - other);
  const rank = intervalRank(sorted.length);
  return { median: medianOf(sorted), low: sorted[rank] ?? Number.NaN, high: sorted[sorted.length - 1 - rank] ?? Number.NaN };
}

/** How many values may be dropped at each end. */
function intervalRank(count: number): number {
  let outside = 0;
  let rank = -1;
  for (let heads = 0; heads < count / 2; heads += 1) {
    outside += 2 * binomial(count, heads) * 0.5 ** count;
    if (outside > 0.05) break;
    rank = heads;
  }
  return Math.max(rank, 0);
}

function binomial(count: number, chosen: number): number {
  let result = 1;
  for (let at = 1; at <= chosen; at += 1) result = (result * (count - chosen + at)) / at;
  return result;
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper;
}

export type Point = { readonly x: number; readonly y: number };

/**
 * The slope of a series. The series is cut into twelve parts of equal length, since neighbouring samples depend on each other. The estimate is
 * the median of the slopes between the means of a part and of the one half the series later, which share nothing.
 */
export function slopeOf(points: readonly Point[]): Estimate {
  const parts = 12;
  const means = Array.from({ length: parts }, (_, index) => {
    const part = points.slice((index * points.length) / parts, ((index + 1) * points.length) / parts);
    const mean = (of: 'x' | 'y') => part.reduce((sum, point) => sum + point[of], 0) / part.length;
    return { x: mean('x'), y: mean('y') };
  });
  const half = parts / 2;
  const slopes = means.slice(half).map((late, index) => {
    const early = means[index] ?? late;
    return (late.y - early.y) / (late.x - early.x);
  });
  return estimate(slopes);
}

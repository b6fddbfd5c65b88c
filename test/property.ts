/**
 * How often properties are tried, and how long one may take: in one place, since both depend on the machine.
 * `REGKEEPER_PROPERTY_RUNS=10 npm test` tries each ten times as often.
 */
const factor = Number(process.env.REGKEEPER_PROPERTY_RUNS ?? 1);
if (!(factor > 0)) throw new Error('REGKEEPER_PROPERTY_RUNS must be a number above 0, such as 10');

/** For `fc.assert`: so many tries, times the factor. */
export function runs(usual: number): { readonly numRuns: number } {
  return { numRuns: Math.max(1, Math.round(usual * factor)) };
}

/** In milliseconds. A property does not wait for anything, so this is there only for one that never ends. */
export const propertyTimeout = 120_000 * Math.max(1, factor);

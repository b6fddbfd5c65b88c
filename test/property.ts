/**
 * The number of runs and the timeout of property tests, in one place because both depend on the machine.
 *
 * The factor is 0.4, so that `npm test` takes about 3 minutes. CI sets it to 1, and `REGKEEPER_PROPERTY_RUNS=10 npm test` searches longer.
 */
const factor = Number(process.env.REGKEEPER_PROPERTY_RUNS ?? 0.4);
if (!(factor > 0)) throw new Error('REGKEEPER_PROPERTY_RUNS must be a number above 0, such as 10');

/** Options for `fc.assert`: the usual number of runs times the factor, at least one. */
export function runs(usual: number): { readonly numRuns: number } {
  return { numRuns: Math.max(1, Math.round(usual * factor)) };
}

/** In milliseconds. Properties do not wait for anything, so this only ends one that would run forever. */
export const propertyTimeout = 120_000 * Math.max(1, factor);

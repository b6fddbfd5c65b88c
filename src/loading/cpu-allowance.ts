/** Limits the time of a thread that each name may use: a burst, and a share in the long run. */

export type CpuAllowance = {
  /** Whether the name may use the thread now. */
  has(name: string): boolean;
  /** Records that the name used the thread for so many milliseconds. */
  use(name: string, milliseconds: number): void;
};

export type CpuAllowanceLimits = {
  /** Milliseconds that may be used at once. */
  readonly burst: number;
  /** The share of each millisecond that passes. */
  readonly share: number;
  now(): number;
};

/** Above this number, names that have used nothing lately are forgotten. */
const maxRemembered = 1_000;

export function createCpuAllowance({ burst, share, now }: CpuAllowanceLimits): CpuAllowance {
  /** The used milliseconds of each name as of a time. They decrease by `share` as time passes. */
  const owed = new Map<string, { readonly milliseconds: number; readonly at: number }>();

  function owedBy(name: string): number {
    const known = owed.get(name);
    return known ? Math.max(0, known.milliseconds - share * (now() - known.at)) : 0;
  }

  return {
    has: (name) => owedBy(name) < burst,
    use(name, milliseconds) {
      owed.set(name, { milliseconds: owedBy(name) + milliseconds, at: now() });
      if (owed.size > maxRemembered) for (const other of owed.keys()) if (owedBy(other) === 0) owed.delete(other);
    },
  };
}

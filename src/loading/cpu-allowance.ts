/** Time of a thread that each name may use: some at once, and a share of it in the long run. */

export type CpuAllowance = {
  /** Whether the name may use some now. */
  has(name: string): boolean;
  /** It has used so many milliseconds. */
  use(name: string, milliseconds: number): void;
};

export type CpuAllowanceLimits = {
  /** Milliseconds that may be used at once. */
  readonly burst: number;
  /** Of each millisecond that passes. */
  readonly share: number;
  now(): number;
};

/** Names that have used nothing lately are forgotten when there are more than this. */
const maxRemembered = 1_000;

export function createCpuAllowance({ burst, share, now }: CpuAllowanceLimits): CpuAllowance {
  /** What each name still owes, and since when; it gets less by itself. */
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

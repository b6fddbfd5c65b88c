/** Limits the work of comparing namespace selectors, of which two with thousands of patterns need all pairs of these. */
import { stepsToCompare } from '../match/namespaces.ts';
import type { NamespaceSelector } from '../rule-set.ts';

/** The steps that remain. If none do, there are no further warnings. */
export type Steps = { left: number };

/** Take about half a second at most. */
export const fewestSteps = 3_000_000;

/** Uses the steps for one comparison. Returns false if too few are left. */
export function mayCompare(one: NamespaceSelector | undefined, other: NamespaceSelector | undefined, steps: Steps): boolean {
  if (steps.left >= 0) steps.left -= stepsToCompare(one, other);
  return steps.left >= 0;
}

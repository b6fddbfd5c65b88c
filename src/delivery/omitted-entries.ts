/** Entries of a source that exist, but cannot be copied. Where they are the reason that a rule gets no credential, the fix is to correct them. */
import { createSelector, type NamingRule } from './select-entries.ts';
import type { SourceProblem, UsableSource } from './source.ts';

/** The entries that would be copied for the rules. */
export type OmittedEntries = (rules: readonly NamingRule[]) => readonly SourceProblem[];

/** The entries are read once, for many sets of rules. */
export function createOmittedEntries({ problems }: Pick<UsableSource, 'problems'>): OmittedEntries {
  const omitted = problems.flatMap((problem) => (problem.entry === undefined ? [] : [{ ...problem, key: problem.entry }]));
  if (omitted.length === 0) return () => [];
  const select = createSelector(omitted);
  return (rules) => select(rules).entries;
}

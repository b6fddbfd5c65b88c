/** The two rule sets of `diff`. */
import type { Problem } from '../../rules/language/problem.ts';
import { problemEntry } from '../../rules/language/problem-lines.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { type MachineFormat, renderMachine } from '../output/machine-output.ts';
import type { Terminal } from '../terminal.ts';
import { readRulesOption } from './rules-from-files.ts';

export type RulePairOptions = { readonly quiet?: boolean | undefined; readonly output: 'table' | MachineFormat };

/**
 * Prints problems as `readRulesOption` does. Returns undefined if either set has problems, after a report for programs on standard output.
 * `hasChanges`: the effect on objects or requests was requested too.
 */
export async function readRulePair(
  [old, current]: readonly [string, string],
  options: RulePairOptions,
  terminal: Terminal,
  hasChanges: boolean,
): Promise<{ readonly before: RuleSet; readonly after: RuleSet } | undefined> {
  const found: Problem[] = [];
  const collect = (problems: readonly Problem[]) => {
    found.push(...problems);
    return '';
  };
  const before = await readRulesOption([old], terminal, options, collect);
  const after = await readRulesOption([current], terminal, options, collect);
  if (before && after) return { before, after };
  terminal.out(renderInvalidPair({ before: before?.revision, after: after?.revision }, found, options.output, hasChanges));
  return undefined;
}

/** A program expects a document in any case. Empty for people, who read the problems on standard error. */
export function renderInvalidPair(
  { before = null, after = null }: { readonly before: string | null | undefined; readonly after: string | null | undefined },
  problems: readonly Problem[],
  output: RulePairOptions['output'],
  hasChanges: boolean,
): string {
  if (output === 'table') return '';
  const rulesProblems = problems.map(problemEntry);
  return renderMachine({ rulesRevision: { before, after }, rulesProblems, rules: [], ...(hasChanges && { changes: [] }) }, output);
}

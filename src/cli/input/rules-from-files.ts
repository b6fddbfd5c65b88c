/** The option --rules: rules from files. */

import { asConfigurationError } from '../../app/as-configuration-error.ts';
import { type LoadedRules, loadRules } from '../../loading/load-rules.ts';
import type { Problem } from '../../rules/language/problem.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { renderProblems } from '../output/paint-problems.ts';
import type { Terminal } from '../terminal.ts';

/**
 * Prints problems on standard error, and warnings unless `quiet`. Returns undefined if there are problems, because such rules cannot be
 * evaluated. `report` then returns a text for standard output, which is expected to have a certain format.
 */
export async function readRulesOption(
  paths: readonly string[],
  { out, err, paint }: Terminal,
  { quiet = false }: { readonly quiet?: boolean | undefined } = {},
  report: (problems: readonly Problem[]) => string = () => '',
): Promise<RuleSet | undefined> {
  const { ruleSet, problems, warnings } = await readRules(paths);
  err(renderProblems(quiet ? problems : [...problems, ...warnings], paint.err));
  if (ruleSet) return ruleSet;
  err('regkeeper: the rules have problems, so nothing was evaluated\n');
  out(report(problems));
  return undefined;
}

/** Loads rules as `loadRules` does. @throws ConfigurationError if a path cannot be read, which the user can fix */
export function readRules(paths: readonly string[]): Promise<LoadedRules> {
  return loadRules(paths).catch(asConfigurationError);
}

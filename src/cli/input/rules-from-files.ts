/** The option --rules: rules from files. */

import { asConfigurationError } from '../../app/as-configuration-error.ts';
import { type LoadedRules, loadRules } from '../../loading/load-rules.ts';
import { renderProblemLine } from '../../rules/language/problem-lines.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import type { Terminal } from '../terminal.ts';

/** Prints problems and warnings on standard error. Returns undefined if there are problems, because such rules cannot be evaluated. */
export async function readRulesOption(paths: readonly string[], terminal: Terminal): Promise<RuleSet | undefined> {
  const { ruleSet, problems, warnings } = await readRules(paths);
  for (const each of [...problems, ...warnings]) terminal.err(`${renderProblemLine(each)}\n`);
  return ruleSet;
}

/** Loads rules as `loadRules` does. @throws ConfigurationError if a path cannot be read, which the user can fix */
export function readRules(paths: readonly string[]): Promise<LoadedRules> {
  return loadRules(paths).catch(asConfigurationError);
}

/** The option --rules: rules from files. */

import { loadRules } from '../../loading/load-rules.ts';
import { renderProblemLine } from '../../rules/language/problem-lines.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import type { Terminal } from '../terminal.ts';

/** Prints problems and warnings on standard error. Returns undefined if there are problems, because such rules cannot be evaluated. */
export async function readRulesOption(paths: readonly string[], terminal: Terminal): Promise<RuleSet | undefined> {
  const { ruleSet, problems, warnings } = await loadRules(paths).catch((error: unknown) => {
    throw new ConfigurationError(error instanceof Error ? error.message : String(error));
  });
  for (const each of [...problems, ...warnings]) terminal.err(`${renderProblemLine(each)}\n`);
  return ruleSet;
}

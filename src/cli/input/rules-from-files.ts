/** The rules that a command is given in files. */

import { loadRules } from '../../loading/load-rules.ts';
import { renderProblemLine } from '../../rules/language/problem-lines.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import type { Terminal } from '../terminal.ts';

/** Tells problems and warnings on standard error. Undefined where there are problems: nothing can be said by such rules. */
export async function readRulesOption(paths: readonly string[], terminal: Terminal): Promise<RuleSet | undefined> {
  const { ruleSet, problems, warnings } = await loadRules(paths).catch((error: unknown) => {
    throw new ConfigurationError(error instanceof Error ? error.message : String(error));
  });
  for (const each of [...problems, ...warnings]) terminal.err(`${renderProblemLine(each)}\n`);
  return ruleSet;
}

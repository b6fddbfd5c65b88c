/** The rules that a command is given in files. */
import { ConfigurationError } from '../cluster/configuration-error.ts';
import { loadRules } from '../files/load-rules.ts';
import type { RuleSet } from '../rules/ruleset.ts';
import { renderProblemLine } from './problem-lines.ts';
import type { Terminal } from './terminal.ts';

/** Tells problems and warnings on standard error. Undefined where there are problems: nothing can be said by such rules. */
export async function rulesGiven(paths: readonly string[], terminal: Terminal): Promise<RuleSet | undefined> {
  const { ruleSet, problems, warnings } = await loadRules(paths).catch((error: unknown) => {
    throw new ConfigurationError(error instanceof Error ? error.message : String(error));
  });
  for (const each of [...problems, ...warnings]) terminal.err(`${renderProblemLine(each)}\n`);
  return ruleSet;
}

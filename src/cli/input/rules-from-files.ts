/** The option --rules: rules from files. */

import { asConfigurationError } from '../../app/as-configuration-error.ts';
import { type LoadedRules, loadRules } from '../../loading/load-rules.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { problemFindings } from '../output/findings.ts';
import { renderGithub } from '../output/github.ts';
import { renderProblems } from '../output/paint-problems.ts';
import type { Terminal } from '../terminal.ts';

/**
 * Prints problems on standard error, and warnings unless `quiet`. With the output `github`, annotates the lines of problems too. Returns
 * undefined if there are problems, because such rules cannot be evaluated.
 */
export async function readRulesOption(
  paths: readonly string[],
  { out, err, paint }: Terminal,
  { quiet = false, output }: { readonly quiet?: boolean | undefined; readonly output?: string } = {},
): Promise<RuleSet | undefined> {
  const { ruleSet, problems, warnings } = await readRules(paths);
  err(renderProblems(quiet ? problems : [...problems, ...warnings], paint.err));
  if (output === 'github') out(renderGithub(problemFindings(problems)));
  return ruleSet;
}

/** Loads rules as `loadRules` does. @throws ConfigurationError if a path cannot be read, which the user can fix */
export function readRules(paths: readonly string[]): Promise<LoadedRules> {
  return loadRules(paths).catch(asConfigurationError);
}

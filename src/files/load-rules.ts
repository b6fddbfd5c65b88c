/** Rules out of files for commands that run once: everything is read, and everything that is wrong is told. */
import { createHash } from 'node:crypto';
import { compileRuleSet } from '../rules/compile.ts';
import { parseRulesDocument } from '../rules/parse.ts';
import type { Problem, RuleSource } from '../rules/problem.ts';
import type { RuleSet } from '../rules/ruleset.ts';
import { readRuleFiles } from './rule-files.ts';

export type LoadedRules = {
  /** Undefined where there are problems. */
  readonly ruleSet: RuleSet | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
};

/**
 * Files, and folders as {@link readRuleFiles} takes them. Rejects with an Error of one sentence when one cannot be read. `called` gives the
 * name by which messages call a file, where it is not to be its path.
 */
export async function loadRules(paths: readonly string[], called: (file: string) => string = (file) => file): Promise<LoadedRules> {
  const texts = (await readRuleFiles(paths)).flatMap(({ documents }) => documents);
  const results = texts.map(({ text, source }) => parseRulesDocument(text, renamed(source, called)));
  const warnings = results.flatMap((result) => (result.ok ? result.warnings : []));
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  if (problems.length > 0) return { ruleSet: undefined, problems, warnings };
  const compiled = compileRuleSet(
    results.flatMap((result) => (result.ok ? [result.document] : [])),
    (text) => createHash('sha256').update(text).digest('hex'),
  );
  return compiled.ok
    ? { ruleSet: compiled.ruleSet, problems: [], warnings }
    : { ruleSet: undefined, problems: compiled.problems, warnings };
}

function renamed(source: RuleSource, called: (file: string) => string): RuleSource {
  return source.kind === 'file' ? { kind: 'file', file: called(source.file) } : source;
}

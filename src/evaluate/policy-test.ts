/** Finds and runs policy tests: folders with rules, objects and the expected results. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { loadRules } from '../loading/load-rules.ts';
import type { Kinds } from '../object/kinds.ts';
import { renderProblemLine } from '../rules/language/problem-lines.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { printYaml } from '../yaml/print-yaml.ts';
import { type Evaluation, type EvaluationOptions, evaluate } from './evaluate.ts';
import type { ObjectResult } from './evaluate-object.ts';
import { compareResults, type Expectation, type ExpectationFailure, parseExpectation } from './expectation.ts';
import { renderNotEvaluated } from './not-evaluated.ts';
import { readManifests } from './read-manifests.ts';

export type PolicyTest = {
  /** Path of its folder relative to the root. `.` is the root itself. */
  readonly name: string;
  readonly folder: string;
};

export type TestResult = {
  readonly name: string;
  /** Number of evaluated objects. */
  readonly objects: number;
  /** Empty if the test passed. */
  readonly failures: readonly ExpectationFailure[];
  /** Whether expected.yaml was rewritten with the actual results. */
  readonly updated: boolean;
};

export type TestOptions = {
  /** Paths of rules for tests without own rules. */
  readonly rules: readonly string[];
  readonly update: boolean;
  /** Milliseconds since 1970, for tests without a date. */
  readonly now: number;
  readonly kinds?: Kinds;
};

/** Returns the tests sorted by name. Rejects with the error of the file system if a folder cannot be read. */
export async function findPolicyTests(root: string): Promise<readonly PolicyTest[]> {
  const tests: PolicyTest[] = [];
  async function search(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true });
    const names = new Set(entries.map(({ name }) => name));
    // One of the files is enough, because a test without the others must fail, not be skipped.
    const isTest = ['rules.yaml', 'objects.yaml', 'expected.yaml'].some((name) => names.has(name));
    if (isTest) tests.push({ name: relative(root, folder) || '.', folder });
    for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
      if (entry.isDirectory() && !(isTest && entry.name === 'rules')) await search(join(folder, entry.name));
    }
  }
  await search(root);
  return tests;
}

/** If the test cannot be evaluated, the reason is a failure of the test. */
export async function runPolicyTest({ name, folder }: PolicyTest, options: TestOptions): Promise<TestResult> {
  const result = (failures: readonly ExpectationFailure[], objects = 0): TestResult => ({ name, objects, failures, updated: false });
  const file = join(folder, 'expected.yaml');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const parsed = text === undefined ? missing : parseExpectation(text);
  if (!parsed.ok && !(text === undefined && options.update)) return result(parsed.failures);

  const expectation = parsed.ok ? parsed.expectation : { entries: [] };
  const outcome = await evaluateTest(folder, expectation, options);
  if (!outcome.ok) return result(outcome.failures);
  const { results } = outcome.evaluation;
  const failures = results.length === 0 ? nothingEvaluated : compareResults(expectation, results);
  const unsure = results.some(({ uncertain }) => uncertain !== undefined);
  if (failures.length === 0 || !options.update || results.length === 0 || unsure) return result(failures, results.length);
  await writeFile(file, renderExpectation(expectation, results));
  return { ...result([], results.length), updated: true };
}

const missing = {
  ok: false,
  failures: [{ message: 'expected.yaml does not exist. Create it from the current results with --update.' }],
} as const;
const nothingEvaluated: readonly ExpectationFailure[] = [{ message: 'objects.yaml contains no object that can be evaluated.' }];

export type TestEvaluation =
  | { readonly ok: true; readonly rules: RuleSet; readonly evaluation: Evaluation; readonly options: EvaluationOptions }
  | { readonly ok: false; readonly failures: readonly ExpectationFailure[] };

/**
 * Evaluates the objects of a test with its rules. File names in messages are relative to its folder, so that they do not depend on the
 * machine.
 */
export async function evaluateTest(
  folder: string,
  { namespace = 'default', user = 'developer', assumeComplete = false, date }: Expectation,
  { rules: shared, now, kinds }: Pick<TestOptions, 'rules' | 'now' | 'kinds'>,
): Promise<TestEvaluation> {
  const own = await ownRules(folder);
  const paths = own === undefined ? shared : [own];
  if (paths.length === 0)
    return {
      ok: false,
      failures: [
        {
          message: 'neither rules.yaml nor a rules directory exists. Pass --rules to set rules for tests without a rules file.',
        },
      ],
    };
  const displayName = (file: string) => (own === undefined ? file : relative(folder, file));
  const loaded = await loadRules(paths, displayName).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  if (loaded instanceof Error) return { ok: false, failures: [{ message: loaded.message }] };
  const { ruleSet, problems } = loaded;
  if (!ruleSet) return { ok: false, failures: problems.map((problem) => ({ message: renderProblemLine(problem) })) };

  const read = await readManifests([join(folder, 'objects.yaml')], async () => '');
  const inFolder = <Part extends { readonly file: string }>(parts: readonly Part[]) =>
    parts.map((part) => ({ ...part, file: relative(folder, part.file) }));
  const options = { namespace, user, assumeComplete, now: date ?? now, ...(kinds && { kinds }) };
  const evaluation = evaluate({ manifests: inFolder(read.manifests), problems: inFolder(read.problems) }, ruleSet, options);
  const { notEvaluated } = evaluation;
  if (notEvaluated.length > 0) return { ok: false, failures: notEvaluated.map((each) => ({ message: renderNotEvaluated(each) })) };
  return { ok: true, rules: ruleSet, evaluation, options };
}

async function ownRules(folder: string): Promise<string | undefined> {
  for (const name of ['rules.yaml', 'rules']) {
    const path = join(folder, name);
    if (await stat(path).catch(() => undefined)) return path;
  }
  return undefined;
}

/** The complete results, without what changes with every edit of the rules: lines and the revision. */
function renderExpectation({ namespace, user, assumeComplete, date }: Expectation, results: readonly ObjectResult[]): string {
  const settings = {
    ...(date !== undefined && { date: new Date(date).toISOString().slice(0, 10) }),
    ...(user !== undefined && { user }),
    ...(namespace !== undefined && { namespace }),
    ...(assumeComplete !== undefined && { assumeComplete }),
  };
  const entries = results.map(({ object: { file: _file, line: _line, ...object }, outcome, images, inject, patch, messages }) => ({
    object,
    outcome,
    images: images.map(({ rule, exemption, ...image }) => ({
      ...image,
      ...(rule && { rule: { name: rule.name } }),
      ...(exemption && { exemption: { until: exemption.until } }),
    })),
    inject,
    patch,
    messages,
  }));
  return printYaml({ ...settings, results: entries });
}

/** The audit records of `diff --replay`. */
import { Option } from 'commander';
import { compareReplays, type ReplayComparison } from '../../evaluate/replay/compare-replays.ts';
import { maxLineBytes, readLines } from '../../evaluate/replay/read-lines.ts';
import { formatCount } from '../../image/wording.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { limitGarbage } from './garbage-limit.ts';

export function replayOption(): Option {
  return new Option('--replay <files...>', 'replay audit records from files, or - for standard input');
}

/** About 15 MB of records. */
const linesPerCheck = 10_000;

/** @throws ConfigurationError if a file cannot be read, or if the files contain no record of a request */
export async function replayRecords(paths: readonly string[], before: RuleSet, after: RuleSet, now: number): Promise<ReplayComparison> {
  const run = compareReplays(before, after, () => now);
  const checkGarbage = limitGarbage();
  let lines = 0;
  const problems = await readLines(paths, {
    line(file, line, text) {
      run.add(file, line, text);
      lines += 1;
      if (lines % linesPerCheck === 0) checkGarbage();
    },
    tooLong: (file, line) =>
      run.addBroken({ file, line, message: `is longer than ${formatCount(maxLineBytes)} bytes, so it is not an audit record` }),
  });
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
  const result = run.result();
  const { requests, brokenLines } = result.summary;
  if (requests + brokenLines === 0)
    throw new ConfigurationError(
      `${paths.join(', ')}: no audit records of requests found. The server writes them to the file set with --audit-log`,
    );
  return result;
}

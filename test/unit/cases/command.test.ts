/** Runs the case corpus through the `test` command. */
import { relative } from 'node:path';
import { expect, test } from 'vitest';
import { cases, casesFolder } from '../../cases/cases.ts';
import { runCommand } from '../cli/run.ts';

test('regkeeper test passes, and finds every case', async () => {
  const { exitCode, out } = await runCommand('test', relative(process.cwd(), casesFolder), '-o', 'json');
  const { tests, summary } = JSON.parse(out);
  expect(tests.filter(({ passed }: { passed: boolean }) => !passed)).toEqual([]);
  expect(tests.map(({ name }: { name: string }) => name)).toEqual(cases.map(({ name }) => name));
  expect({ exitCode, summary }).toEqual({ exitCode: 0, summary: { passed: cases.length, failed: 0, written: 0 } });
});

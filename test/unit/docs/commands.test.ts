/** The shell commands in the documentation. test/cluster/scenarios/docs.test.ts runs them. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { commandLines, notRun, otherExitCodes, pagesWithSteps, runnable, stepsOf } from './commands.ts';

const steps = pagesWithSteps.flatMap(stepsOf);

test('there are steps, most of which can be run', () => {
  expect(steps.length).toBeGreaterThan(60);
  expect(steps.filter(({ script }) => runnable(script) !== undefined).length).toBeGreaterThan(steps.length * 0.7);
});

test('bash can read every step', () => {
  const all = steps.map(({ script }, index) => `step${index}() {\n${script}\n}`).join('\n');
  expect(spawnSync('bash', ['-n'], { input: all, encoding: 'utf8' }).stderr).toBe('');
});

test.each([...notRun, ...otherExitCodes])('$command is in the documentation: $because', ({ command }) => {
  expect(steps.flatMap(({ script }) => commandLines(script)).some((line) => command.test(line))).toBe(true);
});

test('the five commands that install on kind are those of deploy/kind/install.sh', () => {
  const [five] = steps.filter(({ page, script }) => page === 'README.md' && script.startsWith('kind create cluster'));
  expect(five?.script.split('\n')).toHaveLength(5);
});

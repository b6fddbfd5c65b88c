/** Runs the commands of a page in a {@link World}, and compares the documented output, or writes the actual one into the page. */

import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import { commandLines, otherExitCodes, type Step } from '../unit/docs/commands.ts';
import type { World } from './docs-world.ts';

const root = resolve(import.meta.dirname, '../..');

export type ActualOutput = { readonly step: Step; readonly output: string };

/** Fails if the output or an exit code is not the documented one. With `UPDATE_GOLDEN=1` the output may differ. */
export async function runStep(world: World, step: Step): Promise<ActualOutput> {
  const { output, exitCode } = await world.run(step.output === undefined ? checked(step.script) : step.script);
  if (step.output === undefined) expect(exitCode, output).toBe(0);
  else if (!process.env.UPDATE_GOLDEN) expect(output.trimEnd()).toBe(step.output);
  return { step, output };
}

/** The script that ends after the first command with an unexpected exit code. A command of `console` may fail: its output is compared. */
function checked(script: string): string {
  return commandLines(script)
    .map((line) => {
      const expected = otherExitCodes.find(({ command }) => command.test(line))?.exitCode ?? 0;
      return `${line}\n[ $? = ${expected} ] || exit 1`;
    })
    .join('\n');
}

/** Writes the actual output of the page's steps into it. */
export async function writeOutputs(page: string, actual: readonly ActualOutput[]): Promise<void> {
  const shown = actual.filter(({ step }) => step.page === page && step.output !== undefined);
  const lines = (await readFile(join(root, page), 'utf8')).split('\n');
  // From the end, so that line numbers stay valid.
  for (const { step, output } of shown.toReversed()) {
    const before = step.output === '' ? 0 : (step.output?.split('\n').length ?? 0);
    const after = output.trimEnd().split('\n');
    lines.splice(step.line + step.script.split('\n').length - 1, before, ...after.filter((line, index) => line !== '' || index > 0));
  }
  await writeFile(join(root, page), lines.join('\n'));
}

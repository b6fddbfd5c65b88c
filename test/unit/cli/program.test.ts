/** Tests the command line as a whole: commands, help, usage errors. */
import { describe, expect, test } from 'vitest';
import { runProgram } from '../../../src/cli/program.ts';
import type { Flags } from '../../../src/settings/input.ts';

async function run(...argv: readonly string[]) {
  let out = '';
  let err = '';
  const served: Flags[] = [];
  const serve = async (flags: Flags) => void served.push(flags);
  const exitCode = await runProgram(
    argv,
    { serve },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
  );
  return { exitCode, out, err, served };
}

describe('the command line', () => {
  test('version goes to standard output', async () => {
    expect(await run('version')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^regkeeper \d+\.\d+\.\d+, Node\.js v\d+/),
      err: '',
    });
  });

  test('--help is no mistake', async () => {
    expect(await run('--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('serve'), err: '' });
    expect(await run('serve', '--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('--rules'), err: '' });
  });

  test('help can be asked for in two ways, and a command may stand behind --', async () => {
    const help = await run('serve', '--help');
    expect(await run('help', 'serve')).toEqual(help);
    expect(await run('--', 'version')).toEqual(await run('version'));
  });

  test.each([
    ['no command', [], /Usage: regkeeper/],
    ['an unknown command', ['sevre'], /unknown command 'sevre'.*Did you mean serve/s],
    ['an unknown flag', ['serve', '--prot', '1'], /unknown option '--prot'/],
    ['a flag spelt nearly right', ['serve', '--log-levle', 'debug'], /unknown option '--log-levle'\n\(Did you mean --log-level\?\)/],
    ['review without files', ['review'], /missing required argument/],
  ])('%s: exit code 2, and what is wrong on standard error', async (_name, argv, message) => {
    expect(await run(...argv)).toMatchObject({ exitCode: 2, out: '', err: expect.stringMatching(message), served: [] });
  });

  test('serve goes on running, with its flags as they were written', async () => {
    const { exitCode, served } = await run('serve', '--rules', 'a', 'b', '--port', '0', '--manage-webhooks', '--no-dev', '--rules', 'c');
    expect(exitCode).toBeUndefined();
    expect(served).toEqual([{ rules: ['a', 'b', 'c'], port: '0', manageWebhooks: true, dev: false }]);
  });
});

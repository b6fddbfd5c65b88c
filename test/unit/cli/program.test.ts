/** Tests the command line as a whole: commands, help, usage errors. */
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { supportsColor } from '../../../src/cli/output/paint.ts';
import { runOnTerminal } from './run.ts';

const run = (...argv: readonly string[]) => runOnTerminal({}, ...argv);

describe('the command line', () => {
  test.each([[['version']], [['--version']], [['-V']], [['check', '--version']]])(
    '%j prints the version on standard output',
    async (argv) => {
      expect(await run(...argv)).toMatchObject({
        exitCode: 0,
        out: expect.stringMatching(/^regkeeper \d+\.\d+\.\d+, Node\.js v\d+/),
        err: '',
      });
    },
  );

  test('--help is not an error', async () => {
    expect(await run('--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('serve'), err: '' });
    expect(await run('serve', '--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('--rules'), err: '' });
  });

  test('help is available in two ways, and a command may follow --', async () => {
    const help = await run('serve', '--help');
    expect(await run('help', 'serve')).toEqual(help);
    for (const option of ['--help', '-h']) expect(await run('help', option)).toEqual(await run('--help'));
    expect(await run('--', 'version')).toEqual(await run('version'));
  });

  test.each([
    ['no command', [], /Usage: regkeeper/],
    ['an unknown command', ['sevre'], /^error: unknown command 'sevre'\n\(Did you mean serve\?\)\nRun "regkeeper --help" for usage\.\n$/],
    ['an unknown command with options', ['chek', '-f', 'a', '--rules', 'b'], /^error: unknown command 'chek'\n\(Did you mean check\?\)/],
    ['a prefix of a command', ['expl', 'nginx'], /unknown command 'expl'\n\(Did you mean explain\?\)/],
    ['help for an unknown command', ['help', 'chek'], /^error: unknown command 'chek'\n\(Did you mean check\?\)/],
    ['an unknown option', ['serve', '--prot', '1'], /^error: unknown option '--prot'\n\(Did you mean --port\?\)/],
    ['a misspelt option', ['serve', '--log-levle', 'debug'], /unknown option '--log-levle'\n\(Did you mean --log-level\?\)/],
    [
      'an option that resembles none',
      ['lint', 'a', '--frobnicate'],
      /^error: unknown option '--frobnicate'\nRun "regkeeper lint --help" for usage\.\n$/,
    ],
    ['an unknown option before a command', ['--quite', 'lint', 'a'], /unknown option '--quite'/],
    ['a misspelt required option', ['check', '-f', 'a', '--rule', 'b'], /^error: unknown option '--rule'\n\(Did you mean --rules\?\)/],
    ['a prefix of an option', ['check', '--file=a', '--rules', 'b'], /^error: unknown option '--file'\n\(Did you mean --filename\?\)/],
    ['an unknown short option', ['explain', '-x', 'nginx'], /^error: unknown option '-x'\nRun/],
    ['an unknown option in place of the argument', ['explain', '--rules', 'r', '--imgae', 'nginx'], /^error: unknown option '--imgae'/],
    ['a value for a switch', ['lint', 'a', '--strict=yes'], /^error: option '--strict' does not accept a value: '--strict=yes'\n/],
    ['an option instead of a value', ['check', '-f', '--rules', 'r'], /^error: option '-f, --filename <paths\.\.\.>' argument missing/],
    ['an invalid choice for --color', ['--color', 'blue', 'lint', 'a'], /Allowed choices are auto, always, never/],
    [
      'diff without rules',
      ['diff'],
      /^error: missing argument: specify the rules before and after the change, for example "regkeeper diff rules-now\/ rules-next\/"\nRun "regkeeper diff --help" for usage\.\n$/,
    ],
    [
      'diff --cluster without rules',
      ['diff', '--cluster'],
      /^error: missing argument: specify the new rules, for example "regkeeper diff --cluster rules\.yaml"\nRun "regkeeper diff --help" for usage\.\n$/,
    ],
    ['review without files', ['review'], /^error: missing required argument 'files'\nRun "regkeeper review --help" for usage\.\n$/],
  ])('%s: exit code 2, with the problem on standard error', async (_name, argv, message) => {
    expect(await run(...argv)).toMatchObject({ exitCode: 2, out: '', err: expect.stringMatching(message), served: [] });
  });

  test('serve keeps running, with its flags as specified', async () => {
    const { exitCode, served } = await run('serve', '--rules', 'a', 'b', '--port', '0', '--manage-webhooks', '--no-dev', '--rules', 'c');
    expect(exitCode).toBeUndefined();
    expect(served).toEqual([{ rules: ['a', 'b', 'c'], port: '0', manageWebhooks: true, dev: false }]);
  });

  test('an unknown option does not hide --help', async () => {
    expect(await run('check', '--halp', '--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('Usage: regkeeper check') });
  });
});

describe('colors', () => {
  const changed = ['diff', 'deploy/starter-rules', 'deploy/examples/rules', '-f', 'deploy/examples/objects'];

  test.each([
    { terminal: true, flags: [], colored: true },
    { terminal: false, flags: [], colored: false },
    { terminal: true, flags: ['--color', 'never'], colored: false },
    { terminal: true, flags: ['--color=auto'], colored: true },
    { terminal: false, flags: ['--color', 'always'], colored: true },
    { terminal: true, flags: ['-o', 'json'], colored: false },
  ])('on a terminal: $terminal, with $flags: $colored', async ({ terminal, flags, colored }) => {
    const { out } = await runOnTerminal({ colors: terminal }, ...changed, ...flags);
    expect(out.includes('\u001b[')).toBe(colored);
  });

  test('--color can precede the command', async () => {
    expect(await run('--color', 'always', ...changed)).toEqual(await run(...changed, '--color', 'always'));
  });

  test.each([
    ['check', '-f', 'deploy/examples/objects', '--rules', 'deploy/examples/rules'],
    ['explain', 'docker.io/x/y', '--rules', 'deploy/examples/rules'],
    ['test', 'test/cases/exemption-valid'],
    ['diff', 'deploy/starter-rules', 'deploy/examples/rules'],
  ])('%s shows outcomes in color, and the same text without', async (...argv) => {
    const [colored, plain] = [await runOnTerminal({ colors: true }, ...argv), await run(...argv)];
    expect(colored.out).toContain('\u001b[');
    expect(stripVTControlCharacters(colored.out)).toBe(plain.out);
  });

  test.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: false }, {}, false],
    [{}, {}, false],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
    [{ isTTY: false }, { FORCE_COLOR: '1' }, true],
    [{ isTTY: false }, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
    [{ isTTY: true }, { FORCE_COLOR: '0' }, false],
    [{ isTTY: true }, { FORCE_COLOR: 'false' }, false],
    [{ isTTY: true }, { FORCE_COLOR: '' }, true],
  ])('%j with %j: %s', (stream, env, expected) => {
    expect(supportsColor(stream, env)).toBe(expected);
  });
});

/** Tests how words are shared between options with several values and the arguments of a command. */
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { prepareArguments } from '../../../../src/cli/line/prepare-arguments.ts';

const commands = {
  explain: () => new Command('explain').argument('<images...>'),
  check: () => new Command('check'),
  diff: () => new Command('diff').argument('<old>').argument('<new>'),
};

/** The options and arguments that commander then reads. */
async function read(name: keyof typeof commands, line: string) {
  const command = commands[name]()
    .option('-f, --filename <paths...>')
    .option('--rules <paths...>')
    .option('-n, --namespace <name>')
    .option('--date <date>')
    .option('-q, --quiet')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .action(() => {});
  const { words, problem } = prepareArguments(line.split(' '), command);
  if (problem !== undefined) return { problem };
  await command.parseAsync(words, { from: 'user' });
  return { ...command.opts(), args: command.args };
}

describe('an option with several values', () => {
  test.each([
    ['explain', '--rules r nginx', { rules: ['r'], args: ['nginx'] }],
    ['explain', '--rules r nginx redis', { rules: ['r'], args: ['nginx', 'redis'] }],
    ['explain', '--rules r -', { rules: ['r'], args: ['-'] }],
    ['explain', '--rules - nginx', { rules: ['-'], args: ['nginx'] }],
    ['explain', 'nginx --rules r s', { rules: ['r', 's'], args: ['nginx'] }],
    ['explain', '--rules r --rules s nginx', { rules: ['r', 's'], args: ['nginx'] }],
    ['explain', '-n shop --rules r nginx', { namespace: 'shop', rules: ['r'], args: ['nginx'] }],
    ['explain', '--rules=r nginx', { rules: ['r'], args: ['nginx'] }],
    ['explain', '--rules r -nshop nginx', { namespace: 'shop', rules: ['r'], args: ['nginx'] }],
    ['explain', '--rules r -q nginx', { quiet: true, rules: ['r'], args: ['nginx'] }],
    ['explain', '--rules r -- nginx', { rules: ['r'], args: ['nginx'] }],
    ['explain', '--rules r -- --rules', { rules: ['r'], args: ['--rules'] }],
    ['check', '-f a b --rules r s', { filename: ['a', 'b'], rules: ['r', 's'], args: [] }],
    ['check', '--rules r s -f a b', { filename: ['a', 'b'], rules: ['r', 's'], args: [] }],
    ['check', '-f a -f b -q --rules r', { filename: ['a', 'b'], quiet: true, rules: ['r'], args: [] }],
    ['diff', 'o n -f a b', { filename: ['a', 'b'], args: ['o', 'n'] }],
    ['diff', '-f a o n', { filename: ['a'], args: ['o', 'n'] }],
    ['diff', 'o -f a n', { filename: ['a'], args: ['o', 'n'] }],
    ['diff', '-qf a o n', { filename: ['a'], quiet: true, args: ['o', 'n'] }],
    ['diff', '-fa o n', { filename: ['a'], args: ['o', 'n'] }],
  ] as const)('%s %s', async (name, line, expected) => {
    expect(await read(name, line)).toEqual(expected);
  });
});

describe('problems that commander would report late or not at all', () => {
  test.each([
    ['check', '-f a --rule r', "error: unknown option '--rule'\n(Did you mean --rules?)"],
    ['check', '--until 2027-01-01', "error: unknown option '--until'\n(Did you mean --date?)"],
    ['diff', 'a b --as-of=2027-01-01', "error: unknown option '--as-of'\n(Did you mean --date?)"],
    ['explain', 'nginx -z --rule r', "error: unknown option '-z'"],
    ['check', '-f --rules r', "error: option '-f, --filename <paths...>' argument missing"],
    ['check', 'm --rules r', "error: unexpected argument 'm'\n(Did you mean -f m?)"],
    ['check', '--rules r -q m', "error: unexpected argument 'm'\n(Did you mean -f m?)"],
    ['check', '-q=1', "error: option '-q' does not accept a value: '-q=1'"],
  ] as const)('%s %s', async (name, line, problem) => {
    expect(await read(name, line)).toEqual({ problem });
  });

  test.each(['-h', '--help'])('none with %s', async (help) => {
    expect(prepareArguments(['--rule', help], commands.check()).problem).toBeUndefined();
  });
});

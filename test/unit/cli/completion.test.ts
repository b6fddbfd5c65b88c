/** Tests `completion`: the script for bash in bash, those for zsh and fish as texts, and in their shells where these are installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from './run.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
const folder = mkdtempSync(join(tmpdir(), 'regkeeper-completion-'));
const scripts = new Map<string, string>();
beforeAll(async () => {
  for (const shell of shells) {
    const { exitCode, out, err } = await runCommand('completion', shell);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    scripts.set(shell, out);
    writeFileSync(join(folder, shell), out);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The words that bash offers for the last word of a line. None: it completes names of files, if `files` is true. */
function completeInBash(...words: readonly string[]): { readonly offered: readonly string[]; readonly files: boolean } {
  const program = `
    source "$0"
    compopt() { echo "no files"; }
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _regkeeper
    printf '%s\\n' "\${COMPREPLY[@]}"
    complete -p regkeeper`;
  const lines = execFileSync('bash', ['-uc', program, join(folder, 'bash'), ...words], { encoding: 'utf8' })
    .trim()
    .split('\n');
  expect(lines.at(-1)).toBe('complete -o default -F _regkeeper regkeeper');
  return { offered: lines.slice(0, -1).filter((line) => line !== '' && line !== 'no files'), files: !lines.includes('no files') };
}

describe('bash completes', () => {
  test.each([
    ['commands', ['regkeeper', 'ch'], ['check']],
    ['commands after a global option', ['regkeeper', '--color', 'always', 'dif'], ['diff']],
    ['commands after help', ['regkeeper', 'help', 'ex'], ['explain']],
    ['options', ['regkeeper', 'check', '--o'], ['--output']],
    ['options after values', ['regkeeper', 'check', '-f', 'a', '--rules', 'b', '--q'], ['--quiet']],
    ['options of every command', ['regkeeper', 'lint', '--co'], ['--color']],
    ['choices', ['regkeeper', 'check', '-o', 's'], ['sarif']],
    ['choices after an equals sign', ['regkeeper', 'check', '--output', '=', 'j'], ['json', 'junit']],
    ['all choices immediately after it', ['regkeeper', '--color', '='], ['auto', 'always', 'never']],
    ['choices of a setting', ['regkeeper', 'serve', '--log-format', ''], ['text', 'json']],
    ['choices of an argument', ['regkeeper', 'completion', ''], ['bash', 'zsh', 'fish']],
    ['no names of namespaces', ['regkeeper', 'explain', '-n', ''], []],
  ])('%s', (_name, words, offered) => {
    expect(completeInBash(...words)).toEqual({ offered, files: false });
  });

  test.each([
    ['values of an option', ['regkeeper', 'check', '-f', 'dep']],
    ['further values', ['regkeeper', 'check', '-f', 'a', 'dep']],
    ['arguments', ['regkeeper', 'lint', 'dep']],
    ['values after an equals sign', ['regkeeper', 'explain', '--rules', '=', 'dep']],
  ])('files: %s', (_name, words) => {
    expect(completeInBash(...words)).toEqual({ offered: [], files: true });
  });
});

describe.each(shells)('the script for %s', (shell) => {
  test('contains every command with every option', async () => {
    const { out } = await runCommand('--help');
    const commands = [...out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
    expect(commands.length).toBeGreaterThan(8);
    for (const command of commands.filter((name) => name !== 'help')) {
      expect(scripts.get(shell)).toContain(command);
      const { out: help } = await runCommand(command, '--help');
      for (const [, option = ''] of help.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)) {
        expect(scripts.get(shell), `${command} --${option}`).toMatch(new RegExp(`(--|-l )${option}\\b`));
      }
    }
  });

  test('is accepted by the shell, if installed', ({ skip }) => {
    const { error, status, stderr } = spawnSync(shell, ['-n', join(folder, shell)], { encoding: 'utf8' });
    if (error) skip(`${shell} is not installed (Debian: apt-get install ${shell})`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

test('fish completes, if it is installed', ({ skip }) => {
  const complete = (line: string) =>
    spawnSync('fish', ['--no-config', '-c', `source ${join(folder, 'fish')}; complete -C ${JSON.stringify(line)}`], {
      encoding: 'utf8',
      cwd: join(import.meta.dirname, '../../..'),
    });
  if (complete('').error) skip('fish is not installed (Debian: apt-get install fish)');
  const words = (line: string) =>
    complete(line)
      .stdout.trim()
      .split('\n')
      .map((each) => each.split('\t')[0]);
  expect(words('regkeeper ch')).toEqual(['check']);
  expect(words('regkeeper check --o')).toEqual(['--output']);
  expect(words('regkeeper --color always lint --s')).toEqual(['--strict']);
  expect(words('regkeeper check -o ')).toEqual(['github', 'json', 'junit', 'sarif', 'table', 'yaml']);
  expect(words('regkeeper lint deploy/star')).toEqual(['deploy/starter-rules/']);
  expect(words('regkeeper help di')).toEqual(['diff']);
});

test('an unknown shell is an error that lists the supported ones', async () => {
  expect(await runCommand('completion', 'tcsh')).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining('Allowed choices are bash, zsh, fish'),
  });
});

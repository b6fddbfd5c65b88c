/** Tests --help of every command: the length of its lines, and that its examples work. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settingTable } from '../../../src/settings/table.ts';
import { buildImageFiles } from '../../cluster/program.ts';
import { runCommand } from './run.ts';

const root = resolve(import.meta.dirname, '../../..');

const { out: overview } = await runCommand('--help');
const commands = [...overview.slice(overview.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) +(.*)$/gm)].map(
  ([, name = '', description = '']) => ({ name, description }),
);
const pages = await Promise.all(
  commands.filter(({ name }) => name !== 'help').map(async ({ name }) => ({ name, help: (await runCommand(name, '--help')).out })),
);
const examples = pages.flatMap(({ name, help }) => {
  const section = /\nExamples:\n(.*?)(?:\n\n\S|$)/s.exec(help)?.[1] ?? '';
  return [...section.matchAll(/^ {2}# (.*)\n {2}(.*)$/gm)].map(([, does = '', line = '']) => ({ name, does, line }));
});

test.each(pages)('$name has examples', ({ name }) => {
  expect(examples.filter((example) => example.name === name).length).toBeGreaterThan(0);
});

test.each(commands)('the description of $name is at most 60 characters long', ({ description }) => {
  expect(description.length).toBeGreaterThan(0);
  expect(description.length).toBeLessThanOrEqual(60);
});

test.each(Object.entries(settingTable))('the description of the setting %s is at most 60 characters long', (_name, { description }) => {
  expect(description.length).toBeLessThanOrEqual(60);
});

/** What comes from other programs in an example, and the files that a reader replaces. */
const inputs: Readonly<Record<string, string>> = {
  explain: 'nginx\n',
  check: readFileSync(join(root, 'deploy/examples/objects/pod.yaml'), 'utf8'),
  diff: readFileSync(join(root, 'deploy/examples/objects/pod.yaml'), 'utf8'),
  init: readFileSync(join(root, 'deploy/examples/objects/pod.yaml'), 'utf8'),
  lint: readFileSync(join(root, 'deploy/starter-rules/rules.yaml'), 'utf8'),
};

describe('examples of commands that need no server and no cluster work in a checkout', () => {
  let folder: string;
  let program: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'regkeeper-help-'));
    program = await buildImageFiles(join(folder, 'program'));
    await cp(join(root, 'deploy'), join(folder, 'deploy'), { recursive: true });
    await cp(join(root, 'test/cases/exemption-valid'), join(folder, 'test/cases/exemption-valid'), { recursive: true });
    await cp(join(root, 'test/cases/exemption-valid'), join(folder, 'policy-tests/exemption-valid'), { recursive: true });
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true }));

  const withoutServer = examples.filter(
    ({ name, line }) => !['serve', 'review', 'deliver', 'scan'].includes(name) && !line.includes('--cluster'),
  );

  test.each(withoutServer)('$line', async ({ name, line }) => {
    const own = /(?:^|[|(] ?)regkeeper ([^|>)']*)/.exec(line)?.[1]?.trim().split(' ') ?? [];
    const child = spawn(process.execPath, [program, ...own], { cwd: folder, env: { PATH: process.env.PATH } });
    child.stdin.end(line.includes('| regkeeper') ? inputs[name] : '');
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    expect({ code, err }).toEqual({ code: expect.toBeOneOf([0, 1]), err: expect.not.stringMatching(/^error: /) });
    expect(out + err).not.toBe('');
  });
});

/** Tests `test`. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { escapeXml } from '../../../../src/cli/output/junit.ts';
import { runCommand } from '../run.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

const rules = `
contact: us
rules:
- {name: corp, registry: reg.example.com, pullSecret: corp-pull}
- {name: labelled, registry: team.example.com, namespaces: {matchLabels: {team: a}}}
exemptions:
- {image: old.example.com/app, until: 2027-03-31, reason: migration}
`;
const pod = (name: string, image: string, namespace = 'shop') =>
  `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {containers: [{name: app, image: ${image}}]}\n`;
const expected = 'results:\n- {object: {kind: Pod, name: web}, outcome: allowed}\n';
const good = { 'rules.yaml': rules, 'objects.yaml': pod('web', 'reg.example.com/web'), 'expected.yaml': expected };

async function write(files: Readonly<Record<string, string>>, name = 'case') {
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, name, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
  }
}

async function runJson(...more: readonly string[]) {
  const { out, ...rest } = await runCommand('test', folder, '-o', 'json', ...more);
  return { ...rest, json: JSON.parse(out) };
}

/** Runs the only test and returns its failures as text. */
async function failures(...more: readonly string[]): Promise<readonly string[]> {
  const { exitCode, json } = await runJson(...more);
  expect(json.tests).toHaveLength(1);
  const messages = json.tests[0].failures.map(({ message, line }: { message: string; line?: number }) =>
    line ? `${line}: ${message}` : message,
  );
  expect(exitCode).toBe(messages.length > 0 ? 1 : 0);
  return messages;
}

describe('a test passes if every expected field matches', () => {
  test.each([
    ['only the outcome', 'outcome: allowed'],
    ['a part of a mapping', 'images: [{verdict: trusted, rule: {name: corp}}]'],
    ['a whole list', 'inject: [{secret: corp-pull}], messages: []'],
    ['the position of the rule, relative to the directory', 'images: [{rule: {source: {file: rules.yaml, line: 4}}}]'],
  ])('%s', async (_name, fields) => {
    await write({ ...good, 'expected.yaml': `results:\n- {object: {kind: Pod, name: web}, ${fields}}\n` });
    expect(await failures()).toEqual([]);
  });

  test('test directories are found at any depth, including the argument itself, and a directory of rules belongs to its test', async () => {
    const { 'rules.yaml': own, ...rest } = good;
    await write({ ...rest, 'rules/rules.yaml': own }, '.');
    await write(good, 'deep/down');
    const { exitCode, out } = await runCommand('test', folder);
    expect({ exitCode, out }).toEqual({
      exitCode: 0,
      out: 'ok    .  1 object\nok    deep/down  1 object\n\n2 tests: 2 passed, 0 failed\n',
    });
  });

  test('with the specified date, user and namespace, and everything that is among the objects', async () => {
    const settings = 'date: 2027-04-01\nuser: system:node:a\nnamespace: other\nassumeComplete: true\n';
    const result = `results:\n- {object: {kind: Pod, name: web, namespace: other}, messages: ['regkeeper: container "app": image "old.example.com/app" comes from`;
    await write({
      ...good,
      'objects.yaml': pod('web', 'old.example.com/app').replace(', namespace: shop', ', annotations: {kubernetes.io/config.mirror: x}'),
      'expected.yaml': `${settings}${result}']}\n`,
    });
    const [difference, ...rest] = await failures();
    expect({ difference, rest }).toEqual({ difference: '6: Pod other/web: messages[0]', rest: [] });
    const { json } = await runJson();
    expect(json.tests[0].failures[0].difference.actual).toMatch(/exemption.*2027-03-31/);
  });

  test('rules from --rules are for tests without their own', async () => {
    const { 'rules.yaml': own, ...rest } = good;
    await write(rest);
    await writeFile(join(folder, 'shared.yml'), own);
    expect(await failures()).toEqual([expect.stringMatching(/^neither rules\.yaml nor a rules directory exists\. Pass --rules/)]);
    expect(await failures('--rules', join(folder, 'shared.yml'))).toEqual([]);
  });
});

describe('whatever was not evaluated is a failure, with its position', () => {
  test.each([
    ['a different outcome', { 'objects.yaml': pod('web', 'evil.example.com/x') }, ['2: Pod shop/web: outcome']],
    ['an unknown field', { 'expected.yaml': expected.replace('outcome', 'outcom') }, ['2: Pod shop/web: outcom']],
    [
      'a list that is shorter than the actual one',
      { 'expected.yaml': expected.replace('outcome: allowed', 'inject: []') },
      ['2: Pod shop/web: inject'],
    ],
    [
      'an object without an entry',
      { 'expected.yaml': 'results: []' },
      ['Pod shop/web (objects.yaml:2) has no entry. Its outcome is allowed.'],
    ],
    [
      'an entry without an object',
      { 'expected.yaml': `${expected}- {object: {kind: Pod, name: wub}, outcome: denied}\n` },
      ['3: no evaluated object matches Pod wub.'],
    ],
    [
      'a second entry',
      { 'expected.yaml': `${expected}- {object: {kind: Pod, name: web}, outcome: allowed}\n` },
      ['3: Pod shop/web has a second entry. Remove one of the two.'],
    ],
    [
      'an ambiguous entry',
      { 'objects.yaml': pod('web', 'reg.example.com/web') + pod('web', 'reg.example.com/web', 'other') },
      ['2: 2 objects match Pod web. Add the namespace or the apiVersion.'],
    ],
    ['no objects file', { 'objects.yaml': undefined }, ['objects.yaml: no such file or directory']],
    [
      'no expected file',
      { 'expected.yaml': undefined },
      ['expected.yaml does not exist. Create it from the current results with --update.'],
    ],
    ['invalid objects', { 'objects.yaml': '- a\n' }, [expect.stringMatching(/^objects\.yaml:1:1: contains a list/)]],
    [
      'nothing to evaluate',
      { 'objects.yaml': 'apiVersion: v1\nkind: Secret\n', 'expected.yaml': 'results: []' },
      ['objects.yaml contains no object that can be evaluated.'],
    ],
    [
      'an object of an unknown kind with an image',
      { 'objects.yaml': `${good['objects.yaml']}---\napiVersion: example.com/v1\nkind: App\nmetadata: {name: a}\nspec: {image: x}\n` },
      [expect.stringMatching(/^objects\.yaml:7: App default\/a has an unknown kind, and spec\.image looks like an image/)],
    ],
    ['rules with a problem', { 'rules.yaml': 'rulez: []' }, [expect.stringMatching(/^rules\.yaml:1:1 unknown-field /)]],
    [
      'unknown labels',
      { 'objects.yaml': pod('web', 'team.example.com/x'), 'expected.yaml': expected.replace('allowed', 'denied') },
      [
        expect.stringMatching(
          /^Pod shop\/web has an uncertain result: rules\.yaml:5:\d+ selects namespaces by label, and namespace "shop"/,
        ),
      ],
    ],
    ['invalid YAML', { 'expected.yaml': 'results: [\n' }, [expect.stringMatching(/^\d: expected\.yaml is not valid YAML/)]],
    [
      'an alias without an anchor',
      { 'expected.yaml': 'date: 2026-01-01\nresults: *x\n' },
      [expect.stringMatching(/^2: .*no anchor &x precedes this alias/)],
    ],
    ['no mapping', { 'expected.yaml': '[]' }, ['1: expected.yaml must be a mapping with the field "results".']],
    ['no list', { 'expected.yaml': 'results: {}' }, [expect.stringMatching(/"results" must be a list/)]],
    ['an unknown setting', { 'expected.yaml': `dat: 2027-01-01\n${expected}` }, ['1: unknown field "dat". Did you mean "date"?']],
    [
      'a nonexistent date',
      { 'expected.yaml': `date: 2027-02-30\n${expected}` },
      ['1: "date" must be a date such as 2027-03-31, but is "2027-02-30".'],
    ],
    [
      'an entry without an object reference',
      { 'expected.yaml': 'results:\n- outcome: allowed\n' },
      [expect.stringMatching(/^2: the entry has no "object"/)],
    ],
    [
      'an entry without a name',
      { 'expected.yaml': 'results:\n- {object: {kind: Pod}, outcome: allowed}\n' },
      [expect.stringMatching(/^2: "object" must have a kind and a name/)],
    ],
    [
      'an entry with an unknown field',
      { 'expected.yaml': 'results:\n- {object: {kind: Pod, name: web, nmespace: shop}, outcome: allowed}\n' },
      ['2: unknown field "nmespace". Did you mean "namespace"?'],
    ],
    [
      'an entry without an expectation',
      { 'expected.yaml': 'results:\n- {object: {kind: Pod, name: web}}\n' },
      [expect.stringMatching(/^2: the entry contains no expectation/)],
    ],
  ])('%s', async (_name, changed, expected) => {
    const files = Object.entries({ ...good, ...changed }).filter((entry): entry is [string, string] => entry[1] !== undefined);
    await write(Object.fromEntries(files));
    expect(await failures()).toEqual(expected);
  });

  test('a directory without tests does not pass', async () => {
    await mkdir(join(folder, 'empty'));
    await expect(runCommand('test', folder)).rejects.toThrow(/no policy tests found/);
    await expect(runCommand('test', join(folder, 'nowhere'))).rejects.toThrow(/nowhere: no such directory/);
    await expect(runCommand('test', 'package.json')).rejects.toThrow(/^package\.json: a file, not a directory/);
  });
});

describe('output', () => {
  test('the table shows expected and actual', async () => {
    await write({ ...good, 'expected.yaml': expected.replace('outcome: allowed', 'outcome: denied, messages: ["a\\nb"]') });
    const { exitCode, out } = await runCommand('test', folder);
    expect(exitCode).toBe(1);
    expect(out).toBe(`FAIL  case  1 object
      expected.yaml:2: Pod shop/web: outcome
        expected: "denied"
        actual:   "allowed"
      expected.yaml:2: Pod shop/web: messages
        expected: ["a\\nb"]
        actual:   []

1 test: 0 passed, 1 failed
`);
  });

  test('--quiet shows only tests that failed', async () => {
    await write(good, 'a');
    await write({ ...good, 'expected.yaml': expected.replace('allowed', 'denied') }, 'b');
    const { exitCode, out, err } = await runCommand('test', folder, '--quiet');
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: '' });
    expect(out).toMatch(/^FAIL {2}b {2}1 object\n {6}expected\.yaml:2: Pod shop\/web: outcome\n.*\n.*\n$/);
  });

  test('JUnit', async () => {
    await write(good, 'a');
    await write({ ...good, 'expected.yaml': expected.replace('allowed', '"<denied>"') }, 'b & c');
    const { exitCode, out } = await runCommand('test', folder, '-o', 'junit');
    expect(exitCode).toBe(1);
    expect(out).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" failures="1" errors="0" skipped="0">
  <testsuite name="regkeeper" tests="2" failures="1" errors="0" skipped="0">
    <testcase classname="regkeeper" name="a"/>
    <testcase classname="regkeeper" name="b &#38; c">
      <failure message="Pod shop/web: outcome">expected.yaml:2: Pod shop/web: outcome&#10;  expected: &#34;&#60;denied&#62;&#34;&#10;  actual:   &#34;allowed&#34;</failure>
    </testcase>
  </testsuite>
</testsuites>
`);
  });

  test('text that XML cannot contain', () => {
    expect(escapeXml('a\u0000b\u001b[0m\ud800 ]]> 😀\n')).toBe('a\ufffdb\ufffd[0m\ufffd ]]&#62; 😀&#10;');
  });
});

describe('--update', () => {
  test('writes the actual results, so that the test passes, and reports that', async () => {
    const { 'expected.yaml': _none, ...files } = good;
    await write({ ...files, 'objects.yaml': pod('web', 'reg.example.com/web') + pod('bad', 'evil.example.com/x') });
    const { exitCode, out, err } = await runCommand('test', folder, '--update');
    expect(exitCode).toBe(0);
    expect(out).toBe('WROTE case  2 objects\n\n1 test: 0 passed, 0 failed, 1 written and not tested\n');
    expect(err).toMatch(/^regkeeper: wrote \S+\/case\/expected\.yaml from the current results\. Nothing was tested\. Review it/);
    expect(await failures()).toEqual([]);
    expect(await readFile(join(folder, 'case/expected.yaml'), 'utf8')).not.toMatch(/line|revision|file:/);
  });

  test('does not count a written test as passed, in any format', async () => {
    const { 'expected.yaml': _none, ...files } = good;
    const output = async (format: string) => {
      await write(files, 'new');
      await rm(join(folder, 'new/expected.yaml'), { force: true });
      await write(good, 'old');
      return (await runCommand('test', folder, '--update', '-o', format)).out;
    };
    expect(await output('table')).toMatch(/\n2 tests: 1 passed, 0 failed, 1 written and not tested\n$/);
    const { tests, summary } = JSON.parse(await output('json'));
    expect({ tests, summary }).toMatchObject({
      tests: [
        { name: 'new', passed: false, written: true, failures: [] },
        { name: 'old', passed: true, written: false },
      ],
      summary: { passed: 1, failed: 0, written: 1 },
    });
    const junit = await output('junit');
    expect(junit).toContain('<testsuite name="regkeeper" tests="2" failures="0" errors="0" skipped="1">');
    expect(junit).toMatch(/name="new">\s*<skipped message="expected\.yaml was written, so nothing was tested"\/>/);
  });

  test('leaves a passing test unchanged, and keeps the settings of a failing one', async () => {
    const terse = `date: 2027-03-31\nnamespace: shop\n${expected}`;
    await write({ ...good, 'expected.yaml': terse });
    await runCommand('test', folder, '--update');
    expect(await readFile(join(folder, 'case/expected.yaml'), 'utf8')).toBe(terse);
    await write({ ...good, 'objects.yaml': pod('web', 'old.example.com/app'), 'expected.yaml': terse.replace('allowed', 'denied') });
    await runCommand('test', folder, '--update');
    expect(await readFile(join(folder, 'case/expected.yaml'), 'utf8')).toMatch(
      /^date: "?2027-03-31"?\nnamespace: shop\nresults:\n.*exempted/s,
    );
  });

  test('writes nothing if nothing could be evaluated', async () => {
    const { 'expected.yaml': _none, ...files } = good;
    await write({ ...files, 'rules.yaml': 'rulez: []' });
    const { exitCode, err } = await runCommand('test', folder, '--update');
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: '' });
  });
});

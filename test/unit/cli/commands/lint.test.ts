/** Tests `lint`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { levelOf, type ProblemCode, problemCodes } from '../../../../src/rules/language/problem.ts';
import { brokenDocuments } from '../../rules/language/broken.ts';
import { runCommand } from '../run.ts';
import { sarifRun } from '../sarif-run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-lint-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Lints one text. The test's folder is removed from the output. */
async function lint(text: string, ...more: readonly string[]) {
  const file = join(folder, 'rules.yaml');
  await writeFile(file, text);
  const { exitCode, out, err } = await runCommand('lint', file, ...more);
  return { exitCode, out: out.replaceAll(`${folder}/`, ''), err };
}

const configMap = (label: string, data: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\n  namespace: team-a\n  labels: {regkeeper.io/rules: ${label}}\ndata:\n  rules.yaml: ${data}`;
const block = (text: string) => `|\n${text.replaceAll(/^/gm, '    ')}`;

/** ‹ marks the position of the problem. It is removed before the text is linted. */
const marked: readonly (readonly [code: string, text: string])[] = [
  ['unknown-field', 'rules:\n- registry: reg.io\n  ‹pullsecret: a\n'],
  ['unknown-field', 'overrides:\n- namespaces: a\n  mode: warn\n  ‹contact: us\n'],
  ['missing-field', 'rules:\n- registry: reg.io\n- ‹name: x\n'],
  ['missing-field', 'exemptions:\n- ‹image: reg.io/x\n  reason: moving\n'],
  ['wrong-type', 'rules:\n- registry: reg.io\n  trust: ‹"no"\n'],
  ['unknown-value', 'mode: ‹enforced\nrules: []\n'],
  ['empty-value', 'rules:\n- registry: reg.io\n  ‹pullSecret:\n'],
  ['bad-secret-name', 'rules:\n- registry: reg.io\n  pullSecret: [good, ‹Bad]\n'],
  ['bad-day', 'exemptions:\n- image: reg.io/x\n  until: ‹2027-02-30\n  reason: moving\n'],
  ['secret-on-untrusted', 'rules:\n- registry: reg.io\n  trust: false\n  ‹pullSecret: a\n'],
  ['duplicate-field', 'mode: warn\nrules: []\n‹mode: warn\n'],
  ['yaml-unquoted-wildcard', 'rules:\n- registry: ‹*.example.com\n'],
  ['yaml-alias', 'rules:\n- registry: &reg ‹reg.io\n'],
  ['yaml-syntax', 'rules:\n‹\t- registry: reg.io\n'],
  ['pattern-scheme', 'rules:\n- registry:\n  - reg.io\n  - ‹https://other.io\n'],
  ['pattern-tag', 'rules:\n- registry: ‹reg.io/app:latest\n'],
  ['pattern-unqualified', 'rules:\n- {registry: ‹team/app}\n'],
  ['pattern-wildcard', 'rules:\n- registry: ‹"reg.io/team-*"\n'],
  ['internal-pattern', 'internalRegistries:\n- reg.io\n- ‹reg.io/path\n'],
  ['rule-tie', 'rules:\n- registry: reg.io\n- registry: ‹reg.io\n'],
  ['override-tie', 'overrides:\n- {namespaces: a, mode: warn}\n- ‹{namespaces: a, mode: audit}\n'],
  ['internal-conflict', 'internalRegistries: ["reg:5000"]\nrules:\n- registry: ‹reg:5000/app\n  trust: false\n'],
  ['unknown-field', configMap('cluster', block('mode: warn\n‹modus: warn\n'))],
  ['wrong-type', configMap('cluster', block('# ours\n\nrules:\n- registry: reg.io\n  trust: ‹"yes"\n'))],
  ['cluster-only-field', configMap('namespace', block('‹mode: audit\nrules: []\n'))],
  ['unknown-value', `${configMap('cluster', block('rules: []'))}\n---\n${configMap('cluster', block('mode: ‹loud\n'))}`],
  ['bad-manifest', configMap('‹clutser', block('rules: []\n'))],
  ['bad-manifest', configMap('cluster', block('rules: []\n')).replace('ConfigMap', '‹Configmap')],
  ['bad-manifest', configMap('cluster', '\n    ‹rules: []\n')],
  ['unknown-field', '{"rules": [{"registry": "reg.io",\n  ‹"pushsecret": "a"}]}\n'],
];

describe('an invalid document is reported with line and column', () => {
  test.each(marked)('%s in %j', async (code, text) => {
    const before = text.slice(0, text.indexOf('‹'));
    const [line, column] = [before.split('\n').length, before.length - before.lastIndexOf('\n')];
    const { exitCode, out } = await lint(text.replace('‹', ''));
    const [first] = out.split('\n').filter((each) => !each.includes(' duplicate-configmap '));
    expect(first?.split(' ').slice(0, 2)).toEqual([`rules.yaml:${line}:${column}`, code]);
    expect(exitCode).toBe(1);
  });

  test('all problems in a directory are reported together, each with its file', async () => {
    const broken = await mkdtemp(join(folder, 'broken-'));
    const documents = brokenDocuments.filter(({ scope }) => scope === undefined);
    await Promise.all(documents.map(({ text }, index) => writeFile(join(broken, `${index}.yaml`), text)));
    const { exitCode, out, err } = await runCommand('lint', broken);
    const lines = out.replaceAll(`${broken}/`, '').split('\n');
    const lost = documents.flatMap(({ problem }, index) => {
      const [code, place = ''] = problem.split(' ');
      return lines.some((line) => line.startsWith(`${index}.yaml:${place}`) && line.includes(` ${code} `)) ? [] : [`${index} ${problem}`];
    });
    expect(lost).toEqual([]);
    expect(exitCode).toBe(1);
    expect(err).toMatch(new RegExp(`read ${documents.length} documents in ${documents.length} files: \\d+ problems`));
  });
});

const warned = 'exemptions:\n- {image: reg.io/x, until: 2026-01-31, reason: moving}\nrules:\n- registry: reg.io\n- registry: reg.io/a\n';

describe('warnings', () => {
  test('are marked as such, and are not findings', async () => {
    expect(await lint(warned, '--date', '2026-02-01')).toEqual({
      exitCode: 0,
      out: [
        'rules.yaml:2:11 exemption-expired warning: the exemption for reg.io/x expired on 2026-01-31, so it has no effect. Remove it, or set a later date.',
        'rules.yaml:5:13 rule-redundant warning: reg.io/a has the same effect as the rule for reg.io in rules.yaml:4:13, which matches all its images. Remove the rule for reg.io/a, or change its effect.',
        '',
      ].join('\n'),
      err: 'read 1 document with 2 rules in 1 file: 0 problems, 2 warnings\n',
    });
  });

  test('are findings with --strict', async () => {
    expect((await lint(warned, '--date', '2026-02-01', '--strict')).exitCode).toBe(1);
    expect((await lint('rules: [{registry: reg.io}]', '--strict')).exitCode).toBe(0);
  });

  test('depend on the date', async () => {
    expect((await lint(warned, '--date', '2026-01-31')).out).not.toContain('exemption-expired');
  });
});

test('valid rules print only what was read', async () => {
  expect(await lint('rules: [{registry: reg.io}]')).toEqual({
    exitCode: 0,
    out: '',
    err: 'read 1 document with 1 rule in 1 file: 0 problems, 0 warnings\n',
  });
});

describe('machine output', () => {
  const disputed = 'mode: loud\n---\n';

  test('JSON', async () => {
    const { out, exitCode } = await lint('rules:\n- registry: reg.io\n- registry: reg.io\n', '-o', 'json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toEqual({
      rulesRevision: null,
      findings: [
        {
          file: 'rules.yaml',
          line: 3,
          column: 13,
          level: 'problem',
          code: 'rule-tie',
          message: expect.stringContaining('reg.io already has a rule'),
          related: { file: 'rules.yaml', line: 2, column: 13 },
        },
      ],
      summary: { files: 1, documents: 1, rules: 2, problems: 1, warnings: 0, hints: 0 },
    });
  });

  test('YAML contains the same', async () => {
    expect(parse((await lint(warned, '-o', 'yaml')).out)).toEqual(JSON.parse((await lint(warned, '-o', 'json')).out));
    expect(parse((await lint(disputed, '-o', 'yaml')).out)).toEqual(JSON.parse((await lint(disputed, '-o', 'json')).out));
  });
});

describe('SARIF', () => {
  async function sarif(...argv: readonly string[]) {
    const { out } = await runCommand('lint', ...argv, '-o', 'sarif');
    return sarifRun(out);
  }

  test('has every code with its level and the fix, even if nothing is found', async () => {
    const { tool, results } = await sarif('deploy/examples');
    expect(results).toEqual([]);
    const { rules, name } = tool.driver;
    expect(name).toBe('regkeeper');
    expect(rules.map(({ id }: { id: string }) => id)).toEqual(Object.keys(problemCodes));
    for (const { id, defaultConfiguration } of rules) {
      expect(defaultConfiguration.level, id).toBe({ problem: 'error', warning: 'warning', hint: 'note' }[levelOf(id as ProblemCode)]);
    }
    expect(rules.find(({ id }: { id: string }) => id === 'rule-redundant').help).toEqual({ text: 'Remove it.' });
  });

  test('has a result for each finding, with both positions of a conflict', async () => {
    const place = await mkdtemp(join(folder, 'sarif-'));
    await writeFile(join(place, 'a b:ü.yaml'), `${warned}- registry: reg.io\n`);
    const run = await sarif(place);
    const file = { uri: expect.stringMatching(/^file:\/\/\/.*\/a%20b%3A%C3%BC\.yaml$|^file:\/\/\/.*\/a%20b:%C3%BC\.yaml$/) };
    expect(run.results).toEqual([
      {
        ruleId: 'rule-tie',
        ruleIndex: Object.keys(problemCodes).indexOf('rule-tie'),
        level: 'error',
        message: { text: expect.stringContaining('reg.io already has a rule') },
        locations: [{ physicalLocation: { artifactLocation: file, region: { startLine: 6, startColumn: 13 } } }],
        relatedLocations: [
          {
            id: 1,
            physicalLocation: { artifactLocation: file, region: { startLine: 4, startColumn: 13 } },
            message: { text: 'the other place' },
          },
        ],
      },
    ]);
  });

  test('has file names as specified, relative to the working directory of CI', async () => {
    const { results } = await sarif('./deploy/starter-rules', 'deploy/examples/rules/registries.yaml');
    expect(results[0].locations[0].physicalLocation.artifactLocation.uri).toMatch(/^deploy\/(starter-rules|examples)\//);
  });
});

describe('-o junit', () => {
  const text = 'rules:\n- registry: reg.io\n- registry: reg.io/a\n';

  test('a problem is a failed case', async () => {
    const { exitCode, out } = await lint('rules:\n- registry: reg.io\n- registry: reg.io\n', '-o', 'junit');
    expect(exitCode).toBe(1);
    expect(out).toMatch(
      /tests="1" failures="1"[\s\S]*<testcase classname="rules\.yaml" name="line 3, column 13">\n +<failure message="rule-tie">/,
    );
  });

  test('a warning is the output of a passed case, and a failure with --strict', async () => {
    const { exitCode, out } = await lint(text, '-o', 'junit');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/tests="1" failures="0"[\s\S]*<system-out>rule-redundant: reg\.io\/a has the same effect/);
    const strict = await lint(text, '-o', 'junit', '--strict');
    expect(strict.exitCode).toBe(1);
    expect(strict.out).toMatch(/failures="1"[\s\S]*<failure message="rule-redundant">/);
  });

  test('without findings there is one passed case, since some CI systems reject empty reports', async () => {
    const { out } = await lint('rules:\n- registry: reg.io\n', '-o', 'junit');
    expect(out).toMatch(/tests="1" failures="0"[\s\S]*<testcase classname="regkeeper lint" name="rules"\/>/);
  });
});

describe('-o github', () => {
  test('annotates the position of each problem and warning', async () => {
    const { exitCode, out } = await lint('rules:\n- registry: reg.io\n- registry: reg.io\n', '-o', 'github');
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^::error file=rules\.yaml,line=3,col=13,title=rule-tie::reg\.io already has a rule.*\n$/);
    const { out: warning } = await lint(warned, '--date', '2026-02-01', '-o', 'github');
    expect(warning).toMatch(/^::warning file=rules\.yaml,line=2,col=11,title=exemption-expired::the exemption .*\n::warning file=.*\n$/);
  });

  test('escapes what the runner would interpret', async () => {
    const { out } = await lint('rules:\n- {registry: reg.io, "100%\\n::error::": 1}\n', '-o', 'github');
    expect(out.split('\n')).toHaveLength(2);
    expect(out).toContain('100%25');
  });
});

test('--quiet prints no summary', async () => {
  expect(await lint('rules: [{registry: reg.io}]', '--quiet')).toEqual({ exitCode: 0, out: '', err: '' });
  expect(await lint(warned, '-q', '--date', '2026-02-01')).toMatchObject({ out: expect.stringContaining('exemption-expired'), err: '' });
});

test.each([
  ['table', /^-:10:5 unknown-field unknown field "modus"/],
  ['github', /^::error title=unknown-field::standard input:10: unknown field "modus"/],
])('standard input is a file called -, with -o %s', async (format, expected) => {
  const child = spawn(process.execPath, ['src/main.ts', 'lint', '-', '-o', format], { env: { PATH: process.env.PATH } });
  child.stdin.end(configMap('cluster', block('rules: []\nmodus: warn\n')));
  expect(await textOf(child.stdout)).toMatch(expected);
});

test('empty standard input is an error, because a command before the pipe may have failed', async () => {
  const child = spawn(process.execPath, ['src/main.ts', 'lint', '-'], { env: { PATH: process.env.PATH } });
  child.stdin.end();
  const [err, [code]] = await Promise.all([textOf(child.stderr), once(child, 'exit')]);
  expect({ code, err }).toEqual({ code: 2, err: 'regkeeper: rules -: standard input is empty\n' });
});

test('the summary counts no rules while there are problems, because those in an invalid document are unknown', async () => {
  const { err } = await lint('rules:\n- {registry: reg.io, nmae: x}\n');
  expect(err).toMatch(/^read 1 document in 1 file: 1 problem, 0 warnings\. /);
});

describe('no input is exit code 2, so that it is not mistaken for valid rules', () => {
  test.each([
    ['no file specified', [], /missing required argument 'files'/],
    ['a missing file', ['nowhere.yaml'], /rules nowhere\.yaml: no such file or directory/],
    ['a directory of other objects', ['deploy/examples/objects'], /contains Kubernetes objects but no rules/],
    ['a file of other objects', ['deploy/examples/objects/pod.yaml'], /contains no rules, only Pod sample-app/],
    ['an unknown format', ['deploy/examples', '-o', 'xml'], /Allowed choices are table, json, yaml, github, junit, sarif/],
  ])('%s', async (_name, argv, message) => {
    const result = runCommand('lint', ...argv).catch((error: Error) => ({ exitCode: 2, out: '', err: error.message }));
    expect(await result).toEqual({ exitCode: 2, out: '', err: expect.stringMatching(message) });
  });

  test('a ConfigMap without documents', async () => {
    await expect(lint(configMap('cluster', '').replace('rules.yaml: ', 'notes: x'))).rejects.toThrow(/no rules found/);
  });
});

test('lint checks the sources of secret delivery that are in the input', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-sources-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(
    join(folder, 'rules.yaml'),
    'rules: [{registry: reg.io/team, pullSecret: corp-pull}]\nsecrets: [{name: corp-pull, source: corp-source, namespaces: "*"}]\n',
  );
  const auths = JSON.stringify({ auths: { 'reg.io': { auth: btoa('robot:hunter2') } } });
  await writeFile(
    join(folder, 'source.yaml'),
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: corp-source\n  labels: {regkeeper.io/source: "true"}\ntype: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '${auths}'\n`,
  );
  const { out, err, exitCode } = await runCommand('lint', folder, '--strict');
  expect([out, exitCode]).toEqual([expect.stringMatching(/source\.yaml:1:1 wide-credential hint: the entry "reg\.io" .*\n$/), 0]);
  expect(out + err).not.toContain('hunter2');
});

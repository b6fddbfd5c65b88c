/** Tests `diff`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCommand } from '../run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-diff-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

const pod = (name: string, ...images: readonly string[]) =>
  `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: shop}\nspec:\n  containers:\n${images.map((image, index) => `  - {name: c${index}, image: ${image}}\n`).join('')}`;

/** Runs `diff`. The test's folder is removed from the output. */
async function diff(before: string, after: string, objects: string | undefined, ...more: readonly string[]) {
  const files = [await write('old.yaml', before), await write('new.yaml', after)];
  const objectFlags = objects === undefined ? [] : ['-f', await write('objects.yaml', objects)];
  const { out, err, exitCode } = await runCommand('diff', ...files, ...objectFlags, ...more);
  return { exitCode, out: out.replaceAll(`${folder}/`, ''), err: err.replaceAll(`${folder}/`, '') };
}

async function changesOf(...[before, after, objects, ...more]: Parameters<typeof diff>) {
  const { out, exitCode } = await diff(before, after, objects, ...more, '-o', 'json');
  const json = JSON.parse(out);
  return {
    exitCode,
    json,
    changes: json.changes.map(({ object, effect }: { object: { name: string }; effect: string }) => [object.name, effect]),
  };
}

describe('a change that removes the trust in one path', () => {
  const before = 'rules: [{registry: reg.io}, {registry: quay.io}]';
  const after = 'rules: [{registry: reg.io}, {registry: quay.io}, {registry: reg.io/team, trust: false, reason: moved to quay.io/team}]';
  const objects = [
    pod('inside', 'reg.io/team/web:1'),
    pod('beside', 'reg.io/team-x/web:1'),
    pod('above', 'reg.io/web'),
    pod('elsewhere', 'quay.io/team/web'),
    pod('by-one-of-two', 'quay.io/a/b', 'reg.io/team/sidecar'),
    pod('by-its-other-name', 'REG.IO:443/team/deep/down:2'),
    pod('by-another-port', 'reg.io:5000/team/web'),
    pod('refused-before', 'evil.io/x'),
    'apiVersion: v1\nkind: Service\nmetadata: {name: web}\n'.replace(/^/, '---\n'),
    `---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: template, namespace: shop}\nspec:\n  template:\n    spec:\n      initContainers: [{name: i, image: reg.io/team/init}]\n      containers: [{name: c, image: reg.io/web}]\n`,
  ].join('');
  const denied = ['inside', 'by-one-of-two', 'by-its-other-name', 'template'];

  test('lists exactly the newly denied objects', async () => {
    const { exitCode, changes, json } = await changesOf(before, after, objects);
    expect(changes).toEqual(denied.map((name) => [name, 'newly-denied']));
    expect(exitCode).toBe(1);
    expect(json.summary).toEqual({
      newlyDenied: 4,
      newlyAllowed: 0,
      newlyWarned: 0,
      noLongerWarned: 0,
      secretsGained: 0,
      secretsLost: 0,
      uncertain: 0,
      unchanged: 5,
    });
    expect(json.withoutImages).toEqual([{ apiVersion: 'v1', kind: 'Service', count: 1 }]);
  });

  test('these are the objects that check allows before and denies after the change', async () => {
    const outcomes = async (rules: string) => {
      const files = ['-f', await write('objects.yaml', objects), '--rules', await write('rules.yaml', rules)];
      const { out } = await runCommand('check', ...files, '-o', 'json');
      return JSON.parse(out).results.map(
        ({ object, outcome }: { object: { name: string }; outcome: string }) => `${object.name} ${outcome}`,
      );
    };
    const [old, now] = [await outcomes(before), await outcomes(after)];
    const newly = now.filter((each: string) => each.endsWith(' denied') && !old.includes(each));
    expect(newly).toEqual(denied.map((name) => `${name} denied`));
  });

  test('shows each with the image, both rules and the text of the denial', async () => {
    const { out } = await diff(before, after, pod('inside', 'reg.io/team/web:1'));
    expect(out).toBe(
      [
        'DENIED        Pod shop/inside  objects.yaml:2',
        '              reg.io/team/web:1',
        '                trusted by "reg.io" -> untrusted by "reg.io/team"',
        '              Pod shop/inside: container "c0": image "reg.io/team/web:1" is from an untrusted registry (rule "reg.io/team", new.yaml:1:61): moved to quay.io/team. Contact: the owners of the registry rules in new.yaml.',
        '',
        '1 object: 1 newly denied, 0 newly allowed, 0 newly warned, 0 gaining secrets, 0 losing secrets, 0 unchanged',
        '',
      ].join('\n'),
    );
  });

  test('reversed, the same objects are allowed, which is only a finding if every difference is one', async () => {
    const { exitCode, changes } = await changesOf(after, before, objects);
    expect(changes).toEqual(denied.map((name) => [name, 'newly-allowed']));
    expect(exitCode).toBe(0);
    expect((await changesOf(after, before, objects, '--strict')).exitCode).toBe(1);
  });
});

describe('other changes for objects', () => {
  test.each([
    ['one object', ['one'], '1 object: 0 newly denied, 0 newly allowed, 0 newly warned, 1 gaining secrets, 1 losing secrets, 0 unchanged'],
    ['two', ['one', 'two'], '2 objects: 0 newly denied, 0 newly allowed, 0 newly warned, 2 gaining secrets, 2 losing secrets, 0 unchanged'],
  ])('secrets are gained and lost by %s', async (_name, names, summary) => {
    const [before, after] = ['s', 't'].map((secret) => `rules: [{registry: reg.io, pullSecret: ${secret}}]`) as [string, string];
    const { out } = await diff(before, after, names.map((name) => pod(name, 'reg.io/a')).join(''));
    expect(out).toContain(`\n${summary}\n`);
  });

  test.each([
    [
      'a secret for an object that had none',
      'rules: [{registry: reg.io}]',
      'rules: [{registry: reg.io, pullSecret: s}]',
      0,
      [{ effect: 'secrets', secretsGained: [{ path: 'spec.imagePullSecrets', secret: 's' }], secretsLost: [] }],
    ],
    [
      'a lost secret',
      'rules: [{registry: reg.io, pullSecret: [s, t]}]',
      'rules: [{registry: reg.io, pullSecret: t}]',
      1,
      [{ effect: 'secrets', secretsGained: [], secretsLost: [{ path: 'spec.imagePullSecrets', secret: 's' }] }],
    ],
    [
      'a different secret',
      'rules: [{registry: reg.io, pullSecret: s}]',
      'rules: [{registry: reg.io, pullSecret: t}]',
      1,
      [{ secretsGained: [{ secret: 't' }], secretsLost: [{ secret: 's' }] }],
    ],
    [
      'a warning',
      'unconfigured: allow',
      'unconfigured: warn',
      0,
      [
        {
          effect: 'newly-warned',
          before: 'allowed',
          after: 'warned',
          messages: [expect.stringContaining('is not from a configured registry.')],
        },
      ],
    ],
    ['no warning any more', 'unconfigured: warn', 'unconfigured: allow', 0, [{ effect: 'no-longer-warned' }]],
    ['a mode', 'mode: warn', 'mode: enforce', 1, [{ effect: 'newly-denied', before: 'warned', after: 'denied', images: [] }]],
    [
      'a denial instead of a secret: a denied object loses no secret',
      'rules: [{registry: reg.io, pullSecret: s}]',
      'rules: []',
      1,
      [{ effect: 'newly-denied', secretsLost: [] }],
    ],
    ['another rule with the same effect', 'rules: [{registry: reg.io}]', 'rules: [{registry: reg.io/web, name: web}]', 0, []],
    [
      'another reason',
      'rules: [{registry: reg.io, trust: false, reason: a}]',
      'rules: [{registry: reg.io, trust: false, reason: b}]',
      0,
      [],
    ],
  ])('%s', async (_name, before, after, expectedCode, expected) => {
    const { exitCode, json } = await changesOf(before, after, pod('web', 'reg.io/web'));
    expect(json.changes).toMatchObject(expected);
    expect(json.changes).toHaveLength(expected.length);
    expect(exitCode).toBe(expectedCode);
  });

  test('secrets of the service account are neither gained nor lost', async () => {
    const account =
      '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: shop}\nimagePullSecrets: [{name: own}]\n';
    const deployment = pod('web', 'reg.io/web')
      .replace('v1\nkind: Pod', 'apps/v1\nkind: Deployment')
      .replace(/spec:\n(.*)$/s, (_, spec: string) => `spec:\n  template:\n    spec:\n${spec.replaceAll(/^/gm, '    ')}`);
    const { json } = await changesOf('rules: [{registry: reg.io}]', 'rules: [{registry: reg.io, pullSecret: s}]', account + deployment);
    expect(json.changes).toMatchObject([{ secretsGained: [{ secret: 's' }], secretsLost: [] }]);
    expect(json.changes[0].secretsGained).toHaveLength(1);
    const backwards = await changesOf('rules: [{registry: reg.io, pullSecret: s}]', 'rules: [{registry: reg.io}]', account + deployment);
    expect(backwards.json.changes[0].secretsLost).toEqual([{ path: 'spec.template.spec.imagePullSecrets', secret: 's' }]);
  });

  test('an uncertain result is a finding, with what is missing', async () => {
    const after = 'rules: [{registry: reg.io, namespaces: {matchLabels: {team: a}}}]';
    const { exitCode, json, changes } = await changesOf('rules: []', after, pod('web', 'reg.io/web'));
    expect(changes).toEqual([['web', undefined]]);
    expect(json.changes[0].uncertain).toEqual([expect.stringContaining('Pass it with -f')]);
    expect(exitCode).toBe(1);
    expect((await diff('rules: []', after, pod('web', 'reg.io/web'))).out).toMatch(
      /^UNCERTAIN +Pod shop\/web.*uncertain: \S*new\.yaml:1:20/s,
    );
    const namespace = '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n';
    expect((await changesOf('rules: []', after, namespace + pod('web', 'reg.io/web'))).changes).toEqual([['web', 'newly-allowed']]);
  });

  test('the date matters', async () => {
    const rules = ['rules: []', 'exemptions: [{image: reg.io, until: 2027-03-31, reason: r}]'] as const;
    expect((await changesOf(...rules, pod('web', 'reg.io/web'), '--date', '2027-03-31')).changes).toEqual([['web', 'newly-allowed']]);
    expect((await changesOf(...rules, pod('web', 'reg.io/web'), '--date', '2027-04-01')).changes).toEqual([]);
  });

  test('YAML contains the same as JSON', async () => {
    const input = ['rules: []', 'rules: [{registry: reg.io}]', pod('web', 'reg.io/web')] as const;
    expect(parse((await diff(...input, '-o', 'yaml')).out)).toEqual((await changesOf(...input)).json);
  });
});

describe('without objects the rules themselves are compared', () => {
  test('by subject', async () => {
    const before =
      'mode: warn\nrules:\n- {registry: a.io, pullSecret: s}\n- {registry: b.io}\nexemptions:\n- {image: x.io, until: 2027-01-31, reason: for now}\n';
    const after =
      'rules:\n- {registry: a.io, pullSecret: [s, t], namespaces: shop}\n- {registry: b.io, trust: false, reason: not maintained}\nexemptions:\n- {image: x.io, until: 2027-02-28, reason: for now}\n';
    expect(await diff(before, after, undefined)).toEqual({
      exitCode: 1,
      err: '',
      out: [
        '~ setting mode: warn -> enforce',
        '- rule a.io (old.yaml:3:14): trust true, pullSecret s',
        '+ rule a.io for namespace shop (new.yaml:2:14): trust true, pullSecret s, t',
        '~ rule b.io (new.yaml:3:14): trust true -> false, reason (none) -> "not maintained"',
        '~ exemption x.io (new.yaml:5:11): until 2027-01-31 -> 2027-02-28',
        '',
      ].join('\n'),
    });
  });

  test('exit code is 0 if they do not differ', async () => {
    expect(await diff('rules: [{registry: a.io}, {registry: b.io}]', 'rules: [{registry: [b.io, a.io]}]', undefined)).toEqual({
      exitCode: 0,
      out: 'no differences\n',
      err: '',
    });
  });

  test('in JSON with position and kind of each change', async () => {
    const { out } = await diff('rules: []', 'rules: [{registry: a.io}]', undefined, '-o', 'json');
    expect(JSON.parse(out)).toEqual({
      rulesRevision: { before: expect.stringMatching(/^[\da-f]{12}$/), after: expect.stringMatching(/^[\da-f]{12}$/) },
      rules: [{ kind: 'rule', about: 'a.io', change: 'added', after: { trust: true, source: { file: 'new.yaml', line: 1 } } }],
    });
  });
});

test.each([
  ['a rule set with problems', ['bad.yaml', 'good.yaml'], /bad\.yaml:1:1 unknown-field/],
  ['missing rules', ['nowhere.yaml', 'good.yaml'], /nowhere\.yaml: no such file/],
  ['only one rule set', ['good.yaml'], /specify two sets of rules, or --cluster/],
  ['standard input for both', ['-', '-'], /standard input \(-\) can be used only once/],
])('%s: exit code 2', async (_name, argv, message) => {
  await write('good.yaml', 'rules: []');
  await write('bad.yaml', 'rulez: []');
  const at = argv.map((word) => (word.endsWith('.yaml') ? join(folder, word) : word));
  const result = runCommand('diff', ...at).catch((error: Error) => ({ exitCode: 2, out: '', err: error.message }));
  expect(await result).toEqual({ exitCode: 2, out: '', err: expect.stringMatching(message) });
});

describe('invalid rules: a report for programs', () => {
  test.each([
    ['for rules alone', [], {}],
    ['for objects', ['-f', 'deploy/examples/objects'], { changes: [] }],
    ['for past requests', ['--replay', 'deploy/examples/audit.jsonl'], { changes: [] }],
  ])('%s, with the problems of both sets', async (_name, more, nothing) => {
    const [good, bad, other] = [
      await write('good.yaml', 'rules: []'),
      await write('bad.yaml', 'rulez: []'),
      await write('bad2.yaml', 'rulez: []'),
    ];
    const problem = (file: string) => expect.objectContaining({ file, line: 1, column: 1, code: 'unknown-field' });
    const half = await runCommand('diff', good, bad, ...more, '-o', 'json');
    expect(half.exitCode).toBe(2);
    expect(JSON.parse(half.out)).toEqual({
      rulesRevision: { before: expect.stringMatching(/^[\da-f]{12}$/), after: null },
      rulesProblems: [problem(bad)],
      rules: [],
      ...nothing,
    });
    const both = await runCommand('diff', bad, other, ...more, '-o', 'yaml');
    expect(parse(both.out)).toEqual({
      rulesRevision: { before: null, after: null },
      rulesProblems: [problem(bad), problem(other)],
      rules: [],
      ...nothing,
    });
  });
});

test('--quiet prints only what changes', async () => {
  const line = ['diff', 'deploy/starter-rules', 'deploy/examples/rules', '-f', 'deploy/examples/objects'];
  const [loud, quiet] = [await runCommand(...line), await runCommand(...line, '--quiet')];
  expect(quiet).toEqual({ exitCode: 1, out: loud.out.slice(0, loud.out.indexOf('3 objects: ')), err: '' });
  const same = ['diff', 'deploy/examples/rules', 'deploy/examples/rules', '-q'];
  expect(await runCommand(...same)).toEqual({ exitCode: 0, out: '', err: '' });
  expect(await runCommand(...same, '-f', 'deploy/examples/objects')).toEqual({ exitCode: 0, out: '', err: '' });
});

describe('the effect on past requests', () => {
  const before = 'rules: [{registry: reg.io}, {registry: hub.io}]';
  const after = 'rules: [{registry: reg.io}, {registry: hub.io, trust: false}]';
  const record = (image: string, more: Record<string, unknown> = {}) =>
    `${JSON.stringify({
      log: 'audit',
      schemaVersion: 2,
      time: '2026-11-20T04:02:17.854Z',
      event: 'decision',
      webhook: 'validate',
      user: 'alice',
      operation: 'CREATE',
      group: '',
      kind: 'Pod',
      namespace: 'shop',
      name: 'web',
      outcome: 'allowed',
      mode: 'enforce',
      images: [{ path: 'x', image, action: 'pull', verdict: 'trusted', reason: 'trusted', introduced: true }],
      namespaceLabels: {},
      ...more,
    })}\n`;
  const replay = async (text: string, ...more: readonly string[]) =>
    diff(before, after, undefined, ...more, '--replay', await write('audit.jsonl', text));

  test('is shown with the object, the user, the count and the last time', async () => {
    const { out, err, exitCode } = await replay(
      record('hub.io/a') + record('hub.io/a', { time: '2026-11-02T09:14:03.120Z' }) + record('reg.io/a'),
    );
    expect(out).toBe(
      [
        'DENIED        Pod shop/web',
        '              2 requests, last on 2026-11-20 04:02, first on 2026-11-02 09:14',
        '                by alice: 2',
        '              hub.io/a',
        '                trusted by "hub.io" -> untrusted by "hub.io"',
        '',
        '3 past requests, 2026-11-02 to 2026-11-20: 2 newly denied, 0 newly allowed, 0 newly warned, 0 gaining secrets, 0 losing secrets, 1 unchanged',
        '',
      ].join('\n'),
    );
    expect(err).toBe('');
    expect(exitCode).toBe(1);
  });

  test.each([
    ['0 if nothing is newly denied', record('reg.io/a'), 0],
    ['1 if a request is newly denied', record('hub.io/a'), 1],
    ['3 if a record cannot be replayed', record('reg.io/a') + record('reg.io/a', { schemaVersion: 1 }), 3],
    ['3 if a line cannot be parsed', `${record('reg.io/a')}{`, 3],
    ['2 if there is no record that could be replayed', '{"a": 1}\n{\n', 2],
    ['3 if the only record cannot be replayed', record('reg.io/a', { schemaVersion: 1 }), 3],
    ['1 if a request is newly denied, whatever cannot be replayed', `${record('hub.io/a')}${record('reg.io/a', { truncated: true })}{`, 1],
  ])('the exit code is %s', async (_case, text, code) => {
    expect((await replay(text)).exitCode).toBe(code);
  });

  test('shows secrets gained and lost, and a lost one is a finding', async () => {
    const rules = async (file: string, secret: string) => write(file, `rules: [{registry: reg.io, pullSecret: ${secret}}]`);
    const files = [await rules('corp.yaml', 'corp'), await rules('next.yaml', 'next')];
    const text = record('reg.io/a', { suppliedSecrets: [] }) + record('reg.io/b');
    const { out, err, exitCode } = await runCommand('diff', ...files, '--replay', await write('audit.jsonl', text));
    expect(out).toBe(
      [
        'LOSES SECRET  Pod shop/web',
        '              1 request, on 2026-11-20 04:02',
        '                by alice',
        '              reg.io/a',
        '                trusted by "reg.io"',
        '              + next',
        '              - corp',
        '',
        '2 past requests, 2026-11-20 to 2026-11-20: 0 newly denied, 0 newly allowed, 0 newly warned, 1 gaining secrets, 1 losing secrets, 1 unchanged',
        '',
      ].join('\n'),
    );
    expect(err).toBe('secrets not compared: 1 request. The record does not show which secrets the object would have\n');
    expect(exitCode).toBe(1);
  });

  test.each([
    ['an invalid line', '{\n', /^regkeeper: no audit records of requests found in 1 line\. audit\.jsonl:1: not JSON: .*\n$/],
    [
      'a file in another format',
      'a: b\n'.repeat(40),
      /^regkeeper: no audit records of requests found in 40 lines\. audit\.jsonl:1: not JSON: "a: b"\n$/,
    ],
  ])('without any record is one sentence with the first reason: %s', async (_name, text, sentence) => {
    const { err, out } = await replay(text);
    expect(err).toMatch(sentence);
    expect(out).toContain('0 past requests');
  });

  test('that allows more is only a finding with --strict', async () => {
    const files = [
      await write('old.yaml', after),
      await write('new.yaml', before),
      '--replay',
      await write('audit.jsonl', record('hub.io/a')),
    ];
    expect((await runCommand('diff', ...files)).exitCode).toBe(0);
    expect((await runCommand('diff', ...files, '--strict')).exitCode).toBe(1);
  });

  test('shows what could not be parsed or replayed, and why', async () => {
    const { err, out } = await replay(`${record('reg.io/a', { schemaVersion: 1 })}\u001b[2J\n`);
    expect(err).toBe(
      'audit.jsonl:2: not JSON: "\\u001b[2J"\n' +
        'not replayable: 1 request (old-record). An earlier version of regkeeper wrote the record, without everything that replay needs. Example: Pod shop/web by alice on 2026-11-20 04:02\n',
    );
    expect(out).toContain(
      '1 past request, 2026-11-20 to 2026-11-20: 0 newly denied, 0 newly allowed, 0 newly warned, 0 gaining secrets, 0 losing secrets, 0 unchanged, 1 not replayable',
    );
  });

  test('has the same data with -o json', async () => {
    const { out } = await replay(`${record('hub.io/a')}{`, '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({
      rules: [{ kind: 'rule' }],
      changes: [{ effect: 'newly-denied', requests: 1, users: [{ name: 'alice', requests: 1 }] }],
      notReplayable: [],
      brokenLines: [{ line: 2 }],
      summary: { requests: 1, newlyDenied: 1 },
    });
  });

  test('is evaluated on the day of --date', async () => {
    const ends = 'rules: [{registry: reg.io}, {registry: hub.io, until: 2027-03-31}]';
    const files = [
      await write('old.yaml', before),
      await write('new.yaml', ends),
      '--replay',
      await write('audit.jsonl', record('hub.io/a')),
    ];
    expect((await runCommand('diff', ...files, '--date', '2027-01-01')).exitCode).toBe(0);
    expect((await runCommand('diff', ...files, '--date', '2027-04-01')).exitCode).toBe(1);
  });

  test.each([
    ['a missing file', ['--replay', 'none.jsonl'], 'none.jsonl: no such file'],
    ['a file without records', ['--replay', 'empty.jsonl'], 'empty.jsonl: no audit records of requests found'],
    ['with manifests too', ['--replay', 'empty.jsonl', '-f', 'empty.jsonl'], '-f and --replay cannot be used together'],
  ])('%s is an error', async (_case, flags, message) => {
    await write('empty.jsonl', '');
    const argv = flags.map((flag) => (flag.endsWith('.jsonl') ? join(folder, flag) : flag));
    await expect(diff(before, after, undefined, ...argv)).rejects.toThrow(message);
  });
});

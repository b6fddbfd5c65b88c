/** Tests `explain`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCommand } from '../run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-explain-'));
});
afterAll(() => rm(folder, { recursive: true }));

const text = `
internalRegistries: ["registry.svc:5000"]
rules:
- {name: corp, registry: "reg.example.com:5000", pullSecret: [a, b], pushSecret: p}
- {name: hub, registry: docker.io, trust: false, reason: use the mirror}
- {name: officials, registry: docker.io/library}
- {name: team, registry: quay.io/team, namespaces: {matchLabels: {team: a}}, pullSecret: team-pull}
exemptions:
- {image: old.example.com, until: 2027-03-31, reason: moving}
overrides:
- {namespaces: lab, mode: warn}
- {namespaces: off, inject: off}
`;

async function explain(image: string, ...more: readonly string[]) {
  const file = join(folder, 'rules.yaml');
  await writeFile(file, text);
  return runCommand('explain', image, '--rules', file, ...more);
}

async function explainJson(image: string, ...more: readonly string[]) {
  const { out, ...rest } = await explain(image, '-o', 'json', ...more);
  return { ...rest, json: JSON.parse(out) };
}

test('names rule, file and line for the example of the README', async () => {
  const { exitCode, out } = await runCommand('explain', 'quay.io/team-a/y', '-n', 'team-a', '--rules', 'deploy/examples');
  expect(exitCode).toBe(0);
  expect(out).toMatch(/decided by +rule "team-a at quay", deploy\/examples\/rules\/registries\.yaml:\d+:13: trusts quay\.io\/team-a/);
});

test('explain is sure of a trusted image although settings select by labels, and says that they do', async () => {
  const file = join(folder, 'sandbox.yaml');
  await writeFile(file, 'rules: [{registry: reg.io}]\noverrides: [{namespaces: {matchLabels: {tier: sandbox}}, mode: warn}]\n');
  const trusted = await runCommand('explain', 'reg.io/x', '--rules', file);
  expect(trusted.exitCode).toBe(0);
  expect(trusted.out).toMatch(/settings +mode enforce, .* \(perhaps others, by labels\)\n/);
  expect(trusted.out).not.toContain('unsure');
  const denied = await runCommand('explain', 'far.io/x', '--rules', file);
  expect(denied.exitCode).toBe(1);
  expect(denied.out).toContain('unsure');
});

describe('explain -o json', () => {
  test('has the documented shape', async () => {
    const { exitCode, json } = await explainJson('reg.example.com:5000/x/y:1', '-n', 'shop');
    expect(exitCode).toBe(0);
    expect(json).toEqual({
      image: 'reg.example.com:5000/x/y:1',
      canonical: 'reg.example.com:5000/x/y',
      reference: { host: 'reg.example.com', port: 5000, path: 'x/y', tag: '1', digest: null },
      namespace: 'shop',
      action: 'pull',
      verdict: 'trusted',
      reason: 'trusted',
      outcome: 'allowed',
      rule: { name: 'corp', source: { file: join(folder, 'rules.yaml'), line: 4 } },
      pullSecrets: ['a', 'b'],
      pushSecret: 'p',
      exemption: null,
      settings: { mode: 'enforce', unconfigured: 'deny', inject: 'all' },
      searched: [],
      others: [],
      unsure: [],
      message: expect.stringMatching(/^"reg\.example\.com:5000\/x\/y:1" is trusted \(rule "corp", /),
    });
  });

  test('and YAML the same', async () => {
    const { out } = await explain('nginx', '-o', 'yaml');
    expect(parse(out)).toEqual((await explainJson('nginx')).json);
  });

  test.each([
    [
      'nginx',
      [],
      0,
      {
        verdict: 'trusted',
        canonical: 'docker.io/library/nginx',
        rule: { name: 'officials' },
        others: [{ name: 'hub', pattern: 'docker.io', trust: false, why: expect.stringContaining('has no path') }],
      },
    ],
    [
      'bitnami/redis',
      [],
      1,
      { verdict: 'untrusted', outcome: 'denied', rule: { name: 'hub' }, message: expect.stringContaining('use the mirror') },
    ],
    ['bitnami/redis', ['-n', 'lab'], 1, { verdict: 'untrusted', outcome: 'warned', settings: { mode: 'warn' } }],
    ['evil.example.com/x', [], 1, { verdict: 'unconfigured', outcome: 'denied', rule: null, pullSecrets: [], pushSecret: null }],
    [
      'old.example.com/x',
      ['--date', '2027-03-31'],
      0,
      { verdict: 'unconfigured', reason: 'exempted', outcome: 'allowed', exemption: { until: '2027-03-31', source: { line: 9 } } },
    ],
    [
      'old.example.com/x',
      ['--date', '2027-04-01'],
      1,
      { reason: 'unconfigured', outcome: 'denied', message: expect.stringContaining('ended on 2027-03-31') },
    ],
    ['registry.svc:5000/ns/app', [], 0, { verdict: 'trusted', pullSecrets: [], rule: { name: 'registry.svc:5000' } }],
    ['reg.example.com:5000/x', ['--push'], 0, { action: 'push', pushSecret: 'p' }],
    [
      'https://user:word@reg.io/x',
      [],
      1,
      {
        image: '***@reg.io/x',
        verdict: 'invalid',
        canonical: null,
        reference: null,
        rule: null,
        message: expect.stringContaining('password'),
      },
    ],
    [
      'quay.io/team/x',
      ['-n', 'shop'],
      1,
      {
        verdict: 'unconfigured',
        unsure: [expect.stringMatching(/rules\.yaml:7:26/)],
        others: [{ name: 'team', why: expect.stringContaining('labels of namespace "shop" are unknown') }],
      },
    ],
    [
      'quay.io/team/x',
      ['-n', 'shop', '--namespace-label', 'team=a', 'tier=dev'],
      0,
      { verdict: 'trusted', rule: { name: 'team' }, unsure: [] },
    ],
    [
      'quay.io/team/x',
      ['-n', 'shop', '--no-namespace-labels'],
      1,
      { verdict: 'unconfigured', unsure: [], others: [{ why: expect.stringContaining('applies to namespaces with team=a') }] },
    ],
  ] as const)('%s %j', async (image, more, expectedCode, expected) => {
    const { exitCode, json } = await explainJson(image, ...more);
    expect(json).toMatchObject(expected);
    expect(exitCode).toBe(expectedCode);
  });
});

describe('explain for people', () => {
  test('tells understanding, winner and losers', async () => {
    const { out, err } = await explain('nginx');
    expect(err).toBe('');
    expect(out.replaceAll(`${folder}/`, '')).toBe(`image        nginx
understood   registry docker.io on the default port, 443, repository library/nginx, no tag, which runtimes read as latest
             no registry is written, so it is Docker Hub, docker.io, where official images are in library/
namespace    default (none was given: -n), labels not known
verdict      trusted: allowed
decided by   rule "officials", rules.yaml:6:31: trusts docker.io/library
             over "hub", which has no path, which is less specific than 1 segment
pull secret  none needed
push secret  none named
settings     mode enforce, unconfigured deny, inject all
message      "nginx" is trusted (rule "officials", rules.yaml:6:31).

other rules that hold the image, the more specific first:
  rule "hub", rules.yaml:5:25: refuses docker.io
    has no path, which is less specific than 1 segment
`);
  });

  test.each([
    ['index.docker.io/nginx', [], /index\.docker\.io is another name of Docker Hub, docker\.io, where official images are in library\//],
    ['docker.io/nginx', [], /official images of Docker Hub are in library\//],
    ['Reg.Example.com:5000/x', [], /registry reg\.example\.com on port 5000.*\n +upper and lower case are the same in a host/],
    [`reg.example.com:5000/x:1@sha256:${'a'.repeat(64)}`, [], /digest sha256:a+; the tag 1 beside it means nothing/],
    ['bitnami/redis', ['-n', 'lab'], /verdict +untrusted: allowed with a warning, softened by mode warn/],
    ['old.example.com/x', ['--date', '2027-03-31'], /verdict +unconfigured: allowed by an exemption/],
    ['reg.example.com:5000/x', ['-n', 'off', '--push'], /push secret +p \(not written into objects: inject off\)\npull secret +a, b/],
    ['quay.io/team/x', [], /unsure +.*rules\.yaml:7:26 selects by labels .* --namespace-label key=value, or --no-namespace-labels/],
    ['quay.io/team/x', ['--namespace-label', 'team=b'], /labels team=b\n.*none of which decides:\n[^\n]*"team"/s],
    ['registry.svc:5000/a', [], /internal registries are trusted whatever rules say/],
  ])('%s %j', async (image, more, expected) => {
    expect((await explain(image, ...more)).out).toMatch(expected);
  });
});

test('short names that may mean several registries are all told', async () => {
  const file = join(folder, 'short.yaml');
  await writeFile(file, 'shortNames: [a.io, b.io]\nrules: [{registry: a.io, pullSecret: a}, {registry: b.io, pullSecret: b}]');
  const { exitCode, out } = await runCommand('explain', 'web', '--rules', file);
  expect(exitCode).toBe(0);
  expect(out).toMatch(/no registry is written, and shortNames is a\.io, b\.io\n +a node may find it as any of a\.io\/web, b\.io\/web/);
  expect(out).toMatch(/pull secret +a, b/);
});

describe('what cannot be explained is exit code 2', () => {
  test.each([
    ['no rules', [], /required option '--rules/],
    ['a label without value', ['--rules', 'deploy/examples', '--namespace-label', 'team'], /a label is written key=value/],
    ['a day that is none', ['--rules', 'deploy/examples', '--date', '2027-02-30'], /a day is written YYYY-MM-DD/],
    ['rules that are not there', ['--rules', 'nowhere'], /nowhere: no such file/],
  ])('%s', async (_name, more, message) => {
    const result = runCommand('explain', 'nginx', ...more).catch((error: Error) => ({ exitCode: 2, out: '', err: error.message }));
    expect(await result).toEqual({ exitCode: 2, out: '', err: expect.stringMatching(message) });
  });

  test('rules with problems, which are told', async () => {
    const file = join(folder, 'bad.yaml');
    await writeFile(file, 'rulez: []');
    expect(await runCommand('explain', 'nginx', '--rules', file)).toEqual({
      exitCode: 2,
      out: '',
      err: expect.stringMatching(/bad\.yaml:1:1 unknown-field /),
    });
  });
});

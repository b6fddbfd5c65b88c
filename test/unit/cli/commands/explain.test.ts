/** Tests `explain`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
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

/** `more` are images and options. */
async function explain(...more: readonly string[]) {
  const file = join(folder, 'rules.yaml');
  await writeFile(file, text);
  return runCommand('explain', ...more, '--rules', file);
}

async function explainJson(...more: readonly string[]) {
  const { out, ...rest } = await explain(...more, '-o', 'json');
  return { ...rest, json: JSON.parse(out) };
}

test('shows rule, file and line for the example in the README', async () => {
  const { exitCode, out } = await runCommand('explain', 'quay.io/team-a/y', '-n', 'team-a', '--rules', 'deploy/examples');
  expect(exitCode).toBe(0);
  expect(out).toMatch(/decided by +rule "team-a at quay", deploy\/examples\/rules\/registries\.yaml:\d+:13: trusts quay\.io\/team-a/);
});

describe('rules in the manifest of a ConfigMap', () => {
  const rules = 'contact: the platform team\nrules:\n- {name: hub, registry: docker.io, trust: false, reason: Use the mirror.}\n';
  const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r, namespace: regkeeper, labels: {regkeeper.io/rules: cluster}}\n';
  const block = `${head}data:\n  rules.yaml: |\n${rules.replace(/^(?=.)/gm, '    ')}`;
  const explainIn = async (text: string) => {
    const file = join(folder, 'manifest.yaml');
    await writeFile(file, text);
    return (await runCommand('explain', 'docker.io/acme/x', '--rules', file)).out;
  };

  test.each([
    ['with the key and the line in it, as the server reports them', block, ':8:29 (ConfigMap regkeeper/r, key rules.yaml, line 3)'],
    ['without a namespace', block.replace(' namespace: regkeeper,', ''), ':8:29 (ConfigMap r, key rules.yaml, line 3)'],
    [
      'with only the key, if its text is on one line',
      `${head}data: {rules.yaml: ${JSON.stringify(rules)}}\n`,
      ':4:20 (ConfigMap regkeeper/r, key rules.yaml)',
    ],
  ])('have their position in the file, %s', async (_name, text, position) => {
    expect(await explainIn(text)).toContain(`decided by   rule "hub", ${join(folder, 'manifest.yaml')}${position}: denies docker.io\n`);
  });

  test('a denial ends with the contact', async () => {
    expect(await explainIn(block)).toMatch(/\nmessage .*: Use the mirror\.\n {13}Contact: the platform team\.\n/);
  });
});

test.each([
  ['2027-02-28', 0, /verdict +trusted: allowed\n/, /"old\.io\/x" is trusted until 2027-03-31 \(rule "old", /],
  [
    '2027-03-01',
    0,
    /verdict +trusted: allowed with a warning\n/,
    /is from a registry that is trusted only until 2027-03-31 .*: use a\.io\.\n/,
  ],
  ['2027-04-01', 1, /verdict +untrusted: denied\n/, /is from a registry that was trusted until 2027-03-31 .*: use a\.io\.\n/],
])("explain shows when a rule's trust ends, on %s", async (day, code, verdict, message) => {
  const file = join(folder, 'ending.yaml');
  await writeFile(file, 'rules: [{registry: "*"}, {name: old, registry: old.io, until: 2027-03-31, reason: use a.io}]');
  const { exitCode, out } = await runCommand('explain', 'old.io/x', '--date', day, '--rules', file);
  expect(exitCode).toBe(code);
  expect(out).toMatch(verdict);
  expect(out).toMatch(message);
  expect(out).toMatch(/decided by +rule "old", .*: trusts old\.io until 2027-03-31\n +over "\*", which has the host \* /);
  const json = JSON.parse((await runCommand('explain', 'old.io/x', '--date', day, '-o', 'json', '--rules', file)).out);
  expect(json.rule).toMatchObject({ name: 'old', until: '2027-03-31' });
});

test('explain is certain about a trusted image although settings depend on labels, and shows that they do', async () => {
  const file = join(folder, 'sandbox.yaml');
  await writeFile(file, 'rules: [{registry: reg.io}]\noverrides: [{namespaces: {matchLabels: {tier: sandbox}}, mode: warn}]\n');
  const trusted = await runCommand('explain', 'reg.io/x', '--rules', file);
  expect(trusted.exitCode).toBe(0);
  expect(trusted.out).toMatch(/settings +mode enforce, .* \(may differ by namespace labels\)\n/);
  expect(trusted.out).not.toContain('uncertain');
  const denied = await runCommand('explain', 'far.io/x', '--rules', file);
  expect(denied.exitCode).toBe(1);
  expect(denied.out).toContain('uncertain');
});

describe('a secret with delivery', () => {
  const rules = `
rules: [{registry: reg.io, pullSecret: [a, b, c], pushSecret: p}]
secrets:
- {name: a, source: s, namespaces: "*"}
- {name: b, source: s, namespaces: {matchLabels: {tier: prod}}}
- {name: p, source: s, namespaces: shop, deliver: always}
`;
  const run = async (...more: readonly string[]) => {
    const file = join(folder, 'delivery.yaml');
    await writeFile(file, rules);
    return runCommand('explain', 'reg.io/x', ...more, '--rules', file);
  };

  test.each([
    [
      'in another namespace',
      ['-n', 'x', '--no-namespace-labels'],
      'a (delivered on demand), b (not delivered to this namespace), c',
      'p (not delivered to this namespace)',
    ],
    [
      'with labels',
      ['-n', 'shop', '--namespace-label', 'tier=prod'],
      'a (delivered on demand), b (delivered on demand), c',
      'p (always delivered)',
    ],
    [
      'without labels',
      ['-n', 'shop'],
      'a (delivered on demand), b (may be delivered, depending on namespace labels), c',
      'p (always delivered)',
    ],
  ])('is shown %s', async (_where, more, pull, push) => {
    const { out } = await run(...more);
    expect(out).toContain(`pull secret  ${pull}\n`);
    expect(out).toContain(`push secret  ${push}\n`);
  });

  test('is in the output for programs, if the namespace may have it', async () => {
    const { out } = await run('-n', 'shop', '-o', 'json');
    expect(JSON.parse(out).delivered).toEqual([
      { name: 'a', deliver: 'onDemand' },
      { name: 'p', deliver: 'always' },
    ]);
  });
});

describe('explain -o json', () => {
  test('has the documented structure', async () => {
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
      delivered: [],
      exemption: null,
      settings: { mode: 'enforce', unconfigured: 'deny', inject: 'all' },
      searched: [],
      others: [],
      uncertain: [],
      message: expect.stringMatching(/^"reg\.example\.com:5000\/x\/y:1" is trusted \(rule "corp", /),
      contact: null,
    });
  });

  test('and YAML contains the same', async () => {
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
      { reason: 'unconfigured', outcome: 'denied', message: expect.stringContaining('expired on 2027-03-31') },
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
        uncertain: [expect.stringMatching(/rules\.yaml:7:26/)],
        others: [{ name: 'team', why: expect.stringContaining('labels of namespace "shop" are unknown') }],
      },
    ],
    [
      'quay.io/team/x',
      ['-n', 'shop', '--namespace-label', 'team=a', 'tier=dev'],
      0,
      { verdict: 'trusted', rule: { name: 'team' }, uncertain: [] },
    ],
    [
      'quay.io/team/x',
      ['-n', 'shop', '--no-namespace-labels'],
      1,
      { verdict: 'unconfigured', uncertain: [], others: [{ why: expect.stringContaining('applies to namespaces with team=a') }] },
    ],
  ] as const)('%s %j', async (image, more, expectedCode, expected) => {
    const { exitCode, json } = await explainJson(image, ...more);
    expect(json).toMatchObject(expected);
    expect(exitCode).toBe(expectedCode);
  });
});

describe('explain for people', () => {
  test('shows how the name is parsed, the deciding rule and the others', async () => {
    const { out, err } = await explain('nginx');
    expect(err).toBe('');
    expect(out.replaceAll(`${folder}/`, '')).toBe(`image        nginx
parsed as    registry docker.io, default port 443, repository library/nginx, no tag, which means latest
             no registry, which means Docker Hub, docker.io, with library/ for official images
namespace    default (choose another with -n), labels unknown
verdict      trusted: allowed
decided by   rule "officials", rules.yaml:6:31: trusts docker.io/library
             over "hub", which has no path (less specific than 1 segment)
pull secret  none
push secret  none
settings     mode enforce, unconfigured deny, inject all
message      "nginx" is trusted (rule "officials", rules.yaml:6:31).

other matching rules, most specific first:
  rule "hub", rules.yaml:5:25: denies docker.io
    has no path (less specific than 1 segment)
`);
  });

  test.each([
    ['index.docker.io/nginx', [], /index\.docker\.io is another name for Docker Hub, docker\.io, with library\/ for official images/],
    ['docker.io/nginx', [], /Docker Hub official images are in library\//],
    ['Reg.Example.com:5000/x', [], /registry reg\.example\.com, port 5000.*\n +hosts are not case-sensitive/],
    [`reg.example.com:5000/x:1@sha256:${'a'.repeat(64)}`, [], /digest sha256:a+ \(runtimes ignore the tag 1\)/],
    ['bitnami/redis', ['-n', 'lab'], /verdict +untrusted: allowed with a warning, because mode is warn/],
    ['old.example.com/x', ['--date', '2027-03-31'], /verdict +unconfigured: allowed by an exemption/],
    ['reg.example.com:5000/x', ['-n', 'off', '--push'], /push secret +p \(not injected: inject is off\)\npull secret +a, b/],
    [
      'quay.io/team/x',
      [],
      /uncertain +.*rules\.yaml:7:26 selects namespaces by label.* --namespace-label key=value or --no-namespace-labels\.\n/,
    ],
    ['quay.io/team/x', ['--namespace-label', 'team=b'], /labels team=b\n.*none of which apply:\n[^\n]*"team"/s],
    ['registry.svc:5000/a', [], /internal registries are always trusted/],
  ])('%s %j', async (image, more, expected) => {
    expect((await explain(image, ...more)).out).toMatch(expected);
  });
});

describe('several images', () => {
  const start = (input: string, ...argv: readonly string[]) => {
    const child = spawn(process.execPath, ['src/main.ts', 'explain', '--rules', join(folder, 'rules.yaml'), ...argv], {
      env: { PATH: process.env.PATH },
    });
    child.stdin.end(input);
    return Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'exit')]).then(([out, err, [exitCode]]) => ({
      out,
      err,
      exitCode,
    }));
  };

  test('are explained in their order, with the highest exit code', async () => {
    const both = await explain('nginx', '-o', 'table');
    const { out, exitCode } = await explain('nginx', 'bitnami/redis');
    expect(exitCode).toBe(1);
    expect(out).toBe(`${both.out}\n${(await explain('bitnami/redis')).out}`);
  });

  test('are a list in JSON and YAML, and a single image is an object', async () => {
    const { json } = await explainJson('nginx', 'bitnami/redis');
    expect(json).toEqual([(await explainJson('nginx')).json, (await explainJson('bitnami/redis')).json]);
    expect(parse((await explain('nginx', 'bitnami/redis', '-o', 'yaml')).out)).toEqual(json);
  });

  test('are read from standard input, without blank lines and comments', async () => {
    const { out, err, exitCode } = await start('# ours\nnginx\n\n  registry.svc:5000/a \r\n', '-', '-o', 'json');
    expect({ err, exitCode }).toEqual({ err: '', exitCode: 0 });
    expect(JSON.parse(out).map(({ image }: { image: string }) => image)).toEqual(['nginx', 'registry.svc:5000/a']);
  });

  test('from standard input are a list, even if there is only one', async () => {
    expect(JSON.parse((await start('nginx\n', '-o', 'json', '-')).out)).toHaveLength(1);
  });

  test('from standard input are inserted at the position of -', async () => {
    const { out } = await start('b.io/b\n', 'a.io/a', '-', 'c.io/c', '-o', 'json');
    expect(JSON.parse(out).map(({ image }: { image: string }) => image)).toEqual(['a.io/a', 'b.io/b', 'c.io/c']);
  });

  test('none at all is exit code 2', async () => {
    expect(await start('\n# none\n', '-')).toEqual({ out: '', err: 'regkeeper: standard input contains no images\n', exitCode: 2 });
  });

  test('--quiet omits those that are allowed', async () => {
    const { out, exitCode } = await explain('nginx', 'bitnami/redis', '--quiet');
    expect(exitCode).toBe(1);
    expect(out).toBe((await explain('bitnami/redis')).out);
    expect((await explain('nginx', '-q')).out).toBe('');
  });

  test('may follow --rules, as new users type it', async () => {
    const file = join(folder, 'rules.yaml');
    expect(await runCommand('explain', '--rules', file, 'nginx')).toEqual(await explain('nginx'));
    expect(await runCommand('explain', '--rules', file, '-n', 'shop', '--namespace-label', 'team=a,tier=dev', 'quay.io/team/x')).toEqual(
      await explain('quay.io/team/x', '-n', 'shop', '--namespace-label', 'team=a', 'tier=dev'),
    );
  });

  test('are not the files that a shell adds to --rules', async () => {
    const files = ['deploy/examples/rules/registries.yaml', 'deploy/starter-rules/rules.yaml'];
    await expect(runCommand('explain', '--rules', ...files, 'nginx')).rejects.toThrow(
      `${files[1]} is a file, not an image. Repeat --rules: --rules ${files[0]} --rules ${files[1]}`,
    );
  });

  test('after a path of --rules are treated as paths, and the error explains this', async () => {
    await expect(runCommand('explain', 'nginx', '--rules', 'deploy/examples/rules', 'redis')).rejects.toThrow(
      'rules redis: no such file or directory. If "redis" is an image, put it before --rules',
    );
  });

  test('and rules cannot both be read from standard input', async () => {
    await expect(runCommand('explain', '--rules', '-', '-')).rejects.toThrow('standard input (-) can be used only once');
  });
});

describe('a registry host without a repository', () => {
  const file = () => join(folder, 'hosts.yaml');
  const explainHosts = async (rules: string, ...words: readonly string[]) => {
    await writeFile(file(), rules);
    return runCommand('explain', ...words, '--rules', file());
  };
  const officials = 'contact: the platform team\nrules: [{registry: docker.io/library}]';

  test('gets the same warning as from check', async () => {
    const { exitCode, out } = await explainHosts(officials, 'reg.example.com:5000');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^verdict +trusted: allowed with a warning$/m);
    const message =
      'looks like a registry host without a repository, but is parsed as a Docker Hub image. Use reg.example.com:5000/REPOSITORY.';
    expect(out).toContain(`message      "reg.example.com:5000" ${message}\n             Contact: the platform team.\n`);

    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web' },
      spec: { containers: [{ name: 'app', image: 'reg.example.com:5000' }] },
    };
    await writeFile(join(folder, 'pod.json'), JSON.stringify(pod));
    const checked = await runCommand('check', '-f', join(folder, 'pod.json'), '--rules', file());
    expect(checked.out).toContain(message);
  });

  test.each([
    ['reg.example.com:5000', '', { verdict: 'trusted', reason: 'registry-host', outcome: 'warned' }],
    ['quay.io', '', { reason: 'registry-host', outcome: 'warned' }],
    ['quay.io', '--push', { reason: 'registry-host', outcome: 'warned' }],
    ['nginx:5000', '', { reason: 'trusted', outcome: 'allowed' }],
    ['docker.io/library/quay.io', '', { reason: 'trusted', outcome: 'allowed' }],
  ])('%s %s has the reason and outcome of check', async (image, option, expected) => {
    const { out } = await explainHosts(officials, image, ...(option ? [option] : []), '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({ ...expected, rule: { name: 'docker.io/library' } });
  });

  test.each([
    ['mode: audit\nrules: [{registry: docker.io/library}]', { reason: 'registry-host', outcome: 'allowed' }],
    ['rules: [{registry: docker.io/library, trust: false}]', { reason: 'untrusted', outcome: 'denied' }],
    ['rules: [{registry: docker.io/library}]\nshortNames: reject', { reason: 'short-name', outcome: 'denied' }],
    ['unconfigured: warn\nrules: []', { reason: 'unconfigured', outcome: 'warned' }],
  ])('with %j is evaluated by the rules first', async (rules, expected) => {
    const { out } = await explainHosts(rules, 'quay.io', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject(expected);
  });
});

test('short names that may match several registries are all reported', async () => {
  const file = join(folder, 'short.yaml');
  await writeFile(file, 'shortNames: [a.io, b.io]\nrules: [{registry: a.io, pullSecret: a}, {registry: b.io, pullSecret: b}]');
  const { exitCode, out } = await runCommand('explain', 'web', '--rules', file);
  expect(exitCode).toBe(0);
  expect(out).toMatch(/no registry, and shortNames is a\.io, b\.io\n +a node may resolve it to a\.io\/web or b\.io\/web/);
  expect(out).toMatch(/pull secret +a, b/);
});

describe('usage errors and unusable input are exit code 2', () => {
  test.each([
    ['a cluster and rules', ['--rules', 'deploy/examples', '--cluster'], /'--cluster' cannot be used with option '--rules/],
    ['a label without a value', ['--rules', 'deploy/examples', '--namespace-label', 'team'], /Use key=value/],
    [
      'both --namespace-label and --no-namespace-labels',
      ['--rules', 'deploy/examples', '--namespace-label', 'team=a', '--no-namespace-labels'],
      /'--no-namespace-labels' cannot be used with option '--namespace-label /,
    ],
    ['an invalid namespace', ['--rules', 'deploy/examples', '-n', 'Shop'], /Use at most 63 lower-case letters, digits and hyphens/],
    ['an invalid date', ['--rules', 'deploy/examples', '--date', '2027-02-30'], /Use YYYY-MM-DD/],
    ['missing rules', ['--rules', 'nowhere'], /nowhere: no such file/],
  ])('%s', async (_name, more, message) => {
    const result = runCommand('explain', 'nginx', ...more).catch((error: Error) => ({ exitCode: 2, out: '', err: error.message }));
    expect(await result).toEqual({ exitCode: 2, out: '', err: expect.stringMatching(message) });
  });

  test('rules with problems, which are reported', async () => {
    const file = join(folder, 'bad.yaml');
    await writeFile(file, 'rulez: []');
    expect(await runCommand('explain', 'nginx', '--rules', file)).toEqual({
      exitCode: 2,
      out: '',
      err: expect.stringMatching(/bad\.yaml:1:1 unknown-field /),
    });
  });
});

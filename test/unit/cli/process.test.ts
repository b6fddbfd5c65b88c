/** Tests the program as a process: exit codes, output streams, and a shutdown that loses nothing. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Agent, buildConnector, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { buildImageFiles } from '../../cluster/program.ts';
import { pod, reviewOf } from '../server/reviews.ts';

const root = resolve(import.meta.dirname, '../../..');
const example = join(root, 'deploy/examples');
// A process needs a second of CPU time to start, which may be 20 s if ten others start at the same time.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
let program: string;
const children: ChildProcessWithoutNullStreams[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-process-'));
  // The sources need twice the time to start.
  program = await buildImageFiles(join(folder, 'program'));
}, 120_000);
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

function start(...args: readonly string[]) {
  return startIn({}, ...args);
}

function startIn(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, env: { PATH: process.env.PATH, ...env } });
  children.push(child);
  return child;
}

async function run(...args: readonly string[]) {
  return await outcomeOf(start(...args));
}

async function outcomeOf(child: ChildProcessWithoutNullStreams) {
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr as Readable), once(child, 'exit')]);
  return { out, err, code };
}

/** Starts a server without a cluster. It creates its certificates in the test's folder. */
async function serve(...args: readonly string[]) {
  const child = start('serve', '--rules', join(example, 'rules'), '--host', '127.0.0.1', '--port', '0', '--health-port', '0', ...args);
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  const audit: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => audit.push(chunk));
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const line = () => err.split('\n').find((each) => each.includes('"serving"'));
  await expect.poll(line).toBeDefined();
  const { url, healthUrl } = JSON.parse(line() ?? '') as { url: string; healthUrl: string };
  return {
    child,
    url,
    healthUrl,
    exited,
    log: () => err,
    audit: () => audit.join(''),
    ca: await readFile(join(folder, 'certs/dev/ca.crt'), 'utf8').catch(() => ''),
  };
}

describe('a startup error is one line with the position and the fix, and exit code 2', () => {
  const freePorts = ['--port', '0', '--health-port', '0'];
  const rules = ['--rules', join(example, 'rules'), ...freePorts];

  test('rules with a typo: file, line and column', async () => {
    const file = join(folder, 'typo.yaml');
    await writeFile(file, 'rules:\n- registry: reg.example.com\n  pullsecret: corp\n');
    const { code, out, err } = await run('serve', '--rules', file, ...freePorts);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/^regkeeper: .*typo\.yaml:3:3: .*Did you mean "pullSecret"\?\n$/),
    });
    expect(out).toBe('');
  });

  test('--dev without the example rules', async () => {
    const { err, code } = await run('serve', '--dev');
    expect(code).toBe(2);
    expect(err).toBe(
      'regkeeper: --dev uses the example rules in deploy/examples/rules, which do not exist in this directory. Run it in the root of the repository, or set --rules\n',
    );
  });

  test('no cluster: the message shows what to do without one', async () => {
    const { err, code } = await run('serve');
    expect(code).toBe(2);
    expect(err).toMatch(
      /^regkeeper: no cluster is configured: .* Set --kubeconfig FILE or KUBECONFIG, or use --dev or --rules to run without a cluster\n$/,
    );
  });

  test('a file that is not a certificate', async () => {
    await writeFile(join(folder, 'not.crt'), 'hello');
    await writeFile(join(folder, 'not.key'), 'hello');
    const { code, err } = await run('serve', ...rules, '--tls-cert', join(folder, 'not.crt'), '--tls-key', join(folder, 'not.key'));
    expect({ code, err: err.split('\n').at(-2) }).toEqual({
      code: 2,
      err: expect.stringMatching(/^regkeeper: certificate file .*not\.crt .*PEM/),
    });
    expect(err).not.toMatch(/\n\s+at /);
  });

  test('a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, err } = await run('serve', ...rules, '--host', '127.0.0.1', '--port', String(port));
    other.close();
    expect({ code, err: err.split('\n').at(-2) }).toEqual({
      code: 2,
      err: `regkeeper: port ${port} on 127.0.0.1 is already in use. Stop the other program, or choose another port with --port`,
    });
  });

  test.each([
    [
      'missing rules',
      ['serve', '--rules', 'nowhere', 'never', ...freePorts],
      /^regkeeper: --rules: rules nowhere: no such file or directory\n--rules: rules never: no such file or directory\n$/,
    ],
    ['missing custom kinds', ['serve', ...rules, '--custom-kinds', '/nope'], /^regkeeper: --custom-kinds: \/nope: no such file\n$/],
    ['a missing kubeconfig', ['serve', '--kubeconfig', 'nowhere', ...freePorts], /^regkeeper: .*nowhere.*\n$/],
    [
      'an audit log that cannot be written',
      ['serve', ...rules, '--audit-log', '/nowhere/audit.log'],
      /^regkeeper: --audit-log \/nowhere\/audit\.log: the directory \/nowhere does not exist\. Create it\n$/,
    ],
    [
      'a CA file that does not exist',
      ['review', '--ca', 'nowhere.crt', join(example, 'objects/pod.yaml')],
      /^regkeeper: --ca nowhere\.crt: no such file\. "npm start" creates .*\n$/,
    ],
  ])('%s', async (_name, args, message) => {
    const { code, err } = await run(...args);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(message) });
  });
});

test('settings from variables only: the log lists them, and warns about one that a flag overrides', async () => {
  const env = {
    REGKEEPER_RULES: join(example, 'rules'),
    REGKEEPER_HOST: '127.0.0.1',
    REGKEEPER_PORT: '0',
    REGKEEPER_HEALTH_PORT: 'tcp://10.0.0.1:8080',
    REGKEEPER_SHUTDOWN_DELAY_SECONDS: '0',
    REGKEEPER_LOG_LEVEL: 'error',
  };
  const child = startIn(env, 'serve', '--health-port', '0', '--log-level', 'info');
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  await expect.poll(() => err).toContain('"serving"');
  child.kill('SIGTERM');
  const lines = err
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { level: string; msg: string; settings?: string[] }]));
  expect(lines.find(({ settings }) => settings)?.settings).toEqual([
    `REGKEEPER_RULES=${env.REGKEEPER_RULES}`,
    'REGKEEPER_HOST=127.0.0.1',
    'REGKEEPER_PORT=0',
    '--health-port 0',
    'REGKEEPER_SHUTDOWN_DELAY_SECONDS=0',
  ]);
  const warnings = lines.filter(({ level, msg }) => level === 'warn' && msg.startsWith('ignoring REGKEEPER_'));
  expect(warnings.map(({ msg }) => msg)).toEqual([
    'ignoring REGKEEPER_LOG_LEVEL: --log-level info is set, and flags take precedence over variables',
  ]);
});

test('files from variables are reported with their variables', async () => {
  const env = { REGKEEPER_PORT: '0', REGKEEPER_HEALTH_PORT: '0' };
  expect(await outcomeOf(startIn({ ...env, REGKEEPER_RULES: '/nope,/none' }, 'serve'))).toMatchObject({
    code: 2,
    err: 'regkeeper: REGKEEPER_RULES: rules /nope: no such file or directory\nREGKEEPER_RULES: rules /none: no such file or directory\n',
  });
  expect(await outcomeOf(startIn({ ...env, REGKEEPER_CUSTOM_KINDS: '/nope' }, 'serve'))).toMatchObject({
    code: 2,
    err: 'regkeeper: REGKEEPER_CUSTOM_KINDS: /nope: no such file\n',
  });
});

test('all mistakes in settings are reported together, with exit code 2', async () => {
  const env = { REGKEEPER_LOGLEVEL: 'debug', REGKEEPER_PORT: 'x' };
  expect(await outcomeOf(startIn(env, 'serve', '--tls', 'magic'))).toEqual({
    code: 2,
    out: '',
    err: [
      'regkeeper: REGKEEPER_LOGLEVEL is not a setting. Did you mean REGKEEPER_LOG_LEVEL?',
      '--tls magic: must be `self`, `files` or `dev`',
      'REGKEEPER_PORT=x: must be a port number from 0 to 65535. With 0 the system chooses a free port',
      '',
    ].join('\n'),
  });
});

test('a reader may stop early: no stack trace, and the exit code for what was found', async () => {
  const pods = Array.from({ length: 2000 }, (_, each) => pod(`unknown.example.com/app:${each}`));
  const file = join(folder, 'many.json');
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: pods }));
  const child = start('check', '-f', file, '--rules', join(example, 'rules'), '-o', 'json');
  child.stdout.once('data', () => child.stdout.destroy());
  const [err, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'exit')]);
  expect({ code, err }).toEqual({ code: 1, err: '' });
});

test.runIf(process.platform !== 'win32')(
  'npm start begins with the welcome text. The log and a line for each decision follow it',
  async () => {
    const args = ['serve', '--dev', '--rules', join(example, 'rules'), '--port', '0', '--health-port', '0', '--log-format', 'text'];
    // Both streams in one pipe, as in a terminal.
    const child = spawn('sh', ['-c', 'exec "$0" "$@" 2>&1', process.execPath, program, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    });
    children.push(child);
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    await expect.poll(() => out).toMatch(/ INFO {2}rules are in effect .*\n/);
    expect(out).toMatch(/^\nregkeeper is running: https:\/\/localhost:\d+\/mutate and /);
    expect(out.slice(0, out.indexOf('Press Ctrl-C to stop.'))).not.toContain('INFO');
    const server = /(https:\/\/localhost:\d+)\/mutate/.exec(out)?.[1] ?? '';
    expect((await run('review', '--server', server, join(example, 'objects/deployment-denied.yaml'))).code).toBe(1);
    await expect
      .poll(() => out)
      .toMatch(/^\S+Z allowed mutate CREATE Deployment demo\/web .*\n\S+Z denied {2}validate CREATE Deployment demo\/web \(dry run\): /m);
    expect(out).not.toContain('{"');
    child.kill('SIGTERM');
  },
);

test('a mistake in the rules at the start of --dev is reported, without the welcome text', async () => {
  const file = join(folder, 'dev-typo.yaml');
  await writeFile(file, 'rulez: []\n');
  const { code, out, err } = await run('serve', '--dev', '--rules', file, '--port', '0', '--health-port', '0');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^regkeeper: .*dev-typo\.yaml:1:1:? .*unknown field "rulez"/);
});

test('the three objects in the quick start: one gets a secret, one is denied, one gets a pull and a push secret', async () => {
  const { url, exited, child, audit } = await serve('--shutdown-delay-seconds', '0');
  const ask = (file: string) => run('review', '--server', url, join(example, 'objects', file));
  expect(await ask('pod.yaml')).toMatchObject({
    code: 0,
    out: expect.stringContaining('+ /spec/imagePullSecrets [{"name":"external-registry"}]'),
  });
  const denied = await ask('deployment-denied.yaml');
  expect(denied.code).toBe(1);
  expect(denied.out).toContain('Deployment web: denied');
  expect(denied.out).toContain('Contact: the platform team');
  const build = await ask('buildconfig.yaml');
  expect(build.code).toBe(0);
  expect(build.out).toContain('pullSecret {"name":"external-registry"}');
  expect(build.out).toContain('pushSecret {"name":"external-registry"}');
  child.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
  // One record per line: the rules at the start, then mutate and validate for each of three objects.
  const records = audit()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { log: string; event: string });
  expect(records.map(({ event }) => event)).toEqual(['rules', ...Array(6).fill('decision')]);
  expect(records.every(({ log }) => log === 'audit')).toBe(true);
});

test('when a problem with the rules is solved, the last log line shows that they are in effect again', async () => {
  const file = join(folder, 'edited.yaml');
  const good = 'rules: [{registry: edited.example.com}]\n';
  await writeFile(file, good);
  const { child, log } = await serve('--rules', file);
  const lines = () => log().trim().split('\n');
  // Replaced atomically, as editors do. Otherwise a half-written file could be read, which is another change.
  const edit = async (text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  await edit('rulez: []\n');
  await expect.poll(() => lines().at(-1)).toContain('rules rejected');
  await edit(good);
  await expect.poll(() => lines().at(-1)).toMatch(/"rulesRevision":"[0-9a-f]{12}","msg":"the rules of the cluster are valid/);
  await rm(file);
  await expect.poll(() => lines().at(-1)).toContain('. The previous rules remain in effect');
  await edit(good);
  await expect.poll(() => lines().at(-1)).toContain('the rule files are readable again');
  child.kill('SIGKILL');
});

// Exit code 1 would mean a finding.
test.runIf(process.platform === 'linux').each([
  ['check', '-f', join(example, 'objects/pod.yaml')],
  ['explain', 'docker.io/library/nginx'],
])('if the disk is full, %s exits with 2 and reports it', async (...words) => {
  const full = openSync('/dev/full', 'w');
  const args = [program, ...words, '--rules', join(example, 'rules')];
  const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: process.env.PATH }, stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  const [err, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'exit')]);
  expect(err.trimEnd().split('\n').at(-1)).toBe('regkeeper: cannot write the output: ENOSPC: no space left on device, write');
  expect(code).toBe(2);
});

test.runIf(process.platform === 'linux').each([
  { trouble: 'a full disk', flags: ['--audit-log', '/dev/full'], expected: '/dev/full: ENOSPC: no space left on device, write' },
  { trouble: 'a closed standard output', flags: [], expected: 'standard output: EPIPE: broken pipe, write' },
])(
  'if audit records meet $trouble, requests are served, the problem is logged, and SIGTERM stops the server',
  async ({ flags, expected }) => {
    const { url, healthUrl, exited, child, log } = await serve('--shutdown-delay-seconds', '0', ...flags);
    child.stdout.destroy();
    for (const _time of [1, 2]) expect(await run('review', '--server', url, join(example, 'objects/pod.yaml'))).toMatchObject({ code: 0 });
    const metrics = await (await request(`${healthUrl}/metrics`)).body.text();
    expect(metrics).toMatch(/^regkeeper_audit_log_failing 1$/m);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    // The last output may arrive after the process has exited.
    await expect.poll(log).toMatch(/the last \d audit records could not be written/);
    expect(log().match(/cannot write audit records to .*\. Requests/g)).toEqual([`cannot write audit records to ${expected}. Requests`]);
    expect(log()).not.toContain('a bug');
  },
);

test.each([
  { minutes: -1, line: /^\[-\] certificate: it expired at 20.*Z$/m, status: 503 },
  { minutes: 3, line: /^\[-\] certificate: it expires at 20.*Z and has not been renewed$/m, status: 503 },
  { minutes: 60, line: /^\[\+\] certificate ok$/m, status: 200 },
])('a certificate with $minutes minutes to live: readiness $status', async ({ minutes, line, status }) => {
  const life = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + minutes * 60_000) };
  const ca = issueCa({ commonName: 'test', ...life });
  const pair = issueServerCertificate({ ca, commonName: 'test', dnsNames: ['localhost'], ipAddresses: [], ...life });
  const [certificate, key] = [join(folder, `${minutes}.crt`), join(folder, `${minutes}.key`)];
  await writeFile(certificate, pair.certificate);
  await writeFile(key, pair.key);
  const { healthUrl, log, child } = await serve('--tls-cert', certificate, '--tls-key', key);
  const response = await request(`${healthUrl}/readyz`);
  expect(await response.body.text()).toMatch(line);
  expect(response.statusCode).toBe(status);
  expect(log().includes('clients will reject the certificate: it expire')).toBe(status === 503);
  child.kill('SIGKILL');
});

test('SIGTERM while the start still waits for the cluster stops it immediately, and this is logged', async () => {
  const kubeconfig = join(folder, 'unreachable.yaml');
  const clusters = [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }];
  const contexts = [{ name: 'here', context: { cluster: 'none', user: 'somebody' } }];
  const users = [{ name: 'somebody', user: { token: 'x' } }];
  await writeFile(kubeconfig, JSON.stringify({ kind: 'Config', 'current-context': 'here', clusters, contexts, users }));
  const child = start('serve', '--kubeconfig', kubeconfig, '--host', '127.0.0.1', '--port', '0', '--health-port', '0');
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  await expect.poll(() => err).toContain('Waiting for the API server');
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  expect(err).toContain('shutting down before startup completed');
  expect(err).not.toMatch(/regkeeper: |failed to stop|\n\s+at /);
});

test('a repeated signal, as with Ctrl-C under npm, does not cut the drain short', async () => {
  const { child, url, exited, ca, audit } = await serve('--shutdown-delay-seconds', '2');
  const dispatcher = new Agent({ connect: { ca } });
  const body = JSON.stringify(reviewOf(pod('external-registry.example.com:5000/app:1')));
  const headers = { 'content-type': 'application/json' };
  child.kill('SIGINT');
  child.kill('SIGTERM');
  await expect.poll(() => child.exitCode ?? 'running').toBe('running');
  child.kill('SIGINT');
  // Sent from this process: to start another one may take longer than the drain on a busy machine.
  for (const path of ['/mutate', '/validate']) {
    const response = await request(`${url}${path}`, { method: 'POST', headers, body, dispatcher });
    expect(await response.body.json()).toMatchObject({ response: { allowed: true } });
  }
  expect(await exited).toEqual([0, null]);
  expect(audit().trim().split('\n')).toHaveLength(3);
  await dispatcher.destroy();
});

test('SIGTERM under load loses no request: all are served until the socket closes', async () => {
  const { child, url, healthUrl, exited, ca, log } = await serve('--shutdown-delay-seconds', '3');
  const body = JSON.stringify(reviewOf(pod('external-registry.example.com:5000/app:1')));
  // New connections may fail after the listener has closed. Requests on an existing connection must not.
  const unconnected = new Set<unknown>();
  const connector = buildConnector({ ca });
  const dispatcher = new Agent({
    connections: 8,
    connect: (options, done) =>
      connector(options, (...result) => {
        if (result[0]) unconnected.add(result[0]);
        done(...result);
      }),
  });
  let answered = 0;
  let afterSignal = 0;
  let signalled = false;
  const lost: unknown[] = [];

  async function load(): Promise<void> {
    for (;;) {
      try {
        const response = await request(`${url}/validate`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          dispatcher,
        });
        const answer = (await response.body.json()) as { response: { allowed: boolean } };
        if (response.statusCode !== 200 || !answer.response.allowed) lost.push(answer);
        answered += 1;
        if (signalled) afterSignal += 1;
      } catch (error) {
        if (!unconnected.has(error)) lost.push(error);
        return;
      }
    }
  }
  const workers = Array.from({ length: 8 }, load);
  await expect.poll(() => answered).toBeGreaterThan(200);
  const unready = (async () => {
    while ((await request(`${healthUrl}/readyz`)).statusCode !== 503);
  })();
  child.kill('SIGTERM');
  signalled = true;
  // Polled from before the signal, because the health port closes after the drain time.
  await unready;
  await Promise.all(workers);
  expect(lost).toEqual([]);
  expect(afterSignal).toBeGreaterThan(0);
  expect(await exited).toEqual([0, null]);
  expect(log()).toContain('All requests have been served');
  await dispatcher.destroy();
});

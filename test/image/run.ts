/**
 * `npm run test:image`: builds the image from the Dockerfile, checks its contents, and runs it. As on OpenShift, it runs with an arbitrary user
 * id, no capabilities and a read-only root. `--local-bases` first builds replacements for the base images. Arguments after `--` go to `build`.
 */

import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureDevelopmentCertificates } from '../../src/certificates/sources/development.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { type Engine, findEngine, output } from './engine.ts';
import { type Bases, makeLocalBases } from './local-bases.ts';

const root = resolve(import.meta.dirname, '../..');
const image = 'localhost/regkeeper-test:image';
// OpenShift assigns a user id from the namespace's range, and the root group.
const anyUser = '1000660000:0';

process.exitCode = await main(process.argv.slice(2)).then(
  () => 0,
  (error: unknown) => {
    log(error instanceof Error ? error.message : String(error));
    return 1;
  },
);

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: { 'local-bases': { type: 'boolean' } }, allowPositionals: true });
  const engine = await findEngine();
  if (values['local-bases']) await makeLocalBases(engine, root, await basesOfDockerfile());
  await engine.run(['build', ...positionals, '-t', image, root]);
  try {
    await checkConfiguration(engine);
    await checkFiles(engine);
    await checkServer(engine);
  } finally {
    await engine.read(['rmi', '-f', image]);
  }
}

async function basesOfDockerfile(): Promise<Bases> {
  const text = await readFile(join(root, 'Dockerfile'), 'utf8');
  const argument = (name: string) => new RegExp(`^ARG ${name}=(\\S+)$`, 'm').exec(text)?.[1] ?? '';
  return { build: argument('BUILD_IMAGE'), runtime: argument('RUNTIME_IMAGE') };
}

type Configuration = {
  readonly User: string;
  readonly WorkingDir: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck?: object;
};

async function checkConfiguration(engine: Engine): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const found = JSON.parse(await engine.read(['image', 'inspect', '--format', '{{json .Config}}', image])) as Configuration;
  const label = (name: string) => found.Labels[`org.opencontainers.image.${name}`];
  same('user', found.User, '65532:65532');
  same('folder', found.WorkingDir, '/app');
  same('entrypoint', found.Entrypoint, ['/nodejs/bin/node', '/app/regkeeper.mjs']);
  same('command', found.Cmd, ['serve']);
  same('ports', Object.keys(found.ExposedPorts).sort(), ['8080/tcp', '8443/tcp']);
  same('health check', found.Healthcheck, undefined);
  same('labels', [label('title'), label('version'), label('base.name')], ['regkeeper', version, (await basesOfDockerfile()).runtime]);
}

/** Checks which files the image adds to the runtime image. */
async function checkFiles(engine: Engine): Promise<void> {
  const before = new Set(await filesOf(engine, (await basesOfDockerfile()).runtime));
  const added = (await filesOf(engine, image)).filter((file) => !before.has(file));
  same('files', added, ['app/', 'app/program.cache', 'app/program.cjs', 'app/regkeeper.mjs']);
  const size = await engine.read(['image', 'inspect', '--format', '{{.Size}}', image]);
  log(`size: ${(Number(size) / 1e6).toFixed(0)} MB`);
}

async function filesOf(engine: Engine, name: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-image-'));
  const container = (await engine.read(['create', name])).trim();
  try {
    const archive = join(folder, 'files.tar');
    await engine.read(['export', '-o', archive, container]);
    return (await output('tar', ['-tf', archive], 'pipe')).trimEnd().split('\n').sort();
  } finally {
    await engine.read(['rm', '-f', container]);
    await rm(folder, { recursive: true, force: true });
  }
}

async function checkServer(engine: Engine): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-image-'));
  let container: string | undefined;
  try {
    await writeFiles(folder);
    container = (
      await engine.read(
        ['run', '--detach', '--user', anyUser, '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
          // By default podman mounts writable /tmp, /run and /var/tmp, so a server that writes there would not be noticed.
          .concat((await engine.read(['--version'])).startsWith('podman') ? ['--read-only-tmpfs=false'] : [])
          .concat(['--network', 'host', '--volume', `${folder}:/given:ro`, image, 'serve', '--rules', '/given/rules'])
          .concat(['--tls', 'files', '--tls-cert', '/given/tls/tls.crt', '--tls-key', '/given/tls/tls.key', '--host', '127.0.0.1'])
          .concat(['--port', '0', '--health-port', '0', '--shutdown-delay-seconds', '0']),
      )
    ).trim();
    const { url, healthUrl } = await addresses(engine, container);
    const health = async (path: string) => (await fetch(new URL(path, healthUrl))).ok;
    await waitFor(() => health('/healthz'), { deadlineSeconds: 60, what: '/healthz' });
    await waitFor(() => health('/readyz'), { deadlineSeconds: 60, what: '/readyz' });
    log('ok  /healthz and /readyz answer');
    same('answer', (await reviewObject(url, folder)).split('\n').slice(0, 2), [
      'Pod p: allowed',
      '  + /spec/imagePullSecrets [{"name":"secret-999"}]',
    ]);
    await engine.read(['stop', '--time', '20', container]);
    same('exit code', (await engine.read(['inspect', '--format', '{{.State.ExitCode}}', container])).trim(), '0');
  } catch (error) {
    if (container !== undefined) log(await engine.log(container));
    throw error;
  } finally {
    if (container !== undefined) await engine.read(['rm', '-f', container]);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Reads the URLs from the log line "serving". */
async function addresses(engine: Engine, container: string): Promise<{ url: string; healthUrl: string }> {
  return await waitFor(
    async () => {
      if ((await engine.read(['inspect', '--format', '{{.State.Running}}', container])).trim() !== 'true') return undefined;
      const lines = (await engine.log(container)).split('\n').filter((line) => line.startsWith('{'));
      return lines.map((line) => JSON.parse(line)).find((line) => line.msg === 'serving');
    },
    { deadlineSeconds: 60, what: 'the server to log where it listens' },
  );
}

/** Makes all files world-readable, like those a kubelet mounts, because the container's user does not own them. */
async function writeFiles(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  await mkdir(join(folder, 'rules'));
  // Too long to be parsed synchronously, so the bundle has to start its worker thread.
  const rules = Array.from({ length: 2000 }, (_, at) => `- {registry: "r${at}.example.com", pullSecret: "secret-${at}"}\n`);
  await writeFile(join(folder, 'rules/rules.yaml'), `mode: enforce\nunconfigured: deny\nrules:\n${rules.join('')}`);
  await ensureDevelopmentCertificates({ directory: join(folder, 'tls'), hosts: [], now: new Date() });
  for (const file of await readdir(join(folder, 'tls'))) await chmod(join(folder, 'tls', file), 0o644);
  await chmod(join(folder, 'tls'), 0o755);
}

async function reviewObject(server: string, folder: string): Promise<string> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'r999.example.com/app' }] },
  };
  await writeFile(join(folder, 'pod.json'), JSON.stringify(pod));
  const program = join(root, 'bin/regkeeper.mjs');
  const options = ['--server', server, '--ca', join(folder, 'tls/ca.crt'), join(folder, 'pod.json')];
  return await output(process.execPath, [program, 'review', ...options], 'pipe');
}

function same(what: string, found: unknown, expected: unknown): void {
  const [actual, wanted] = [JSON.stringify(found), JSON.stringify(expected)];
  if (actual !== wanted) throw new Error(`${what}: ${actual}, and not ${wanted}`);
  log(`ok  ${what}: ${actual}`);
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

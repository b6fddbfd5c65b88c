/** Debian's buildah without a network: each image that it would pull is a line `Trying to pull NAME`. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from './generate.ts';

export type Buildah = {
  readonly version: string;
  /** Images that it tried to pull; undefined where the build can only end in an unknown instruction, so that nothing it pulls is used. */
  pulls(question: Case): readonly string[] | undefined;
  stop(): void;
};

/** Images that are in its storage, so that builds get beyond them. */
const stored = ['good.io/a', 'good.io/c:2', 'good.io/c'];

/** Throws where buildah is missing. */
export function startBuildah(): Buildah {
  const folder = mkdtempSync(join(tmpdir(), 'dockerfile-buildah-'));
  const registries = join(folder, 'registries.conf');
  writeFileSync(registries, 'unqualified-search-registries = ["docker.io"]\n');
  const context = join(folder, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'x'), 'x');
  const dockerfile = join(folder, 'Dockerfile');
  const storage = [
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
    '--storage-driver',
    'vfs',
    '--registries-conf',
    registries,
  ];
  const buildah = (args: readonly string[]) =>
    // A network namespace of its own has no network.
    spawnSync('unshare', ['-n', 'buildah', ...storage, ...args], { encoding: 'utf8', timeout: 60_000 });
  const build = (text: string, args: readonly string[]) => {
    writeFileSync(dockerfile, text);
    return buildah(['build', '--isolation', 'chroot', '--format', 'docker', ...args, '-f', dockerfile, context]);
  };

  const { error, status, stdout, stderr } = spawnSync('buildah', ['--version'], { encoding: 'utf8' });
  if (error || status !== 0)
    throw new Error(`buildah cannot be run (${error?.message ?? stderr}); Debian and Ubuntu have it as the package 'buildah'`);
  for (const image of stored) {
    const made = build('FROM scratch\nCOPY x /x\n', ['-t', image]);
    if (made.status !== 0) throw new Error(`buildah cannot build at all:\n${made.stderr}`);
  }
  return {
    version: stdout.trim(),
    pulls: ({ dockerfile: text, args }) => {
      const given = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
      const pulled: string[] = [];
      let output = '';
      // A pull fails and ends the build. With another image under that name the next try gets beyond it.
      while (pulled.length < 5) {
        const { stdout: said, stderr: complained } = build(text, given);
        output = `${said}\n${complained}`;
        const [, image] = /Trying to pull (\S+?)\.\.\.$/m.exec(output) ?? [];
        if (image === undefined) break;
        pulled.push(image);
        buildah(['tag', 'good.io/a', image]);
      }
      // Of an image with several names only the name goes.
      if (pulled.length > 0) buildah(['rmi', ...pulled]);
      return /Unknown instruction/.test(output) ? undefined : pulled;
    },
    stop: () => rmSync(folder, { recursive: true, force: true }),
  };
}

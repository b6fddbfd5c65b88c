/** Runs Debian's buildah without a network. It prints a line `Trying to pull NAME` for each image that it would pull. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from './generate.ts';

export type Buildah = {
  readonly version: string;
  /** Images that buildah tried to pull. Undefined where the build fails at an unknown instruction, so that no pulled image is used. */
  pulls(question: Case): readonly string[] | undefined;
  stop(): void;
};

/** Images that are put into buildah's storage, so that builds continue after them. */
const stored = ['good.io/a', 'good.io/c:2', 'good.io/c'];

/** @throws Error where buildah is missing or cannot build */
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
    // A new network namespace has no network.
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
      const buildArgs = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
      const pulled: string[] = [];
      let output = '';
      // The failed pull ends the build. Another image is tagged with that name, so that the next try continues after it.
      while (pulled.length < 5) {
        const { stdout: printed, stderr: errors } = build(text, buildArgs);
        output = `${printed}\n${errors}`;
        const [, image] = /Trying to pull (\S+?)\.\.\.$/m.exec(output) ?? [];
        if (image === undefined) break;
        pulled.push(image);
        buildah(['tag', 'good.io/a', image]);
      }
      // The image has other names, so this only removes the tags.
      if (pulled.length > 0) buildah(['rmi', ...pulled]);
      return /Unknown instruction/.test(output) ? undefined : pulled;
    },
    stop: () => rmSync(folder, { recursive: true, force: true }),
  };
}

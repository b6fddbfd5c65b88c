/**
 * Builds replacements for the two base images from Debian packages and npm's Node.js, for machines that cannot reach an image registry. They
 * have the names in the Dockerfile. The runtime image has what distroless documents, but not the same files.
 */

import { appendFile, chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, output } from './engine.ts';

export type Bases = { readonly build: string; readonly runtime: string };

// The packages that gcr.io/distroless/cc documents. distroless/nodejs adds the program in /nodejs.
const runtimePackages = ['base-files', 'netbase', 'tzdata', 'ca-certificates', 'libc6', 'libgcc-s1', 'libstdc++6'];
const debian = 'trixie';

/** Needs Debian or Ubuntu with mmdebstrap, and root. @throws Error where a program fails */
export async function makeLocalBases(engine: Engine, root: string, bases: Bases): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-bases-'));
  try {
    const node = join(root, 'node_modules/node/bin/node');
    await makeBuildBase(engine, join(folder, 'build'), node, bases.build);
    await makeRuntimeBase(engine, join(folder, 'runtime'), node, bases.runtime);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeBuildBase(engine: Engine, folder: string, node: string, name: string): Promise<void> {
  const npm = join(folder, 'files/usr/local/lib/node_modules/npm');
  const bin = join(folder, 'files/usr/local/bin');
  await mkdir(bin, { recursive: true });
  await mkdir(npm, { recursive: true });
  await copyFile(node, join(bin, 'node'));
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(bin, 'npm'));
  await output('npm', ['pack', '--silent', '--pack-destination', folder, 'npm@11'], 'inherit');
  await output('tar', ['-xzf', await only(folder, '.tgz'), '-C', npm, '--strip-components=1'], 'inherit');
  await output(
    'mmdebstrap',
    ['--quiet', '--variant=essential', '--include=ca-certificates,libstdc++6', debian, join(folder, 'debian.tar')],
    'inherit',
  );
  // A machine behind a TLS proxy trusts more CAs than Debian does.
  const extraCas = process.env.NODE_EXTRA_CA_CERTS;
  await writeFile(join(folder, 'authorities.crt'), extraCas === undefined ? '' : await readFile(extraCas));
  await writeFile(
    join(folder, 'Dockerfile'),
    `FROM scratch
ADD debian.tar /
COPY files /
COPY authorities.crt /etc/ssl/machine.crt
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/machine.crt
CMD ["node"]
`,
  );
  await engine.run(['build', '-t', name, folder]);
}

async function makeRuntimeBase(engine: Engine, folder: string, node: string, name: string): Promise<void> {
  const files = join(folder, 'files');
  await unpack(runtimePackages, join(folder, 'apt'), files);
  await mkdir(join(files, 'nodejs/bin'), { recursive: true });
  await copyFile(node, join(files, 'nodejs/bin/node'));
  await mkdir(join(files, 'etc/ssl/certs'), { recursive: true });
  const mozillaCas = join(files, 'usr/share/ca-certificates/mozilla');
  for (const file of await readdir(mozillaCas)) {
    await appendFile(join(files, 'etc/ssl/certs/ca-certificates.crt'), await readFile(join(mozillaCas, file)));
  }
  const users = [
    ['root', 0, '/root'],
    ['nobody', 65534, '/nonexistent'],
    ['nonroot', 65532, '/home/nonroot'],
  ] as const;
  await writeFile(
    join(files, 'etc/passwd'),
    users.map(([user, id, home]) => `${user}:x:${id}:${id}:${user}:${home}:/sbin/nologin\n`).join(''),
  );
  await writeFile(join(files, 'etc/group'), users.map(([user, id]) => `${user}:x:${id}:\n`).join(''));
  await mkdir(join(folder, 'home'));
  await chmod(join(folder, 'home'), 0o700);
  await writeFile(
    join(folder, 'Dockerfile'),
    `FROM scratch
COPY files /
COPY --chown=65532:65532 home /home/nonroot
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532
WORKDIR /home/nonroot
ENTRYPOINT ["/nodejs/bin/node"]
`,
  );
  await engine.run(['build', '-t', name, folder]);
}

/** Unpacks exactly these packages, without their dependencies. */
async function unpack(packages: readonly string[], apt: string, target: string): Promise<void> {
  for (const each of ['lists/partial', 'cache/archives/partial', 'debs']) await mkdir(join(apt, each), { recursive: true });
  await mkdir(target);
  await writeFile(
    join(apt, 'sources.list'),
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian ${debian} main\n`,
  );
  await writeFile(join(apt, 'status'), '');
  const settings = {
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': join(apt, 'cache'),
    // apt's own user may not write into our folder.
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await output('apt-get', [...options, 'update', '-qq'], 'inherit');
  await output(
    'sh',
    ['-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh', join(apt, 'debs'), ...options, 'download', '-qq', ...packages],
    'inherit',
  );
  for (const file of await readdir(join(apt, 'debs'))) await output('dpkg-deb', ['-x', join(apt, 'debs', file), target], 'inherit');
}

async function only(folder: string, ending: string): Promise<string> {
  const [file] = (await readdir(folder)).filter((name) => name.endsWith(ending));
  if (file === undefined) throw new Error(`no ${ending} in ${folder}`);
  return join(folder, file);
}

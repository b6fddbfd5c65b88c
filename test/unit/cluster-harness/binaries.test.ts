/** Where the test cluster finds its binaries. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBinaries, kubernetesVersion } from '../../cluster/binaries.ts';

const tools = ['kube-apiserver', 'kube-controller-manager', 'kubectl'] as const;

let folder: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'regkeeper-binaries-'));
  said = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('findBinaries', () => {
  test.each([
    {
      name: 'uses KUBEBUILDER_ASSETS for everything, although all other locations have it too',
      assets: ['etcd', ...tools],
      cache: [...tools],
      path: ['etcd', 'go', 'kubectl'],
      found: { etcd: 'assets', 'kube-apiserver': 'assets', 'kube-controller-manager': 'assets', kubectl: 'assets' },
    },
    {
      name: 'uses the cache for what envtest does not ship',
      assets: ['etcd', 'kube-apiserver', 'kubectl'],
      cache: [...tools],
      path: ['etcd', 'go'],
      found: { etcd: 'assets', 'kube-apiserver': 'assets', 'kube-controller-manager': 'cache', kubectl: 'assets' },
    },
    {
      name: 'prefers the cache to a build, and never uses a kubectl in PATH',
      cache: [...tools],
      path: ['etcd', 'go', 'kubectl'],
      found: { etcd: 'path', 'kube-apiserver': 'cache', 'kube-controller-manager': 'cache', kubectl: 'cache' },
    },
    {
      name: 'builds only what is missing into the cache',
      cache: ['kube-apiserver'],
      path: ['etcd', 'go'],
      found: { etcd: 'path', 'kube-apiserver': 'cache', 'kube-controller-manager': 'built', kubectl: 'built' },
    },
    {
      name: 'skips a file that is not executable',
      assets: ['etcd', 'kube-apiserver', 'kube-controller-manager'],
      unusableAssets: ['kubectl'],
      cache: ['kubectl'],
      path: [],
      found: { etcd: 'assets', 'kube-apiserver': 'assets', 'kube-controller-manager': 'assets', kubectl: 'cache' },
    },
  ])('$name', async ({ assets, unusableAssets = [], cache, path, found }) => {
    const env = environment({ assets, cache, path });
    for (const name of unusableAssets) writeFileSync(join(folder, 'assets', name), 'not executable', { mode: 0o644 });

    const { etcd, kubeApiserver, kubeControllerManager, kubectl } = await findBinaries({ env, say: (line) => said.push(line) });

    const origins = { etcd, 'kube-apiserver': kubeApiserver, 'kube-controller-manager': kubeControllerManager, kubectl };
    expect(Object.fromEntries(Object.entries(origins).map(([name, file]) => [name, readFileSync(file, 'utf8').trim()]))).toEqual(
      Object.fromEntries(Object.entries(found).map(([name, origin]) => [name, `#!/bin/sh\n# ${origin} ${name}`])),
    );
  });

  test('reports which executables come from another release', async () => {
    const env = environment({ assets: ['etcd', 'kube-apiserver', 'kubectl'], cache: [...tools], path: [] });
    await findBinaries({ env, say: (line) => said.push(line) });
    expect(said).toEqual([
      `kube-controller-manager is not in KUBEBUILDER_ASSETS (${env.KUBEBUILDER_ASSETS}): using ${kubernetesVersion()} instead`,
    ]);
  });

  test('announces every build with one line, and leaves nothing else in the cache', async () => {
    const env = environment({ cache: [], path: ['etcd', 'go'] });
    await findBinaries({ env, say: (line) => said.push(line) });
    expect(said.map((line) => line.split(' from source')[0])).toEqual(tools.map((tool) => `Building ${tool} ${kubernetesVersion()}`));
    expect(readdirSync(cacheFolder()).sort()).toEqual([...tools]);
  });

  test("reports the compiler's output, and leaves nothing in the cache, when a build fails", async () => {
    const env = environment({ cache: [], path: ['etcd'] });
    writeExecutable(
      join(folder, 'path', 'go'),
      '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho half > "$2"\necho "no space left" >&2\nexit 1',
    );
    await expect(findBinaries({ env, say: () => {} })).rejects.toThrow(/building kube-apiserver failed: .*go ended with 1\nno space left/s);
    expect(readdirSync(cacheFolder())).toEqual([]);
  });

  test('lists the searched locations and the fixes when an executable is not found', async () => {
    const env = environment({ cache: ['kube-apiserver'], path: ['etcd'] });
    await expect(findBinaries({ env, say: () => {} })).rejects.toThrow(
      [
        'kube-controller-manager was not found.',
        `Looked at: KUBEBUILDER_ASSETS (not set); ${join(cacheFolder(), 'kube-controller-manager')}; a build with Go (no \`go\` in PATH).`,
      ].join('\n'),
    );
  });

  test('names the Debian package when etcd is not found', async () => {
    const env = environment({ cache: [...tools], path: [] });
    await expect(findBinaries({ env, say: () => {} })).rejects.toThrow("the package 'etcd-server'");
  });

  test('falls back to ~/.cache when XDG_CACHE_HOME is not set', async () => {
    const { XDG_CACHE_HOME: _, ...env } = environment({ cache: [], path: ['etcd'] });
    const home = join(folder, 'home');
    const inHome = join(home, '.cache', 'regkeeper', 'cluster', kubernetesVersion());
    for (const tool of tools) writeExecutable(join(inHome, tool), '#!/bin/sh');
    const { kubectl } = await findBinaries({ env: { ...env, HOME: home }, say: () => {} });
    expect(kubectl).toBe(join(inHome, 'kubectl'));
  });
});

test('the release is the one in go.mod', () => {
  expect(kubernetesVersion()).toMatch(/^v1\.\d+\.\d+$/);
});

interface Executables {
  readonly assets?: readonly string[] | undefined;
  readonly cache: readonly string[];
  readonly path: readonly string[];
}

/** Fake executables that contain their origin. The fake `go` creates one at the path of -o. */
function environment({ assets, cache, path }: Executables) {
  for (const name of assets ?? []) writeExecutable(join(folder, 'assets', name), `#!/bin/sh\n# assets ${name}`);
  for (const name of cache) writeExecutable(join(cacheFolder(), name), `#!/bin/sh\n# cache ${name}`);
  for (const name of path) writeExecutable(join(folder, 'path', name), name === 'go' ? fakeGo : `#!/bin/sh\n# path ${name}`);
  return {
    PATH: join(folder, 'path'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    KUBEBUILDER_ASSETS: assets && join(folder, 'assets'),
  };
}

const fakeGo = String.raw`#!/bin/sh
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\n# built %s\n' "${'$'}{3##*/}" > "$2"
/bin/chmod +x "$2"`;

function cacheFolder(): string {
  return join(folder, 'cache', 'regkeeper', 'cluster', kubernetesVersion());
}

function writeExecutable(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/** Finds or builds the executables of the test cluster. README.md describes the search order. */

import { spawn } from 'node:child_process';
import { constants, readFileSync } from 'node:fs';
import { access, mkdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

export interface Binaries {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  readonly kubectl: string;
}

/**
 * Variables for programs in Go, whose garbage collector may use more memory before it runs. `helm upgrade` then needs 1.2 s of CPU time instead
 * of 1.6 s, and `helm template` 0.08 s instead of 0.14 s.
 */
export const lessGarbageCollection = { GOGC: '400' };

/** What the search depends on. A test passes its own folders. */
export interface BinarySearch {
  /** Reads PATH, KUBEBUILDER_ASSETS, XDG_CACHE_HOME and HOME. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Shows one line of progress to the user. */
  readonly say: (line: string) => void;
}

const moduleFolder = import.meta.dirname;

/**
 * Finds the four executables. Builds those of Kubernetes from source where they are not found.
 * @throws Error that lists the searched locations and the possible fixes
 */
export async function findBinaries(search: BinarySearch = searchOfThisProcess()): Promise<Binaries> {
  return {
    etcd: await findEtcd(search),
    kubeApiserver: await findKubernetesTool('kube-apiserver', search),
    kubeControllerManager: await findKubernetesTool('kube-controller-manager', search),
    kubectl: await findKubernetesTool('kubectl', search),
  };
}

/** The Kubernetes release to build and test against, such as `v1.36.3`, from go.mod. */
export function kubernetesVersion(): string {
  const required = /^\s*k8s\.io\/kubernetes (v\S+)/m.exec(readFileSync(join(moduleFolder, 'go.mod'), 'utf8'))?.[1];
  if (required === undefined) throw new Error('test/cluster/go.mod does not require k8s.io/kubernetes');
  return required;
}

/** The first executable file of this name on a PATH-like list of folders. */
export async function findOnPath(name: string, path: string | undefined): Promise<string | undefined> {
  for (const folder of (path ?? '').split(delimiter)) {
    if (folder === '') continue;
    const candidate = join(folder, name);
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}

export function searchOfThisProcess(): BinarySearch {
  return { env: process.env, say: (line) => process.stderr.write(`${line}\n`) };
}

async function findEtcd({ env }: BinarySearch): Promise<string> {
  const found = (await findInAssets('etcd', env)) ?? (await findOnPath('etcd', env.PATH));
  if (found !== undefined) return found;
  throw new Error(
    notFound(
      'etcd',
      [describeAssets(env), 'PATH'],
      [
        "install it (Debian and Ubuntu: the package 'etcd-server')",
        'or set KUBEBUILDER_ASSETS to a folder that has it, such as the one `setup-envtest use -p path` prints',
      ],
    ),
  );
}

/** A program of the Kubernetes release in go.mod. Builds it where it is not found. */
export async function findKubernetesTool(tool: string, search: BinarySearch): Promise<string> {
  const { env, say } = search;
  const fromAssets = await findInAssets(tool, env);
  if (fromAssets !== undefined) return fromAssets;

  const cached = join(cacheFolder(env), tool);
  const isCached = await isExecutable(cached);
  // envtest has no kube-controller-manager, so its users mix two releases. A line makes that visible where a test behaves unexpectedly.
  if (env.KUBEBUILDER_ASSETS) say(`${tool} is not in KUBEBUILDER_ASSETS (${env.KUBEBUILDER_ASSETS}): using ${kubernetesVersion()} instead`);
  if (isCached) return cached;

  const go = await findOnPath('go', env.PATH);
  if (go === undefined) {
    throw new Error(
      notFound(
        tool,
        [describeAssets(env), cached, 'a build with Go (no `go` in PATH)'],
        [
          'install Go and run again: the program is then built from source',
          `or put ${tool} ${kubernetesVersion()} at ${cached}`,
          'or set KUBEBUILDER_ASSETS to a folder that has it',
        ],
      ),
    );
  }
  say(`Building ${tool} ${kubernetesVersion()} from source into ${cached}: once only, minutes when the Go build cache is cold.`);
  const linkerFlags = `-s -w -X k8s.io/component-base/version.gitVersion=${kubernetesVersion()}`;
  await buildWithGo({
    go,
    env,
    name: tool,
    source: `k8s.io/kubernetes/cmd/${tool}`,
    module: moduleFolder,
    linkerFlags,
    destination: cached,
  });
  return cached;
}

export interface GoBuild {
  /** The executable `go`. */
  readonly go: string;
  readonly env: BinarySearch['env'];
  readonly name: string;
  /** Import path of the program. */
  readonly source: string;
  /** Folder of the go.mod that names its version. */
  readonly module: string;
  readonly linkerFlags: string;
  /** Build tags. */
  readonly tags?: readonly string[];
  readonly destination: string;
}

/**
 * Builds next to the destination and renames, so that an interrupted or a concurrent build never leaves an incomplete program in the cache.
 */
export async function buildWithGo({ go, env, name, source, module, linkerFlags, tags = [], destination }: GoBuild): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  const unfinished = `${destination}.${process.pid}.unfinished`;
  const args = ['build', '-C', module, '-trimpath', '-tags', tags.join(','), '-ldflags', linkerFlags, '-o', unfinished, source];
  try {
    await run(go, args, { ...env, CGO_ENABLED: '0' });
    await rename(unfinished, destination);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw new Error(`building ${name} failed: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

function run(program: string, args: readonly string[], env: Record<string, string | undefined>): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with ${signal ?? code}\n${stderr}`));
    });
  });
}

function cacheFolder(env: BinarySearch['env']): string {
  return join(cacheRoot(env), 'cluster', kubernetesVersion());
}

/** The folder of executables that are built once and reused. */
export function cacheRoot(env: BinarySearch['env']): string {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'regkeeper');
}

async function findInAssets(name: string, env: BinarySearch['env']): Promise<string | undefined> {
  return await findOnPath(name, env.KUBEBUILDER_ASSETS);
}

function describeAssets(env: BinarySearch['env']): string {
  return `KUBEBUILDER_ASSETS (${env.KUBEBUILDER_ASSETS || 'not set'})`;
}

export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

export function notFound(name: string, places: readonly string[], fixes: readonly string[]): string {
  return `${name} was not found.\nLooked at: ${places.join('; ')}.\nWhat helps: ${fixes.join('; ')}.`;
}

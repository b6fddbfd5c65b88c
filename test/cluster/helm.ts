/** Finds or builds Helm, and runs it as an async function. README.md describes the search order. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type BinarySearch,
  buildWithGo,
  cacheRoot,
  findOnPath,
  isExecutable,
  lessGarbageCollection,
  notFound,
  searchOfThisProcess,
} from './binaries.ts';

const moduleFolder = join(import.meta.dirname, 'helm');

/** Finds Helm 4, or builds it from source. @throws Error that lists the searched locations and the possible fixes */
export async function findHelm({ env, say }: BinarySearch = searchOfThisProcess()): Promise<string> {
  if (env.HELM) return await configuredHelm(env.HELM);
  const onPath = await findOnPath('helm', env.PATH);
  if (onPath !== undefined) {
    const version = await versionOf(onPath);
    if (version.startsWith('v4.')) return onPath;
    say(`${onPath} is ${version}, and the tests are written for Helm 4: not used`);
  }
  const cached = join(cacheRoot(env), 'helm', helmVersion(), 'helm');
  if (await isExecutable(cached)) return cached;

  const go = await findOnPath('go', env.PATH);
  if (go === undefined) {
    const fixes = ['install Helm 4', 'or set HELM to its executable', 'or install Go and run again: Helm is then built from source'];
    throw new Error(notFound('helm', ['HELM (not set)', 'PATH', cached, 'a build with Go (no `go` in PATH)'], fixes));
  }
  say(`Building helm ${helmVersion()} from source into ${cached}: once only, minutes when the Go build cache is cold.`);
  const linkerFlags = `-s -w -X helm.sh/helm/v4/internal/version.version=${helmVersion()}`;
  const source = 'helm.sh/helm/v4/cmd/helm';
  await buildWithGo({ go, env, name: 'helm', source, module: moduleFolder, linkerFlags, destination: cached });
  return cached;
}

/** The release to build, such as `v4.3.1`, from helm/go.mod. */
export function helmVersion(): string {
  const required = /^\s*helm\.sh\/helm\/v4 (v\S+)/m.exec(readFileSync(join(moduleFolder, 'go.mod'), 'utf8'))?.[1];
  if (required === undefined) throw new Error('test/cluster/helm/go.mod does not require helm.sh/helm/v4');
  return required;
}

async function configuredHelm(path: string): Promise<string> {
  if (!(await isExecutable(path))) throw new Error(`HELM is ${path}, which is no executable file`);
  return path;
}

async function versionOf(helm: string): Promise<string> {
  const { stdout } = await promisify(execFile)(helm, ['version', '--template', '{{.Version}}']);
  return stdout.trim();
}

export interface HelmResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs helm. @throws Error with the arguments and stderr where it fails, unless `allowFailure` */
export type Helm = (args: readonly string[], options?: { readonly allowFailure?: boolean }) => Promise<HelmResult>;

/** Does not use the user's own Helm files: repositories, plugins and settings are in a folder that is removed when this process exits. */
export function createHelm({ binary, kubeconfig }: { readonly binary: string; readonly kubeconfig?: string }): Helm {
  const home = mkdtempSync(join(tmpdir(), 'regkeeper-helm-'));
  process.once('exit', () => rmSync(home, { recursive: true, force: true }));
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    ...lessGarbageCollection,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    ...(kubeconfig !== undefined && { KUBECONFIG: kubeconfig }),
  };
  return async (args, { allowFailure = false } = {}) => {
    const result = await new Promise<HelmResult>((resolve, reject) => {
      execFile(binary, args, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') reject(error);
        else resolve({ stdout, stderr, code: error ? Number(error.code) : 0 });
      });
    });
    if (result.code === 0 || allowFailure) return result;
    throw new Error(`helm ${args.join(' ')}: exit code ${result.code}\n${result.stderr.trim()}`);
  };
}

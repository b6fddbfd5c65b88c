/** kubectl as an async function. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiClient, connectApi } from '../../src/kube/api-client.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import type { ControlPlane } from './control-plane.ts';
import { createReader } from './read.ts';

export interface KubectlOptions {
  readonly stdin?: string;
  /** A non-zero exit code is returned, not thrown. */
  readonly allowFailure?: boolean;
}

export interface KubectlResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface Kubectl {
  /** Runs kubectl. Throws an Error with the arguments and stderr when it fails, unless `allowFailure`. */
  (args: readonly string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** Runs kubectl with `-o json` and parses what it prints. What `read.ts` understands of `get` is asked of the API server itself. */
  json<T>(args: readonly string[], options?: Pick<KubectlOptions, 'stdin'>): Promise<T>;
  /** The same cluster and user without kubectl, each of whose processes costs more than the request. Connected at the first use; its connections end with this process. */
  api(): Promise<ApiClient>;
}

export interface KubectlSettings {
  readonly binary: string;
  readonly kubeconfig: string;
  /** Acts as the owner of this bearer token; meaningful where the kubeconfig's own user has no client certificate. */
  readonly token?: string;
  /** Where discovery may be cached; without it a new folder that goes away with this process. */
  readonly cacheFolder?: string;
}

/** As the administrator of a control plane; what is discovered is cached in its folder. */
export function kubectlOf({ binaries, kubeconfig, directory }: ControlPlane): Kubectl {
  return createKubectl({ binary: binaries.kubectl, kubeconfig, cacheFolder: join(directory, 'kubectl-cache') });
}

export function createKubectl({ binary, kubeconfig, token, cacheFolder = temporaryCache() }: KubectlSettings): Kubectl {
  const fixedArgs = ['--kubeconfig', kubeconfig, '--cache-dir', cacheFolder, ...(token === undefined ? [] : ['--token', token])];
  const env = { ...process.env, KUBERC: 'off', KUBECONFIG: kubeconfig };

  const kubectl = async (args: readonly string[], { stdin, allowFailure = false }: KubectlOptions = {}): Promise<KubectlResult> => {
    const run = () => runToEnd(binary, [...fixedArgs, ...args], env, stdin);
    let result = await run();
    // It reads the object's version just before it writes, and a controller may write the status in between.
    for (let tries = 1; tries < 5 && args[0] === 'replace' && isConflict(result); tries++) result = await run();
    if (result.code === 0 || allowFailure) return result;
    throw new Error(`kubectl ${args.join(' ')}: exit code ${result.code}\n${result.stderr.trim()}`);
  };
  let connected: Promise<ApiClient> | undefined;
  const api = () => {
    connected ??= connect(kubeconfig, token);
    return connected;
  };
  const read = createReader(api);
  const json = async <T>(args: readonly string[], options: Pick<KubectlOptions, 'stdin'> = {}): Promise<T> => {
    const found = await read(args);
    if (found !== undefined) return found as T;
    const { stdout } = await kubectl([...args, '-o', 'json'], options);
    return JSON.parse(stdout) as T;
  };
  return Object.assign(kubectl, { json, api });
}

async function connect(file: string, token: string | undefined): Promise<ApiClient> {
  const config = await loadKubeConfig({ file, env: {} });
  const cluster = config.getCurrentCluster();
  if (cluster && token !== undefined) config.loadFromClusterAndUser(cluster, { name: 'token', token });
  return connectApi(config);
}

function isConflict({ code, stderr }: KubectlResult): boolean {
  return code !== 0 && stderr.includes('the object has been modified');
}

let cacheRoot: string | undefined;

// Discovery is cached by host and port, and the next test cluster may get the port of this one: never the user's own cache.
function temporaryCache(): string {
  if (cacheRoot === undefined) {
    const root = mkdtempSync(join(tmpdir(), 'regkeeper-kubectl-'));
    process.once('exit', () => rmSync(root, { recursive: true, force: true }));
    cacheRoot = root;
  }
  return mkdtempSync(join(cacheRoot, 'client-'));
}

/** Runs a program with something on its standard input, which may be nothing. */
export function runToEnd(
  binary: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  stdin: string | undefined,
): Promise<KubectlResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ stdout, stderr: signal ? `${stderr}\nended by ${signal}` : stderr, code: code ?? 1 }));
    // kubectl may end without reading what it is given; its exit code tells why.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
  });
}

/** Runs kubectl as an async function. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiClient } from '../../src/kube/api-client.ts';
import { connectApi } from '../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import { lessGarbageCollection } from './binaries.ts';
import type { ControlPlane } from './control-plane.ts';
import { createReader } from './read.ts';

export interface KubectlOptions {
  readonly stdin?: string;
  /** Returns the result with a non-zero exit code, and does not throw. */
  readonly allowFailure?: boolean;
}

export interface KubectlResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface Kubectl {
  /** Runs kubectl. @throws Error with the arguments and stderr where it fails, unless `allowFailure` */
  (args: readonly string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** Runs kubectl with `-o json` and parses the output. A `get` that `read.ts` understands is sent to the API server directly. */
  json<T>(args: readonly string[], options?: Pick<KubectlOptions, 'stdin'>): Promise<T>;
  /** The same cluster and user without kubectl, each of whose processes costs more than the request. Connected at the first use; its connections end with this process. */
  api(): Promise<ApiClient>;
}

export interface KubectlSettings {
  readonly binary: string;
  readonly kubeconfig: string;
  /** A bearer token that replaces the kubeconfig's. Only effective where the kubeconfig's user has no client certificate. */
  readonly token?: string;
  /** Folder for kubectl's discovery cache. By default a new folder that is removed when this process exits. */
  readonly cacheFolder?: string;
}

/** kubectl as administrator of a control plane, with its discovery cache in the control plane's folder. */
export function kubectlOf({ binaries, kubeconfig, directory }: ControlPlane): Kubectl {
  return createKubectl({ binary: binaries.kubectl, kubeconfig, cacheFolder: join(directory, 'kubectl-cache') });
}

export function createKubectl({ binary, kubeconfig, token, cacheFolder = temporaryCache() }: KubectlSettings): Kubectl {
  const fixedArgs = ['--kubeconfig', kubeconfig, '--cache-dir', cacheFolder, ...(token === undefined ? [] : ['--token', token])];
  const env = { ...process.env, ...lessGarbageCollection, KUBERC: 'off', KUBECONFIG: kubeconfig };

  const kubectl = async (args: readonly string[], { stdin, allowFailure = false }: KubectlOptions = {}): Promise<KubectlResult> => {
    const run = () => runToEnd(binary, [...fixedArgs, ...args], env, stdin);
    let result = await run();
    // `kubectl replace` reads the resourceVersion just before it writes, and a controller may write the status in between.
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

// kubectl caches discovery by host and port, and the next test cluster may get the same port. So the user's own cache is never used.
function temporaryCache(): string {
  if (cacheRoot === undefined) {
    const root = mkdtempSync(join(tmpdir(), 'regkeeper-kubectl-'));
    process.once('exit', () => rmSync(root, { recursive: true, force: true }));
    cacheRoot = root;
  }
  return mkdtempSync(join(cacheRoot, 'client-'));
}

/** Runs a program until it exits, with `stdin` as its standard input. */
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
    // kubectl may exit without reading its input. Its exit code shows the failure.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
  });
}

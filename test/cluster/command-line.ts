/** Runs the command line against the test cluster, with the bundle that the image contains. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import { programFile } from './program.ts';

export type CommandResult = { readonly exitCode: number; readonly out: string; readonly err: string };

/** Runs `regkeeper` with these words. Does not reject where the exit code is not 0. */
export function regkeeper(argv: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(process.execPath, [programFile(), ...argv], { maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      resolve({ exitCode: error ? Number(error.code ?? 1) : 0, out, err });
    });
  });
}

/** A kubeconfig of the same cluster for a bearer token. Returns the file. */
export async function kubeconfigFor(admin: string, token: string, file: string): Promise<string> {
  const config = await loadKubeConfig({ file: admin, env: {} });
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`${admin} has no current cluster`);
  const { server, caData, caFile } = cluster;
  const ca = caData === undefined ? { 'certificate-authority': caFile } : { 'certificate-authority-data': caData };
  await writeFile(
    file,
    JSON.stringify({
      clusters: [{ name: 'test', cluster: { server, ...ca } }],
      users: [{ name: 'user', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
      'current-context': 'test',
    }),
  );
  return file;
}

/** Open Policy Agent as a peer: builds it once with Go, and gives it a policy that does what regkeeper does, with the same rules. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildWithGo, cacheRoot, findOnPath } from '../../test/cluster/binaries.ts';
import { registriesFor } from '../samples.ts';
import type { ServerCommand, Tls } from './servers.ts';

const module = join(import.meta.dirname, 'opa');
const version = 'v1.22.4';

/** Undefined without Go and without an OPA that was built before. Building takes some minutes. */
export async function opaProgram(): Promise<string | undefined> {
  const destination = join(cacheRoot(process.env), 'bench', `opa-${version}`);
  if (existsSync(destination)) return destination;
  const go = await findOnPath('go', process.env.PATH);
  if (go === undefined) return undefined;
  process.stderr.write(`Building OPA ${version} from source into ${destination}: once only, some minutes.\n`);
  const source = 'github.com/open-policy-agent/opa';
  await buildWithGo({ go, env: process.env, name: 'opa', source, module, linkerFlags: '-s -w', tags: ['opa_no_oci'], destination });
  return destination;
}

/** Writes the rules as data of the policy into the folder. */
export function opaCommand(
  program: string,
  tls: Tls,
  options: { folder: string; rules: number; port: number; log: boolean },
): ServerCommand {
  const { folder, rules, port, log } = options;
  const data = join(folder, 'data.json');
  writeFileSync(data, JSON.stringify({ registries: registriesFor(rules) }));
  const network = ['--addr', `127.0.0.1:${port}`, '--tls-cert-file', tls.certificate, '--tls-private-key-file', tls.key];
  const settings = ['--log-level', 'error', '--skip-version-check', ...(log ? ['--set', 'decision_logs.console=true'] : [])];
  return {
    name: log ? 'OPA with decision log' : 'OPA',
    command: [program, 'run', '--server', ...network, ...settings, join(module, 'policy.rego'), data],
    // All on the core of the servers.
    env: { GOMAXPROCS: '1' },
    port,
    readyPath: '/health',
    // Here OPA evaluates `data.system.main`.
    path: '/',
  };
}

/** Finds Prometheus' promtool and runs it as an async function. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { findOnPath, isExecutable, notFound } from '../cluster/binaries.ts';

export type Promtool = (args: readonly string[], stdin?: string) => Promise<{ readonly code: number | null; readonly output: string }>;

/** @throws Error with how to install promtool, because a missing tool must not skip the checks silently. */
export async function findPromtool(env: Readonly<Record<string, string | undefined>>): Promise<Promtool> {
  const configured = env.PROMTOOL;
  if (configured !== undefined && !(await isExecutable(configured)))
    throw new Error(`PROMTOOL is ${configured}, which is no executable file`);
  const binary = configured ?? (await findOnPath('promtool', env.PATH));
  if (binary === undefined) {
    const fixes = ['install it (Debian and Ubuntu: package `prometheus`, of which no daemon is needed)', 'or set PROMTOOL to it'];
    throw new Error(notFound('promtool', ['PROMTOOL (not set)', 'PATH'], fixes));
  }
  return async (args, stdin = '') => {
    const child = spawn(binary, args);
    child.stdin.end(stdin);
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: code as number | null, output: out + err };
  };
}

/** promtool, of Prometheus: where the executable comes from, and promtool as an async function. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { findOnPath, isExecutable, notFound } from '../cluster/binaries.ts';

export type Promtool = (args: readonly string[], stdin?: string) => Promise<{ readonly code: number | null; readonly output: string }>;

/** Throws an Error that says what can be done where there is none: a check that was promised is not passed over. */
export async function findPromtool(env: Readonly<Record<string, string | undefined>>): Promise<Promtool> {
  const given = env.PROMTOOL;
  if (given !== undefined && !(await isExecutable(given))) throw new Error(`PROMTOOL is ${given}, which is no executable file`);
  const binary = given ?? (await findOnPath('promtool', env.PATH));
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

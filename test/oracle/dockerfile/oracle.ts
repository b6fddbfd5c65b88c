/** Builds and starts the Go program of this folder, and sends it one question per line. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Pull } from './compare.ts';
import type { Case } from './generate.ts';

/** What is used of the program's answer. It also has the errors of the tools. */
export type Answer = { readonly pulls: readonly Pull[] };

export type Oracle = {
  ask(question: Case): Promise<Answer>;
  stop(): void;
};

/** @throws Error where Go is missing or the modules cannot be downloaded, so that a comparison is never skipped silently. */
export async function startOracle(): Promise<Oracle> {
  const folder = mkdtempSync(join(tmpdir(), 'dockerfile-oracle-'));
  const program = join(folder, 'oracle');
  go(['build', '-o', program, '.']);
  const child: ChildProcess = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new Error('the oracle has no pipes');
  const answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    ask: async ({ dockerfile, args, env }) => {
      stdin.write(`${JSON.stringify({ dockerfile, args, env })}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error('the oracle has ended');
      return JSON.parse(value) as Answer;
    },
    stop: () => {
      stdin.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Every Dockerfile in the two modules' own tests: files, and string literals in test code. */
export function fixtures(): readonly string[] {
  return ['github.com/moby/buildkit', 'github.com/openshift/imagebuilder'].flatMap((module) => {
    const root = go(['list', '-m', '-f', '{{.Dir}}', module]).trim();
    return readdirSync(root, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      if (!entry.isFile()) return [];
      const path = join(entry.parentPath, entry.name);
      if (entry.name.endsWith('_test.go')) return textsIn(readFileSync(path, 'utf8'));
      const isDockerfile = /dockerfile/i.test(entry.name) && !/\.(go|md|json|sum|mod)$/.test(entry.name);
      return isDockerfile || path.includes('/testfiles/') ? [readFileSync(path, 'utf8')] : [];
    });
  });
}

/** Raw Go strings that look like a Dockerfile. */
function textsIn(code: string): readonly string[] {
  return code.split('`').filter((text, index) => index % 2 === 1 && /^[ \t]*(FROM|ARG)[ \t]/im.test(text));
}

function go(args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync('go', args, { cwd: import.meta.dirname, encoding: 'utf8' });
  if (error) throw new Error(`go cannot be run (${error.message}); install Go to compare with the tools`);
  if (status !== 0) throw new Error(`go ${args.join(' ')} failed:\n${stderr}`);
  return stdout;
}

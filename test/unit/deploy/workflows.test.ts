/** Rights and inputs of the workflows. They do not run here: actionlint checks their syntax, in ci.yaml. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

type Step = { readonly uses?: string; readonly run?: string; readonly with?: Readonly<Record<string, unknown>> };
type Job = { readonly permissions?: Rights; readonly 'timeout-minutes'?: number; readonly uses?: string; readonly steps?: readonly Step[] };
type Rights = Readonly<Record<string, string>>;
type Workflow = {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Rights;
  readonly jobs: Readonly<Record<string, Job>>;
};

const workflows = readdirSync(join(root, '.github/workflows')).map((file) => ({
  file,
  workflow: parse(read(`.github/workflows/${file}`)) as Workflow,
}));

describe.each(workflows)('$file', ({ workflow }) => {
  const jobs = Object.values(workflow.jobs);
  const steps = jobs.flatMap((job) => job.steps ?? []);

  test('has only read permissions unless a job needs others', () => {
    expect(['{}', '{"contents":"read"}']).toContain(JSON.stringify(workflow.permissions));
  });

  test("does not run with this repository's permissions for pull requests from others", () => {
    expect(Object.keys(workflow.on).filter((event) => ['pull_request_target', 'workflow_run'].includes(event))).toEqual([]);
  });

  test('leaves no token in the checkout', () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    expect(checkouts.every((step) => step.with?.['persist-credentials'] === false)).toBe(true);
  });

  test('puts no expression into a script, because it could contain code', () => {
    expect(steps.flatMap(({ run }) => (run?.includes('${{') ? [run] : []))).toEqual([]);
  });

  test('has a time limit for each job', () => {
    expect(jobs.filter((job) => job.uses === undefined && job['timeout-minutes'] === undefined)).toEqual([]);
  });
});

test('write permissions', () => {
  const writing = workflows.flatMap(({ file, workflow }) =>
    Object.entries(workflow.jobs).flatMap(([name, { permissions = {} }]) => {
      const rights = Object.keys(permissions).filter((right) => permissions[right] === 'write');
      return rights.length > 0 ? [`${file} ${name}: ${rights.join(', ')}`] : [];
    }),
  );
  expect(writing).toEqual([
    'codeql.yaml analyze: security-events',
    'release.yaml image: packages, id-token, attestations',
    'release.yaml chart: packages, id-token, attestations',
    'release.yaml release: contents, id-token, attestations',
  ]);
});

test('the job that may write to the repository runs none of its code', () => {
  const release = workflows.find(({ file }) => file === 'release.yaml')?.workflow.jobs.release;
  const text = JSON.stringify(release?.steps);
  expect(text).toContain('gh release create');
  expect(text).not.toMatch(/actions\/checkout|\bnpm\b|\bnode\b/);
});

test('the steps of release.yaml are commands of release/run.ts', () => {
  const known = [...read('release/run.ts').matchAll(/\.command\('([a-z-]+)/g)].map(([, name]) => name);
  const used = [...read('.github/workflows/release.yaml').matchAll(/npm run -s release -- ([a-z-]+)/g)].map(([, name]) => name);
  expect(used).toEqual(['check', 'names', 'chart', 'notes']);
  expect(used.filter((name) => !known.includes(name))).toEqual([]);
});

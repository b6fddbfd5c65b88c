/** Actions of the workflows are pinned by commit, because anyone who controls an action can move its tags. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '../../../.github/workflows');
/** Workflows of this repository, which begin with `./`, need no pin. */
const uses = readdirSync(folder).flatMap((file) =>
  [...readFileSync(join(folder, file), 'utf8').matchAll(/\buses: +([^ .].*)$/gm)].map(([, action = '']) => ({ file, action })),
);

test('there are actions', () => {
  expect(uses.length).toBeGreaterThan(0);
});

test('an action has the same version in all workflows', () => {
  const versions = new Map<string, Set<string>>();
  for (const { action } of uses) {
    const [name = '', version = ''] = action.split('@');
    // The actions of github/codeql-action are folders of one repository.
    const repository = name.split('/').slice(0, 2).join('/');
    versions.set(repository, (versions.get(repository) ?? new Set()).add(version));
  }
  expect([...versions].filter(([, each]) => each.size > 1)).toEqual([]);
});

test.each(uses)('$file pins $action', ({ action }) => {
  expect(action).toMatch(/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

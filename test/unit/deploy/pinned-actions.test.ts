/** Actions of the workflows are pinned by commit, because anyone who controls an action can move its tags. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '../../../.github/workflows');
const uses = readdirSync(folder).flatMap((file) =>
  [...readFileSync(join(folder, file), 'utf8').matchAll(/\buses: *(.*)$/gm)].map(([, action = '']) => ({ file, action })),
);

test('there are actions', () => {
  expect(uses.length).toBeGreaterThan(0);
});

test.each(uses)('$file pins $action', ({ action }) => {
  expect(action).toMatch(/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

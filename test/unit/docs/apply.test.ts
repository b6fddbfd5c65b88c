/** The `kubectl apply` commands of the docs. */
import { expect, test } from 'vitest';
import { blocks, pages, readPage } from './pages.ts';

/** The command of test/cluster/scenarios/deploy-base.test.ts. After an install with another command, an upgrade fails with conflicts. */
const documented = 'kubectl apply --server-side --field-manager=regkeeper-install -k ';

test('every command that applies a directory is the one that upgrades use', () => {
  const commands = pages.flatMap((page) => blocks(readPage(page)).flatMap(({ text }) => text.match(/^kubectl apply .*-k .*$/gm) ?? []));
  expect(commands.length).toBeGreaterThan(1);
  expect(commands.filter((command) => !command.startsWith(documented))).toEqual([]);
});

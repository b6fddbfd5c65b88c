/** Which scenarios do not run with REGKEEPER_TEST_KUBECONFIG. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { localOnly } from '../../cluster/local-only.ts';

const root = resolve(import.meta.dirname, '../../..');
const scenarios = 'test/cluster/scenarios';

test('no scenario that starts a control plane runs against an existing cluster', () => {
  const starting = readdirSync(join(root, scenarios))
    .map((name) => `${scenarios}/${name}`)
    .filter((file) => readFileSync(join(root, file), 'utf8').includes('startControlPlane('));
  expect(starting).toContain(`${scenarios}/rights.test.ts`);
  expect(starting.filter((file) => !localOnly.includes(file))).toEqual([]);
});

test('every listed scenario exists', () => {
  expect(localOnly.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

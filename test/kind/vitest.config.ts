/** Configures the scenarios of test/node for the nodes of kind. Tests that need access to a node are skipped there, with the reason. */
import { defineConfig } from 'vitest/config';
import onNode from '../node/vitest.config.ts';

/** Not `helm`: test:kind itself installs and removes regkeeper, in both ways. */
export const pullingScenarios = ['pulling', 'platform', 'node-identity', 'delivery', 'living', 'keyring'];

export default defineConfig({
  test: {
    ...onNode.test,
    include: pullingScenarios.map((name) => `test/node/scenarios/${name}.test.ts`),
    globalSetup: ['test/kind/global-setup.ts'],
  },
});

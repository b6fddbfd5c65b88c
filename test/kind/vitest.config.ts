/** Configures the scenarios of test/node that need no access to a node, for the nodes of kind. */
import { defineConfig } from 'vitest/config';
import onNode from '../node/vitest.config.ts';

export const pullingScenarios = ['pulling', 'platform'];

export default defineConfig({
  test: {
    ...onNode.test,
    include: pullingScenarios.map((name) => `test/node/scenarios/${name}.test.ts`),
    globalSetup: ['test/kind/global-setup.ts'],
  },
});

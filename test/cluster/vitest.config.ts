import { configDefaults, defineConfig } from 'vitest/config';

/** They start a control plane of their own, or install and remove what somebody else's cluster has already. */
const onlyHere = ['deploy-base', 'installing', 'leader', 'operations', 'outage', 'rights', 'rolling'].map(
  (name) => `test/cluster/scenarios/${name}.test.ts`,
);

/** Scenarios against a real API server. One file after the other: they share webhook configurations and other cluster-wide objects. */
export default defineConfig({
  test: {
    include: ['test/cluster/scenarios/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(process.env.REGKEEPER_TEST_KUBECONFIG ? onlyHere : [])],
    globalSetup: ['test/cluster/global-setup.ts'],
    fileParallelism: false,
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

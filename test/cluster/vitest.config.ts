/** Configures the scenarios against a real API server. Files run one after another, because they share cluster-wide objects. */
import { configDefaults, defineConfig } from 'vitest/config';

/** Scenarios that start their own control plane, or install and remove what an existing cluster already has. */
const localOnly = ['deploy-base', 'installing', 'leader', 'operations', 'outage', 'rights', 'rolling'].map(
  (name) => `test/cluster/scenarios/${name}.test.ts`,
);

export default defineConfig({
  test: {
    include: ['test/cluster/scenarios/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(process.env.REGKEEPER_TEST_KUBECONFIG ? localOnly : [])],
    globalSetup: ['test/cluster/global-setup.ts'],
    fileParallelism: false,
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

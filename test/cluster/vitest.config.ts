import { defineConfig } from 'vitest/config';

/** Scenarios against a real API server. One file after the other: they share webhook configurations and other cluster-wide objects. */
export default defineConfig({
  test: {
    include: ['test/cluster/scenarios/**/*.test.ts'],
    globalSetup: ['test/cluster/global-setup.ts'],
    fileParallelism: false,
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

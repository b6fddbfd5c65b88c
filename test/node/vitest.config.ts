/** Configures the scenarios on a real node. run.ts starts vitest inside the node's namespaces. */
import { defineConfig } from 'vitest/config';

/** One worker, because all files share the node and regkeeper's objects. */
export default defineConfig({
  test: {
    include: ['test/node/scenarios/**/*.test.ts'],
    globalSetup: ['test/node/global-setup.ts'],
    pool: 'forks',
    isolate: false,
    fileParallelism: false,
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

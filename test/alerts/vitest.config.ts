/** Configures the tests of alerts and metrics, which run apart from the others because they need Prometheus' promtool. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/alerts/**/*.test.ts'],
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

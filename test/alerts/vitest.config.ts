import { defineConfig } from 'vitest/config';

/** What Prometheus' own tool says of alerts and metrics. Apart from the other tests, since it needs that tool. */
export default defineConfig({
  test: {
    include: ['test/alerts/**/*.test.ts'],
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

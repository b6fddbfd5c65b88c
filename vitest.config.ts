import { defineConfig } from 'vitest/config';

/** Everything that needs no cluster: tables, injected requests, and servers on loopback ports of their own. */
export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts', 'test/bypass/**/*.test.ts', 'test/hostile/**/*.test.ts'],
    testTimeout: 20_000,
    // Its own second is over before a busy machine has begun.
    expect: { poll: { timeout: 15_000 } },
    reporters: ['default', './test/closing-line.ts'],
  },
});

/** The vitest configuration of all tests that need no cluster. */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { propertyTimeout } from './test/property.ts';

/** Tests with a worker to themselves: they count timers and executed code (V8 coverage), or spy on JSON.parse, which other tests would affect. */
const alone = ['test/unit/app/serve.test.ts', 'test/unit/decision/work.property.test.ts', 'test/unit/object/user-supplied.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    // More workers than cores, because a third of the time is spent waiting for sockets, timers and processes.
    maxWorkers: availableParallelism() + 1,
    testTimeout: propertyTimeout,
    // The default of one second is too short for a busy machine.
    expect: { poll: { timeout: 60_000 } },
    projects: [
      // Tests share workers, since starting one for each file took a third of the time.
      {
        extends: true,
        test: { name: 'shared', include: ['test/{unit,bypass,hostile}/**/*.test.ts'], exclude: alone, isolate: false },
      },
      { extends: true, test: { name: 'alone', include: alone } },
    ],
  },
});

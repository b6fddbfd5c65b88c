/** The vitest configuration of all tests that need no cluster. */
import { defineConfig } from 'vitest/config';
import { propertyTimeout } from './test/property.ts';

/**
 * Pure tests with tables, properties and injected requests. They share workers, since starting one for each file took a third of the time.
 */
// biome-ignore format: one list
const pureRooms = ['admission', 'app', 'architecture', 'conformance', 'decision', 'deploy', 'docs', 'evaluate', 'image', 'object', 'rules', 'settings', 'time', 'yaml'];
const pure = [`test/unit/{${pureRooms.join(',')}}/**/*.test.ts`, 'test/bypass/**/*.test.ts', 'test/hostile/**/*.test.ts'];
/** Tests with a worker to themselves: they count timers and executed code (V8 coverage), or spy on JSON.parse, which other tests would affect. */
const alone = ['test/unit/app/serve.test.ts', 'test/unit/decision/work.property.test.ts', 'test/unit/object/user-supplied.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    // By default vitest leaves one core idle, which is half of a machine with two.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: { name: 'pure', include: pure, exclude: alone, isolate: false, testTimeout: propertyTimeout },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: [...alone, `test/unit/!(${pureRooms.join('|')})/**/*.test.ts`],
          testTimeout: 20_000,
          // The default of one second is too short for a busy machine.
          expect: { poll: { timeout: 15_000 } },
        },
      },
    ],
  },
});

import { defineConfig } from 'vitest/config';
import { propertyTimeout } from './test/property.ts';

/** Tables and properties of pure functions, and injected requests. They share workers: starting one for each file took a third of the time. */
// biome-ignore format: one list
const pureRooms = ['admission', 'app', 'architecture', 'conformance', 'decision', 'deploy', 'docs', 'evaluate', 'image', 'object', 'rules', 'settings', 'time', 'yaml'];
const pure = [`test/unit/{${pureRooms.join(',')}}/**/*.test.ts`, 'test/bypass/**/*.test.ts', 'test/hostile/**/*.test.ts'];
/** They count timers and what V8's coverage says is executed, and a spy on JSON.parse would count for others too. */
const alone = ['test/unit/app/serve.test.ts', 'test/unit/decision/work.property.test.ts', 'test/unit/object/user-supplied.test.ts'];

/** Everything that needs no cluster. */
export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    // By default one core stays free, which is half of a machine of two.
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
          // Its own second is over before a busy machine has begun.
          expect: { poll: { timeout: 15_000 } },
        },
      },
    ],
  },
});

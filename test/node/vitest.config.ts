/** Configures the scenarios on a real node. run.ts starts vitest inside the node's namespaces. */
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** `living` removes the installation that the files before it use. `keyring` needs none, so it runs while that is being removed. */
const order = ['pulling', 'platform', 'node-identity', 'delivery', 'living', 'keyring', 'helm'];

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => order.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
    return files.toSorted((one, other) => rank(one) - rank(other));
  }
}

/** One worker, because all files share the node and regkeeper's objects. Deadlines are for a machine that is busy otherwise. */
export default defineConfig({
  test: {
    include: ['test/node/scenarios/**/*.test.ts'],
    globalSetup: ['test/node/global-setup.ts'],
    pool: 'forks',
    isolate: false,
    fileParallelism: false,
    sequence: { sequencer: InOrder },
    maxConcurrency: 8,
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 180_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
  },
});

import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** They start a control plane of their own, or install and remove what somebody else's cluster has already. */
const onlyHere = ['deploy-base', 'installing', 'leader', 'operations', 'outage', 'rights', 'rolling'].map(
  (name) => `test/cluster/scenarios/${name}.test.ts`,
);

/** Begun first, or the end of the run would wait for one of them. */
const longest = ['rolling', 'second-writer', 'aggregated-api', 'chart', 'deploy-base', 'outage', 'installing', 'operations', 'leader'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = longest.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return found < 0 ? longest.length : found;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

const ours = !process.env.REGKEEPER_TEST_KUBECONFIG;

/**
 * Scenarios against a real API server. Each worker has a control plane of its own for the files that it runs one after the other: they share
 * webhook configurations and other cluster-wide objects. Much of a scenario is waiting, so there are more workers than the two cores of CI.
 */
export default defineConfig({
  test: {
    include: ['test/cluster/scenarios/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(ours ? [] : onlyHere)],
    globalSetup: ['test/cluster/global-setup.ts'],
    pool: 'forks',
    // Each start of a worker takes a second of processor time, and the files have nothing in common that one could spoil for the next.
    isolate: false,
    fileParallelism: ours,
    maxWorkers: ours ? Number(process.env.TEST_CLUSTERS ?? 3) : 1,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

/** Configures the scenarios against a real API server: three workers, each with its own control plane. */
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { localOnly } from './local-only.ts';

/**
 * Started first. The first two read everything in the cluster, so each gets a new one. The others would delay the end of the run.
 */
const first = [
  'zero-to-enforce',
  'live-objects',
  'rolling',
  'second-writer',
  'aggregated-api',
  'chart',
  'deploy-base',
  'outage',
  'installing',
  'operations',
  'leader',
];

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = first.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return found < 0 ? first.length : found;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

const isOwnCluster = !process.env.REGKEEPER_TEST_KUBECONFIG;

/**
 * Scenarios against a real API server. Each worker has its own control plane, on which its files run one after another, because they share
 * webhook configurations and other cluster-wide objects. Scenarios mostly wait, so there are more workers than the two cores of CI.
 */
export default defineConfig({
  test: {
    include: ['test/cluster/scenarios/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(isOwnCluster ? [] : localOnly)],
    globalSetup: ['test/cluster/global-setup.ts'],
    pool: 'forks',
    // Starting a worker takes a second of CPU, and no file leaves anything behind in the process.
    isolate: false,
    fileParallelism: isOwnCluster,
    maxWorkers: isOwnCluster ? Number(process.env.TEST_CLUSTERS ?? 3) : 1,
    sequence: { sequencer: InOrder },
    reporters: ['default', './test/closing-line.ts'],
    testTimeout: 240_000,
    hookTimeout: 240_000,
    teardownTimeout: 30_000,
  },
});

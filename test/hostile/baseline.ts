/** Ordinary traffic, whose figures are the baseline for those of the hostile entries. */

import { times } from '../times.ts';
import { pod, reviewOf } from '../unit/server/reviews.ts';
import type { HostileEntry, Sent } from './corpus.ts';

const ordinary = (): Sent => ({
  path: '/validate',
  body: JSON.stringify(reviewOf(pod('good.example.com/app'))),
  answer: { allowed: true },
});

const metadata = (index: number) => ({ uid: `uid-${index}`, resourceVersion: '1' });

export const entries: readonly HostileEntry[] = [
  {
    name: 'no hostile input: 100 ordinary Pods',
    sends: () => times(100, ordinary),
    budget: { recordBytes: 100_000, cpuMilliseconds: 1_000, memoryMiB: 250 },
  },
  {
    name: 'no hostile input: the start on a cluster of 1,000 namespaces and 3,000 service accounts',
    cluster: () => ({
      '/api/v1/namespaces': [
        { metadata: { name: 'shop', ...metadata(0) } },
        ...times(1_000, (index) => ({ metadata: { name: `team-${index}`, labels: { team: 'a' }, ...metadata(index) } })),
      ],
      '/api/v1/serviceaccounts': [
        { metadata: { namespace: 'shop', name: 'default', ...metadata(0) } },
        ...times(3_000, (index) => ({
          metadata: { namespace: `team-${index % 1_000}`, name: `robot-${index}`, ...metadata(index) },
          imagePullSecrets: [{ name: `robot-${index}-dockercfg` }],
        })),
      ],
    }),
    sends: () => [ordinary()],
    budget: { recordBytes: 5_000, cpuMilliseconds: 6_000, memoryMiB: 300 },
  },
];

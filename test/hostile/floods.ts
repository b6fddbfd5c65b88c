/** What many senders at a time cost, and those that never read an answer. */
import { reviewOf } from '../unit/server/reviews.ts';
import { podOfContainers, reviewText } from './bodies.ts';
import type { HostileEntry, Sent } from './corpus.ts';

const times = <Value>(count: number, value: (index: number) => Value): Value[] => Array.from({ length: count }, (_, index) => value(index));

/** Of one body: the same bytes for all of them. */
function many(count: number, { body, ...sent }: Sent): Sent[] {
  const bytes = Buffer.from(body);
  return times(count, () => ({ ...sent, body: bytes }));
}

/** Each of its images gets a secret, so that the answer is about as long as the request. */
function buildOfImages(count: number): string {
  const images = times(count, (index) => ({
    from: { kind: 'DockerImage', name: `good.example.com/x${index}` },
    paths: [{ sourcePath: '/', destinationDir: 'x' }],
  }));
  const spec = {
    source: { images },
    strategy: { dockerStrategy: {} },
    output: { to: { kind: 'DockerImage', name: 'good.example.com/app' } },
  };
  return JSON.stringify(reviewOf({ apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app' }, spec }));
}

export const entries: readonly HostileEntry[] = [
  {
    name: '20 bodies of 20 MiB at a time',
    large: true,
    concurrent: 20,
    sends: () =>
      many(20, {
        path: '/mutate',
        body: reviewText(podOfContainers(127_000)),
        answer: { status: [200, 400, 408, 503], orNone: true },
        unread: true,
      }),
    budget: { recordBytes: 50_000, cpuMilliseconds: 40_000, memoryMiB: 600 },
  },
  {
    name: '30 Pods of 10,000 containers at a time',
    large: true,
    concurrent: 30,
    sends: () =>
      many(30, {
        path: '/mutate',
        body: reviewText(podOfContainers(10_000)),
        answer: { status: [200, 408, 503], orNone: true },
        unread: true,
      }),
    budget: { recordBytes: 6_000_000, cpuMilliseconds: 20_000, memoryMiB: 600 },
  },
  {
    name: '10 readers at a time that read none of four long answers',
    large: true,
    concurrent: 10,
    sends: () => many(10, { path: '/mutate', body: buildOfImages(10_000), answer: {}, stalled: 4 }),
    budget: { recordBytes: 10_000_000, cpuMilliseconds: 40_000, memoryMiB: 600 },
  },
];

/** Many senders at a time, and senders that never read an answer. */
import { changeOf, decodeReview } from '../../src/admission/review.ts';
import { decide } from '../../src/decision/decide.ts';
import type { WorkCounter } from '../../src/object/work-counter.ts';
import { times } from '../times.ts';
import { unwatched } from '../unit/decision/changes.ts';
import { ruleSetOf } from '../unit/rules/documents.ts';
import { pod, reviewOf } from '../unit/server/reviews.ts';
import { podOfContainers, reviewText } from './bodies.ts';
import type { HostileEntry, Sent } from './corpus.ts';

/** `count` requests that share the bytes of one body. */
function many(count: number, { body, ...sent }: Sent): Sent[] {
  const bytes = Buffer.from(body);
  return times(count, () => ({ ...sent, body: bytes }));
}

/** A BuildConfig each of whose images gets a secret, so that the answer is about as long as the request. */
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

const rules = ruleSetOf('rules:\n- registry: good.example.com\n');

/** The number of images parsed for an update of a Pod to one container. */
function imagesParsed(oldContainers: number): number {
  const oldObject = JSON.parse(podOfContainers(oldContainers));
  const review = decodeReview(reviewOf(pod('good.example.com/x'), { operation: 'UPDATE', oldObject }));
  const change = review.ok ? changeOf(review.request) : undefined;
  if (!change) throw new Error('not a change');
  let images = 0;
  const work: WorkCounter = {
    count(what, amount) {
      if (what === 'images') images += amount;
    },
  };
  decide(change, rules, { ...unwatched, work });
  return images;
}

/** An update from so many containers, each as short as possible, so that 300,000 of them fit into a body. */
function updateFrom(oldContainers: number): string {
  const containers = times(oldContainers, (index) => ({ image: `a.io/x${index}` }));
  const oldObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers } };
  return JSON.stringify(reviewOf(pod('bad.example.com/x'), { operation: 'UPDATE', oldObject }));
}

export const entries: readonly HostileEntry[] = [
  {
    name: 'a Pod whose old object has 300,000 containers',
    large: true,
    sends: () => [{ path: '/validate', body: updateFrom(300_000), answer: { allowed: false } }],
    work: () => imagesParsed(20_000),
    budget: { work: 1, recordBytes: 10_000, cpuMilliseconds: 2_500, memoryMiB: 400 },
  },
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

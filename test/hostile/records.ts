/** Requests that would make audit records large: many images, long names, many groups. */
import { changeOf, decodeReview } from '../../src/admission/review.ts';
import { decide } from '../../src/decision/decide.ts';
import type { ImageDecision } from '../../src/decision/decision.ts';
import { buildAuditRecord } from '../../src/observe/audit/decision-record.ts';
import { times } from '../times.ts';
import { unwatched } from '../unit/decision/changes.ts';
import { ruleSetOf } from '../unit/rules/documents.ts';
import { reviewOf } from '../unit/server/reviews.ts';
import type { HostileEntry, Sent } from './corpus.ts';

const KiB = 1024;
const port = `good.example.com:${'0'.repeat(3_900)}5000/x`;

function podOf(images: readonly string[], metadata: object = { name: 'web' }) {
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: images.map((image, index) => ({ name: `c${index}`, image })) } };
}

function buildOf(source: object) {
  return {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name: 'app' },
    spec: { source, strategy: { dockerStrategy: {} }, output: { to: { kind: 'DockerImage', name: 'good.example.com/app' } } },
  };
}

function imageSources(images: readonly string[]) {
  const paths = [{ sourcePath: '/', destinationDir: 'x' }];
  return buildOf({ images: images.map((name) => ({ from: { kind: 'DockerImage', name }, paths })) });
}

function bothWebhooks(object: object, request: Record<string, unknown>, answer: Sent['answer']): Sent[] {
  const body = JSON.stringify(reviewOf(object, request));
  return [
    { path: '/mutate', body, answer: {} },
    { path: '/validate', body, answer },
  ];
}

const metadata = {
  name: '',
  generateName: 'g'.repeat(1_000_000),
  ownerReferences: [{ controller: true, kind: 'k'.repeat(900_000), name: 'n'.repeat(900_000) }],
};
const user = (username: string, groups: readonly string[]) => ({ userInfo: { username, groups } });

/** Each row: the object, the answer of /validate, the budget in bytes for both audit records and in milliseconds of CPU for both requests. */
const rows: readonly [name: string, object: () => object, answer: Sent['answer'], bytes: number, cpu: number, request?: object][] = [
  [
    'a BuildConfig with 250 FROM lines of an image whose port has 3,900 zeros',
    () => buildOf({ dockerfile: `ARG A=${port}\n${'FROM $A\n'.repeat(250)}` }),
    { allowed: false },
    512 * KiB,
    4_000,
  ],
  ['a BuildConfig with 700 image sources with that port', () => imageSources(times(700, () => port)), { allowed: false }, 512 * KiB, 1_500],
  [
    'a BuildConfig with 5,000 image sources, each of which gets a secret',
    () => imageSources(times(5_000, (index) => `good.example.com/x${index}`)),
    { allowed: true },
    200 * KiB,
    3_000,
  ],
  ['a Pod of 10,000 containers', () => podOf(times(10_000, (index) => `good.example.com/x${index}`)), { allowed: true }, 200 * KiB, 4_000],
  [
    'a Pod of 10,000 containers that is denied',
    () => podOf(times(10_000, (index) => `bad.example.com/x${index}`)),
    { allowed: false, message: /and 9990 more/ },
    200 * KiB,
    4_000,
  ],
  [
    'a user of 100,000 groups',
    () => podOf(['good.example.com/x']),
    { allowed: true },
    20 * KiB,
    500,
    user(
      'alice',
      times(100_000, (index) => `group-${index}`),
    ),
  ],
  [
    'a user and groups of a megabyte each',
    () => podOf(['good.example.com/x']),
    { allowed: true },
    20 * KiB,
    500,
    user('u'.repeat(1_000_000), ['g'.repeat(1_000_000)]),
  ],
  ['a Pod whose owner and generateName have 3 MB', () => podOf(['good.example.com/x'], metadata), { allowed: true }, 20 * KiB, 500],
];

export const entries: readonly HostileEntry[] = rows.map(([name, object, answer, recordBytes, cpuMilliseconds, request = {}]) => ({
  name,
  sends: () => bothWebhooks(object(), request as Record<string, unknown>, answer),
  work: () => readsPerImage(object(), request as Record<string, unknown>),
  budget: { work: 12, recordBytes, cpuMilliseconds, memoryMiB: 500 },
}));

const rules = ruleSetOf('rules:\n- {registry: good.example.com, pullSecret: corp-pull, pushSecret: corp-push}\n');

/** How often building the audit record reads fields of an image, per image. This must not grow with the number of images. */
export function readsPerImage(object: object, request: Record<string, unknown>): number {
  const review = decodeReview(reviewOf(object, request));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  const decision = change && decide(change, rules, unwatched);
  if (decision?.kind !== 'decided') throw new Error('not decided');
  let reads = 0;
  const counting: ProxyHandler<ImageDecision> = {
    get(target, field) {
      reads += 1;
      return target[field as keyof ImageDecision];
    },
  };
  const images = decision.images.map((image) => new Proxy(image, counting));
  buildAuditRecord({
    webhook: 'mutate',
    callerAuthenticated: false,
    request: review.request,
    decision: { ...decision, images },
    durationMicroseconds: 0,
  });
  // The images that the record shows, at most 200, are read up to 25 times. Without this the figure would be high for few images.
  return Math.max(0, reads - 200 * 25) / images.length;
}

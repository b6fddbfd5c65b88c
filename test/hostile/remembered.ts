/** Texts that would be costly to remember, or that are made to be remembered. */

import { times } from '../times.ts';
import { reviewText } from './bodies.ts';
import type { HostileEntry, Sent } from './corpus.ts';

/** A Pod with managed fields that no other index has, and an annotation that makes the body long. */
function podWithFields(index: number, annotation = ''): string {
  const fieldsV1 = JSON.stringify({ [`f:${index}`]: {}, 'f:x': 'x'.repeat(520) });
  const managedFields = `[{"manager":"kubectl","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":${fieldsV1}}]`;
  const metadata = `{"name":"web","annotations":{"a":"${annotation}"},"managedFields":${managedFields}}`;
  return reviewText(
    `{"apiVersion":"v1","kind":"Pod","metadata":${metadata},"spec":{"containers":[{"name":"app","image":"good.example.com/a"}]}}`,
  );
}

/** Each image has a name that no other build has, in a Dockerfile with a long comment. */
function buildWithDockerfile(index: number, comment = ''): string {
  const dockerfile = JSON.stringify(`FROM good.example.com/x${index}\n# ${comment}\n`);
  const spec = `{"source":{"dockerfile":${dockerfile}},"strategy":{"dockerStrategy":{}}}`;
  return reviewText(`{"apiVersion":"build.openshift.io/v1","kind":"BuildConfig","metadata":{"name":"app"},"spec":${spec}}`, 'BuildConfig');
}

const send = (body: string): Sent => ({ path: '/mutate', body, answer: {} });
/** Two bytes for each character in memory. */
const long = '\u4e00'.repeat(300_000);

export const entries: readonly HostileEntry[] = [
  {
    name: 'a text without end after what precedes managed fields',
    sends: () =>
      [`{"a":1,"fieldsV1":{"${'\\"'.repeat(500_000)}`, `{"a":1${',"fieldsV1":{"'.repeat(32)}${'\\"'.repeat(500_000)}`].map((body) => ({
        path: '/mutate' as const,
        body,
        answer: { status: 400 },
        unread: true as const,
      })),
    budget: { recordBytes: 5_000, cpuMilliseconds: 500, memoryMiB: 300 },
  },
  {
    name: '200 long Pods with managed fields that were seen before',
    large: true,
    sends: () => [
      ...times(3, () => times(200, (index) => send(podWithFields(index)))).flat(),
      ...times(8, (index) => send(podWithFields(1_000 + index))),
      ...times(200, (index) => send(podWithFields(index, long))),
    ],
    budget: { recordBytes: 2_000_000, cpuMilliseconds: 8_000, memoryMiB: 270 },
  },
  {
    name: '900 long builds with image names that were seen before',
    large: true,
    sends: () => [
      ...times(1_200, (index) => send(buildWithDockerfile(index))),
      ...times(900, (index) => send(buildWithDockerfile(index, '\u4e00'.repeat(100_000)))),
    ],
    budget: { recordBytes: 5_000_000, cpuMilliseconds: 20_000, memoryMiB: 270 },
  },
];

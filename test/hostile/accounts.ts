/** Service accounts and image streams that an ordinary user with `edit` can create and that are expensive to keep in memory whole. */
import { pod, reviewOf } from '../unit/server/reviews.ts';
import type { HostileEntry, Sent } from './corpus.ts';

type Metadata = {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
};

export type HostileAccount = {
  readonly apiVersion: 'v1';
  readonly kind: 'ServiceAccount';
  readonly metadata: Metadata;
  readonly imagePullSecrets: readonly { readonly name: string }[];
};

/** Accounts with `names` pull secrets each: 60,000 are about 1 MB of JSON, close to the size limit of etcd. */
export function* fatAccounts(namespace: string, { count = 100, names = 60_000 } = {}): Generator<HostileAccount> {
  for (let index = 0; index < count; index += 1) {
    const imagePullSecrets = Array.from({ length: names }, (_, each) => ({ name: `p${each}` }));
    yield { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `fat-${index}`, namespace }, imagePullSecrets };
  }
}

/** Accounts with few names of the greatest length that the API server accepts: below the limit on names, above the one on bytes. */
export function* longNamedAccounts(namespace: string, { count = 100, names = 900, length = 1_000 } = {}): Generator<HostileAccount> {
  for (let index = 0; index < count; index += 1) {
    const imagePullSecrets = Array.from({ length: names }, (_, each) => ({ name: `${each}-`.padEnd(length, 'n') }));
    yield { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `long-${index}`, namespace }, imagePullSecrets };
  }
}

/** Accounts that are each below every limit of a single account. Their number makes them expensive. */
export function* manyAccounts(namespace: string, { count = 10_000, names = 3 } = {}): Generator<HostileAccount> {
  for (let index = 0; index < count; index += 1) {
    const imagePullSecrets = Array.from({ length: names }, (_, each) => ({ name: `secret-${index}-${each}` }));
    yield { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `small-${index}`, namespace }, imagePullSecrets };
  }
}

/** Accounts whose annotations fill the 256 KiB that the API server allows. It sends all of them, though regkeeper needs none. */
export function* annotatedAccounts(namespace: string, { count = 100 } = {}): Generator<HostileAccount> {
  for (let index = 0; index < count; index += 1) {
    const annotations = { 'example.com/filler': 'x'.repeat(250_000) };
    yield { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `noted-${index}`, namespace, annotations }, imagePullSecrets: [] };
  }
}

export type HostileStream = {
  readonly apiVersion: 'image.openshift.io/v1';
  readonly kind: 'ImageStream';
  readonly metadata: Metadata;
  readonly spec: { readonly tags: readonly object[] };
  readonly status: { readonly tags: readonly object[] };
};

/** Streams with `tags` tags, each with a history of `history` images: 2,000 × 10 are about 5.7 MB of JSON. */
export function* fatStreams(
  namespace: string,
  { count = 20, tags = 2_000, history = 10, registry = 'registry.example.com' } = {},
): Generator<HostileStream> {
  for (let index = 0; index < count; index += 1) {
    const names = Array.from({ length: tags }, (_, tag) => `v${tag}`);
    yield {
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStream',
      metadata: { name: `fat-${index}`, namespace },
      spec: { tags: names.map((name) => ({ name, from: { kind: 'DockerImage', name: `${registry}/app/${index}:${name}` } })) },
      status: {
        tags: names.map((tag, at) => ({
          tag,
          items: Array.from({ length: history }, (_, item) => ({
            created: '2026-01-01T00:00:00Z',
            dockerImageReference: `${registry}/app/${index}@sha256:${digest(index, at, item)}`,
            image: `sha256:${digest(index, at, item)}`,
            generation: item,
          })),
        })),
      },
    };
  }
}

function digest(...parts: readonly number[]): string {
  return parts
    .map((part) => part.toString(16).padStart(8, '0'))
    .join('')
    .padEnd(64, '0');
}

export type HostileObject = HostileAccount | HostileStream;

/** The collections of the API server: these objects, with uid and resourceVersion, and those that an honest Pod needs. */
function clusterWith(path: string, objects: Iterable<object>): Readonly<Record<string, readonly object[]>> {
  const stored = (object: object, index: number) => ({
    ...object,
    metadata: { ...(object as { metadata: object }).metadata, uid: `uid-${index}`, resourceVersion: '1' },
  });
  const others = {
    '/api/v1/namespaces': ['shop', 'tenant'].map((name) => ({ metadata: { name } })),
    '/api/v1/serviceaccounts': [{ metadata: { namespace: 'shop', name: 'default' } }],
  };
  const all: Record<string, object[]> = { ...others };
  all[path] = [...(all[path] ?? []), ...objects];
  return Object.fromEntries(Object.entries(all).map(([key, list]) => [key, list.map(stored)]));
}

/** Accounts that share one list, so that the simulated API server does not keep a hundred copies of it. */
function* accountsSharingList(accounts: Generator<HostileAccount>, count: number): Generator<HostileAccount> {
  const { value } = accounts.next();
  for (let index = 0; index < count; index += 1) yield { ...value, metadata: { ...value.metadata, name: `fat-${index}` } };
}

const honest = (): Sent => ({
  path: '/validate',
  body: JSON.stringify(reviewOf(pod('good.example.com/app'))),
  answer: { allowed: true },
});
const accountsPath = '/api/v1/serviceaccounts';

export const entries: readonly HostileEntry[] = [
  {
    name: '100 service accounts of 60,000 pull secrets each',
    cluster: () => clusterWith(accountsPath, accountsSharingList(fatAccounts('tenant', { count: 1 }), 100)),
    sends: () => [honest()],
    budget: { recordBytes: 5_000, cpuMilliseconds: 15_000, memoryMiB: 450 },
  },
  {
    name: '100 service accounts of 900 long names each',
    cluster: () => clusterWith(accountsPath, accountsSharingList(longNamedAccounts('tenant', { count: 1 }), 100)),
    sends: () => [honest()],
    budget: { recordBytes: 5_000, cpuMilliseconds: 10_000, memoryMiB: 450 },
  },
  {
    name: '20,000 small service accounts in one namespace',
    cluster: () => clusterWith(accountsPath, manyAccounts('tenant', { count: 20_000 })),
    sends: () => [honest()],
    budget: { recordBytes: 5_000, cpuMilliseconds: 15_000, memoryMiB: 350 },
  },
  {
    name: '100 service accounts with 250 KB of annotations each',
    cluster: () => clusterWith(accountsPath, annotatedAccounts('tenant')),
    sends: () => [honest()],
    budget: { recordBytes: 5_000, cpuMilliseconds: 6_000, memoryMiB: 350 },
  },
  {
    name: '20 image streams of 5.7 MB each',
    cluster: () => clusterWith('/apis/image.openshift.io/v1/imagestreams', fatStreams('tenant')),
    sends: () => [honest()],
    budget: { recordBytes: 5_000, cpuMilliseconds: 20_000, memoryMiB: 450 },
  },
];

/** Rules documents that a tenant can put into a rules ConfigMap of its namespace and that are expensive to read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pod, reviewOf } from '../unit/server/reviews.ts';
import type { HostileEntry, Sent } from './corpus.ts';

/**
 * Generators of documents with about `length` characters, named by their content. Each is the worst case for one part of reading: lexer,
 * errors, comments, schema or duplicates.
 */
export const hostileDocuments = {
  commas: (length) => `rules: [${repeat(',', length - 9)}]`,
  comments: (length) => repeat('#\n', length),
  'comments and a rule': (length) => `rules:\n${repeat('#\n', length - 28)}- registry: a.example.com\n`,
  'blank lines': (length) => repeat('\n', length),
  'empty entries': (length) => `rules:\n${repeat('-\n', length - 7)}`,
  aliases: (length) => `rules: [${repeat('*,', length - 9)}]`,
  anchors: (length) => repeat('&a ', length),
  tags: (length) => repeat('! ', length),
  'quotation marks': (length) => repeat('"', length),
  'empty mappings': (length) => `rules: [${repeat('{},', length - 9)}]`,
  brackets: (length) => repeat('[', length),
  dashes: (length) => repeat('- ', length),
  documents: (length) => repeat('---\n', length),
  directives: (length) => repeat('%a\n', length),
  'one field again and again': (length) => repeat('a: 1\n', length),
  'unknown fields': (length) => numbered((index) => `k${index}:\n`, length),
  'rules without registry': (length) => `rules:\n${numbered((index) => `- {a${index}: 1}\n`, length - 7)}`,
  'empty registries': (length) => `rules:\n- registry: [${repeat('"",', length - 25)}"x"]`,
  labels: (length) =>
    `rules:\n- registry: a.io\n  namespaces:\n    matchLabels:\n${numbered((index) => `      k${index}: v\n`, length - 60)}`,
  'a long pattern': (length) => `rules:\n- registry: "a${repeat('/a', length - 25)}"\n`,
} as const satisfies Record<string, (length: number) => string>;

export type HostileDocument = keyof typeof hostileDocuments;

/** A rules ConfigMap of a namespace with `keys` keys of `length` characters each. Every version has other text. */
export function hostileConfigMap(
  kind: HostileDocument,
  { namespace, name, keys, length, version = 0 }: HostileConfigMapOptions,
): HostileConfigMap {
  const text = `${hostileDocuments[kind](length)}\n# ${version}\n`;
  const data = Object.fromEntries(Array.from({ length: keys }, (_, index) => [`k${index}.yaml`, text]));
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { 'regkeeper.io/rules': 'namespace' } }, data };
}

export type HostileConfigMapOptions = {
  readonly namespace: string;
  readonly name: string;
  readonly keys: number;
  readonly length: number;
  readonly version?: number;
};

export type HostileConfigMap = {
  readonly apiVersion: 'v1';
  readonly kind: 'ConfigMap';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly data: Readonly<Record<string, string>>;
};

/** 20 ConfigMaps with 62 keys of 16 KiB each, which once delayed the cluster's rules by a minute. */
export function twentyConfigMaps(kind: HostileDocument, namespace: string): readonly HostileConfigMap[] {
  return Array.from({ length: 20 }, (_, index) =>
    hostileConfigMap(kind, { namespace, name: `bad-${index}`, keys: 62, length: 16_384, version: index }),
  );
}

/** As much as a namespace may write, in the sizes that take longest to read: 8 documents of 16,000 characters. */
export function largestConfigMap(kind: HostileDocument, namespace: string, version = 0): HostileConfigMap {
  return hostileConfigMap(kind, { namespace, name: 'largest', keys: 8, length: 16_000, version });
}

function repeat(part: string, length: number): string {
  return part.repeat(Math.max(0, Math.floor(length / part.length)));
}

function numbered(part: (index: number) => string, length: number): string {
  const parts: string[] = [];
  for (let size = 0, index = 0; size < length; index += 1) {
    const next = part(index);
    size += next.length;
    parts.push(next);
  }
  return parts.join('');
}

/** The collections of the API server, with the rules of the cluster and those of a tenant. */
function clusterWith(ofTenant: readonly HostileConfigMap[]): Readonly<Record<string, readonly object[]>> {
  const stored = <Stored extends { readonly metadata: object }>(object: Stored, index: number) => ({
    ...object,
    metadata: { ...object.metadata, uid: `uid-${index}`, resourceVersion: '1' },
  });
  const ofCluster = {
    metadata: { name: 'regkeeper-rules', namespace: 'regkeeper', labels: { 'regkeeper.io/rules': 'cluster' } },
    data: { 'rules.yaml': readFileSync(join(import.meta.dirname, 'rules.yaml'), 'utf8') },
  };
  return {
    '/api/v1/namespaces': ['regkeeper', 'shop', 'tenant'].map((name) => ({ metadata: { name } })).map(stored),
    '/api/v1/serviceaccounts': [{ metadata: { namespace: 'shop', name: 'default' } }].map(stored),
    '/api/v1/configmaps': [ofCluster, ...ofTenant].map(stored),
  };
}

function guarded(configMap: HostileConfigMap): Sent {
  const request = { namespace: configMap.metadata.namespace, name: configMap.metadata.name };
  return { path: '/guard', body: JSON.stringify(reviewOf(configMap, request)), answer: { allowed: false } };
}

/**
 * A review of 1 MiB that consists mainly of entries in an unknown field. Parsed, they need about 20 times that memory. The rules in it are
 * slow to read too, and differ between requests.
 */
function guardedWithJunk(label: 'cluster' | 'namespace', index: number): Sent {
  const namespace = label === 'cluster' ? 'regkeeper' : `tenant-${index}`;
  const text = `${hostileDocuments.commas(15_000)}\n# ${index}\n`;
  const metadata = { name: `junk-${index}`, namespace, labels: { 'regkeeper.io/rules': label } };
  const junk = Array.from({ length: 340_000 }, () => ({}));
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': text }, junk };
  return { path: '/guard', body: JSON.stringify(reviewOf(object, { namespace })), answer: { status: [200, 408, 503], orNone: true } };
}

const numbers = (count: number, prefix: string, suffix = '') => Array.from({ length: count }, (_, index) => `${prefix}${index}${suffix}`);

/** Rules of the cluster whose lists are multiplied or compared with each other. */
const multiplying = {
  // 25 million combinations.
  'one rule with 5,000 registries and as many namespaces': [{ registry: numbers(5_000, 'h', '.io'), namespaces: numbers(5_000, 'n') }],
  'one rule with 5,000 registries and as many secrets': [{ registry: numbers(5_000, 'h', '.io'), pullSecret: numbers(5_000, 's') }],
  'two rules with 5,000 other namespaces each': [
    { registry: 'a.io', namespaces: numbers(5_000, 'a') },
    { registry: 'a.io/x', namespaces: numbers(5_000, 'b') },
  ],
  'a rule with 5,000 namespaces that makes 900 rules ineffective': [
    { registry: 'a.io/*', namespaces: numbers(5_000, 'a') },
    ...numbers(900, 'a').map((name) => ({ registry: 'a.io', name, namespaces: name })),
  ],
} as const;

function guardedMultiplying(rules: readonly object[], allowed: boolean): Sent {
  const metadata = { name: 'many', namespace: 'regkeeper', labels: { 'regkeeper.io/rules': 'cluster' } };
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': JSON.stringify({ rules }) } };
  return { path: '/guard', body: JSON.stringify(reviewOf(object, { namespace: 'regkeeper', name: 'many' })), answer: { allowed } };
}

const honest = (): Sent => ({
  path: '/validate',
  body: JSON.stringify(reviewOf(pod('good.example.com/app'))),
  answer: { allowed: true },
});
const flags = ['--namespace-rules'];

export const entries: readonly HostileEntry[] = [
  {
    name: '20 rules ConfigMaps of 62 keys of commas, stored and then sent for review',
    cluster: () => clusterWith(twentyConfigMaps('commas', 'tenant')),
    flags,
    sends: () => [honest(), ...twentyConfigMaps('commas', 'tenant').map(guarded)],
    budget: { recordBytes: 500_000, cpuMilliseconds: 6_000, memoryMiB: 400 },
  },
  {
    name: 'the costliest rules that fit the quota of a namespace',
    cluster: () => clusterWith([largestConfigMap('commas', 'tenant')]),
    flags,
    sends: () => [honest(), guarded(largestConfigMap('commas', 'tenant', 1))],
    budget: { recordBytes: 500_000, cpuMilliseconds: 8_000, memoryMiB: 450 },
  },
  {
    name: '50 reviews of 1 MiB at a time, of rules of the cluster',
    cluster: () => clusterWith([]),
    flags,
    concurrent: 50,
    sends: () => Array.from({ length: 50 }, (_, index) => guardedWithJunk('cluster', index)),
    budget: { recordBytes: 500_000, cpuMilliseconds: 25_000, memoryMiB: 550 },
  },
  {
    name: '50 reviews of 1 MiB at a time, of rules of as many namespaces',
    cluster: () => clusterWith([]),
    flags,
    concurrent: 50,
    sends: () => Array.from({ length: 50 }, (_, index) => guardedWithJunk('namespace', index)),
    budget: { recordBytes: 500_000, cpuMilliseconds: 25_000, memoryMiB: 550 },
  },
  ...Object.entries(multiplying).map(([name, rules]): HostileEntry => {
    const allowed = !name.startsWith('one rule');
    return {
      name: `a review of ${name}`,
      cluster: () => clusterWith([]),
      flags,
      sends: () => [honest(), guardedMultiplying(rules, allowed), honest()],
      budget: { recordBytes: 500_000, cpuMilliseconds: 8_000, memoryMiB: 400 },
    };
  }),
];

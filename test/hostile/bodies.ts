/** Request bodies that are expensive for a server: generators, each with its budget and the expected answer. */
import type { HostileEntry } from './corpus.ts';

export type HostileBody = {
  readonly name: string;
  /** A body of about so many bytes. */
  make(bytes: number): string;
  /** HTTP status of the answer to a body of 20 MiB. */
  readonly code: number;
  /** The body is read as an AdmissionReview and decided, which leaves an audit record. */
  readonly decided?: true;
};

const uid = '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11';

/** An AdmissionReview with its fields in the order that the API server uses, which writes the uid first. */
export function reviewText(object: string, kind = 'Pod'): string {
  const head = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"${uid}","kind":{"group":"","version":"v1","kind":"${kind}"}`;
  return `${head},"operation":"CREATE","namespace":"shop","userInfo":{"username":"alice"},"object":${object},"oldObject":null}}`;
}

/** A Pod with the defaults that the API server sets. */
export function podOfContainers(count: number): string {
  const containers = Array.from(
    { length: count },
    (_container, index) =>
      `{"name":"c${index}","image":"r.io/a","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"Always"}`,
  );
  return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[${containers.join(',')}]}}`;
}

/**
 * A Pod with this text as an annotation. It is JSON inside a JSON string, so limits on the structure of the body do not see it. The mark in
 * `regkeeper.io/injected` makes regkeeper parse the annotation.
 */
export function podWithAnnotation(annotation: string, text: string): string {
  const metadata = JSON.stringify({ name: 'web', annotations: { 'regkeeper.io/injected': '{"rules":["a"]}', [annotation]: text } });
  return `{"apiVersion":"v1","kind":"Pod","metadata":${metadata},"spec":{"containers":[{"name":"app","image":"r.io/a"}]}}`;
}

const repeated = (part: string) => (bytes: number) => part.repeat(Math.ceil(bytes / part.length));

/** The annotation in which `kubectl apply` stores the applied object. */
export const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

export const hostileBodies: readonly HostileBody[] = [
  { name: 'lists without end', make: repeated('['), code: 400 },
  { name: 'objects without end', make: repeated('{"a":'), code: 400 },
  { name: 'lists that are closed', make: (bytes) => `${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}`, code: 400 },
  { name: 'empty objects', make: (bytes) => `[${repeated('{},')(bytes)}{}]`, code: 400 },
  { name: 'empty lists', make: (bytes) => `[${repeated('[],')(bytes)}[]]`, code: 400 },
  { name: 'numbers', make: (bytes) => `[${repeated('1,')(bytes)}1]`, code: 400 },
  { name: 'keys that all differ', make: (bytes) => `{${numbered(bytes, (index) => `"k${index}":1`)}}`, code: 400 },
  { name: 'one object for each key', make: (bytes) => `[${numbered(bytes, (index) => `{"k${index}":1}`)}]`, code: 400 },
  {
    name: 'as many long keys as are allowed',
    make: (bytes) => `{${numbered(bytes, (index) => `"k${index}${'x'.repeat(20)}":1`)}}`,
    code: 400,
  },
  { name: 'one text', make: (bytes) => `["${'x'.repeat(bytes)}"]`, code: 400 },
  { name: 'one text of escapes', make: (bytes) => `["${repeated('\\"')(bytes)}"]`, code: 400 },
  { name: 'one text of two-byte characters', make: (bytes) => `["${'é'.repeat(bytes / 2)}"]`, code: 400 },
  { name: 'invalid UTF-8 in the end', make: (bytes) => `["${'x'.repeat(bytes)}\ud800"]`, code: 400 },
  {
    name: 'JSON in an annotation',
    make: (bytes) => reviewText(podWithAnnotation(lastApplied, repeated('{},')(bytes))),
    code: 200,
    decided: true,
  },
  {
    name: 'lists in an annotation',
    make: (bytes) => reviewText(podWithAnnotation(lastApplied, repeated('[')(bytes))),
    code: 200,
    decided: true,
  },
  { name: 'a Pod of very many containers', make: (bytes) => reviewText(podOfContainers(Math.floor(bytes / 165))), code: 200 },
  { name: 'a kind as long as a body', make: (bytes) => reviewText('{}', 'K'.repeat(bytes)), code: 200 },
];

function numbered(bytes: number, make: (index: number) => string): string {
  const parts: string[] = [];
  for (let length = 0, index = 0; length < bytes; index += 1) {
    const part = make(index);
    parts.push(part);
    length += part.length + 1;
  }
  return parts.join(',');
}

const twentyMebibytes = 20 * 1024 * 1024;
/** Bytes for the start and the end of a review around its object. */
const reviewOverhead = 4_096;

/** Bodies of the greatest allowed size. */
export const entries: readonly HostileEntry[] = hostileBodies.map(({ name, make, code, decided }) => ({
  name: `a body of 20 MiB: ${name}`,
  large: true,
  sends: () => [
    { path: '/mutate', body: make(twentyMebibytes - reviewOverhead), answer: { status: code }, ...(!decided && { unread: true }) },
  ],
  budget: { recordBytes: 10_000, cpuMilliseconds: 4_000, memoryMiB: 400 },
}));

/** The number of `{`, `[` and `,` in the JSON of a value and its depth, derived from the value. Tests compare this with a count over the text. */
export function structureOf(value: unknown): { readonly depth: number; readonly structures: number } {
  let depth = 0;
  let structures = 0;
  const left: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let each = left.pop(); each; each = left.pop()) {
    depth = Math.max(depth, each.depth);
    if (typeof each.value !== 'object' || each.value === null) continue;
    const children = Object.values(each.value);
    structures += 1 + Math.max(0, children.length - 1);
    depth = Math.max(depth, each.depth + 1);
    for (const child of children) left.push({ value: child, depth: each.depth + 1 });
  }
  return { depth, structures };
}

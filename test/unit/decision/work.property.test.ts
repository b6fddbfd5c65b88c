/**
 * The work of evaluating an object grows at most linearly with its bytes, for every kind. Random objects are enlarged in every list, map and
 * text, together with the facts of their account and streams.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderAnswer } from '../../../src/admission/response.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { ChangeRequest } from '../../../src/decision/decision.ts';
import type { Facts, StreamTag } from '../../../src/decision/facts.ts';
import { injectedAnnotation } from '../../../src/object/injection-mark.ts';
import { isObject, type JsonObject } from '../../../src/object/json.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { runs } from '../../property.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { anyObjectOf } from './any-object.ts';
import { today } from './changes.ts';
import { executed } from './executed.ts';

const rules = ruleSetOf(`
unconfigured: deny
rules:
- {registry: r0.io, pullSecret: [pull-0, pull-1], pushSecret: push}
- {registry: r1.io, pullSecret: own}
- {registry: "r2.io:5000", trust: false}
exemptions:
- {image: exempt.io, until: 2027-01-01, reason: later}
`);

const digest = (index: number) => `sha256:${index.toString(16).padStart(64, '0')}`;

/** Facts as large as the object: one account, and one stream whose tags follow each other. */
function factsOf(size: number, onlyListedSecrets: boolean): Facts {
  const many = Array.from({ length: size }, (_, index) => index);
  const tags = new Map(
    many.map((index) => [
      index === 0 ? '1' : `1-${index}`,
      {
        spec: { from: { kind: 'ImageStreamTag', name: `base:1-${index + 1}` }, local: true },
        images: index % 2 === 0 ? [] : [{ image: digest(index), reference: `r0.io/x@${digest(index)}`, created: '2026-01-01T00:00:00Z' }],
      },
    ]),
  );
  const stream = { kind: 'known', repository: 'internal.svc:5000/shop/base', tags } as const;
  return {
    serviceAccount: () => ({ kind: 'known', pullSecrets: many.map((index) => `own-${index}`), onlyListedSecrets }),
    namespace: () => ({ kind: 'known', labels: {} }),
    secret: () => 'absent',
    imageStream: () => stream,
    now: () => today,
  };
}

/** Every list and map gets `times` as many entries, with distinct names, and every multi-line text `times` as many lines. */
function grow(value: unknown, times: number, field = ''): unknown {
  if (Array.isArray(value)) return repeat(value, times).map(([item, index]) => renamed(grow(item, 1), index, field));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, growField(key, item, times)]));
  return value;
}

function growField(key: string, value: unknown, times: number): unknown {
  if (key === 'dockerfile' && typeof value === 'string') {
    return repeat(value.split('\n'), times)
      .map(([line]) => line)
      .join('\n');
  }
  if (key === 'annotations' && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, growAnnotation(name, text, times)]));
  }
  return grow(value, times, key);
}

/** Marks, triggers and applied files contain JSON. */
function growAnnotation(name: string, text: unknown, times: number): unknown {
  if (typeof text !== 'string') return text;
  try {
    const value: unknown = JSON.parse(text);
    if (name === injectedAnnotation && isObject(value)) {
      const names = Array.from({ length: times * 3 }, (_, index) => `own-${index}`);
      return JSON.stringify({ ...value, rules: names, serviceAccount: names });
    }
    return JSON.stringify(grow(value, times));
  } catch {
    return text;
  }
}

function repeat<Item>(items: readonly Item[], times: number): readonly (readonly [Item, number])[] {
  return Array.from({ length: times }, (_, turn) => items.map((item, index) => [item, turn * items.length + index] as const)).flat();
}

/** Makes images, names and digests of entries distinct. */
function renamed(item: unknown, index: number, field: string): unknown {
  if (!isObject(item)) return item;
  const name = typeof item.name === 'string' && item.name !== '' && index % 2 === 1 ? { name: `${item.name}-${index}` } : {};
  const from =
    isObject(item.from) && item.from.kind === 'ImageStreamImage' ? { from: { ...item.from, name: `base@${digest(index)}` } } : {};
  return field === 'items' ? item : { ...item, ...name, ...from };
}

function managers(count: number): JsonObject[] {
  const fieldsV1 = { 'f:spec': { 'f:output': { 'f:pushSecret': {} }, 'f:template': { 'f:spec': { 'f:imagePullSecrets': {} } } } };
  return Array.from({ length: count }, (_, index) => ({ manager: `m${index}`, operation: 'Apply', fieldsV1 }));
}

function long(object: JsonObject, times: number): JsonObject {
  const grown = grow(object, times) as JsonObject;
  return { ...grown, metadata: { ...(isObject(grown.metadata) ? grown.metadata : {}), managedFields: managers(times) } };
}

function workOf(request: ChangeRequest, facts: Facts): number {
  return executed(() => {
    const decision = decide(request, rules, facts);
    if (decision.kind === 'not-yet') throw new Error(decision.message);
    const review = { ...request, uid: '1', version: 'v1', subresource: '', groups: [], dryRun: false };
    for (const webhook of ['mutate', 'validate'] as const) renderAnswer(webhook, review, decision, rules);
  });
}

const small = 32;
const large = 192;

describe('the work for an object grows at most in proportion to its bytes', () => {
  test.each(kindsWithImages.map(({ kind, group }) => ({ kind, group })))(
    '$kind of $group',
    ({ kind, group }) => {
      const objects = anyObjectOf[`${kind}.${group}`] as fc.Arbitrary<JsonObject>;
      fc.assert(
        fc.property(objects, objects, fc.constantFrom('CREATE', 'UPDATE'), fc.boolean(), (object, oldObject, operation, enforced) => {
          const measure = (times: number) => {
            const [now, before] = [long(object, times), long(oldObject, times)];
            const bytes = JSON.stringify(now).length + JSON.stringify(before).length + 200 * times;
            const request = { operation, group, kind, namespace: 'shop', name: 'web', user: 'alice', object: now } as const;
            return workOf({ ...request, oldObject: operation === 'UPDATE' ? before : null }, factsOf(times, enforced)) / bytes;
          };
          // Sorting and exhausted budgets change the ratio slightly. With quadratic work it would be six.
          expect(measure(large)).toBeLessThan(2 * measure(small) + 1);
        }),
        { ...runs(6), seed: 11 },
      );
    },
    60_000,
  );
});

/* Two long lists that the same user controls, where the cost once was their product, or could be. */
describe('the work for two long lists is proportional to their sum', () => {
  const many = <Item>(count: number, make: (index: number) => Item): Item[] => Array.from({ length: count }, (_, index) => make(index));
  /** A stream with one tag of many images, and many tags that name one of them by the first digit of their digests. */
  const namingNewest = (count: number): Facts => {
    const image = (index: number) => ({ image: digest(index), reference: `r0.io/x@${digest(index)}` });
    const naming = { spec: { from: { kind: 'ImageStreamImage', name: '0' }, local: true }, images: [] };
    const tags = many(count, (index): [string, StreamTag] => [`1-${index}`, naming]);
    const pushed: [string, StreamTag] = ['pushed', { images: many(count, image) }];
    const stream = { kind: 'known', tags: new Map([pushed, ...tags]) } as const;
    return { ...factsOf(1, false), imageStream: () => stream };
  };
  const names = (count: number) => many(count, (index) => `own-${index}`);
  const known = (count: number, onlyListedSecrets = false): Facts => factsOf(count, onlyListedSecrets);
  const podSpec = (count: number, image = 'r0.io/x') => ({
    containers: [{ name: 'app', image }],
    imagePullSecrets: names(count).map((name) => ({ name })),
  });
  const marked = (count: number) => ({
    annotations: { [injectedAnnotation]: JSON.stringify({ rules: [], serviceAccount: names(count) }) },
  });
  const build = (images: readonly object[], more: object = {}) => ({
    metadata: { annotations: { [injectedAnnotation]: JSON.stringify({ 'spec.output.pushSecret': 'push' }) }, ...more },
    spec: { source: { images }, strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: 'r0.io/x' } } } },
  });
  const withPaths = (index: number, from: object) => ({ from, paths: [{ sourcePath: '/x', destinationDir: `${index}` }] });

  test.each<{ name: string; kind: string; group?: string; object: (size: number) => object; facts?: (size: number) => Facts }>([
    { name: 'a mark and an account', kind: 'Pod', object: (size) => ({ metadata: marked(size), spec: podSpec(size) }), facts: known },
    {
      name: 'the author’s list next to a mark and an account',
      kind: 'Pod',
      object: (size) => ({
        metadata: marked(size),
        spec: { ...podSpec(size), imagePullSecrets: [...podSpec(size).imagePullSecrets, { name: 'pull-0' }] },
      }),
      facts: known,
    },
    {
      name: 'an account that allows only listed secrets',
      kind: 'Pod',
      object: (size) => ({ metadata: marked(size), spec: podSpec(size) }),
      facts: (size) => known(size, true),
    },
    {
      name: 'images of a build, and its field managers',
      kind: 'BuildConfig',
      group: 'build.openshift.io',
      object: (size) =>
        build(
          many(size, (index) => withPaths(index, { kind: 'DockerImage', name: 'r0.io/x' })),
          { managedFields: many(size, (index) => ({ manager: `m${index}`, operation: 'Apply', fieldsV1: { 'f:spec': {} } })) },
        ),
    },
    {
      name: 'images of a build and those of a stream',
      kind: 'BuildConfig',
      group: 'build.openshift.io',
      object: (size) =>
        build(
          many(size, (index) => withPaths(index, { kind: 'ImageStreamImage', name: `base@${digest(index).slice(0, 60 + (index % 12))}` })),
        ),
      facts: known,
    },
    {
      name: 'images of a build, and a chain of tags',
      kind: 'BuildConfig',
      group: 'build.openshift.io',
      object: (size) => build(many(size, (index) => withPaths(index, { kind: 'ImageStreamTag', name: `base:1-${index}` }))),
      facts: known,
    },
    {
      name: 'tags that follow the newest image, and images',
      kind: 'BuildConfig',
      group: 'build.openshift.io',
      object: (size) => build(many(size, (index) => withPaths(index, { kind: 'ImageStreamTag', name: `base:1-${index}` }))),
      facts: namingNewest,
    },
    {
      name: 'containers and triggers',
      kind: 'DeploymentConfig',
      group: 'apps.openshift.io',
      object: (size) => ({
        spec: {
          template: { spec: { containers: many(size, (index) => ({ name: `c${index}`, image: 'x' })) } },
          triggers: many(size, (index) => ({
            type: 'ImageChange',
            imageChangeParams: { containerNames: [`c${index}`], from: { kind: 'ImageStreamTag', name: `base:1-${index}` } },
          })),
        },
      }),
      facts: known,
    },
  ])('$name', ({ kind, group = '', object, facts = () => factsOf(1, false) }) => {
    const measure = (size: number) => {
      const written = object(size) as JsonObject;
      const request: ChangeRequest = {
        operation: 'CREATE',
        group,
        kind,
        namespace: 'shop',
        name: 'web',
        user: 'alice',
        object: written,
        oldObject: null,
      };
      return workOf(request, facts(size)) / (JSON.stringify(written).length + 200 * size);
    };
    expect(measure(1600)).toBeLessThan(1.5 * measure(200) + 1);
  });
});

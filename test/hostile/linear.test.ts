/**
 * Checks that work grows linearly with the input. For a random object of every kind, counts the reads of the object and of its decision, with
 * long lists and with lists twice as long.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ReviewRequest } from '../../src/admission/review.ts';
import { decide } from '../../src/decision/decide.ts';
import { isObject, type JsonObject } from '../../src/object/json.ts';
import { kindsWithImages } from '../../src/object/kinds.ts';
import { buildAuditRecord } from '../../src/observe/audit/decision-record.ts';
import { runs } from '../property.ts';
import { anyObjectOf } from '../unit/decision/any-object.ts';
import { unwatched } from '../unit/decision/changes.ts';
import { ruleSetOf } from '../unit/rules/documents.ts';

const rules = ruleSetOf(`
unconfigured: warn
rules:
- {registry: r0.io, pullSecret: pull-0, pushSecret: push}
- {registry: r1.io, pullSecret: [pull-0, pull-1]}
- {registry: evil.io, trust: false, reason: no}
`);

test.each(kindsWithImages.map(({ kind, group }) => [kind, group] as const))('%s of the group "%s"', { timeout: 120_000 }, (kind, group) => {
  const objects = anyObjectOf[`${kind}.${group}`] as fc.Arbitrary<JsonObject>;
  fc.assert(
    fc.property(objects, fc.boolean(), (object, update) => {
      const [some, twice] = [900, 1_800].map((length) => countReads({ kind, group, update }, lengthen(object, length) as JsonObject));
      // A list of 900 has more images than an audit record shows, even where only one item in three has an image.
      // Twice the reads, with a margin of 10 % and 2,000 reads for work that happens once. Quadratic work would need four times the reads.
      expect(twice).toBeLessThan((some ?? 0) * 2.2 + 2_000);
    }),
    runs(4),
  );
});

/** Repeats each list of objects up to this length, except lists inside a list, which would multiply. */
function lengthen(value: unknown, length: number): unknown {
  if (Array.isArray(value)) {
    if (value.length === 0 || !value.every(isObject)) return value;
    return Array.from({ length }, (_, index) => numbered(value[index % value.length] as JsonObject, index));
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, lengthen(field, length)]));
}

/** Makes names unique, which the API server requires. */
function numbered(item: JsonObject, index: number): JsonObject {
  return typeof item.name === 'string' && /^[cv]/.test(item.name) ? { ...item, name: `${item.name}-${index}` } : item;
}

type What = { readonly kind: string; readonly group: string; readonly update: boolean };

function countReads({ kind, group, update }: What, object: JsonObject): number {
  let reads = 0;
  const counted = counting(object, () => {
    reads += 1;
  });
  const request: ReviewRequest = {
    uid: 'u',
    operation: update ? 'UPDATE' : 'CREATE',
    group,
    version: 'v1',
    kind,
    subresource: '',
    namespace: 'shop',
    name: 'web',
    user: 'alice',
    groups: [],
    dryRun: false,
    object: counted,
    oldObject: update ? counted : null,
  };
  const decision = decide({ ...request, operation: update ? 'UPDATE' : 'CREATE' }, rules, unwatched);
  for (const webhook of ['mutate', 'validate'] as const) {
    const images = decision.kind === 'decided' ? counting(decision.images, () => (reads += 1)) : [];
    const seen = decision.kind === 'decided' ? { ...decision, images } : decision;
    buildAuditRecord({ webhook, callerAuthenticated: false, request, decision: seen, durationMicroseconds: 0 });
  }
  return reads;
}

/** A proxy of the value that counts every read of it and of everything inside it. */
function counting<Value extends object>(root: Value, count: () => void): Value {
  const known = new WeakMap<object, object>();
  const wrap = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || value instanceof Map || value instanceof Set) return value;
    const before = known.get(value);
    if (before) return before;
    const proxy: object = new Proxy(value, {
      get(target, field, receiver) {
        count();
        const descriptor = Reflect.getOwnPropertyDescriptor(target, field);
        const found: unknown = Reflect.get(target, field, receiver);
        // A proxy must return the original value of a property that is neither configurable nor writable.
        return descriptor && !descriptor.configurable && !descriptor.writable ? found : wrap(found);
      },
      has(target, field) {
        count();
        return Reflect.has(target, field);
      },
      getOwnPropertyDescriptor(target, field) {
        count();
        return Reflect.getOwnPropertyDescriptor(target, field);
      },
    });
    known.set(value, proxy);
    return proxy;
  };
  return wrap(root) as Value;
}

/** The parser that knows values of `fieldsV1` agrees with JSON.parse on every text, whatever it has parsed before. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createParser } from '../../../../src/server/bodies/known-fields.ts';
import { propertyTimeout, runs } from '../../../property.ts';
import { textChanges } from '../text-changes.ts';

const captured = ['pod', 'deployment'].map((name) =>
  readFileSync(join(import.meta.dirname, `../../../../bench/speed/fixtures/${name}.json`), 'utf8').trimEnd(),
);

/** Long enough to be remembered. Some have the same beginning, and some differ in one character. */
const fields = fc
  .tuple(fc.constantFrom('a', 'b', 'é', '\ud800', '\\', '"}]', '__proto__'), fc.constantFrom('f:x', 'f:y', 'k:{"name":"x"}'), fc.nat(2))
  .map(([first, last, length]) => ({ [first]: {}, f: 'x'.repeat(500 + length), ...JSON.parse('{"__proto__":{}}'), [last]: { '.': {} } }));

const entry = fc.record({
  manager: fc.constantFrom('kubectl', ',"fieldsV1":{', 'a",\\"fieldsV1":{'),
  operation: fc.constant('Apply'),
  fieldsV1: fc.oneof({ weight: 5, arbitrary: fields }, { weight: 1, arbitrary: fc.constantFrom(null, {}, 'x', []) }),
  subresource: fc.constant('status'),
});

const object = fc.record(
  {
    metadata: fc.record({ managedFields: fc.array(entry, { maxLength: 3 }), annotations: fc.record({ x: fc.json() }) }),
    // Not where managed fields are.
    spec: fc.record({ name: fc.constant('x'), fieldsV1: fields, managedFields: fc.array(entry, { maxLength: 1 }) }),
  },
  { requiredKeys: ['metadata'] },
);

const generated = fc
  .record({ uid: fc.constant('u'), object, oldObject: fc.option(object), swapped: fc.boolean() })
  .map(({ swapped, ...request }) => {
    const { oldObject, ...others } = request;
    return JSON.stringify({ kind: 'AdmissionReview', request: swapped ? { oldObject, ...others } : request });
  });

const texts = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: generated }, { weight: 1, arbitrary: fc.constantFrom(...captured) }),
    fc.array(textChanges, { maxLength: 3 }),
  )
  .map(([text, changes]) => changes.reduce((changed, change) => change(changed), text));

function outcomeOf(parse: (text: string) => unknown, text: string): unknown {
  try {
    return { value: parse(text) };
  } catch (error) {
    return { message: (error as Error).message };
  }
}

/** Whether a value is one that all requests share. */
function sharesFields(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (Object.isFrozen(value) && Object.keys(value).length > 0) || Object.values(value).some(sharesFields);
}

describe('a body with managed fields', () => {
  test('is parsed like by JSON.parse', { timeout: propertyTimeout }, () => {
    const parse = createParser();
    const seen = { shared: 0, others: 0, invalid: 0 };
    fc.assert(
      fc.property(texts, (text) => {
        const expected = outcomeOf(JSON.parse, text);
        for (let time = 0; time < 2; time += 1) {
          const outcome = outcomeOf(parse, text) as { value?: unknown };
          expect(outcome).toStrictEqual(expected);
          // Also the order of the fields and what toStrictEqual ignores.
          expect(JSON.stringify(outcome)).toBe(JSON.stringify(expected));
          seen[!('value' in outcome) ? 'invalid' : sharesFields(outcome.value) ? 'shared' : 'others'] += 1;
        }
      }),
      runs(2_000),
    );
    const atLeast = runs(2_000).numRuns / 10;
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(atLeast);
  });

  test.each(captured)('shares its fields with the next one', (text) => {
    const parse = createParser();
    parse(text);
    expect(sharesFields(parse(text))).toBe(true);
  });

  test('has a low cost if its fields never recur', () => {
    const parse = createParser();
    const textWith = (name: string) =>
      JSON.stringify({
        request: { object: { metadata: { managedFields: [{ manager: 'x', fieldsV1: { [name]: {}, f: 'x'.repeat(500) } }] } } },
      });
    const isLearned = (name: string) => {
      parse(textWith(name));
      return sharesFields(parse(textWith(name)));
    };
    const learned = Array.from({ length: 1_000 }, (_, index) => isLearned(`early ${index}`)).filter(Boolean).length;
    // Those that were found pay for others.
    expect(learned).toBe(1_000);
    const once = Array.from({ length: 2_000 }, (_, index) => parse(textWith(`once ${index}`)));
    expect(once.some(sharesFields)).toBe(false);
    // Nothing has been found for long, so a value must come more often.
    expect(isLearned('late')).toBe(false);
    const times = Array.from({ length: 300 }, () => parse(textWith('late'))).findIndex(sharesFields);
    expect(times).toBeGreaterThan(0);
  });

  test.each([
    ['a duplicate field after it', (text: string) => text.replace('"manager":', '"fieldsV1":{},"manager":')],
    ['a duplicate list after it', (text: string) => text.replace('"spec":', '"managedFields":[],"spec":')],
    ['a syntax error after it', (text: string) => `${text}]`],
    ['a different end', (text: string) => text.replace('}}}]', '}},"f:x":{}}]')],
    ['whitespace in it', (text: string) => text.replace('"f:image":', '"f:image" :')],
    ['an escape in the name', (text: string) => text.replaceAll('"fieldsV1"', '"\\u0066ieldsV1"')],
  ])('is parsed as a whole with %s', (_what, change) => {
    for (const text of captured) {
      const parse = createParser();
      for (let time = 0; time < 2; time += 1) parse(text);
      expect(outcomeOf(parse, change(text))).toStrictEqual(outcomeOf(JSON.parse, change(text)));
    }
  });
});

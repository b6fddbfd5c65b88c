/** The limits of depth and structures, compared with the parsed JSON. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { couldExceed, findExcess } from '../../../../src/server/bodies/body-scan.ts';
import { structureOf } from '../../../hostile/bodies.ts';
import { runs } from '../../../property.ts';

const bytes = (text: string) => Buffer.from(text);
/** Low enough that random values are on both sides of the limits. */
const within = (depth: number, structures: number) => ({ depth, structures });

describe('the limits', () => {
  test.each([
    ['a number is not nested', '7', 0, 0],
    ['a list', '[]', 1, 1],
    ['an object in a list', '[{"a":1},2]', 2, 3],
    ['brackets inside a string do not count', '["[[{{,,", 1]', 1, 2],
    ['an escaped quotation mark does not end a string', '["\\",[[[", 1]', 1, 2],
    ['an escaped backslash does not escape what follows', '["\\\\",[[1]]]', 3, 4],
    ['a string with an escape at its end', '["\\\\\\"",{}]', 2, 3],
    ['keys are strings too', '{"a[,{":[1]}', 2, 2],
    ['after a list is closed, the next is not deeper', '[[],[],[]]', 2, 6],
    ['letters next to brackets that differ from them in one bit', '["Z","z",[["{[Zz"]],"[Z{z"]', 3, 6],
    ['multibyte characters', '["é€😀[",["{😀"]]', 2, 3],
  ])('%s: %s', (_name, text, depth, structures) => {
    expect(JSON.parse(text)).toBeDefined();
    for (let offset = 0; offset < 4; offset += 1) {
      const shifted = Buffer.concat([Buffer.alloc(offset, '['), bytes(text)]).subarray(offset);
      expect(findExcess(shifted, within(depth, structures))).toBeUndefined();
      if (depth > 0) expect(findExcess(shifted, within(depth - 1, structures))).toBe('depth');
      if (structures > 0) expect(findExcess(shifted, within(depth, structures - 1))).toBe('structures');
      if (depth > 0) expect(couldExceed(shifted, within(depth - 1, 1_000))).toBe(true);
      if (structures > 0) expect(couldExceed(shifted, within(depth, structures - 1))).toBe(true);
    }
  });

  test.each([
    ['600 objects side by side', `[${Array(600).fill('{"a":1}').join()}]`],
    ['1,500 empty objects', `[${Array(1_500).fill('"a",{}').join()}]`],
  ])('are quickly ruled out for %s', (_name, text) => {
    expect(couldExceed(bytes(text), within(500, 1_000_000))).toBe(false);
  });

  test('are not ruled out for 501 levels between other values', () => {
    for (const [before, after] of [
      ['', ''],
      ['"a",'.repeat(1_000), ''],
      ['', ',"a"'.repeat(1_000)],
      ['{},'.repeat(300), ',[]'.repeat(300)],
    ]) {
      const text = `[${before}${'['.repeat(500)}${']'.repeat(500)}${after}]`;
      expect(JSON.parse(text)).toBeDefined();
      expect(couldExceed(bytes(text), within(500, 1_000_000))).toBe(true);
    }
  });

  test.each([
    ['unterminated lists', '['.repeat(501), 'depth'],
    ['unterminated objects', '{"a":'.repeat(501), 'depth'],
    ['an unterminated string', `["${'['.repeat(600)}`, undefined],
    ['only closing brackets', ']'.repeat(600), undefined],
    ['nothing', '', undefined],
  ])('invalid JSON: %s', (_name, text, excess) => {
    expect(findExcess(bytes(text), within(500, 1_000_000))).toBe(excess);
  });
});

/** Values with JSON's structural characters, also in texts and keys. */
const nasty = fc.stringMatching(/^[[\]{},:"\\ZzÛûé😀 a]{0,12}$/u);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 7, withCrossShrink: true }, fc.integer(), nasty, fc.constant(null), tie('list'), tie('object')),
  list: fc.array(tie('value'), { maxLength: 6 }),
  object: fc.dictionary(nasty, tie('value'), { maxKeys: 6 }),
}));

test('agrees with the result of JSON.parse', () => {
  fc.assert(
    fc.property(value, fc.nat(3), fc.constantFrom(undefined, 1, '\t'), (written, offset, space) => {
      const text = JSON.stringify(written, null, space);
      const body = Buffer.concat([Buffer.alloc(offset), bytes(text)]).subarray(offset);
      const { depth, structures } = structureOf(JSON.parse(body.toString('utf8')));
      expect(findExcess(body, within(depth, structures))).toBeUndefined();
      if (depth > 0) expect(findExcess(body, within(depth - 1, structures))).toBe('depth');
      if (structures > 0) expect(findExcess(body, within(depth, structures - 1))).toBe('structures');
      if (depth > 0) expect(couldExceed(body, within(depth - 1, text.length * 4))).toBe(true);
    }),
    runs(3_000),
  );
});

test('agrees with it on invalid UTF-8', () => {
  const byte = fc.constantFrom(0x22, 0x5c, 0x5b, 0x5d, 0x2c, 0x31, 0x7b, 0x7d, 0x3a, 0x20, 0xc3, 0xa9, 0xe2, 0x82, 0xf0, 0x9f, 0xff, 0x80);
  let parsed = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), fc.array(byte, { maxLength: 12 }), (any, some) => {
      // The pieces around them make most of the texts valid JSON.
      for (const inner of [Buffer.from(any), Buffer.from(some)]) {
        const body = Buffer.concat([bytes('[["'), inner, bytes('",1],{}]')]);
        let made: unknown;
        try {
          made = JSON.parse(body.toString('utf8'));
        } catch {
          continue;
        }
        parsed += 1;
        const { depth, structures } = structureOf(made);
        expect(findExcess(body, within(depth, structures))).toBeUndefined();
        expect(findExcess(body, within(depth - 1, structures))).toBe('depth');
        expect(findExcess(body, within(depth, structures - 1))).toBe('structures');
        expect(couldExceed(body, within(depth - 1, 1_000))).toBe(true);
      }
    }),
    runs(5_000),
  );
  expect(parsed).toBeGreaterThan(runs(5_000).numRuns / 5);
});

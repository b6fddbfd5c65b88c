/** Reading and rendering the mark. */
import { describe, expect, test } from 'vitest';
import { injectedAnnotation, readBuildMark, readPodMark, renderBuildMark, renderPodMark } from '../../../src/object/injection-mark.ts';
import { sameJson } from '../../../src/object/json.ts';

describe('the mark on a Pod', () => {
  test.each([
    { mark: { rules: ['a'], serviceAccount: ['b'] }, text: '{"rules":["a"],"serviceAccount":["b"]}' },
    { mark: { rules: ['a'], serviceAccount: [] }, text: '{"rules":["a"]}' },
    { mark: { rules: [], serviceAccount: ['b'] }, text: '{"serviceAccount":["b"]}' },
  ])('$text is parsed', ({ mark, text }) => {
    expect(renderPodMark(mark)).toBe(text);
    expect(readPodMark(marked(text), ['metadata'])).toEqual(mark);
  });

  test.each(['', 'x', '[]', 'null', '7', '{"rules":"a"}', '{"rules":{"0":"a"}}', '{"rules":[1,null,""]}', '{"rules":', 5, null, {}])(
    '%j counts as no mark',
    (text) => {
      expect(readPodMark(marked(text), ['metadata'])).toEqual({ rules: [], serviceAccount: [] });
    },
  );
});

describe('the mark on a build', () => {
  test('is parsed', () => {
    const mark = new Map([['spec.output.pushSecret', 'push']]);
    expect(readBuildMark(marked(renderBuildMark(mark)), ['metadata'])).toEqual(mark);
  });

  test('contains only names', () => {
    expect(readBuildMark(marked('{"a":1,"b":"","__proto__":"x","c":"d"}'), ['metadata'])).toEqual(
      new Map([
        ['__proto__', 'x'],
        ['c', 'd'],
      ]),
    );
  });
});

describe('two JSON values', () => {
  const proto = JSON.parse('{"__proto__":{"a":1}}');
  test.each([
    { left: { a: 1, b: [1, { c: null }] }, right: { b: [1, {}], a: 1 }, same: true },
    { left: undefined, right: null, same: true },
    { left: { a: null }, right: {}, same: true },
    { left: [], right: null, same: false },
    { left: [], right: {}, same: false },
    { left: {}, right: [], same: false },
    { left: [1, 2], right: [2, 1], same: false },
    { left: [1], right: [1, null], same: false },
    { left: { a: 1 }, right: { a: '1' }, same: false },
    { left: { a: 1 }, right: { a: 1, b: 0 }, same: false },
    { left: proto, right: {}, same: false },
    { left: proto, right: JSON.parse('{"__proto__":{"a":1}}'), same: true },
    { left: { toString: 1 }, right: {}, same: false },
  ])('$left and $right: $same', ({ left, right, same }) => {
    expect(sameJson(left, right)).toBe(same);
    expect(sameJson(right, left)).toBe(same);
  });
});

function marked(text: unknown): object {
  return { metadata: { annotations: { [injectedAnnotation]: text } } };
}

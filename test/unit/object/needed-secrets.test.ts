/** Tests the annotation with the needed secrets: what is written, and what a reader accepts of what anyone may write. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readNeededSecrets, renderNeededSecrets } from '../../../src/object/needed-secrets.ts';
import { runs } from '../../property.ts';

const annotation = (text: unknown) => ({ 'regkeeper.io/secrets': text });

test('the names are sorted, once each', () => {
  expect(renderNeededSecrets(['b.pull', 'a', 'b.pull'])).toBe('a,b.pull');
  expect(renderNeededSecrets([])).toBeUndefined();
});

test('what is written is read', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?$/);
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 8 }), (names) => {
      expect(readNeededSecrets(annotation(renderNeededSecrets(names)))).toEqual(names.toSorted());
    }),
    runs(100),
  );
});

describe('a value that someone wrote by hand', () => {
  test.each<{ written: string; annotations: unknown; names: readonly string[] }>([
    { written: 'nothing', annotations: undefined, names: [] },
    { written: 'other annotations', annotations: { a: 'b' }, names: [] },
    { written: 'no text', annotations: annotation(5), names: [] },
    { written: 'an empty text', annotations: annotation(''), names: [] },
    { written: 'spaces and empty names', annotations: annotation(' a, ,b,'), names: ['a', 'b'] },
    { written: 'a name twice', annotations: annotation('a,a'), names: ['a'] },
    { written: 'more text than all names have', annotations: annotation('a,'.repeat(40_000)), names: [] },
    { written: 'a key of the prototype', annotations: Object.create(annotation('a')), names: [] },
  ])('$written', ({ annotations, names }) => {
    expect(readNeededSecrets(annotations)).toEqual(names);
  });

  test('more names than there can be: the first count', () => {
    const names = Array.from({ length: 300 }, (_, index) => `s${index}`);
    expect(readNeededSecrets(annotation(names.join(',')))).toEqual(names.slice(0, 250));
  });
});

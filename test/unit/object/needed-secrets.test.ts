/** Tests the annotation with the needed secrets: what is written, and what a reader accepts of what anyone may write. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readNeededSecrets, renderNeededSecrets } from '../../../src/object/needed-secrets.ts';
import { runs } from '../../property.ts';

const annotation = (text: unknown) => ({ 'regkeeper.io/secrets': text });

test('the names are sorted, without duplicates', () => {
  expect(renderNeededSecrets(['b.pull', 'a', 'b.pull'])).toBe('a,b.pull');
  expect(renderNeededSecrets([])).toBeUndefined();
});

test('what is written is parsed', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?$/);
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 8 }), (names) => {
      expect(readNeededSecrets(annotation(renderNeededSecrets(names)))).toEqual(names.toSorted());
    }),
    runs(100),
  );
});

describe('a value that a user wrote', () => {
  test.each<{ written: string; annotations: unknown; names: readonly string[] }>([
    { written: 'nothing', annotations: undefined, names: [] },
    { written: 'other annotations', annotations: { a: 'b' }, names: [] },
    { written: 'not a string', annotations: annotation(5), names: [] },
    { written: 'an empty string', annotations: annotation(''), names: [] },
    { written: 'spaces and empty names', annotations: annotation(' a, ,b,'), names: ['a', 'b'] },
    { written: 'a duplicate name', annotations: annotation('a,a'), names: ['a'] },
    { written: 'a longer string than all names have', annotations: annotation('a,'.repeat(40_000)), names: [] },
    { written: 'a property of the prototype', annotations: Object.create(annotation('a')), names: [] },
  ])('$written', ({ annotations, names }) => {
    expect(readNeededSecrets(annotations)).toEqual(names);
  });

  test('of too many names, the first are kept', () => {
    const names = Array.from({ length: 300 }, (_, index) => `s${index}`);
    expect(readNeededSecrets(annotation(names.join(',')))).toEqual(names.slice(0, 250));
  });
});

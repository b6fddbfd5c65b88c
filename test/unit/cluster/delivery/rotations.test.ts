/** Tests how the time of a rotation is measured. */
import { expect, test } from 'vitest';
import { createRotations, type Rotation } from '../../../../src/cluster/delivery/rotations.ts';

test('a rotation ends with its last copy', () => {
  let now = 0;
  const ended: Rotation[] = [];
  const rotations = createRotations(
    () => now,
    (rotation) => void ended.push(rotation),
  );
  rotations.begin('corp');
  for (const key of ['a/x', 'b/x', 'c/x']) rotations.pending('corp', key);
  now = 1_000;
  rotations.done('a/x', true);
  rotations.planned();
  now = 4_000;
  rotations.done('b/x', true);
  now = 9_000;
  rotations.done('unknown', true);
  rotations.done('c/x');
  expect(ended).toEqual([{ source: 'corp', copies: 2, seconds: 4 }]);
});

test('a change of a source without copies is not a rotation', () => {
  const ended: Rotation[] = [];
  const rotations = createRotations(
    () => 0,
    (rotation) => void ended.push(rotation),
  );
  rotations.begin('corp');
  rotations.planned();
  expect(ended).toEqual([]);
});

/** The kinds that the program knows by name: those of the platform, and those of the shipped file of custom kinds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { isPlatformKind } from '../../../src/evaluate/platform-kinds.ts';
import { presetFile, presets } from '../../../src/evaluate/unread-object.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';

test(`the presets are the kinds in ${presetFile}`, () => {
  const { kinds } = parse(readFileSync(join(import.meta.dirname, '../../..', presetFile), 'utf8'));
  expect(presets).toEqual(kinds.map(({ group, kind }: { group: string; kind: string }) => ({ group, kind })));
});

test('every kind with images is a platform kind', () => {
  expect(kindsWithImages.filter(({ group, kind }) => !isPlatformKind(group, kind))).toEqual([]);
});

/** Compares our Dockerfile reader with the recorded pulls of BuildKit, imagebuilder and buildah. `npm run fuzz:dockerfile` runs the tools. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { missedPulls, type Pull } from '../../oracle/dockerfile/compare.ts';
import type { Case } from '../../oracle/dockerfile/generate.ts';

type Recorded = Case & { readonly name: string; readonly pulls: readonly Pull[] };

const file = join(import.meta.dirname, '../../oracle/dockerfile/recorded.jsonl');
const recorded = readFileSync(file, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

describe('every image that a tool pulls is found', () => {
  test.each(recorded.filter(({ name }) => !name.startsWith('seed')))('$name', (each) => {
    expect(missedPulls(each, each.pulls)).toEqual([]);
  });

  test('in generated Dockerfiles', () => {
    const generated = recorded.filter(({ name }) => name.startsWith('seed'));
    expect(generated.length).toBeGreaterThan(400);
    expect(generated.flatMap((each) => missedPulls(each, each.pulls).map(({ image }) => `${each.name}: ${image}`))).toEqual([]);
  });

  test('and the comparison would detect one that is not', () => {
    const seen: Pull[] = [{ image: 'evil.io/never', tool: 'a tool' }];
    expect(missedPulls({ dockerfile: 'FROM good.io/a\n', args: {}, env: {} }, seen)).toEqual(seen);
  });
});

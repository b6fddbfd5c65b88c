import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ImageReference, parseImage } from '../../../src/image/reference.ts';
import { parsePattern, patternHolds, resolvePattern } from '../../../src/rules/pattern.ts';

// How a node matches the prefixes of its registries.conf (containers/image, sysregistriesv2). Policy owners know these patterns, so ours
// should mean the same wherever both exist, and every difference should be a decision.

const corpus = process.env.REGKEEPER_CORPUS ?? join(import.meta.dirname, '../../../../shared/corpus');
const file = join(corpus, 'registries_conf_prefix.tsv');

type Row = { readonly prefix: string; readonly reference: string; readonly nodeMatches: boolean };

/** Rows where regkeeper answers otherwise, by `prefix reference`. */
const differences: ReadonlyMap<string, string> = new Map([
  ['example.com example.com:5000', 'a raw string prefix on the node; here a trusting pattern without port is the default port only'],
  ['example.com/foo:bar example.com/foo:bar', 'rules are about repositories: a tag in a pattern is refused with a sentence'],
  [
    `example.com/foo@sha256:${'a'.repeat(64)} example.com/foo@sha256:${'a'.repeat(64)}`,
    'rules are about repositories: a digest in a pattern is refused',
  ],
  [
    'docker.io/library docker.io/libraryy',
    'the image is completed to docker.io/library/libraryy before it is matched, as a pull of it would be',
  ],
  ['* example.com/foo', 'on the node * is no pattern; here it is every host'],
]);

/** Where a row's reference is a registry without repository, any repository there stands for it. */
function referenceOf(text: string): ImageReference | undefined {
  const parsed = parseImage(/^[^/]+\.[^/]+$/.test(text) ? `${text}/any/repository` : text);
  return parsed.ok ? parsed.reference : undefined;
}

// The corpus writes short digests, which image names cannot have.
function withFullDigest(text: string): string {
  return text.replace(/sha256:([ab])+$/, (_, digit: string) => `sha256:${digit.repeat(64)}`);
}

function weMatch(prefix: string, reference: ImageReference): boolean {
  const parsed = parsePattern(prefix);
  return parsed.ok && patternHolds(resolvePattern(parsed.pattern, true), reference);
}

function readRows(): Row[] {
  const [, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [, , prefix = '', reference = '', , matchedLength = ''] = line.split('\t');
    // The node's answer is the part of the reference that matched, or the length of none.
    return { prefix: withFullDigest(prefix), reference: withFullDigest(reference), nodeMatches: matchedLength !== '1' };
  });
}

if (!existsSync(file)) {
  test(`corpus absent: ${file}`, () => {
    expect(existsSync(file)).toBe(false);
  });
} else {
  const rows = readRows();

  describe('a pattern means what it means in registries.conf', () => {
    test.each(rows.filter(({ prefix, reference }) => !differences.has(`${prefix} ${reference}`)))(
      '$prefix on $reference: $nodeMatches',
      (row) => {
        const reference = referenceOf(row.reference);
        expect(reference, 'parses').toBeDefined();
        expect(reference && weMatch(row.prefix, reference)).toBe(row.nodeMatches);
      },
    );
  });

  describe('a pattern differs on purpose', () => {
    test.each([...differences])('%s: %s', (key) => {
      const row = rows.find(({ prefix, reference }) => `${prefix} ${reference}` === key);
      const reference = row && referenceOf(row.reference);
      expect(reference && weMatch(row.prefix, reference)).toBe(!row?.nodeMatches);
    });
  });
}

/**
 * Compares patterns with the prefixes of a node's registries.conf (containers/image, sysregistriesv2). Policy owners know these, so patterns
 * should mean the same wherever both exist. Every difference is intended and listed.
 */
import { describe, expect, test } from 'vitest';
import { type ImageReference, parseImage } from '../../../src/image/reference.ts';
import { parsePattern, patternMatches, resolvePattern } from '../../../src/rules/language/pattern.ts';
import { readTable } from './corpus.ts';

const columns = ['test', 'idx', 'prefix', 'reference', 'expect', 'matched_len_expr'] as const;

/** Rows where regkeeper differs, by `prefix reference`. */
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

const rows = readTable({ file: 'registries_conf_prefix.tsv', columns, rows: 48 }).map((row) => ({
  prefix: withFullDigest(row.prefix),
  reference: withFullDigest(row.reference),
  // The column has the matched part of the reference. No match was "-1", of which "1" is left.
  nodeMatches: row.matched_len_expr !== '1',
}));

describe.runIf(rows.length > 0)('a pattern matches what it matches in registries.conf', () => {
  for (const { prefix, reference: text, nodeMatches } of rows) {
    const reason = differences.get(`${prefix} ${text}`);
    const difference = reason === undefined ? '' : `, and here not: ${reason}`;
    test(`${prefix} ${nodeMatches ? 'matches' : 'does not match'} ${text}${difference}`, () => {
      const reference = referenceOf(text);
      expect(reference, 'parses').toBeDefined();
      expect(reference && weMatch(prefix, reference)).toBe(reason === undefined ? nodeMatches : !nodeMatches);
    });
  }

  test('every row is unique, and every listed difference is a row', () => {
    const keys = rows.map(({ prefix, reference }) => `${prefix} ${reference}`);
    expect(new Set(keys).size).toBe(rows.length);
    expect([...differences.keys()].filter((key) => !keys.includes(key))).toEqual([]);
  });
});

/** Adds a repository to a row's reference that is only a registry. */
function referenceOf(text: string): ImageReference | undefined {
  const parsed = parseImage(/^[^/]+\.[^/]+$/.test(text) ? `${text}/any/repository` : text);
  return parsed.ok ? parsed.reference : undefined;
}

/** The corpus has short digests, which are not valid in image names. */
function withFullDigest(text: string): string {
  return text.replace(/sha256:([ab])+$/, (_, digit: string) => `sha256:${digit.repeat(64)}`);
}

function weMatch(prefix: string, reference: ImageReference): boolean {
  const parsed = parsePattern(prefix);
  return parsed.ok && patternMatches(resolvePattern(parsed.pattern, true), reference);
}

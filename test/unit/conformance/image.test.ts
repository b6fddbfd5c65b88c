/**
 * Compares image names with the test tables of distribution/reference, containers/image and the kubelet. Intended differences are listed
 * below, with the reason and with regkeeper's result.
 */
import { describe, expect, test } from 'vitest';
import { parseGrammar } from '../../../src/image/grammar.ts';
import { canonicalName, formatReference, type ImageReference, parseImage } from '../../../src/image/reference.ts';
import { type Row, readTable } from './corpus.ts';

const normalizeColumns = ['source', 'test', 'input', 'expect', 'domain', 'path', 'tag', 'canonical_or_error'] as const;
const rawColumns = ['source', 'idx', 'input', 'expect', 'error', 'domain', 'full_name', 'tag', 'digest'] as const;
type NormalizeRow = Row<(typeof normalizeColumns)[number]>;
type RawRow = Row<(typeof rawColumns)[number]>;

/** The result that a source expects, or that regkeeper has. Only the fields that the row states are compared. */
type Result = { result: 'ok' | 'error'; code?: string; domain?: string; path?: string; tag?: string; digest?: string; canonical?: string };

type Difference = { readonly reason: string; readonly here: Result };

const lowerCase = 'a host is matched in lower case, and keeps :443 where it would otherwise read back as a path on Docker Hub';

/** By source, test and input. Rows of the same name that check other parts (familiar, full) differ in the same way. */
const normalizeDifferences: ReadonlyMap<string, Difference> = new Map(
  [
    ['LOCALDOMAIN/fooo', 'localdomain', 'fooo'] as const,
    ['LOCALDOMAIN/fooo/bar', 'localdomain', 'fooo/bar'] as const,
    ['Foo/bar', 'foo', 'bar'] as const,
    ['FOO/bar', 'foo', 'bar'] as const,
  ].map(([input, domain, path]): [string, Difference] => [
    `distribution/reference TestParseRepositoryInfo ${input}`,
    { reason: lowerCase, here: { result: 'ok', domain, path, canonical: `${domain}:443/${path}` } },
  ]),
);

/** By source, index and input. */
const rawDifferences: ReadonlyMap<string, Difference> = new Map([
  [
    `distribution/reference 14 validname@sha512:${'f'.repeat(128)}`,
    {
      reason: 'that test program has not registered sha512; the kubelet and containers/image have, and pull by it',
      here: { result: 'ok' },
    },
  ],
  [
    `containers/image 17 ${'a/'.repeat(128)}a:tag`,
    {
      reason: 'there the limit of 255 counts the domain too; distribution/reference, which the kubelet uses, counts the remote name alone',
      here: { result: 'ok' },
    },
  ],
]);

describe('reference_normalize.tsv', () => {
  compare(
    readTable({ file: 'reference_normalize.tsv', columns: normalizeColumns, rows: 266 }).map((row) => ({
      name: `${row.source} ${functionOf(row)} ${row.input}`,
      title: `${row.test} of ${row.source}: ${JSON.stringify(row.input)}`,
      expected: expectedNormalized(row),
      found: foundNormalized(functionOf(row), row.input),
    })),
    normalizeDifferences,
  );
});

describe('reference_parse_raw.tsv', () => {
  compare(
    readTable({ file: 'reference_parse_raw.tsv', columns: rawColumns, rows: 75 }).map((row) => ({
      name: `${row.source} ${row.idx} ${row.input}`,
      title: `row ${row.idx} of ${row.source}: ${JSON.stringify(row.input)}`,
      expected: expectedRaw(row),
      found: foundRaw(row.input),
    })),
    rawDifferences,
  );
});

type Case = { readonly name: string; readonly title: string; readonly expected: Result; readonly found: Result };

/** One test per row. */
function compare(cases: readonly Case[], differences: ReadonlyMap<string, Difference>): void {
  if (cases.length === 0) return;
  for (const { name, title, expected, found } of cases) {
    const difference = differences.get(name);
    if (difference === undefined) {
      test(title, () => expect(only(found, expected)).toEqual(expected));
    } else {
      test(`${title} differs: ${difference.reason}`, () => {
        expect(only(found, expected)).not.toEqual(expected);
        expect(found).toMatchObject(difference.here);
      });
    }
  }
  test('every listed difference is a row', () => {
    const names = new Set(cases.map(({ name }) => name));
    expect([...differences.keys()].filter((name) => !names.has(name))).toEqual([]);
  });
}

/** The test function, without the part that is checked: `TestParseRepositoryInfo` for `/FullName` and for `/AmbiguousName`. */
function functionOf({ test: name }: NormalizeRow): string {
  return name.split(/[/(]/)[0]?.trim() ?? '';
}

function expectedNormalized(row: NormalizeRow): Result {
  if (isError(row)) return { result: 'error', ...codeOf(row.canonical_or_error) };
  return {
    result: 'ok',
    ...stated('domain', row.domain),
    ...stated('path', row.path),
    ...stated('tag', row.tag),
    ...stated('canonical', row.canonical_or_error),
  };
}

/** The result as the tested function would return it: some add `latest`, and one drops the tag if there is a digest. */
function foundNormalized(tested: string, input: string): Result {
  const parsed = parseImage(input);
  if (!parsed.ok) return { result: 'error', code: parsed.problem.code };
  const { reference } = parsed;
  const tag = reference.tag ?? (reference.digest === undefined ? 'latest' : undefined);
  if (tested.startsWith('TestParseDockerRef'))
    return resultOf(reference.digest === undefined ? withTag(reference, tag) : withTag(reference, undefined));
  if (tested.startsWith('ParseImageName')) return resultOf(withTag(reference, tag));
  return resultOf(reference);
}

function resultOf(reference: ImageReference): Result {
  return {
    result: 'ok',
    domain: reference.port === undefined ? reference.host : `${reference.host}:${reference.port}`,
    path: reference.path.join('/'),
    ...stated('tag', reference.tag),
    ...stated('digest', reference.digest),
    canonical: reference.tag === undefined && reference.digest === undefined ? canonicalName(reference) : formatReference(reference),
  };
}

function withTag({ tag: _, ...reference }: ImageReference, tag: string | undefined): ImageReference {
  return tag === undefined ? reference : { ...reference, tag };
}

/** A raw row states every part, so an empty cell means that the part is absent. */
function expectedRaw(row: RawRow): Result {
  if (isError(row)) return { result: 'error', ...codeOf(row.error) };
  return { result: 'ok', domain: row.domain, path: row.full_name, tag: row.tag, digest: row.digest };
}

function foundRaw(input: string): Result {
  const parsed = parseGrammar(input);
  if (!parsed.ok) return { result: 'error', code: parsed.problem.code };
  const { domain = '', path, tag = '', digest = '' } = parsed;
  return { result: 'ok', domain, path: domain === '' ? path : `${domain}/${path}`, tag, digest };
}

function isError({ expect: word }: { readonly expect: string }): boolean {
  if (word !== 'ok' && word !== 'error') throw new Error(`the corpus expects "${word}", which this suite does not know`);
  return word === 'error';
}

/** The problem code for an error of the sources. Three errors have none. An unknown error fails, so that nothing is skipped silently. */
function codeOf(error: string): { code?: string } {
  if (['', 'ErrReferenceInvalidFormat', 'invalid reference format'].includes(error)) return {};
  const codes: Record<string, string> = {
    ErrNameEmpty: 'empty',
    ErrNameContainsUppercase: 'upper-case',
    ErrNameTooLong: 'name-too-long',
    'digest.ErrDigestInvalidLength': 'digest',
    'digest.ErrDigestUnsupported': 'digest',
    'must be lowercase': 'upper-case',
    'cannot specify 64-byte hexadecimal strings': 'image-id',
  };
  const code = codes[error];
  if (code === undefined) throw new Error(`the corpus names the error "${error}", which this suite does not know`);
  return { code };
}

function stated<Key extends keyof Result>(key: Key, value: string | undefined): { [key in Key]?: string } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { [key in Key]?: string });
}

function only(found: Result, statement: Result): Partial<Result> {
  return Object.fromEntries(Object.entries(found).filter(([key]) => key in statement));
}

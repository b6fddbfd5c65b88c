import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseGrammar } from '../../../src/image/grammar.ts';
import { canonicalName, formatReference, type ImageReference, parseImage } from '../../../src/image/reference.ts';

/*
 * Cases that nobody of this project wrote: the test tables of distribution/reference, containers/image and the kubelet, kept beside the
 * checkout. Each row is compared; where regkeeper differs on purpose, the row stands in a list below with the reason and must differ.
 */

const root = resolve(import.meta.dirname, '../../..');
const corpus = resolve(root, process.env.REGKEEPER_CORPUS ?? '../shared/corpus');

type Row = Readonly<Record<string, string>>;
/** What a source expects or regkeeper finds; only the fields that the row states are compared. */
type Outcome = { result: 'ok' | 'error'; code?: string; domain?: string; path?: string; tag?: string; digest?: string; canonical?: string };

const suites = [
  {
    file: 'reference_normalize.tsv',
    name: (row: Row) => `${row.source} ${row.test?.split(/[/(]/)[0]} ${row.input}`,
    expected: expectedNormalized,
    found: (row: Row) => foundNormalized(row.test ?? '', row.input ?? ''),
    differences: [
      ...['LOCALDOMAIN/fooo', 'LOCALDOMAIN/fooo/bar', 'Foo/bar', 'FOO/bar'].map((input) => ({
        row: `distribution/reference TestParseRepositoryInfo ${input}`,
        reason: 'a host is matched in lower case, and keeps :443 where it would otherwise read back as a path on Docker Hub',
      })),
    ],
  },
  {
    file: 'reference_parse_raw.tsv',
    name: (row: Row) => `${row.source} ${row.idx} ${row.input}`,
    expected: expectedRaw,
    found: (row: Row) => foundRaw(row.input ?? ''),
    differences: [
      {
        row: `distribution/reference 14 validname@sha512:${'f'.repeat(128)}`,
        reason: 'that test program has not registered sha512; the kubelet and containers/image have, and pull by it',
      },
      {
        row: `containers/image 17 ${'a/'.repeat(128)}a:tag`,
        reason:
          'there the limit of 255 counts the domain too; distribution/reference, which the kubelet uses, counts the remote name alone',
      },
    ],
  },
];

const absent = suites.map(({ file }) => join(corpus, file)).filter((file) => !existsSync(file));
if (absent.length > 0) {
  test(`corpus absent: ${absent.join(', ')}`, () => {
    expect(absent, 'nothing was compared with these files').not.toEqual([]);
  });
}

for (const { file, name, expected, found, differences } of suites) {
  if (absent.includes(join(corpus, file))) continue;
  const rows = readTable(join(corpus, file));
  const reasons = new Map(differences.map(({ row, reason }) => [row, reason]));

  describe(file, () => {
    for (const row of rows) {
      const reason = reasons.get(name(row));
      const statement = expected(row);
      const title = `${row.test ?? 'Parse'} of ${row.source}: ${JSON.stringify(row.input)}`;
      if (reason === undefined) {
        test(title, () => expect(only(found(row), statement)).toEqual(statement));
      } else {
        test(`${title} differs: ${reason}`, () => expect(only(found(row), statement)).not.toEqual(statement));
      }
    }

    test('has rows, and every listed difference is one of them', () => {
      const names = new Set(rows.map(name));
      expect(rows.length).toBeGreaterThan(0);
      expect([...reasons.keys()].filter((row) => !names.has(row))).toEqual([]);
    });
  });
}

function expectedNormalized(row: Row): Outcome {
  if (row.expect === 'error') return { result: 'error', ...codeOf(row.canonical_or_error ?? '') };
  return {
    result: 'ok',
    ...stated('domain', row.domain),
    ...stated('path', row.path),
    ...stated('tag', row.tag),
    ...stated('canonical', row.canonical_or_error),
  };
}

/** The answer in the terms of the function that the row tests: some of them fill in `latest`, one drops a tag beside a digest. */
function foundNormalized(tested: string, input: string): Outcome {
  const parsed = parseImage(input);
  if (!parsed.ok) return { result: 'error', code: parsed.problem.code };
  const { reference } = parsed;
  const tag = reference.tag ?? (reference.digest === undefined ? 'latest' : undefined);
  if (tested.startsWith('TestParseDockerRef'))
    return outcome(reference.digest === undefined ? withTag(reference, tag) : withTag(reference, undefined));
  if (tested.startsWith('ParseImageName')) return outcome(withTag(reference, tag));
  return outcome(reference);
}

function outcome(reference: ImageReference): Outcome {
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
function expectedRaw(row: Row): Outcome {
  if (row.expect === 'error') return { result: 'error', ...codeOf(row.error ?? '') };
  return { result: 'ok', domain: row.domain ?? '', path: row.full_name ?? '', tag: row.tag ?? '', digest: row.digest ?? '' };
}

function foundRaw(input: string): Outcome {
  const parsed = parseGrammar(input);
  if (!parsed.ok) return { result: 'error', code: parsed.problem.code };
  const { domain = '', path, tag = '', digest = '' } = parsed;
  return { result: 'ok', domain, path: domain === '' ? path : `${domain}/${path}`, tag, digest };
}

/** The sources' errors that name a reason; ErrReferenceInvalidFormat names none. */
function codeOf(error: string): { code?: string } {
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
  return code === undefined ? {} : { code };
}

function stated<Key extends keyof Outcome>(key: Key, value: string | undefined): { [key in Key]?: string } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { [key in Key]?: string });
}

function only(found: Outcome, statement: Outcome): Partial<Outcome> {
  return Object.fromEntries(Object.entries(found).filter(([key]) => key in statement));
}

/** Tab separated with a header row; tabs and line breaks inside a cell are written `\t` and `\n`. */
function readTable(file: string): Row[] {
  const [header = '', ...lines] = readFileSync(file, 'utf8').replace(/\n$/, '').split('\n');
  const keys = header.split('\t');
  return lines.map((line) => {
    const cells = line.split('\t').map((cell) => cell.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
    return Object.fromEntries(keys.map((key, index) => [key, cells[index] ?? '']));
  });
}

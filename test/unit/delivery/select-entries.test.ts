/** Tests which entries of a source the rules of a namespace need. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findBuilderCredential } from '../../../src/credentials/builder.ts';
import { createKeyring, findCredentials } from '../../../src/credentials/kubelet.ts';
import { type NamingRule, selectEntries } from '../../../src/delivery/select-entries.ts';
import { type ImageReference, parseImage, repositoryAsWritten } from '../../../src/image/reference.ts';
import { parsePattern, patternMatches, resolvePattern } from '../../../src/rules/language/pattern.ts';
import { growthOf } from '../../growth.ts';
import { propertyTimeout, runs } from '../../property.ts';

function rule(registry: string, purposes: Partial<Pick<NamingRule, 'pull' | 'push'>> = {}): NamingRule {
  const parsed = parsePattern(registry);
  if (!parsed.ok) throw new Error(parsed.message);
  return { name: registry, pattern: resolvePattern(parsed.pattern, true), pull: true, push: false, ...purposes };
}

function select(keys: readonly string[], ...rules: readonly NamingRule[]) {
  const { entries, rulesWithout, wider } = selectEntries(
    keys.map((key) => ({ key })),
    rules,
  );
  return { keys: entries.map(({ key }) => key), without: rulesWithout.map(({ name }) => name), wider: wider.map(({ key }) => key) };
}

const hub = 'https://index.docker.io/v1/';

describe('of these keys, a rule needs', () => {
  test.each<[why: string, registry: string, keys: string[], needed: string[]]>([
    ['its host, and no other', 'reg.io', ['other.io', 'reg.io', 'reg.io.evil.com', 'sub.reg.io'], ['reg.io']],
    ['its port', 'reg.io:5000', ['reg.io', 'reg.io:5000', 'reg.io:5001'], ['reg.io:5000']],
    ['all spellings of the default port', 'reg.io', ['reg.io:443', 'https://reg.io', 'reg.io:05000'], ['reg.io:443', 'https://reg.io']],
    ['every port if the rule is for all', 'reg.io:*', ['reg.io', 'reg.io:5000'], ['reg.io', 'reg.io:5000']],
    ['Docker Hub as docker login writes it', 'docker.io', [hub, 'quay.io'], [hub]],
    [
      'Docker Hub under each of its names',
      'docker.io/bitnami',
      ['docker.io', 'registry-1.docker.io'],
      ['docker.io', 'registry-1.docker.io'],
    ],
    ['entries below its path', 'reg.io/team', ['reg.io/team/a', 'reg.io/team/b', 'reg.io/other/a'], ['reg.io/team/a', 'reg.io/team/b']],
    ['the wider entry, for lack of a closer one', 'reg.io/team', ['reg.io', 'reg.io/other'], ['reg.io']],
    ['not the wider entry if a closer one covers all its images', 'reg.io/team', ['reg.io', 'reg.io/team'], ['reg.io/team']],
    ['the wider entry if a closer one covers some of its images', 'reg.io/team', ['reg.io', 'reg.io/team/a'], ['reg.io', 'reg.io/team/a']],
    ['the wider entry for builds, which match whole segments', 'reg.io/team', ['reg.io', 'reg.io/te'], ['reg.io', 'reg.io/te']],
    ['a wildcard in the key', 'reg.example.com', ['*.example.com', '*.example.org', 'r*.example.com'], ['r*.example.com']],
    ['a key with fewer labels never', 'a.reg.example.com', ['*.example.com'], []],
    [
      'every subdomain of a wildcard',
      '*.example.com',
      ['a.example.com', 'example.com', '*.example.com', 'b.c.example.com'],
      ['a.example.com', '*.example.com', 'b.c.example.com'],
    ],
    [
      'a key with two wildcards under a longer suffix',
      '*.prod.example.com',
      ['*.example.com', '*.*.example.com', '*.*.*.com'],
      ['*.*.example.com'],
    ],
    ['everything if the rule is for every registry', '*', ['a.io', hub, 'b.io:5000/team', '*.c.io'], ['a.io', hub, '*.c.io']],
    ['a wildcard segment', 'reg.io/*/base', ['reg.io/team', 'reg.io/team/base', 'reg.io/team/other'], ['reg.io/team', 'reg.io/team/base']],
    ['a key of the registry API', 'reg.io', ['https://reg.io/v2/'], ['https://reg.io/v2/']],
    ['two keys that are one for the kubelet', 'reg.io', ['reg.io', 'https://reg.io'], ['reg.io', 'https://reg.io']],
    ['an address', '10.0.0.1:5000', ['10.0.0.1:5000', '10.0.0.1'], ['10.0.0.1:5000']],
    ['an IPv6 address', '[fd00::1]:5000', ['[fd00::1]:5000', '[fd00::2]:5000'], ['[fd00::1]:5000']],
    ['nothing that kubelets cannot parse', 'reg.io', ['reg.io/%zz', '[reg.io'], []],
  ])('%s', (_why, registry, keys, needed) => {
    const { keys: selected, without } = select(keys, rule(registry));
    expect(selected).toEqual(needed);
    expect(without).toEqual(needed.length === 0 ? [registry] : []);
  });

  test('what a push needs, which is looked up like by the kubelet', () => {
    const keys = ['reg.io', 'reg.io/te'];
    expect(select(keys, rule('reg.io/team', { pull: false, push: true })).keys).toEqual(['reg.io/te']);
  });

  test('the entries for all rules, and each rule without one is listed', () => {
    expect(select(['a.io', 'b.io'], rule('a.io'), rule('b.io/x'), rule('c.io'))).toEqual({
      keys: ['a.io', 'b.io'],
      without: ['c.io'],
      wider: ['b.io'],
    });
  });

  test.each<[why: string, registry: string, key: string, wider: string[]]>([
    ['the same path', 'reg.io/team', 'reg.io/team', []],
    ['a path below', 'reg.io/team', 'reg.io/team/a', []],
    ['a shorter path', 'reg.io/team', 'reg.io', ['reg.io']],
    ["a path that has the rule's as a string prefix only", 'reg.io/team-b', 'reg.io/team', ['reg.io/team']],
    ['a path in place of a wildcard segment', 'reg.io/*/base', 'reg.io/team/base', []],
    ['a wildcard in place of a host', 'a.example.com', '*.example.com', ['*.example.com']],
    ['a wildcard for the part of the host that the rule leaves open', '*.example.com', '*.example.com', []],
    ['a wildcard for more than that', '*.example.com', '*.*.com', ['*.*.com']],
    ['any host, if the rule is for every registry', '*', '*.example.com', []],
  ])('an entry with %s is reported as wider if it is', (_why, registry, key, wider) => {
    expect(select([key], rule(registry))).toEqual({ keys: [key], without: [], wider });
  });

  test('no wider entry without a report', () => {
    expect(select(['*.io', 'b.io'], rule('a.io'), rule('b.io')).wider).toEqual(['*.io']);
  });
});

const host = fc.constantFrom('a.io', 'b.a.io', 'c.b.a.io', 'docker.io', 'reg.a.io');
const segment = fc.constantFrom('x', 'te', 'team', 'teamx', 'app', 'q');
const path = fc.array(segment, { maxLength: 3 }).map((segments) => segments.map((each) => `/${each}`).join(''));
const port = fc.constantFrom('', '', ':443', ':5000');
const key = fc.oneof(
  fc
    .tuple(fc.oneof(host, fc.constantFrom('*.io', '*.a.io', '*.*.io', 'r*.a.io', 'index.docker.io')), port, path)
    .map((parts) => parts.join('')),
  fc.constantFrom(hub, 'https://a.io', 'https://a.io/v2/', 'reg.a.io/'),
);
const registry = fc.oneof(
  fc.tuple(host, fc.constantFrom('', ':5000'), path).map((parts) => parts.join('')),
  fc.constantFrom('*.a.io', '*', '*.io/team', 'a.io/*/app', 'a.io:*'),
);
const image = fc.tuple(host, port, path, segment).map(([name, ofPort, ofPath, last]) => `${name}${ofPort}${ofPath}/${last}`);

function reference(text: string): ImageReference {
  const parsed = parseImage(text);
  if (!parsed.ok) throw new Error(parsed.problem.message);
  return parsed.reference;
}

test(
  'the first entry that a kubelet tries, and the one of a build, are the same with the selection as with the whole source',
  () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { minLength: 1, maxLength: 6 }), registry, image, (keys, written, text) => {
        const entries = keys.map((each) => ({ key: each }));
        const [wanted, pulled] = [rule(written), reference(text)];
        fc.pre(patternMatches(wanted.pattern, pulled));
        const { entries: selected } = selectEntries(entries, [wanted]);
        const repository = repositoryAsWritten(pulled);
        expect(createKeyring(entries).first(repository)[0]).toBe(findCredentials(entries, pulled)[0]);
        expect(findCredentials(selected, pulled)[0]?.key).toBe(findCredentials(entries, pulled)[0]?.key);
        expect(findBuilderCredential(selected, pulled, 'pull')?.key).toBe(findBuilderCredential(entries, pulled, 'pull')?.key);
        expect(findBuilderCredential(selected, pulled, 'push')?.key).toBe(findBuilderCredential(entries, pulled, 'push')?.key);
      }),
      runs(3_000),
    );
  },
  propertyTimeout,
);

test(
  'no entry for the host or path of other images is selected',
  () => {
    const withoutHub = fc.tuple(host, path).filter(([name]) => name !== 'docker.io');
    fc.assert(
      fc.property(fc.uniqueArray(key, { minLength: 1, maxLength: 6 }), withoutHub, (keys, [name, ofPath]) => {
        const own = `${name}${ofPath}`.split('/');
        for (const selected of select(keys, rule(own.join('/'))).keys) {
          const [ofHost = '', ...segments] = selected
            .replace(/^https:\/\//, '')
            .replace(/\/(v[12]\/)?$/, '')
            .split('/');
          expect(ofHost.replace(':443', '').split('.').length).toBe(name.split('.').length);
          for (const [index, segment] of segments.slice(0, own.length - 1).entries())
            expect(own[index + 1]?.startsWith(segment)).toBe(true);
        }
      }),
      runs(1_000),
    );
  },
  propertyTimeout,
);

test('the time for a source with one registry grows with its entries, not with their square', () => {
  const keys = Array.from({ length: 8_000 }, (_, index) => `reg.io/team-${index}`);
  const selectAll = (some: readonly string[]) => select(some, rule('reg.io'), rule('other.io'));
  expect(selectAll(keys).keys).toHaveLength(8_000);
  // 16 times the entries. Comparing each with every other one would take 256 times as long.
  expect(growthOf(selectAll, keys.slice(0, 500), keys)).toBeLessThan(64);
});

// Within the time limit of a test. It took minutes when each rule was compared with each entry by parsing an image.
test.each([
  ['of as many registries', (index: number) => `team-${index}.io`],
  ['of one registry', (index: number) => `reg.io/team-${index}`],
])('a source of 1 MiB with 20,000 entries %s works for 500 rules', (_what, keyOf) => {
  const keys = Array.from({ length: 20_000 }, (_, index) => keyOf(index));
  const rules = Array.from({ length: 500 }, (_, index) => rule(keyOf(index)));
  expect(select(keys, ...rules)).toEqual({ keys: keys.slice(0, 500), without: [], wider: [] });
});

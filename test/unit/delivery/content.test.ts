/** Tests the content of copies, and which sources can be copied. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRegistrySecret, registrySecretProblems } from '../../../src/credentials/registry-secret.ts';
import { createContent } from '../../../src/delivery/content.ts';
import { areAllAmong } from '../../../src/delivery/rule-ids.ts';
import { readSource, type UsableSource } from '../../../src/delivery/source.ts';
import { parsePattern, resolvePattern } from '../../../src/rules/language/pattern.ts';
import { propertyTimeout, runs } from '../../property.ts';

const config = 'kubernetes.io/dockerconfigjson';
const metadata = { uid: 'u1', resourceVersion: '7', labels: { 'regkeeper.io/source': 'true' } };

function secret(content: unknown, { type = config, key = '.dockerconfigjson' } = {}) {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  return { metadata, type, data: { [key]: Buffer.from(text).toString('base64') } };
}

function rule(registry: string) {
  const parsed = parsePattern(registry);
  if (!parsed.ok) throw new Error(parsed.message);
  return { name: registry, pattern: resolvePattern(parsed.pattern, true), pull: true, push: false };
}

const usable = (source: object) => readSource('corp', source as never) as UsableSource;
const identity = (text: string) => text;

function copyOf(source: object, ...registries: string[]) {
  const { data, ...rest } = createContent(usable(source), registries.map(rule), identity);
  const text = data && Buffer.from(data['.dockerconfigjson'], 'base64').toString();
  return { ...rest, data, json: text === undefined ? undefined : JSON.parse(text) };
}

const auth = btoa('robot:secret');

describe('a copy', () => {
  test('contains only the entries that the rules need', () => {
    const source = secret({ auths: { 'a.io': { auth }, 'b.io': { username: 'u', password: 'p' } }, HttpHeaders: { 'X-A': 'b' } });
    expect(copyOf(source, 'b.io').json).toEqual({ auths: { 'b.io': { username: 'u', password: 'p' } } });
  });

  test('from a .dockercfg is a .dockerconfigjson', () => {
    const source = secret({ 'a.io': { auth, email: 'a@b.c' } }, { type: 'kubernetes.io/dockercfg', key: '.dockercfg' });
    expect(copyOf(source, 'a.io').json).toEqual({ auths: { 'a.io': { auth, email: 'a@b.c' } } });
  });

  test('keeps non-ASCII characters, however they are encoded', () => {
    const password = 'pä€😀';
    expect(copyOf(secret({ auths: { 'a.io': { username: 'ü', password } } }), 'a.io').json.auths['a.io']).toEqual({
      username: 'ü',
      password,
    });
    expect(copyOf(secret('{"auths":{"a.io":{"username":"\\u00fc","password":"\\u20ac"}}}'), 'a.io').json.auths['a.io']).toEqual({
      username: 'ü',
      password: '€',
    });
  });

  test('does not exist if it would be too large for a Secret, even if its source is not', () => {
    const empty = '{"auths":{"a.io":{"username":"","password":"p"}}}'.length;
    const sized = (bytes: number, letter = 'x') =>
      copyOf(secret({ auths: { 'a.io': { username: letter.repeat(bytes - empty), password: 'p' } } }), 'a.io');
    expect(sized(1_048_576)).toMatchObject({ tooLarge: false, data: expect.anything() });
    expect(sized(1_048_577)).toMatchObject({ tooLarge: true, data: undefined });
    // Six characters for a letter of two bytes.
    expect(sized(300_000, 'é')).toMatchObject({ tooLarge: true, data: undefined, entries: 1 });
  });

  test('does not exist if the source has no entry for the rules', () => {
    const { data, rulesWithout } = copyOf(secret({ auths: { 'a.io': { auth } } }), 'b.io');
    expect(data).toBeUndefined();
    expect(rulesWithout.map(({ name }) => name)).toEqual(['b.io']);
  });

  test('omits entries without a login, which would hide others', () => {
    expect(copyOf(secret({ auths: { 'a.io/team': {}, 'a.io': { auth } } }), 'a.io/team').json).toEqual({ auths: { 'a.io': { auth } } });
  });

  test('omits a malformed entry, which would stop every pull', () => {
    const source = secret({ auths: { 'a.io': { auth }, 'b.io': { auth: '!' }, 'c.io': { auth: btoa('no-colon') } } });
    expect(copyOf(source, 'a.io', 'b.io', 'c.io').json).toEqual({ auths: { 'a.io': { auth } } });
    expect(usable(source).problems.map(({ code, entry }) => [code, entry])).toEqual([
      ['auth-not-base64', 'b.io'],
      ['auth-without-colon', 'c.io'],
    ]);
  });

  test('omits entries without a login, which are listed with the malformed ones', () => {
    const auths = { 'a.io': {}, 'b.io': { auth: btoa(':') }, 'me:hunter2@c.io': null, 'd.io': { auth: '!' }, 'e.io': { auth } };
    const { problems } = usable(secret({ auths }));
    expect(problems.map(({ code, cause }) => `${code} ${cause}`)).toEqual([
      'auth-not-base64 Entry "d.io": "auth" is not base64.',
      'entry-without-login Entry "a.io": it has no user name and no password.',
      'entry-without-login Entry "b.io": it has no user name and no password.',
      'entry-without-login Entry "***@c.io": it has no user name and no password.',
    ]);
  });

  test('omits fields that are not strings, on which a builder would fail', () => {
    expect(copyOf(secret({ auths: { 'a.io': { auth, identitytoken: 7, email: null } } }), 'a.io').json.auths['a.io']).toEqual({ auth });
  });

  test('keeps a key that is a JavaScript property name', () => {
    expect(copyOf(secret(`{"auths":{"__proto__":{"auth":"${auth}"},"a.io":{"auth":"${auth}"}}}`), 'a.io').json).toEqual({
      auths: { 'a.io': { auth } },
    });
  });
});

describe('without data', () => {
  const malformed = secret({ auths: { 'a.io': { auth: '!' }, 'b.io': { auth } } });
  const omitted = (source: object, ...registries: string[]) => copyOf(source, ...registries).omitted.map(({ entry }) => entry);
  test('an entry for the rules that cannot be copied is distinguished from an entry that does not exist', () => {
    expect(omitted(malformed, 'a.io')).toEqual(['a.io']);
    expect(omitted(malformed, 'a.io/team', 'c.io')).toEqual(['a.io']);
    expect(omitted(malformed, 'c.io')).toEqual([]);
    expect(omitted(secret({ auths: { 'a.io': {}, 'c.io': {} } }), 'a.io')).toEqual(['a.io']);
  });

  test('an entry that cannot be copied is no problem if another one is copied instead', () => {
    expect(copyOf(malformed, 'a.io', 'b.io')).toMatchObject({ data: expect.anything(), omitted: [] });
  });

  test.each([1, 16, 17, 40])('the content lists the rules for which an earlier copy was written, for %i rules', (count) => {
    const all = Array.from({ length: count }, (_, index) => `r${index}.io`);
    const source = secret({ auths: Object.fromEntries(all.map((registry) => [registry, { auth }])) });
    const { rules } = copyOf(source, ...all);
    expect(areAllAmong(rules, copyOf(malformed, ...all).ruleIds)).toBe(true);
    expect(areAllAmong(rules, copyOf(malformed, ...all.slice(1)).ruleIds)).toBe(false);
    expect(areAllAmong(rules, copyOf(malformed, ...all, 'added.io').ruleIds)).toBe(count <= 16);
  });
});

describe('the version of a copy', () => {
  const source = secret({ auths: { 'a.io': { auth }, 'b.io': { auth } } });
  test('is equal for equal sources and selections, whichever rules produce them', () => {
    expect(copyOf(source, 'a.io').version).toBe(copyOf(source, 'a.io/team').version);
  });
  test('differs after another write of the source, and for a different selection', () => {
    const written = { ...source, metadata: { ...metadata, resourceVersion: '8' } };
    expect(new Set([copyOf(source, 'a.io'), copyOf(written, 'a.io'), copyOf(source, 'b.io')].map(({ version }) => version)).size).toBe(3);
  });
  test('contains nothing of the content', () => {
    expect(copyOf(source, 'a.io').version).toBe('[2,"u1 7",["a.io"]]');
  });
});

describe('a source is unusable', () => {
  test.each<[string, object | undefined, string]>([
    ['if it does not exist', undefined, 'source-missing'],
    ['without the label', { ...secret({ auths: {} }), metadata: { uid: 'u', resourceVersion: '1' } }, 'source-unlabelled'],
    [
      'with a different value of the label',
      { ...secret({ auths: {} }), metadata: { labels: { 'regkeeper.io/source': 'false' } } },
      'source-unlabelled',
    ],
    ['if it is Opaque', { ...secret({ auths: {} }), type: 'Opaque' }, 'source-type'],
    ['without content', { metadata, type: config, data: {} }, 'source-malformed'],
    ['if it is not JSON', secret('{'), 'source-malformed'],
    ['if it is not an object', secret([]), 'source-malformed'],
    ['if auths are a list', secret({ auths: [] }), 'source-malformed'],
  ])('%s', (_why, source, code) => {
    expect(readSource('corp', source as never)).toMatchObject({ state: 'unusable', code });
  });
});

const entry = fc.oneof(
  fc.record({ auth: fc.constantFrom(auth, '!', btoa('x'), '', null, 7) }),
  fc.record({ username: fc.constantFrom('u', '', null), password: fc.constantFrom('p', 'ä', null), email: fc.constantFrom('e', 3, null) }),
  fc.constantFrom(null, [], 'text', {}),
);
const auths = fc.dictionary(fc.constantFrom('a.io', 'a.io/team', '*.io', 'b.io', '%zz', '__proto__'), entry as fc.Arbitrary<unknown>);

test(
  'every copy of any source is well-formed for a kubelet',
  () => {
    fc.assert(
      fc.property(auths, fc.boolean(), (found, legacy) => {
        const source = legacy
          ? secret(found, { type: 'kubernetes.io/dockercfg', key: '.dockercfg' })
          : secret({ auths: found, HttpHeaders: 7 });
        const { data } = copyOf(source, 'a.io', 'b.io');
        if (data) {
          const read = parseRegistrySecret({ type: config, data });
          expect(read?.problems.filter(({ code }) => registrySecretProblems[code] !== 'entry-ignored')).toEqual([]);
          expect(read?.auths.length).toBeGreaterThan(0);
          expect(read?.auths.every(({ hasLogin }) => hasLogin)).toBe(true);
        }
      }),
      runs(1_000),
    );
  },
  propertyTimeout,
);

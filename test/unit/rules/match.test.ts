import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ImageReference } from '../../../src/image/reference.ts';
import { type Indexed, indexRules } from '../../../src/rules/match.ts';
import { parsePattern, patternHolds, resolvePattern } from '../../../src/rules/pattern.ts';
import { referenceOf, ruleSetOf, winnerOf } from './documents.ts';

type Lookup = Pick<ImageReference, 'host' | 'port' | 'path'>;

describe('the most specific rule wins', () => {
  test.each([
    {
      because: 'a literal host before a wildcard',
      rules: ['a.example.com', '*.example.com'],
      image: 'a.example.com/x',
      winner: 'a.example.com',
    },
    {
      because: 'a longer suffix before a shorter',
      rules: ['*.com', '*.b.example.com', '*.example.com'],
      image: 'a.b.example.com/x',
      winner: '*.b.example.com',
    },
    { because: 'a suffix before every host', rules: ['*', '*.com'], image: 'a.com/x', winner: '*.com' },
    { because: 'every host where nothing else holds', rules: ['*', '*.com'], image: 'a.org/x', winner: '*' },
    {
      because: 'a host before a path',
      rules: ['a.example.com', '*.example.com/team/app'],
      image: 'a.example.com/team/app',
      winner: 'a.example.com',
    },
    { because: 'a literal port before *', rules: ['reg.io:5000', 'reg.io:*'], image: 'reg.io:5000/x', winner: 'reg.io:5000' },
    { because: 'the default port is literal', rules: ['reg.io', 'reg.io:*'], image: 'reg.io:443/x', winner: 'reg.io' },
    {
      because: 'a literal port before a path',
      rules: ['reg.io:5000', 'reg.io:*/team/app'],
      image: 'reg.io:5000/team/app',
      winner: 'reg.io:5000',
    },
    {
      because: 'the longer path',
      rules: ['reg.io', 'reg.io/team', 'reg.io/team/app'],
      image: 'reg.io/team/app',
      winner: 'reg.io/team/app',
    },
    {
      because: 'the longer path though it has *',
      rules: ['reg.io/team', 'reg.io/*/app'],
      image: 'reg.io/team/app',
      winner: 'reg.io/*/app',
    },
    {
      because: 'the literal segment further left',
      rules: ['reg.io/team/*', 'reg.io/*/app'],
      image: 'reg.io/team/app',
      winner: 'reg.io/team/*',
    },
    {
      because: 'the next host where the path differs',
      rules: ['a.example.com/team', '*.example.com'],
      image: 'a.example.com/x',
      winner: '*.example.com',
    },
    {
      because: 'the next host where the port differs',
      rules: ['a.example.com:5000', '*.example.com'],
      image: 'a.example.com/x',
      winner: '*.example.com',
    },
    { because: 'the next port where the path differs', rules: ['reg.io/team', 'reg.io:*'], image: 'reg.io/x', winner: 'reg.io:*' },
    { because: 'back to the literal branch', rules: ['reg.io/a/b/c', 'reg.io/*/b'], image: 'reg.io/a/b/x', winner: 'reg.io/*/b' },
    { because: 'nothing holds', rules: ['reg.io/a/b'], image: 'reg.io/a', winner: undefined },
  ])('$because', ({ rules, image, winner }) => {
    const text = `rules: [${rules.map((registry) => `{registry: "${registry}"}`).join(', ')}]`;
    expect(winnerOf(ruleSetOf(text), referenceOf(image))?.pattern.text).toBe(winner);
  });
});

describe('a refusal without port', () => {
  test.each([
    { because: 'holds on every port', yes: [], no: ['reg.io'], image: 'reg.io:5000/x', trust: false },
    {
      because: 'is not outranked by its registry, trusted on the default port',
      yes: ['reg.io'],
      no: ['reg.io/evil'],
      image: 'reg.io/evil/x',
      trust: false,
    },
    {
      because: 'is not outranked by its registry, trusted on another port',
      yes: ['reg.io:5000'],
      no: ['reg.io/evil'],
      image: 'reg.io:5000/evil/x',
      trust: false,
    },
    { because: 'leaves the rest of the registry trusted', yes: ['reg.io'], no: ['reg.io/evil'], image: 'reg.io/good', trust: true },
    { because: 'gives way to one trusted port', yes: ['reg.io:5000'], no: ['reg.io'], image: 'reg.io:5000/x', trust: true },
    { because: 'gives way to a trusted path', yes: ['docker.io/library'], no: ['docker.io'], image: 'nginx', trust: true },
    {
      because: 'stays in force beside a trusted path on another port',
      yes: ['docker.io/library'],
      no: ['docker.io'],
      image: 'docker.io:5000/library/nginx',
      trust: false,
    },
    {
      because: 'is stronger than a trusting :* with a longer path',
      yes: ['reg.io:*/team'],
      no: ['reg.io'],
      image: 'reg.io:5000/team/x',
      trust: false,
    },
  ])('$because', ({ yes, no, image, trust }) => {
    const trusted = yes.map((registry) => `{registry: "${registry}"}`);
    const refused = no.map((registry) => `{registry: "${registry}", trust: false}`);
    expect(winnerOf(ruleSetOf(`rules: [${[...trusted, ...refused].join(', ')}]`), referenceOf(image))?.trust).toBe(trust);
  });
});

test('an internal registry wins whatever else is written', () => {
  const ruleSet = ruleSetOf(
    'internalRegistries: [reg.svc:5000]\nrules: [{registry: reg.svc/evil, trust: false}, {registry: "*.svc:5000"}]',
  );
  expect(winnerOf(ruleSet, referenceOf('reg.svc:5000/evil/x'))).toMatchObject({ internal: true, trust: true });
  expect(winnerOf(ruleSet, referenceOf('reg.svc/evil/x'))).toMatchObject({ internal: false, trust: false });
});

describe('the index agrees with asking every rule', () => {
  const label = fc.constantFrom('a', 'b', 'c');
  const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => [...labels, 'io'].join('.'));
  const hostPattern = fc.oneof(
    host,
    host.map((name) => `*.${name}`),
    fc.constantFrom('*', '*.io'),
  );
  const portPattern = fc.constantFrom('', '', ':443', ':5000', ':*');
  const pathPattern = fc.array(fc.constantFrom('x', 'y', '*'), { maxLength: 4 });
  const entry = fc.record({ host: hostPattern, port: portPattern, path: pathPattern, trust: fc.boolean() }).map(toEntry);
  const lookup: fc.Arbitrary<Lookup> = fc
    .record({
      host,
      port: fc.constantFrom(undefined, 5000, 6000),
      path: fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 4 }),
    })
    .map(({ host: name, port, path }) => ({ host: name, path, ...(port !== undefined && { port }) }));

  test('for any rules and references', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(entry, { selector: tieKey, maxLength: 40 }),
        fc.array(lookup, { maxLength: 20 }),
        (entries, references) => {
          const index = indexRules(entries);
          for (const reference of references) expect(index.match(reference)).toBe(slowMatch(entries, reference));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('whatever the order of the rules', () => {
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: tieKey, maxLength: 20 }), lookup, (entries, reference) => {
        expect(indexRules(entries.toReversed()).match(reference)).toBe(indexRules(entries).match(reference));
      }),
    );
  });

  test('on which entries cover a whole pattern', () => {
    const plain = fc
      .record({ host: hostPattern, port: portPattern, path: fc.constant<readonly string[]>([]), trust: fc.constant(true) })
      .map(toEntry);
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 10 }), plain, lookup, (entries, inner, reference) => {
        const cover = indexRules(entries).cover(inner.pattern);
        if (cover && patternHolds(inner.pattern, reference)) expect(patternHolds(cover.pattern, reference)).toBe(true);
        if (!cover) expect(entries.map(({ pattern }) => pattern.text)).not.toContain(inner.pattern.text);
      }),
    );
  });
});

function toEntry({ host, port, path, trust }: { host: string; port: string; path: readonly string[]; trust: boolean }): Indexed {
  const parsed = parsePattern([host + port, ...path].join('/'));
  if (!parsed.ok) throw new Error(parsed.message);
  return { pattern: resolvePattern(parsed.pattern, trust), trust };
}

function tieKey({ pattern }: Indexed): string {
  return JSON.stringify([pattern.host, pattern.port, pattern.path]);
}

/** The definition of the winner in its plainest form: all rules that hold, the most specific first. */
function slowMatch(entries: readonly Indexed[], reference: Lookup): Indexed | undefined {
  return entries.filter(({ pattern }) => patternHolds(pattern, reference)).sort(moreSpecificFirst)[0];
}

function moreSpecificFirst(one: Indexed, other: Indexed): number {
  const [left, right] = [specificity(one), specificity(other)];
  const different = left.findIndex((value, index) => value !== right[index]);
  return different < 0 ? 0 : (right[different] ?? 0) - (left[different] ?? 0);
}

/** Greater is more specific, from left to right. Both patterns hold one reference, so equally long suffixes are equal. */
function specificity({ pattern: { host, port, path }, trust }: Indexed): number[] {
  const hostRank = host.kind === 'exact' ? 1000 : host.kind === 'suffix' ? host.name.length : 0;
  const portRank = port === 'any' && trust ? 0 : 1;
  return [hostRank, portRank, path.length, ...path.map((segment) => (segment === '*' ? 0 : 1)), port === 'any' ? 0 : 1];
}

/** Tests the rule index: which rule wins, also against a slow definition of the winner. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileRuleSet } from '../../../../src/rules/compile/compile.ts';
import { intersectPatterns, representativeOf } from '../../../../src/rules/compile/pattern-overlap.ts';
import { patternMatches } from '../../../../src/rules/language/pattern.ts';
import { compareSpecificity, type Indexed, indexRules, type Lookup } from '../../../../src/rules/match/match.ts';
import { selects } from '../../../../src/rules/match/namespaces.ts';
import type { NamespaceContext, NamespaceSelector, Rule } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import {
  anyLookup,
  anyNamespace,
  anyPattern,
  anyRule,
  type BriefRule,
  compiled,
  documentWith,
  inNamespace,
  labels,
  names,
  patternOf,
  rule,
  unlabelled,
  untied,
} from '../build.ts';
import { referenceOf, ruleSetOf, sha256, winnerOf } from '../documents.ts';

describe('the most specific rule wins', () => {
  test.each([
    {
      because: 'a literal host before a wildcard',
      rules: ['a.example.com', '*.example.com'],
      image: 'a.example.com/x',
      winner: 'a.example.com',
    },
    {
      because: 'a longer suffix before a shorter one',
      rules: ['*.com', '*.b.example.com', '*.example.com'],
      image: 'a.b.example.com/x',
      winner: '*.b.example.com',
    },
    { because: 'a suffix before any host', rules: ['*', '*.com'], image: 'a.com/x', winner: '*.com' },
    { because: 'any host if nothing else matches', rules: ['*', '*.com'], image: 'a.org/x', winner: '*' },
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
      because: 'the next host if the path differs',
      rules: ['a.example.com/team', '*.example.com'],
      image: 'a.example.com/x',
      winner: '*.example.com',
    },
    {
      because: 'the next host if the port differs',
      rules: ['a.example.com:5000', '*.example.com'],
      image: 'a.example.com/x',
      winner: '*.example.com',
    },
    { because: 'the next port if the path differs', rules: ['reg.io/team', 'reg.io:*'], image: 'reg.io/x', winner: 'reg.io:*' },
    { because: 'back to the literal branch', rules: ['reg.io/a/b/c', 'reg.io/*/b'], image: 'reg.io/a/b/x', winner: 'reg.io/*/b' },
    { because: 'nothing matches', rules: ['reg.io/a/b'], image: 'reg.io/a', winner: undefined },
  ])('$because', ({ rules, image, winner }) => {
    const text = `rules: [${rules.map((registry) => `{registry: "${registry}"}`).join(', ')}]`;
    expect(winnerOf(ruleSetOf(text), referenceOf(image))?.pattern.text).toBe(winner);
  });
});

describe('a denial without a port', () => {
  test.each([
    { because: 'applies to every port', yes: [], no: ['reg.io'], image: 'reg.io:5000/x', trust: false },
    {
      because: 'is not overridden by its registry, trusted on the default port',
      yes: ['reg.io'],
      no: ['reg.io/evil'],
      image: 'reg.io/evil/x',
      trust: false,
    },
    {
      because: 'is not overridden by its registry, trusted on another port',
      yes: ['reg.io:5000'],
      no: ['reg.io/evil'],
      image: 'reg.io:5000/evil/x',
      trust: false,
    },
    { because: 'leaves the rest of the registry trusted', yes: ['reg.io'], no: ['reg.io/evil'], image: 'reg.io/good', trust: true },
    { because: 'yields to a single trusted port', yes: ['reg.io:5000'], no: ['reg.io'], image: 'reg.io:5000/x', trust: true },
    { because: 'yields to a trusted path', yes: ['docker.io/library'], no: ['docker.io'], image: 'nginx', trust: true },
    {
      because: 'remains in effect next to a trusted path on another port',
      yes: ['docker.io/library'],
      no: ['docker.io'],
      image: 'docker.io:5000/library/nginx',
      trust: false,
    },
    {
      because: 'takes precedence over a trusting :* with a longer path',
      yes: ['reg.io:*/team'],
      no: ['reg.io'],
      image: 'reg.io:5000/team/x',
      trust: false,
    },
  ])('$because', ({ yes, no, image, trust }) => {
    const trusted = yes.map((registry) => `{registry: "${registry}"}`);
    const denied = no.map((registry) => `{registry: "${registry}", trust: false}`);
    expect(winnerOf(ruleSetOf(`rules: [${[...trusted, ...denied].join(', ')}]`), referenceOf(image))?.trust).toBe(trust);
  });
});

test('an internal registry wins over all other rules', () => {
  const ruleSet = ruleSetOf(
    'internalRegistries: [reg.svc:5000]\nrules: [{registry: "reg.svc:*/evil", trust: false}, {registry: "*.svc:5000"}]',
  );
  expect(winnerOf(ruleSet, referenceOf('reg.svc:5000/evil/x'))).toMatchObject({ internal: true, trust: true });
  expect(winnerOf(ruleSet, referenceOf('reg.svc/evil/x'))).toMatchObject({ internal: false, trust: false });
});

describe('rules for some namespaces', () => {
  const teamA = inNamespace('team-a', { team: 'a', env: 'prod' });
  test.each<{ because: string; rules: readonly BriefRule[]; image?: string; where?: NamespaceContext; winner: string | undefined }>([
    {
      because: 'are skipped in other namespaces, however specific',
      rules: [{ registry: 'reg.io' }, { registry: 'reg.io/app', namespaces: names('team-b') }],
      winner: 'reg.io',
    },
    {
      because: 'match nothing if no other rule does',
      rules: [{ registry: 'reg.io/app', namespaces: labels('team=b') }],
      winner: undefined,
    },
    {
      because: 'win with the same pattern',
      rules: [{ registry: 'reg.io' }, { registry: 'reg.io', namespaces: labels('team=a'), name: 'of team a' }],
      winner: 'of team a',
    },
    {
      because: 'do not win over a longer path for all namespaces',
      rules: [{ registry: 'reg.io/app' }, { registry: 'reg.io', namespaces: names('team-a') }],
      winner: 'reg.io/app',
    },
    {
      because: 'win with a name over a glob',
      rules: [
        { registry: 'reg.io', namespaces: names('team-*'), name: 'teams' },
        { registry: 'reg.io', namespaces: names('shop', 'team-a'), name: 'these' },
      ],
      winner: 'these',
    },
    {
      because: 'win with a glob over labels',
      rules: [
        { registry: 'reg.io', namespaces: labels('team=a', 'env=prod'), name: 'labels' },
        { registry: 'reg.io', namespaces: names('t*'), name: 'glob' },
      ],
      winner: 'glob',
    },
    {
      because: 'win with more labels over fewer',
      rules: [
        { registry: 'reg.io', namespaces: labels('team=a'), name: 'team' },
        { registry: 'reg.io', namespaces: labels('env=prod', '!legacy'), name: 'production' },
      ],
      winner: 'production',
    },
    {
      because: 'deny what is trusted elsewhere on the default port',
      rules: [{ registry: 'reg.io' }, { registry: 'reg.io', trust: false, namespaces: names('team-a'), name: 'not here' }],
      winner: 'not here',
    },
    {
      because: 'deny what is trusted elsewhere on another port',
      rules: [{ registry: 'reg.io:5000' }, { registry: 'reg.io', trust: false, namespaces: names('team-a'), name: 'not here' }],
      image: 'reg.io:5000/app',
      winner: 'not here',
    },
    {
      because: 'but a literal port wins for the same namespaces',
      rules: [
        { registry: 'reg.io:5000', namespaces: names('team-a'), name: 'this port' },
        { registry: 'reg.io', trust: false, namespaces: names('team-a') },
      ],
      image: 'reg.io:5000/app',
      winner: 'this port',
    },
  ])('$because', ({ rules, image = 'reg.io/app', where = teamA, winner }) => {
    expect(winnerOf(compiled({ rules: rules.map(rule) }), referenceOf(image), where)?.name).toBe(winner);
  });

  test('are found among a thousand teams with the same pattern, by name, glob or label', () => {
    const teams = Array.from({ length: 1000 }, (_, index) => `team-${index}`);
    const selectors: readonly ((team: string) => NamespaceSelector)[] = [
      (team) => names(team),
      (team) => names(`${team}-*`),
      (team) => labels('env=prod', `team=${team}`),
    ];
    for (const selector of selectors) {
      const rules = teams.map((team) => rule({ registry: 'reg.io', namespaces: selector(team), name: team }));
      const ruleSet = compiled({ rules });
      const where = inNamespace(selector === selectors[0] ? 'team-77' : 'team-77-dev', { env: 'prod', team: 'team-77' });
      expect(winnerOf(ruleSet, referenceOf('reg.io/app'), where)?.name).toBe('team-77');
      expect(winnerOf(ruleSet, referenceOf('reg.io/app'), inNamespace('shop', { env: 'prod' }))).toBeUndefined();
    }
  });
});

describe('if the labels are unknown', () => {
  const byLabels = rule({ registry: 'reg.io/app', namespaces: labels('team=a'), name: 'trusted by labels' });
  const byLabelsAndPort = rule({ registry: 'reg.io:443/app', namespaces: labels('team=a'), name: 'trusted by labels and port' });
  const deniedByLabels = rule({ registry: 'reg.io/app', trust: false, namespaces: labels('team=a'), name: 'refused by labels' });
  const forAll = rule({ registry: 'reg.io', name: 'for all' });

  test.each<{ because: string; rules: readonly Rule[]; winner: Rule | undefined; unsure?: Rule }>([
    { because: 'a trusting rule that selects by them does not apply', rules: [byLabels], winner: undefined, unsure: byLabels },
    { because: 'and yields to a rule for all namespaces', rules: [byLabels, forAll], winner: forAll, unsure: byLabels },
    {
      because: 'a denial that selects by them applies',
      rules: [deniedByLabels, forAll],
      winner: deniedByLabels,
      unsure: deniedByLabels,
    },
    {
      because: 'a denial applies after a trusting rule that does not',
      rules: [rule({ registry: 'reg.io', trust: false, namespaces: labels('tier=x'), name: 'wider refusal' }), byLabels],
      winner: expect.objectContaining({ name: 'wider refusal' }),
      unsure: byLabels,
    },
    {
      because: 'less specific rules do not matter',
      rules: [rule({ registry: 'reg.io/app', name: 'path' }), rule({ registry: 'reg.io', trust: false, namespaces: labels('team=a') })],
      winner: expect.objectContaining({ name: 'path' }),
    },
    {
      because: 'a name is more specific than any labels',
      rules: [deniedByLabels, rule({ registry: 'reg.io/app', namespaces: names('shop'), name: 'shop' })],
      winner: expect.objectContaining({ name: 'shop' }),
    },
    {
      because: 'a literal port takes precedence over a denial of every port that is equally specific',
      rules: [
        byLabelsAndPort,
        rule({ registry: 'reg.io/app', trust: false, namespaces: labels('kubernetes.io/metadata.name=shop'), name: 'refused by name' }),
      ],
      winner: expect.objectContaining({ name: 'refused by name' }),
      unsure: byLabelsAndPort,
    },
    {
      because: 'a rule that does not match the image does not matter',
      rules: [rule({ registry: 'reg.io/other', trust: false, namespaces: labels('team=a') }), forAll],
      winner: forAll,
    },
    {
      because: 'an internal registry is certain',
      rules: [byLabels, rule({ registry: 'reg.io', internal: true, name: 'internal' })],
      winner: expect.objectContaining({ name: 'internal' }),
    },
  ])('$because', ({ rules, winner, unsure }) => {
    const answer = compiled({ rules }).match(referenceOf('reg.io/app'), unlabelled('shop'));
    expect(answer.value).toEqual(winner);
    expect(answer.unsure).toEqual(unsure?.origin);
  });

  test('the result is the strictest of all that labels could lead to, and certain if they lead to one', () => {
    fc.assert(
      fc.property(untiedRules(12), anyLookup, anyNamespace, (rules, reference, somewhere) => {
        const ruleSet = compiled({ rules });
        const blind = ruleSet.match(reference, unlabelled(somewhere.namespace));
        const seeing = ruleSet.match(reference, somewhere);
        expect(seeing.unsure).toBeUndefined();
        if (!blind.unsure) expect(blind.value).toBe(seeing.value);
        if (blind.value?.trust) expect(seeing.value?.trust).toBe(true);
        if (seeing.value?.trust === false) expect(blind.value?.trust).toBe(false);
      }),
      runs(1000),
    );
  });
});

describe('the index agrees with a search through every rule', () => {
  test('for any rules, references and namespaces', () => {
    fc.assert(
      fc.property(untiedRules(40), fc.array(fc.tuple(anyLookup, anyNamespace), { maxLength: 20 }), (rules, questions) => {
        const index = indexRules(rules);
        for (const [reference, somewhere] of questions) {
          expect(index.match(reference, somewhere).entry).toBe(slowMatch(rules, reference, somewhere));
        }
      }),
      runs(500),
    );
  });

  test('whatever the order of the rules, and whether labels are known or not', () => {
    const somewhere = fc.oneof(
      anyNamespace,
      anyNamespace.map(({ namespace }) => unlabelled(namespace)),
    );
    fc.assert(
      fc.property(untiedRules(20), anyLookup, somewhere, (rules, reference, where) => {
        const [forth, back] = [indexRules(rules).match(reference, where), indexRules(rules.toReversed()).match(reference, where)];
        expect(back.entry).toBe(forth.entry);
        expect(back.unsure).toBe(forth.unsure);
      }),
      runs(500),
    );
  });

  test('however the rules are spread over documents', () => {
    const shares = fc.array(fc.nat(3), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(untiedRules(12), shares, anyLookup, anyNamespace, (rules, share, reference, somewhere) => {
        const parts = [0, 1, 2, 3].map((part) => documentWith({ rules: rules.filter((_, index) => share[index] === part) }));
        const spread = compileRuleSet(parts, sha256);
        const whole = compiled({ rules });
        expect(spread.ok && spread.ruleSet.match(reference, somewhere).value).toBe(whole.match(reference, somewhere).value);
        expect(spread.ok && spread.ruleSet.revision).toBe(whole.revision);
      }),
    );
  });

  test('about which of two is more specific', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 15 }), anyLookup, anyNamespace, (rules, reference, somewhere) => {
        const meeting = rules.filter((each) => matches(each, reference, somewhere));
        for (const one of meeting) {
          for (const other of meeting.filter((each) => each !== one)) {
            const compared = compareSpecificity(one, other, somewhere);
            expect(compareSpecificity(other, one, somewhere)?.firstWins).toBe(compared && !compared.firstWins);
            if (compared) expect(indexRules([one, other]).match(reference, somewhere).entry).toBe(compared.firstWins ? one : other);
            else expect(compileRuleSet([documentWith({ rules: [one, other] })], sha256).ok).toBe(false);
          }
        }
      }),
      runs(500),
    );
  });
});

describe('patterns as a whole', () => {
  const everywhere = inNamespace('shop');

  test('an entry that matches the representative of a pattern matches every image of the pattern', () => {
    const patterns = fc.uniqueArray(anyPattern, { selector: (text) => patternOf(text).text, maxLength: 10 });
    fc.assert(
      fc.property(patterns, anyPattern, anyLookup, (registries, inner, reference) => {
        const rules = registries.map((registry) => rule({ registry }));
        const found = indexRules(rules).match(representativeOf(patternOf(inner)), everywhere).entry;
        if (found && patternMatches(patternOf(inner), reference)) expect(patternMatches(found.pattern, reference)).toBe(true);
        if (!found) expect(rules.map(({ pattern }) => pattern.text)).not.toContain(patternOf(inner).text);
      }),
      runs(1000),
    );
  });

  test('the intersection of two patterns matches what both match, and nothing else', () => {
    fc.assert(
      fc.property(anyPattern, anyPattern, anyLookup, (one, other, reference) => {
        const [left, right] = [patternOf(one), patternOf(other)];
        const common = intersectPatterns(left, right);
        const inCommon = common !== undefined && patternMatches({ ...common, text: '' }, reference);
        expect(inCommon).toBe(patternMatches(left, reference) && patternMatches(right, reference));
        if (common)
          for (const each of [left, right])
            expect(indexRules([{ pattern: each, trust: true }]).match(representativeOf(common), everywhere).entry).toBeDefined();
      }),
      runs(2000),
    );
  });
});

function untiedRules(maxLength: number): fc.Arbitrary<readonly Rule[]> {
  return fc.array(anyRule, { maxLength }).map(untied);
}

function matches(entry: Indexed, reference: Lookup, where: NamespaceContext): boolean {
  return patternMatches(entry.pattern, reference) && selects(entry.namespaces, where) === true;
}

/** The definition of the winner in its simplest form: all rules that match and apply, the most specific first. */
function slowMatch(entries: readonly Indexed[], reference: Lookup, where: NamespaceContext): Indexed | undefined {
  return entries
    .filter((entry) => matches(entry, reference, where))
    .sort((one, other) => {
      const [left, right] = [specificity(one, where), specificity(other, where)];
      const different = left.findIndex((value, index) => value !== right[index]);
      return different < 0 ? 0 : (right[different] ?? 0) - (left[different] ?? 0);
    })[0];
}

/** A greater value is more specific, from left to right. Both patterns match one reference, so equally long suffixes are equal. */
function specificity({ pattern: { host, port, path }, trust, namespaces }: Indexed, where: NamespaceContext): number[] {
  const hostRank = host.kind === 'exact' ? 1000 : host.kind === 'suffix' ? host.name.length : 0;
  const portRank = port === 'any' && trust ? 0 : 1;
  const segments = path.map((segment) => (segment === '*' ? 0 : 1));
  return [hostRank, portRank, path.length, ...segments, ...namespaceRank(namespaces, where), port === 'any' ? 0 : 1];
}

function namespaceRank(
  selector: NamespaceSelector | undefined,
  { namespace, labels: known }: NamespaceContext,
): readonly [kind: number, size: number] {
  if (!selector) return [0, 0];
  if (selector.kind === 'labels') return [1, new Set(selector.requirements.map((each) => JSON.stringify(each))).size];
  if (selector.names.includes(namespace)) return [3, 0];
  const matching = selector.names.filter((name) => selects(names(name), { namespace, labels: known }) === true);
  return [2, Math.max(...matching.map((name) => [...name].filter((character) => character !== '*').length))];
}

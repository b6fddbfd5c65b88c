/** Tests the explanation of which rule decides and why the others do not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileNamespaceRules, withNamespaceRules } from '../../../../src/rules/compile/namespace-rules.ts';
import { parseRulesDocument } from '../../../../src/rules/language/parse.ts';
import { explainMatch } from '../../../../src/rules/match/explain-match.ts';
import type { NamespaceContext } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import { compileTexts, fileSource, referenceOf, ruleSetOf, sha256, shop, winnerOf } from '../documents.ts';

const unlabelled: NamespaceContext = { namespace: 'shop', labels: undefined };

test.each([
  ['the host', 'reg.io/a', '[{registry: "*.io"}, {registry: reg.io}]', 'has the host *.io (less specific than reg.io)'],
  ['any host', 'reg.io/a', '[{registry: "*"}, {registry: "*.io"}]', 'has the host * (less specific than *.io)'],
  ['the port', 'reg.io:5/a', '[{registry: "reg.io:*/a"}, {registry: "reg.io:5"}]', 'trusts every port (less specific than one port)'],
  [
    'a denial of every port',
    'reg.io:5/a',
    '[{registry: "reg.io:*/a"}, {registry: reg.io, trust: false}]',
    'trusts every port (less specific than a rule that denies)',
  ],
  ['the length of the path', 'reg.io/a/b', '[{registry: reg.io}, {registry: reg.io/a}]', 'has no path (less specific than 1 segment)'],
  ['a star in the path', 'reg.io/a/b', '[{registry: "reg.io/*"}, {registry: reg.io/a}]', 'has * in its path (less specific than "a")'],
  [
    'the namespaces',
    'reg.io/a',
    '[{registry: reg.io}, {registry: reg.io, namespaces: shop}]',
    'applies to all namespaces (less specific than namespace shop)',
  ],
  [
    'the denied ports',
    'reg.io/a',
    '[{registry: reg.io, trust: false}, {registry: "reg.io:443"}]',
    'denies every port (less specific than a rule for one port)',
  ],
  [
    'being internal',
    'reg:5/a',
    '[{registry: "reg:5/a"}]\ninternalRegistries: ["reg:5"]',
    'has no effect, because internal registries are always trusted',
  ],
  [
    'another namespace',
    'reg.io/a',
    '[{registry: reg.io/a, namespaces: [x, "y-*"]}, {registry: reg.io}]',
    'applies to namespaces x, y-*, not to namespace "shop"',
  ],
])('a rule loses by %s', (_name, image, rules, lost) => {
  const others = explainMatch(ruleSetOf(`rules: ${rules}`), referenceOf(image), shop).slice(1);
  expect(others.map((other) => other.lost)).toEqual([lost]);
});

test('a namespace rule loses to the cluster rule whose trust ends first', () => {
  const parsed = parseRulesDocument('rules: [{name: own, registry: reg.io/a}]', fileSource('own.yaml'), {
    kind: 'namespace',
    namespace: 'shop',
  });
  if (!parsed.ok) throw new Error('not parsed');
  const own = compileNamespaceRules('shop', [parsed.document]);
  if (!own.ok) throw new Error('not compiled');
  const cluster = ruleSetOf('rules: [{name: old, registry: reg.io, until: 2027-03-31}]');
  const rules = withNamespaceRules(cluster, new Map([['shop', own.rules]]), sha256);
  const { limit } = rules.match(referenceOf('reg.io/a'), shop);
  const found = explainMatch(rules, referenceOf('reg.io/a'), shop, limit).map(({ rule, lost }) => [rule.name, lost]);
  expect(found).toEqual([
    ['old', undefined],
    ['own', 'is a namespace rule, and the until date of the cluster rule is earlier'],
  ]);
});

test('a trusting rule for unknown labels does not decide, and the explanation shows that', () => {
  const rules = ruleSetOf('rules: [{registry: reg.io, namespaces: {matchLabels: {team: a}}}]');
  expect(explainMatch(rules, referenceOf('reg.io/a'), unlabelled)).toMatchObject([
    { applies: 'unknown', lost: 'applies to namespaces with team=a, but the labels of namespace "shop" are unknown' },
  ]);
});

test.each([
  [
    'from the cluster, with an equal pattern',
    'rules: [{registry: reg.io}]',
    'reg.io',
    ['is a cluster rule, and a namespace rule with the same pattern takes precedence'],
  ],
  ['less specific than the cluster’s', 'rules: [{registry: reg.io/a}]', 'reg.io', ['has no path (less specific than 1 segment)']],
  [
    'denied by the cluster',
    'rules: [{registry: reg.io, trust: false}]',
    'reg.io/a',
    ['is a namespace rule, and cannot trust what the cluster rules deny'],
  ],
  ['not delegated', 'rules: []', 'reg.io', ['is a namespace rule, and the cluster rules do not delegate this image']],
])('rules of the namespace: %s', (_name, cluster, registry, lost) => {
  const own = parseRulesDocument(`rules: [{registry: ${registry}}]`, fileSource('own.yaml'), { kind: 'namespace', namespace: 'shop' });
  const compiled = compileNamespaceRules('shop', own.ok ? [own.document] : []);
  if (!compiled.ok) throw new Error('no problem was expected');
  const rules = withNamespaceRules(ruleSetOf(cluster), new Map([['shop', compiled.rules]]), sha256);
  expect(explainMatch(rules, referenceOf('reg.io/a'), shop).flatMap((each) => each.lost ?? [])).toEqual(lost);
  expect(explainMatch(rules, referenceOf('reg.io/a'), { ...shop, namespace: 'other' }).filter(({ rule }) => rule.ownerNamespace)).toEqual(
    [],
  );
});

test('the order is the one in which rules would decide if earlier ones did not exist', () => {
  const registry = fc
    .tuple(fc.constantFrom('a.io', '*.io', '*'), fc.constantFrom('', ':5000', ':*'), fc.array(fc.constantFrom('x', '*'), { maxLength: 3 }))
    .map(([host, port, path]) => [host + port, ...path].join('/'));
  const rule = fc.record(
    { registry, trust: fc.boolean(), namespaces: fc.constantFrom<unknown>('shop', 's*', 'other', { matchLabels: { k: 'v' } }) },
    { requiredKeys: ['registry'] },
  );
  const context = fc.constantFrom<NamespaceContext>({ namespace: 'shop', labels: {} }, { namespace: 'web', labels: { k: 'v' } });
  let followed = 0;
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 2, maxLength: 8 }),
      fc.constantFrom('a.io/x', 'a.io/x/y/x', 'a.io:5000/x/x'),
      context,
      (rules, image, at) => {
        const compiled = compileTexts(JSON.stringify({ rules }));
        fc.pre(compiled.ok);
        const reference = referenceOf(image);
        const applying = explainMatch(compiled.ruleSet, reference, at).filter(({ applies }) => applies === true);
        expect(applying[0]?.rule).toBe(winnerOf(compiled.ruleSet, reference, at));
        const gone = new Set<number>();
        for (const [index, { rule: each }] of applying.entries()) {
          gone.add(each.origin.column);
          const left = compiled.ruleSet.rules
            .map((other, written) => ({ other, written }))
            .filter(({ other }) => !gone.has(other.origin.column));
          const rest = ruleSetOf(JSON.stringify({ rules: left.map(({ written }) => rules[written]) }));
          const next = winnerOf(rest, reference, at);
          expect(next && { pattern: next.pattern, trust: next.trust, namespaces: next.namespaces }).toEqual(
            applying[index + 1] && {
              pattern: applying[index + 1]?.rule.pattern,
              trust: applying[index + 1]?.rule.trust,
              namespaces: applying[index + 1]?.rule.namespaces,
            },
          );
          followed += 1;
        }
      },
    ),
    runs(300),
  );
  expect(followed).toBeGreaterThan(runs(300).numRuns / 3);
});

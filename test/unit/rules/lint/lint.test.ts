/** Tests the warnings on rules that compile but are probably not intended. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { patternMatches } from '../../../../src/rules/language/pattern.ts';
import { lintRules } from '../../../../src/rules/lint/lint.ts';
import type { NamespaceContext, Rule } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import { rule } from '../build.ts';
import { briefly, compileTexts, referenceOf, ruleSetOf, winnerOf } from '../documents.ts';

const today = '2026-11-21';

function warningsOf(...texts: readonly string[]): string[] {
  return briefly(lintRules(ruleSetOf(...texts), today));
}

const clean = [
  [
    'an ordinary set',
    'rules: [{registry: reg.io, pullSecret: a}, {registry: reg.io/team, pullSecret: b}, {registry: docker.io, trust: false}]',
  ],
  ['a part that needs no secret', 'rules: [{registry: reg.io, pullSecret: a}, {registry: reg.io/public}]'],
  ['a part with a different push secret', 'rules: [{registry: reg.io, pushSecret: a}, {registry: reg.io/team, pushSecret: b}]'],
  ['a different reason', 'rules: [{registry: reg.io, trust: false, reason: a}, {registry: reg.io/x, trust: false, reason: b}]'],
  ['a rule between two with the same effect', 'rules: [{registry: reg.io}, {registry: reg.io/a, trust: false}, {registry: reg.io/a/b}]'],
  [
    'a rule between two that is for one namespace',
    'rules: [{registry: "*.io"}, {registry: reg.io, namespaces: x, pullSecret: s}, {registry: reg.io/a}]',
  ],
  ['the same on a different port', 'rules: [{registry: "reg.io:5000"}, {registry: reg.io/team}]'],
  ['the same in different namespaces', 'rules: [{registry: reg.io, namespaces: a}, {registry: reg.io/team, namespaces: b}]'],
  [
    'a denial of what one port of another path allows',
    'rules: [{registry: reg.io, trust: false}, {registry: "reg.io:5000/a"}, {registry: reg.io/a/evil, trust: false}]',
  ],
  [
    'a trusted part of a denied registry',
    'rules: [{registry: docker.io, trust: false}, {registry: [docker.io/library, "docker.io/*/base"]}]',
  ],
  ['trusted hosts next to a denial of all', 'rules: [{registry: "*", trust: false}, {registry: "*.example.com"}, {registry: reg.io}]'],
  [
    'a denial with everything below it',
    'rules: [{registry: reg.io}, {registry: "reg.io/*/evil", trust: false}, {registry: reg.io/team/evil/not}]',
  ],
  [
    'a denial that is repeated for what overrides it',
    'rules: [{registry: [reg.io/evil, reg.io/evil/app], trust: false, reason: r}, {registry: "reg.io/*/app"}]',
  ],
  ['an exemption on its last day', `exemptions: [{image: reg.io, until: ${today}, reason: r}]`],
  ['exact names and labels', 'rules: [{registry: reg.io, namespaces: [a, b]}, {registry: a.io, namespaces: {matchLabels: {t: a}}}]'],
  ['a glob for all names', 'exemptions: [{image: reg.io, namespaces: "*", until: 2027-01-01, reason: r}]'],
  ['a glob that denies', 'rules: [{registry: reg.io, namespaces: "prod-*", trust: false}]'],
  ['a glob that is stricter', 'mode: warn\noverrides: [{namespaces: "prod-*", mode: enforce, unconfigured: deny}]'],
  ['the one-segment pattern of a host, next to a longer one', 'rules: [{registry: "reg.io/*/*", pullSecret: a}, {registry: reg.io}]'],
] as const;

test.each(clean)('there is no warning for %s', (_name, text) => {
  expect(warningsOf(text)).toEqual([]);
});

describe('exemptions', () => {
  test('that have expired are reported at their image', () => {
    expect(warningsOf('exemptions:\n- {image: [reg.io, a.io/b], until: 2026-11-20, reason: moved}')).toEqual([
      expect.stringMatching(/^exemption-expired 2:12 the exemption for reg\.io expired on 2026-11-20, .*Remove it/),
      expect.stringMatching(/^exemption-expired 2:20 the exemption for a\.io\/b expired/),
    ]);
  });
});

describe('a rule whose trust ends', () => {
  const ending = (until: string) => warningsOf(`rules:\n- {registry: [reg.io, a.io/b], until: ${until}, warnFrom: 2026-01-01}`);

  test.each([
    ['2026-12-22', []],
    [
      '2026-12-21',
      [
        /^rule-ending 2:15 reg\.io is trusted until 2026-12-21 \(30 days from now\)\. After that,/,
        /^rule-ending 2:23 a\.io\/b is trusted until 2026-12-21/,
      ],
    ],
    ['2026-11-22', [/until 2026-11-22 \(tomorrow\)\./, /tomorrow/]],
    ['2026-11-21', [/until 2026-11-21 \(today\)\./, /today/]],
    ['2026-11-20', [/^rule-ended 2:15 reg\.io was trusted only until 2026-11-20, so its images are denied/, /^rule-ended 2:23/]],
  ])('on %s', (until, expected) => {
    expect(ending(until)).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  test('overrides no denial once it has ended', () => {
    const denial = (until: string) =>
      warningsOf(`rules: [{registry: reg.io/evil, trust: false}, {registry: "reg.io/*/app", until: ${until}}]`);
    expect(denial('2027-03-31')).toEqual([expect.stringMatching(/^denial-overridden/)]);
    expect(denial('2026-11-20')).toEqual([expect.stringMatching(/^rule-ended/)]);
  });

  test('is not redundant next to a broader rule, unless both end the same way', () => {
    const codes = (one: string, other: string) =>
      lintRules(ruleSetOf(`rules: [{registry: reg.io${one}}, {registry: reg.io/team${other}}]`), today).map(({ code }) => code);
    expect(codes('', ', until: 2028-01-01')).toEqual([]);
    expect(codes(', until: 2028-01-01', ', until: 2029-01-01')).toEqual([]);
    expect(codes(', until: 2028-01-01', ', until: 2028-01-01, warnFrom: 2027-01-01')).toEqual([]);
    expect(codes(', until: 2028-01-01', ', until: 2028-01-01')).toEqual(['rule-redundant']);
  });

  test('of a namespace is reported too', () => {
    const own = rule({ registry: 'own.io', until: '2026-11-20', warnFrom: '2026-11-01' });
    const ruleSet = { ...ruleSetOf('rules: []'), namespaceRules: new Map([['shop', [own]]]) };
    expect(lintRules(ruleSet, today)).toMatchObject([{ code: 'rule-ended', origin: own.origin }]);
  });
});

describe('a glob of names allows more', () => {
  test.each([
    [
      'an exemption',
      'exemptions: [{image: reg.io, namespaces: [a, "x-*"], until: 2027-01-01, reason: r}]',
      /reg\.io is exempted for namespaces named x-\*,.*matchLabels/,
    ],
    ['a trusting rule', 'rules: [{registry: reg.io, namespaces: "*-dev"}]', /reg\.io is trusted for namespaces named \*-dev/],
    ['a mode', 'overrides: [{namespaces: "x-*", mode: audit}]', /mode: audit is set for/],
    [
      'a delivered secret',
      'rules: [{registry: reg.io, pullSecret: s}]\nsecrets: [{name: s, source: s, namespaces: "x-*"}]',
      /the secret s is delivered for namespaces named x-\*/,
    ],
    [
      'unconfigured',
      'unconfigured: warn\noverrides: [{namespaces: "x-*", mode: enforce, unconfigured: allow}]',
      /unconfigured: allow is set for/,
    ],
    [
      'a mode, although the rest is stricter',
      'unconfigured: allow\noverrides: [{namespaces: "x-*", mode: warn, unconfigured: deny}]',
      /mode: warn is set/,
    ],
  ])('%s', (_name, text, message) => {
    expect(warningsOf(text)).toEqual([expect.stringMatching(message)]);
    expect(warningsOf(text)[0]).toMatch(/^loosening-glob/);
  });

  test('is reported once for a rule with several registries', () => {
    expect(warningsOf('rules: [{registry: [a.io, b.io], namespaces: "x-*"}]')).toHaveLength(1);
  });
});

describe('a rule is redundant', () => {
  test.each([
    [
      'within one with the same effect',
      'rules:\n- {registry: reg.io, pullSecret: s}\n- {registry: reg.io/team, pullSecret: s}',
      /^rule-redundant 3:14 reg\.io\/team has the same effect as the rule for reg\.io in a\.yaml:2:14/,
    ],
    [
      'under a wildcard host',
      'rules: [{registry: "*.io"}, {registry: reg.io/team}]',
      /reg\.io\/team has the same effect as the rule for \*\.io/,
    ],
    [
      'under a wildcard segment',
      'rules: [{registry: "reg.io/*/app"}, {registry: reg.io/team/app}]',
      /reg\.io\/team\/app has the same effect as/,
    ],
    [
      'on one port of all',
      'rules: [{registry: "reg.io:*"}, {registry: "reg.io:5000/a"}]',
      /reg\.io:5000\/a has the same effect as the rule for reg\.io:\*/,
    ],
    [
      'denied twice',
      'rules: [{registry: reg.io, trust: false}, {registry: reg.io/evil, trust: false}]',
      /has the same effect as the rule that denies reg\.io/,
    ],
    [
      'for a namespace where it applies anyway',
      'rules: [{registry: reg.io}, {registry: reg.io, namespaces: a}]',
      /reg\.io has the same effect as the rule for reg\.io in/,
    ],
    [
      'for a name that a list already has',
      'rules: [{registry: reg.io, namespaces: [a, b]}, {registry: reg.io/x, namespaces: b}]',
      /has the same effect as the rule for reg\.io for namespaces a, b in/,
    ],
    [
      'within an internal registry',
      'internalRegistries: ["reg:5000"]\nrules: [{registry: "reg:5000/team"}]',
      /inside the internal registry reg:5000 in a\.yaml:1:22/,
    ],
  ])('%s', (_name, text, message) => {
    const warnings = warningsOf(text).filter((warning) => warning.startsWith('rule-redundant'));
    expect(warnings).toEqual([expect.stringMatching(message)]);
  });

  test('each in a chain', () => {
    expect(warningsOf('rules: [{registry: reg.io}, {registry: reg.io/a}, {registry: reg.io/a/b}]')).toHaveLength(2);
  });
});

describe('a rule can never win', () => {
  test.each([
    [
      'under its own star',
      'rules: [{registry: reg.io}, {registry: "reg.io/*", trust: false}]',
      /reg\.io never applies: the rule that denies reg\.io\/\*/,
    ],
    [
      'on Docker Hub, whose names have two segments',
      'rules: [{registry: docker.io/library}, {registry: "docker.io/*/*", pullSecret: s}]',
      /docker\.io\/library never applies/,
    ],
    [
      'on any port, if every port is denied',
      'rules: [{registry: "reg.io:*/team"}, {registry: reg.io, trust: false}]',
      /reg\.io:\*\/team never applies: the rule that denies reg\.io in/,
    ],
    [
      'everywhere, next to a glob for all names',
      'rules: [{registry: reg.io}, {registry: reg.io, namespaces: "*", pullSecret: s}]',
      /reg\.io never applies: the rule for reg\.io for namespaces \* in/,
    ],
    [
      'with labels that exclude each other',
      'rules: [{registry: reg.io, namespaces: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}}]',
      /the label requirements in "namespaces with !a,a=b" contradict each other/,
    ],
  ])('%s', (_name, text, message) => {
    const warnings = warningsOf(text).filter((warning) => warning.startsWith('shadowed-rule'));
    expect(warnings).toEqual([expect.stringMatching(message)]);
  });
});

describe('a denial is overridden', () => {
  test.each([
    [
      'by a star next to it',
      'rules: [{registry: reg.io/evil, trust: false}, {registry: "reg.io/*/app"}]',
      /^denial-overridden 1:20 .* reg\.io\/evil\/app: the rule for reg\.io\/\*\/app in a\.yaml/,
    ],
    ['by a wildcard host', 'rules: [{registry: "*.io/evil", trust: false}, {registry: "*.reg.io"}]', /any\.reg\.io\/evil/],
    ['by a whole host', 'rules: [{registry: "*/evil", trust: false}, {registry: reg.io}]', /reg\.io\/evil: the rule for reg\.io in/],
    [
      'in some namespaces',
      'rules: [{registry: reg.io/evil, trust: false}, {registry: "reg.io/*/app", namespaces: a}]',
      /reg\.io\/evil\/app: the rule for reg\.io\/\*\/app for namespace a in/,
    ],
    [
      'with the same length, by a literal segment further left',
      'rules: [{registry: "reg.io/*/app", trust: false}, {registry: "reg.io/team/*"}]',
      /reg\.io\/team\/app/,
    ],
  ])('%s', (_name, text, message) => {
    expect(warningsOf(text)).toEqual([expect.stringMatching(message)]);
  });
});

test('warnings are in the order of documents and positions', () => {
  const first = 'exemptions: [{image: x.io, until: 2020-01-01, reason: r}]\nrules: [{registry: reg.io/a}]';
  const second = 'rules: [{registry: reg.io}, {registry: reg.io/b}]';
  expect(warningsOf(first, second)).toEqual([
    expect.stringMatching(/^exemption-expired 1:/),
    expect.stringMatching(/^rule-redundant 2:/),
    expect.stringMatching(/^rule-redundant 1:/),
  ]);
});

describe('for random rules', () => {
  const hosts = ['a.io', 'b.a.io', 'docker.io'];
  const segments = ['x', 'y', '*'];
  const registry = fc
    .tuple(
      fc.constantFrom(...hosts, '*.io', '*.a.io', '*'),
      fc.constantFrom('', ':5000', ':*'),
      fc.array(fc.constantFrom(...segments), { maxLength: 3 }),
    )
    .map(([host, port, path]) => [host + port, ...path].join('/'));
  const rule = fc.record(
    {
      registry,
      trust: fc.constantFrom(true, true, false),
      pullSecret: fc.constantFrom('s', 't'),
      namespaces: fc.constantFrom<unknown>('one', ['one', 'two'], 'o*', '*', { matchLabels: { k: 'v' } }, { matchLabels: { k: 'w' } }),
    },
    { requiredKeys: ['registry'] },
  );
  const image = fc
    .tuple(
      fc.constantFrom(...hosts, 'c.b.a.io'),
      fc.constantFrom('', ':5000', ':6000'),
      fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 4 }),
    )
    .map(([host, port, path]) => [host + port, ...path].join('/'));
  const context = fc.constantFrom<NamespaceContext>(
    { namespace: 'one', labels: {} },
    { namespace: 'two', labels: { k: 'v' } },
    { namespace: 'other', labels: { k: 'w' } },
    { namespace: 'third', labels: {} },
  );

  const written = (rules: readonly { trust?: boolean; pullSecret?: string }[]) =>
    JSON.stringify({
      rules: rules.map(({ pullSecret, ...rest }) => (rest.trust === false || pullSecret === undefined ? rest : { ...rest, pullSecret })),
    });

  test('warnings are correct: shadowed rules never win, redundant ones change nothing, overridden denials allow something', () => {
    let said = 0;
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 2, maxLength: 6 }),
        fc.array(fc.tuple(image, context), { minLength: 20, maxLength: 40 }),
        (rules, asked) => {
          const compiled = compileTexts(written(rules));
          fc.pre(compiled.ok);
          for (const { code, origin, message } of lintRules(compiled.ruleSet, today)) {
            const index = compiled.ruleSet.rules.findIndex((each) => each.origin.column === origin.column);
            const about = compiled.ruleSet.rules[index] as Rule;
            said += 1;
            if (code === 'denial-overridden') {
              const sample = referenceOf(/images such as (\S+): /.exec(message)?.[1] ?? '');
              expect(patternMatches(about.pattern, sample), message).toBe(true);
              if (!rules.some(({ namespaces }) => namespaces !== undefined))
                expect(winnerOf(compiled.ruleSet, sample)?.trust, message).toBe(true);
              continue;
            }
            const without = compileTexts(written(rules.filter((_, at) => at !== index)));
            if (!without.ok) throw new Error('fewer rules do not contradict each other');
            for (const [name, at] of asked) {
              const reference = referenceOf(name);
              const winner = winnerOf(compiled.ruleSet, reference, at);
              if (code === 'shadowed-rule') expect(winner).not.toBe(about);
              if (code === 'rule-redundant' || code === 'shadowed-rule') {
                expect(effectOf(winner), message).toEqual(effectOf(winnerOf(without.ruleSet, reference, at)));
              }
            }
          }
        },
      ),
      runs(500),
    );
    expect(said).toBeGreaterThan(runs(500).numRuns / 5);
  });

  function effectOf(winner: Rule | undefined) {
    return winner && { trust: winner.trust, pullSecrets: winner.pullSecrets };
  }
});

describe('ten thousand rules are checked, each with similar ones', () => {
  const many = Array.from({ length: 2500 }, (_, index) => index);

  test('on as many hosts and paths', () => {
    const rules = many.flatMap((index) => [
      { registry: `r${index}.example.com/team`, pullSecret: `s${index}` },
      { registry: `shared.example.com/t${index}`, pullSecret: 's' },
      { registry: `*.d${index}.example.com/*/app` },
      { registry: `*/evil${index}`, trust: false },
    ]);
    const warnings = lintRules(ruleSetOf(JSON.stringify({ rules })), today);
    // Each denial for every host is overridden by trusting wildcards. There are no other warnings.
    expect(new Set(warnings.map(({ code }) => code))).toEqual(new Set(['denial-overridden']));
    expect(warnings).toHaveLength(2500);
  });

  test('with the same pattern, for as many namespaces', () => {
    const rules = many.flatMap((index) => [
      { registry: 'reg.io/*/app', namespaces: `team-${index}`, pullSecret: index % 2 ? 's' : `s${index}` },
      { registry: 'reg.io/*/app', namespaces: { matchLabels: { team: `t${index}` } } },
    ]);
    const denyingRule = { registry: 'reg.io/evil', trust: false };
    const warnings = briefly(lintRules(ruleSetOf(JSON.stringify({ rules: [denyingRule, ...rules] })), today));
    expect(warnings).toEqual([expect.stringMatching(/^denial-overridden 1:/)]);
  });
});

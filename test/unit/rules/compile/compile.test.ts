/** Tests the compilation of the cluster's documents: settings, ties, conflicts, revision. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalRules } from '../../../../src/rules/compile/canonical.ts';
import { compileRuleSet } from '../../../../src/rules/compile/compile.ts';
import { parseRulesDocument } from '../../../../src/rules/language/parse.ts';
import { type BriefDocument, compiled, deliveredSecret, exemption, labels, names, override, problemsWith, rule } from '../build.ts';
import { briefly, compileTexts, documentOf, referenceOf, ruleSetOf, sha256, winnerOf } from '../documents.ts';

function problemsOf(...texts: readonly string[]): string[] {
  const compiled = compileTexts(...texts);
  return compiled.ok ? [] : compiled.problems.map((problem) => `${renderFile(problem.origin.source)} ${briefly([problem])[0]}`);
}

function renderFile(source: { readonly kind: string; readonly file?: string }): string {
  return source.file ?? '';
}

describe('settings in several documents', () => {
  test('are merged if each is set once, apart from defaults', () => {
    expect(ruleSetOf('mode: audit', 'contact: us', 'helpUrl: https://wiki.example.com/', 'rules: []').settings).toEqual({
      unconfigured: 'deny',
      mode: 'audit',
      inject: 'all',
      shortNames: 'docker.io',
      contact: 'us',
      helpUrl: 'https://wiki.example.com/',
    });
    expect(ruleSetOf().settings).toEqual({ unconfigured: 'deny', mode: 'enforce', inject: 'all', shortNames: 'docker.io' });
  });

  test('may repeat the same value', () => {
    expect(ruleSetOf('mode: warn', 'mode: warn').settings.mode).toBe('warn');
  });

  test('with different values are a problem that shows both positions', () => {
    expect(problemsOf('mode: warn', 'rules: []\nmode: audit')).toEqual([
      expect.stringMatching(/^b\.yaml setting-conflict 2:7 mode is "audit" here, but "warn" in a\.yaml:1:7\. Set it in one place\.$/),
    ]);
    expect(problemsOf('mode: enforce', 'mode: audit')).toHaveLength(1);
  });

  test.each<{ because: string; one: BriefDocument['settings']; other: BriefDocument['settings']; says: string[] }>([
    { because: 'inject twice with the same value', one: { inject: 'pods' }, other: { inject: 'pods' }, says: [] },
    {
      because: 'inject with different values',
      one: { inject: 'pods' },
      other: { inject: 'off' },
      says: ['setting-conflict inject is "off" here, but "pods"'],
    },
    { because: 'the same search list twice', one: { shortNames: ['a.io', 'b.io'] }, other: { shortNames: ['a.io', 'b.io'] }, says: [] },
    {
      because: 'a search list in a different order',
      one: { shortNames: ['a.io', 'b.io'] },
      other: { shortNames: ['b.io', 'a.io'] },
      says: ['setting-conflict shortNames is ["b.io","a.io"] here'],
    },
    {
      because: 'a search list and Docker Hub',
      one: { shortNames: ['docker.io'] },
      other: { shortNames: 'docker.io' },
      says: ['setting-conflict'],
    },
  ])('$because: $says', ({ one, other, says }) => {
    const problems = problemsWith({ settings: one ?? {} }, { settings: other ?? {} });
    expect(problems).toEqual(says.map((text) => expect.stringContaining(text)));
  });

  test('in a ConfigMap are shown with its key', () => {
    const inConfigMap = (key: string, text: string) => {
      const parsed = parseRulesDocument(text, { kind: 'configMap', namespace: 'regkeeper', name: 'rules', key });
      if (!parsed.ok) throw new Error(briefly(parsed.problems).join());
      return parsed.document;
    };
    const compiled = compileRuleSet([inConfigMap('a.yaml', 'contact: we'), inConfigMap('b.yaml', 'contact: they')], sha256);
    expect(compiled).toMatchObject({
      ok: false,
      problems: [{ message: expect.stringContaining('ConfigMap regkeeper/rules, key a.yaml, line 1:10') }],
    });
  });
});

describe('rules that tie are a problem that shows both positions', () => {
  test.each([
    {
      because: 'the same pattern in two documents',
      texts: ['rules: [{registry: reg.io}]', 'rules: [{registry: REG.io, pullSecret: a}]'],
      where: /^b\.yaml rule-tie 1:20 .* a\.yaml:1:20/,
    },
    {
      because: 'the same pattern twice in a document',
      texts: ['rules:\n- registry: reg.io\n- registry: reg.io'],
      where: /^a\.yaml rule-tie 3:13 .* a\.yaml:2:13/,
    },
    {
      because: 'the default port, explicit and implicit',
      texts: ['rules: [{registry: reg.io}, {registry: "reg.io:443"}]'],
      where: /rule-tie/,
    },
    { because: 'two names of Docker Hub', texts: ['rules: [{registry: docker.io}, {registry: index.docker.io}]'], where: /rule-tie/ },
    {
      because: 'a denial of every port and a trusting :*',
      texts: ['rules: [{registry: reg.io, trust: false}, {registry: "reg.io:*"}]'],
      where: /rule-tie/,
    },
    {
      because: 'trusted and denied on the same port',
      texts: ['rules: [{registry: "reg.io:5000", trust: false}, {registry: "reg.io:5000"}]'],
      where: /rule-tie/,
    },
  ])('$because', ({ texts, where }) => {
    expect(problemsOf(...texts)).toEqual([expect.stringMatching(where)]);
  });

  test.each([
    ['docker.io', 'registry-1.docker.io', 'registry-1.docker.io (the same as docker.io) already has a rule in a.yaml:1:20'],
    ['index.docker.io/x', 'docker.io/x', 'docker.io/x already has a rule in a.yaml:1:20 (index.docker.io/x), and'],
    ['Reg.io', '"reg.io:443"', 'reg.io:443 (the same as reg.io) already has a rule in a.yaml:1:20 (Reg.io), and'],
  ])('%s and %s are the same registry, and the problem shows both spellings', (one, other, says) => {
    expect(problemsOf(`rules: [{registry: ${one}}]`, `rules: [{registry: ${other}}]`)).toEqual([expect.stringContaining(says)]);
  });

  test('the same registry, trusted and denied, is a tie even if the denial is for every port', () => {
    const there = 'rules: [{registry: reg.io/a, trust: false}]';
    expect(problemsOf('rules: [{registry: reg.io/a}]', there)).toEqual([
      expect.stringMatching(/^b\.yaml rule-tie 1:20 reg\.io\/a is denied here, but trusted in a\.yaml:1:20, .*: reg\.io:443\/a\.$/),
    ]);
    expect(problemsOf(there, 'rules: [{registry: reg.io/a}]')).toEqual([
      expect.stringMatching(/reg\.io\/a is trusted here, but denied in a\.yaml/),
    ]);
    const labelled = (label: string, more = '') => `rules: [{registry: reg.io, namespaces: {matchLabels: {${label}}}${more}}]`;
    expect(problemsOf(labelled('a: x'), labelled('b: y', ', trust: false'))).toEqual([
      expect.stringMatching(/trusted for namespaces with a=x in a\.yaml:1:20, .*\. A namespace can have the labels of both\./),
    ]);
    expect(problemsOf(labelled('a: x'), labelled('a: y', ', trust: false'))).toEqual([]);
    expect(problemsOf('rules: [{registry: reg.io}]', labelled('b: y', ', trust: false'))).toEqual([]);
  });

  test('but not with an explicit default port, which is more specific', () => {
    const ruleSet = ruleSetOf('rules: [{registry: "reg.io:443"}, {registry: reg.io, trust: false}]');
    expect(winnerOf(ruleSet, referenceOf('reg.io/a'))?.trust).toBe(true);
    expect(winnerOf(ruleSet, referenceOf('reg.io:8443/a'))?.trust).toBe(false);
  });
});

describe('internal registries', () => {
  test('in several documents are merged', () => {
    const ruleSet = ruleSetOf('internalRegistries: [a.svc:5000, a.svc:5000]', 'internalRegistries: [a.svc:5000, b.svc:5000]');
    expect(ruleSet.rules.map(({ name }) => name)).toEqual(['a.svc:5000', 'b.svc:5000']);
  });

  test.each([
    { because: 'a secret for it', rule: '{registry: "a.svc:5000", pullSecret: a}', says: 'never gets a secret' },
    { because: 'a push secret for part of it', rule: '{registry: "a.svc:5000/team", pushSecret: a}', says: 'never gets a secret' },
    { because: 'a denial of part of it', rule: '{registry: "a.svc:5000/team", trust: false}', says: 'always trusted' },
    {
      because: 'a secret for a wildcard inside a wildcard',
      rule: '{registry: "*.in.example.com", pullSecret: a}',
      says: 'never gets a secret',
    },
    { because: 'an end date for its trust', rule: '{registry: "a.svc:5000", until: 2027-03-31}', says: 'is always trusted' },
    {
      because: 'a denial without a port',
      rule: '{registry: b.svc, trust: false}',
      says: 'is always trusted.* use b.svc:\\* to deny its other ports',
    },
    { because: 'a denial of part of it without a port', rule: '{registry: b.svc/x, trust: false}', says: 'or use b.svc:\\*/x to deny' },
    { because: 'a denial without the port', rule: '{registry: a.svc/x, trust: false}', says: 'always trusted.*a.svc:\\*/x' },
    { because: 'a denial within a wildcard', rule: '{registry: in.example.com, trust: false}', says: 'is always trusted' },
  ])('do not permit $because', ({ rule, says }) => {
    expect(problemsOf('internalRegistries: ["a.svc:5000", "*.example.com", b.svc]', `rules: [${rule}]`)).toEqual([
      expect.stringMatching(new RegExp(`^b\\.yaml internal-conflict 1:20 .* a\\.yaml:1:.*${says}`)),
    ]);
  });

  test.each([
    { because: 'a rule that only trusts it', rule: '{registry: "a.svc:5000"}' },
    { because: 'a denial of its other ports', rule: '{registry: a.svc:*, trust: false}' },
    { because: 'a denial of everything around it', rule: '{registry: ["*", "*.svc"], trust: false}' },
    { because: 'a secret for a wildcard around it', rule: '{registry: "*.svc:5000", pullSecret: a}' },
    { because: 'a secret for the domain next to its subdomains', rule: '{registry: example.com, pullSecret: a}' },
  ])('permit $because, and win if both match', ({ rule }) => {
    const ruleSet = ruleSetOf('internalRegistries: ["a.svc:5000", "*.example.com"]', `rules: [${rule}]`);
    expect(winnerOf(ruleSet, referenceOf('a.svc:5000/team/app'))).toMatchObject({ internal: true, trust: true, pullSecrets: [] });
  });
});

describe('the revision', () => {
  const one = 'mode: warn\nrules:\n- {registry: a.io, pullSecret: [x, y]}\n- {registry: b.io, trust: false, reason: old}\n';
  const same = [
    { because: 'comments and line breaks', texts: [`# why\n\n${one}`] },
    {
      because: 'the order of rules',
      texts: ['mode: warn\nrules:\n- {registry: b.io, trust: false, reason: old}\n- {registry: a.io, pullSecret: [x, y]}'],
    },
    {
      because: 'the split into documents',
      texts: ['rules: [{registry: b.io, trust: false, reason: old}]', 'mode: warn\nrules: [{registry: a.io, pullSecret: [x, y]}]'],
    },
    { because: 'explicit defaults', texts: [`unconfigured: deny\n${one.replace('a.io,', 'a.io, trust: true,')}`] },
    { because: 'a different spelling of the same pattern', texts: [one.replace('a.io', '"A.io:443"').replace('b.io', '"b.io:*"')] },
  ];
  test.each(same)('does not change with $because', ({ texts }) => {
    expect(ruleSetOf(...texts).revision).toBe(ruleSetOf(one).revision);
  });

  test.each([
    { because: 'a setting', text: one.replace('warn', 'audit') },
    { because: 'a contact', text: `contact: us\n${one}` },
    { because: 'a name', text: one.replace('{registry: a.io', '{name: a, registry: a.io') },
    { because: 'a reason', text: one.replace('old', 'new') },
    { because: 'the order of secrets', text: one.replace('x, y', 'y, x') },
    { because: 'a port', text: one.replace('a.io', '"a.io:5000"') },
    { because: 'a single port for a denial', text: one.replace('b.io', '"b.io:443"') },
    { because: 'an internal registry', text: `internalRegistries: [c.svc]\n${one}` },
  ])('changes with $because', ({ text }) => {
    expect(ruleSetOf(text).revision).not.toBe(ruleSetOf(one).revision);
  });

  const plain: BriefDocument = { rules: [rule({ registry: 'a.io', pullSecrets: ['s'] })] };
  const rich = (): BriefDocument => ({
    settings: { inject: 'pods', shortNames: ['a.io', 'b.io'] },
    rules: [
      rule({ registry: 'a.io', pullSecrets: ['s'], onMissingSecret: 'deny', namespaces: names('x', 'y-*') }),
      rule({ registry: 'b.io', namespaces: labels('team=a', '!old') }),
    ],
    exemptions: [exemption({ image: 'c.io' }), exemption({ image: 'd.io', namespaces: names('x') })],
    overrides: [override(labels('tier=x'), { mode: 'audit' }), override(names('y'), { inject: 'off' })],
    delegate: ['e.io', 'f.io'],
    deliveredSecrets: [deliveredSecret('t', { deliver: 'always' }), deliveredSecret('s', { namespaces: labels('tier=x') })],
  });

  const changes: readonly { because: string; change: BriefDocument }[] = [
    { because: 'inject', change: { settings: { inject: 'off' } } },
    { because: 'shortNames', change: { settings: { shortNames: 'reject' } } },
    { because: 'an exemption', change: { exemptions: [exemption({ image: 'a.io' })] } },
    { because: 'an override', change: { overrides: [override(names('a'), { mode: 'audit' })] } },
    { because: 'a delegation', change: { delegate: ['b.io'] } },
    { because: 'a delivered secret', change: { deliveredSecrets: [deliveredSecret('s')] } },
    { because: 'the source of a secret', change: { deliveredSecrets: [deliveredSecret('s', { source: 't' })] } },
    { because: 'the namespaces of a secret', change: { deliveredSecrets: [deliveredSecret('s', { namespaces: names('a') })] } },
    { because: 'a secret that is always delivered', change: { deliveredSecrets: [deliveredSecret('s', { deliver: 'always' })] } },
    { because: 'how long a secret is kept', change: { deliveredSecrets: [deliveredSecret('s', { retainSeconds: 60 })] } },
    { because: 'the namespaces of a rule', change: { rules: [rule({ registry: 'b.io', namespaces: names('a') })] } },
    { because: 'the labels of a rule', change: { rules: [rule({ registry: 'b.io', namespaces: labels('a') })] } },
    { because: 'onMissingSecret', change: { rules: [rule({ registry: 'b.io', onMissingSecret: 'deny' })] } },
    { because: 'a rule for all namespaces', change: { rules: [rule({ registry: 'b.io' })] } },
  ];
  test.each(changes)('changes with $because', ({ change }) => {
    const others = changes.filter((each) => each.change !== change).map((each) => compiled(plain, each.change).revision);
    expect([compiled(plain).revision, ...others]).not.toContain(compiled(plain, change).revision);
  });

  test('does not change with any order, or with defaults', () => {
    const { settings, rules = [], exemptions = [], overrides = [], delegate = [], deliveredSecrets = [] } = rich();
    const back = compiled(
      { delegate: [...delegate.toReversed(), 'e.io'], overrides: overrides.toReversed(), deliveredSecrets: deliveredSecrets.toReversed() },
      { settings: settings ?? {}, rules: rules.toReversed(), exemptions: exemptions.toReversed() },
    );
    expect(back.revision).toBe(compiled(rich()).revision);
    expect(compiled(plain, { settings: { inject: 'all', shortNames: 'docker.io' } }).revision).toBe(compiled(plain).revision);
  });

  test('covers all contents of the rules', () => {
    expect(canonicalRules(compiled(rich()))).toEqual({
      unconfigured: 'deny',
      mode: 'enforce',
      inject: 'pods',
      shortNames: ['a.io', 'b.io'],
      rules: [
        { registry: 'a.io', trust: true, pullSecrets: ['s'], onMissingSecret: 'deny', namespaces: ['x', 'y-*'] },
        { registry: 'b.io', trust: true, namespaces: '!old,team=a' },
      ],
      exemptions: [
        { image: 'c.io', until: '2027-03-31', reason: 'migration' },
        { image: 'd.io', namespaces: ['x'], until: '2027-03-31', reason: 'migration' },
      ],
      overrides: [
        { namespaces: 'tier=x', mode: 'audit' },
        { namespaces: ['y'], inject: 'off' },
      ],
      delegate: ['e.io', 'f.io'],
      secrets: [
        { name: 's', source: 's', namespaces: 'tier=x', deliver: 'onDemand', retainSeconds: 86_400 },
        { name: 't', source: 't', namespaces: ['*'], deliver: 'always' },
      ],
    });
  });

  test('is a prefix of the hash of the canonical rules', () => {
    const ruleSet = ruleSetOf(one);
    expect(ruleSet.revision).toMatch(/^[0-9a-f]{12}$/);
    expect(sha256(JSON.stringify(canonicalRules(ruleSet)))).toContain(ruleSet.revision);
    expect(canonicalRules(ruleSet)).toEqual({
      unconfigured: 'deny',
      mode: 'warn',
      rules: [
        { registry: 'a.io', trust: true, pullSecrets: ['x', 'y'] },
        { registry: 'b.io', trust: false, reason: 'old' },
      ],
    });
  });

  test('does not depend on the order of documents', () => {
    const texts = fc.uniqueArray(fc.constantFrom('a.io', 'b.io', '"*.io"', 'a.io/x', '"a.io:*"'), { maxLength: 5 });
    fc.assert(
      fc.property(texts, (registries) => {
        const documents = registries.map((registry) => documentOf(`internalRegistries: [i.svc]\nrules: [{registry: ${registry}}]`));
        const [forth, back] = [compileRuleSet(documents, sha256), compileRuleSet(documents.toReversed(), sha256)];
        expect(forth.ok && back.ok && forth.ruleSet.revision === back.ruleSet.revision).toBe(true);
      }),
    );
  });
});

test('two entries for the same secret are a problem, in one document or in two', () => {
  const secret = 'secrets: [{name: s, source: a, namespaces: x}]';
  expect(problemsOf(secret, secret)).toEqual([
    expect.stringMatching(/^b\.yaml secret-tie 1:11 the secret s already has an entry in a\.yaml:1:11\. Remove one/),
  ]);
  expect(problemsOf('secrets: [{name: s, source: a, namespaces: x}, {name: s, source: b, namespaces: y}]')).toHaveLength(1);
  expect(problemsOf(secret, 'secrets: [{name: t, source: a, namespaces: x}]')).toEqual([]);
});

test('more secrets than can be watched are a problem, at the first one over the limit', () => {
  const secrets = (from: number, count: number) =>
    `secrets:\n${Array.from({ length: count }, (_, index) => `- {name: s${from + index}, source: a, namespaces: x}\n`).join('')}`;
  expect(problemsOf(secrets(0, 125), secrets(125, 125))).toEqual([]);
  expect(problemsOf(secrets(0, 125), secrets(125, 126))).toEqual([
    expect.stringMatching(/^b\.yaml too-many-secrets 127:3 secrets has 251 entries\. The maximum is 250/),
  ]);
});

test('thousands of namespace patterns are compared, even with the same prefix', () => {
  const rules = Array.from({ length: 3_000 }, (_, index) => `- {registry: a.io, name: r${index}, namespaces: "s*-${index + 10_000}"}\n`);
  expect(problemsOf(`rules:\n${rules.join('')}`)).toEqual([]);
});

test('more label selectors than can be compared with each other are a problem, at the last one', () => {
  // Each excludes each other by one of twelve labels.
  const requirement = (index: number) => (_: unknown, bit: number) =>
    `{key: k${bit}, operator: ${(index >> bit) & 1 ? 'Exists' : 'DoesNotExist'}}`;
  const rules = (count: number) =>
    `rules:\n${Array.from(
      { length: count },
      (_, index) =>
        `- {registry: a.io, name: r${index}, namespaces: {matchExpressions: [${Array.from({ length: 12 }, requirement(index))}]}}\n`,
    ).join('')}`;
  expect(problemsOf(rules(300))).toEqual([]);
  expect(problemsOf(rules(1_000))).toEqual([
    expect.stringMatching(/^a\.yaml too-many-selectors 1001:\d+ the rules have too many namespace selectors/),
  ]);
});

test.each([
  ['labels', (index: number) => `{matchLabels: {k${index}: x}}`],
  ['patterns', (index: number) => `"a*${index + 10_000}*"`],
])('many overrides with the same settings are not compared, with different %s', (_, namespaces) => {
  const overrides = Array.from({ length: 2_100 }, (_override, index) => `- {namespaces: ${namespaces(index)}, mode: warn}\n`);
  expect(problemsOf(`overrides:\n${overrides.join('')}`)).toEqual([]);
  expect(problemsOf(`overrides:\n- {namespaces: x, mode: audit}\n${overrides.join('')}`)).toEqual([]);
});

test('a rule set contains its sources', () => {
  expect(ruleSetOf('mode: warn', '{}').sources).toEqual([
    { kind: 'file', file: 'a.yaml' },
    { kind: 'file', file: 'b.yaml' },
  ]);
});

test('ten thousand rules compile, and all ties among them are found', () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `- {registry: r${index}.example.com/team, pullSecret: s${index}}`);
  const document = documentOf(`rules:\n${lines.join('\n')}`);
  const compiled = compileRuleSet([document], sha256);
  expect(compiled.ok && winnerOf(compiled.ruleSet, referenceOf('r9876.example.com/team/app'))?.pullSecrets).toEqual(['s9876']);
  const twice = compileRuleSet([document, document], sha256);
  expect(twice.ok || twice.problems.length).toBe(10_000);
});

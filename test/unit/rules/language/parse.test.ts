/** Tests the parsing of rules documents: entries, positions, limits, and arbitrary input. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRulesDocument, type RuleScope } from '../../../../src/rules/language/parse.ts';
import { problemCodes } from '../../../../src/rules/language/problem.ts';
import { fieldsOfLevel } from '../../../../src/rules/language/schema.ts';
import { runs } from '../../../property.ts';
import { briefly, documentOf, fileSource } from '../documents.ts';

function problemsOf(text: string): string[] {
  const parsed = parseRulesDocument(text, fileSource('rules.yaml'));
  return parsed.ok ? [] : briefly(parsed.problems);
}

function warningsOf(text: string): string[] {
  const parsed = parseRulesDocument(text, fileSource('rules.yaml'));
  return parsed.ok ? briefly(parsed.warnings) : ['refused'];
}

describe('a document is parsed into rules', () => {
  test('with the position of each registry, in one flat list', () => {
    const document = documentOf(`
mode: audit
contact: '#platform'
internalRegistries: ['reg.svc:5000']
rules:
- name: corporate
  registry: [registry.example.com:5000, "*.example.com"]
  pullSecret: corp-pull
  pushSecret: corp-push
- registry: docker.io
  trust: false
  reason: Rate limited
`);
    const source = fileSource('rules.yaml');
    expect(document.settings).toEqual({
      mode: { value: 'audit', origin: { source, line: 2, column: 7 } },
      contact: { value: '#platform', origin: { source, line: 3, column: 10 } },
    });
    expect(document.rules.map(({ pattern, ...rule }) => ({ ...rule, pattern: pattern.text }))).toEqual([
      {
        name: 'reg.svc:5000',
        pattern: 'reg.svc:5000',
        trust: true,
        pullSecrets: [],
        onMissingSecret: 'warn',
        internal: true,
        origin: { source, line: 4, column: 22 },
      },
      {
        name: 'corporate',
        pattern: 'registry.example.com:5000',
        trust: true,
        pullSecrets: ['corp-pull'],
        pushSecret: 'corp-push',
        onMissingSecret: 'warn',
        internal: false,
        origin: { source, line: 7, column: 14 },
      },
      {
        name: 'corporate',
        pattern: '*.example.com',
        trust: true,
        pullSecrets: ['corp-pull'],
        pushSecret: 'corp-push',
        onMissingSecret: 'warn',
        internal: false,
        origin: { source, line: 7, column: 41 },
      },
      {
        name: 'docker.io',
        pattern: 'docker.io',
        trust: false,
        reason: 'Rate limited',
        pullSecrets: [],
        onMissingSecret: 'warn',
        internal: false,
        origin: { source, line: 10, column: 13 },
      },
    ]);
  });

  test.each([
    { written: 'in JSON with tabs', text: '{"rules": [\n\t{"registry": "reg.io", "pullSecret": ["a", "b"]}\n]}' },
    { written: 'with Windows line endings', text: 'rules:\r\n- registry: reg.io\r\n  pullSecret: [a, b]\r\n' },
    { written: 'after a byte order mark', text: '\ufeffrules: [{registry: reg.io, pullSecret: [a, b]}]' },
    { written: 'after a YAML 1.2 directive', text: '%YAML 1.2\n---\nrules: [{registry: reg.io, pullSecret: [a, b]}]\n...\n' },
  ])('$written', ({ text }) => {
    expect(documentOf(text).rules).toMatchObject([{ name: 'reg.io', trust: true, pullSecrets: ['a', 'b'] }]);
  });

  test('a byte order mark does not move the first line', () => {
    expect(problemsOf('\ufeffmodus: warn')).toEqual([expect.stringContaining('unknown-field 1:1 ')]);
  });

  test('a folded contact and reason become one line', () => {
    const document = documentOf('contact: >\n  ask\n  us\nrules:\n- registry: reg.io\n  trust: false\n  reason: >\n    not\n    here\n');
    expect(document.settings.contact?.value).toBe('ask us');
    expect(document.rules[0]?.reason).toBe('not here');
  });
});

describe('what YAML allows and the format does not hides no other problem', () => {
  test.each([
    [
      'a wildcard without quotes',
      'rules:\n- registry: *.a.io\n  pulSecret: x\n- registry: [*.b.io, c.io/x:1]\nmod: warn\n',
      ['yaml-unquoted-wildcard 2:13', 'unknown-field 3:3', 'yaml-unquoted-wildcard 4:14', 'pattern-tag 4:22', 'unknown-field 5:1'],
    ],
    [
      'an anchor and its alias',
      'rules:\n- &one\n  registry: a.io\n  pulSecret: x\n- *one\nmode: loud\n',
      ['yaml-alias 3:3', 'unknown-field 4:3', 'yaml-alias 5:3', 'unknown-value 6:7'],
    ],
    ['a duplicate field', 'rules:\n- registry: a.io\n  registry: b.io\nmode: loud\n', ['duplicate-field 3:3', 'unknown-value 4:7']],
    ['a tag', 'contact: !!str 7\nmode: loud\n', ['yaml-tag 1:16', 'unknown-value 2:7']],
    ['an alias for a whole list', 'rules: *all\nmode: loud\n', ['yaml-alias 1:8', 'unknown-value 2:7']],
    ['an alias for everything', '*all\n', ['yaml-alias 1:1']],
  ])('%s', (_name, text, expected) => {
    const parsed = parseRulesDocument(text, fileSource('a.yaml'));
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems.map(({ code, origin: { line, column } }) => `${code} ${line}:${column}`)).toEqual(expected);
  });
});

describe('the whole language', () => {
  const source = fileSource('rules.yaml');

  test('secrets', () => {
    const { deliveredSecrets } = documentOf(`
secrets:
- {name: corp-pull, source: corp.source, namespaces: {matchLabels: {tier: prod}}}
- {name: push, source: push, namespaces: "*", deliver: always}
- {name: short, source: push, namespaces: [a, b-*], deliver: onDemand, retain: 0s}
- {name: long, source: push, namespaces: a, retain: 30d}
`);
    expect(deliveredSecrets).toEqual([
      {
        name: 'corp-pull',
        source: 'corp.source',
        namespaces: { kind: 'labels', requirements: [{ key: 'tier', operator: 'In', values: ['prod'] }] },
        deliver: 'onDemand',
        retainSeconds: 86_400,
        origin: { source, line: 3, column: 3 },
      },
      expect.objectContaining({ name: 'push', namespaces: { kind: 'names', names: ['*'] }, deliver: 'always' }),
      expect.objectContaining({ name: 'short', namespaces: { kind: 'names', names: ['a', 'b-*'] }, retainSeconds: 0 }),
      expect.objectContaining({ name: 'long', retainSeconds: 2_592_000 }),
    ]);
  });

  test('settings', () => {
    const { settings } = documentOf('inject: pods\nshortNames: [Quay.io, registry:443, "index.docker.io"]\n');
    expect(settings).toEqual({
      inject: { value: 'pods', origin: { source, line: 1, column: 9 } },
      shortNames: { value: ['quay.io', 'registry:443', 'docker.io'], origin: { source, line: 2, column: 13 } },
    });
    expect(documentOf('shortNames: reject\ninject: off').settings).toMatchObject({
      shortNames: { value: 'reject' },
      inject: { value: 'off' },
    });
  });

  test('the end of a rule, with warnings from 30 days before', () => {
    const { rules } = documentOf(`
rules:
- {registry: a.io, until: 2027-03-31, reason: use b.io}
- {registry: b.io, until: "2028-03-01", warnFrom: 2028-02-29}
- {registry: c.io, until: 2028-03-30}
- {registry: d.io}
`);
    expect(rules).toMatchObject([
      { until: '2027-03-31', warnFrom: '2027-03-01', reason: 'use b.io', trust: true },
      { until: '2028-03-01', warnFrom: '2028-02-29' },
      // 2028 is a leap year.
      { until: '2028-03-30', warnFrom: '2028-02-29' },
      {},
    ]);
    expect(rules[3]).not.toHaveProperty('warnFrom');
  });

  test('exemptions, one per image', () => {
    const { exemptions } = documentOf(`
exemptions:
- image: [quay.io/legacy/app, "*.example.com"]
  namespaces: [billing, bill-*]
  until: 2028-02-29
  reason: >
    migration
    planned
- image: quay.io
  until: "2027-03-31"
  reason: x
`);
    expect(exemptions).toMatchObject([
      {
        pattern: { text: 'quay.io/legacy/app', port: 'default' },
        namespaces: { kind: 'names', names: ['billing', 'bill-*'] },
        until: '2028-02-29',
        reason: 'migration planned',
        origin: { source, line: 3, column: 11 },
      },
      { pattern: { text: '*.example.com' }, origin: { line: 3, column: 31 } },
      { pattern: { text: 'quay.io' }, until: '2027-03-31', origin: { line: 9, column: 10 } },
    ]);
    expect(exemptions[2]).not.toHaveProperty('namespaces');
  });

  test('overrides', () => {
    const text = 'overrides:\n- namespaces: sandbox\n  mode: audit\n  unconfigured: allow\n  inject: off\n- {namespaces: a, mode: warn}\n';
    expect(documentOf(text).overrides).toEqual([
      {
        namespaces: { kind: 'names', names: ['sandbox'] },
        mode: 'audit',
        unconfigured: 'allow',
        inject: 'off',
        origin: { source, line: 2, column: 3 },
      },
      { namespaces: { kind: 'names', names: ['a'] }, mode: 'warn', origin: { source, line: 6, column: 3 } },
    ]);
  });

  test('delegation, with ports as in trusting rules', () => {
    expect(documentOf('delegate: [quay.io, "reg.io:5000/team"]').delegate).toMatchObject([
      { pattern: { text: 'quay.io', port: 'default' }, origin: { source, line: 1, column: 12 } },
      { pattern: { text: 'reg.io:5000/team', port: 5000 }, origin: { source, line: 1, column: 21 } },
    ]);
  });

  test('what happens if a secret is missing', () => {
    const text = 'rules:\n- {registry: a.io, pullSecret: a, onMissingSecret: deny}\n- {registry: b.io, pushSecret: a}\n';
    expect(documentOf(text).rules.map(({ onMissingSecret }) => onMissingSecret)).toEqual(['deny', 'warn']);
  });
});

describe('namespaces', () => {
  const selectorOf = (written: string) => documentOf(`rules:\n- registry: reg.io\n  namespaces: ${written}\n`).rules[0]?.namespaces;
  const inTeam = { key: 'team', operator: 'In', values: ['a'] };

  test.each([
    { written: 'team-a', names: ['team-a'] },
    { written: 'team-*', names: ['team-*'] },
    { written: '"*"', names: ['*'] },
    { written: '["*-dev", team-a, a*b*c, "0"]', names: ['*-dev', 'team-a', 'a*b*c', '0'] },
    { written: 'team-**', names: ['team-*'] },
    { written: 'a'.repeat(63), names: ['a'.repeat(63)] },
  ])('$written are names', ({ written, names }) => {
    expect(selectorOf(written)).toEqual({ kind: 'names', names });
  });

  test.each([
    { written: '{matchLabels: {team: a}}', requirements: [inTeam] },
    { written: '{matchLabels: {team: ""}}', requirements: [{ ...inTeam, values: [''] }] },
    { written: '{matchExpressions: [{key: team, operator: In, values: [a]}], matchLabels: {team: a}}', requirements: [inTeam] },
    {
      written: '{matchLabels: {x.io/tier: Gold_1.a, env: prod}, matchExpressions: []}',
      requirements: [
        { key: 'env', operator: 'In', values: ['prod'] },
        { key: 'x.io/tier', operator: 'In', values: ['Gold_1.a'] },
      ],
    },
    {
      written:
        '{matchExpressions: [{key: b, operator: NotIn, values: [z, y, z]}, {key: a, operator: Exists}, {key: a, operator: DoesNotExist, values: []}]}',
      requirements: [
        { key: 'a', operator: 'DoesNotExist', values: [] },
        { key: 'a', operator: 'Exists', values: [] },
        { key: 'b', operator: 'NotIn', values: ['y', 'z'] },
      ],
    },
  ])('$written are labels', ({ written, requirements }) => {
    expect(selectorOf(written)).toEqual({ kind: 'labels', requirements });
  });

  test('a duplicate name is a warning', () => {
    const text = 'rules:\n- registry: reg.io\n  namespaces: [a, b, a]\n';
    expect(warningsOf(text)).toEqual(['duplicate-namespace 3:22 rules[0].namespaces[2] repeats a. Remove the duplicate.']);
    expect(documentOf(text).rules[0]?.namespaces).toEqual({ kind: 'names', names: ['a', 'b'] });
  });
});

describe("a namespace's own rules", () => {
  const scope = { kind: 'namespace', namespace: 'team-a' } as const;

  test('have its name', () => {
    const parsed = parseRulesDocument('rules:\n- {registry: reg.io, pullSecret: own}', fileSource('rules.yaml'), scope);
    expect(parsed).toMatchObject({ ok: true, document: { scope, rules: [{ ownerNamespace: 'team-a', pullSecrets: ['own'] }] } });
    expect(documentOf('rules: [{registry: reg.io}]').rules[0]).not.toHaveProperty('ownerNamespace');
  });

  test('may be empty', () => {
    expect(parseRulesDocument('', fileSource('rules.yaml'), scope)).toMatchObject({ ok: true, document: { scope, blank: true } });
  });
});

describe('a document within another file', () => {
  const at = (text: string) => parseRulesDocument(text, fileSource('cm.yaml'), undefined, { line: 7, column: 5 });
  const problemsAt = (text: string) => {
    const parsed = at(text);
    return briefly(parsed.ok ? parsed.warnings : parsed.problems);
  };

  test('has positions in that file', () => {
    expect(at('rules:\n- registry: reg.io\n')).toMatchObject({ ok: true, document: { rules: [{ origin: { line: 8, column: 17 } }] } });
  });

  test.each([
    { text: '', problem: 'blank-document 7:5 ' },
    { text: 'rules: [', problem: 'yaml-syntax 7:12 ' },
    { text: 'rules:\n\t- a', problem: 'yaml-syntax 8:5 ' },
    { text: 'rules: []\n---\nrules: []', problem: 'yaml-several-documents 8:5 ' },
    { text: ' '.repeat(1_048_577), problem: 'document-too-large 7:5 ' },
    { text: 'rules:\n- registry: reg.io\n  pulSecret: a\n', problem: 'unknown-field 9:7 ' },
    { text: 'rules:\n- registry: reg.io\n  pullSecret: [a, a]\n', problem: 'duplicate-secret 9:23 ' },
  ])('$problem', ({ text, problem }) => {
    expect(problemsAt(text)).toEqual([expect.stringContaining(problem)]);
  });

  test('including those in the text of a message', () => {
    expect(problemsAt('mode: warn\nmode: warn')[0]).toMatch(/^duplicate-field 8:5 .*line 7/);
  });
});

test('the result is plain data, which can be sent between threads', () => {
  const text = `
contact: us
shortNames: [quay.io]
internalRegistries: [reg.svc:5000]
delegate: [quay.io]
rules:
- {registry: [reg.io, reg.io], pullSecret: a, onMissingSecret: deny, namespaces: {matchLabels: {a: b}}}
exemptions:
- {image: quay.io/a, until: 2027-03-31, reason: x, namespaces: [a, b]}
overrides:
- {namespaces: a, mode: audit}
`;
  for (const document of [text, 'rules: 5', 'a: [', '']) {
    const parsed = parseRulesDocument(document, fileSource('rules.yaml'));
    expect(structuredClone(parsed)).toEqual(parsed);
    expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed);
  }
});

test("a document may have as many characters as a ConfigMap, and a namespace's only some of them", () => {
  const filled = (length: number) => `rules: [{registry: reg.io}]\n`.padEnd(length, '#');
  const scope = { kind: 'namespace', namespace: 'team-a' } as const;
  expect(parseRulesDocument(filled(1_048_576), fileSource('rules.yaml')).ok).toBe(true);
  expect(parseRulesDocument(filled(1_048_577), fileSource('rules.yaml')).ok).toBe(false);
  expect(parseRulesDocument(filled(65_536), fileSource('rules.yaml'), scope).ok).toBe(true);
  expect(parseRulesDocument(filled(65_537), fileSource('rules.yaml'), scope).ok).toBe(false);
});

test('ten thousand rules are parsed, and the last has its position', () => {
  const rules = Array.from(
    { length: 10_000 },
    (_, n) => `- registry: registry-${n % 500}.example.com/group-${n}\n  pullSecret: pull-${n}\n`,
  );
  const document = documentOf(`rules:\n${rules.join('')}`);
  expect(document.rules).toHaveLength(10_000);
  expect(document.rules.at(-1)).toMatchObject({ name: 'registry-499.example.com/group-9999', origin: { line: 20_000, column: 13 } });
});

describe('a document without rules', () => {
  test.each([{ text: '{}' }, { text: 'rules: []' }, { text: 'rules: []\ninternalRegistries: []\n' }])('$text is explicit', ({ text }) => {
    expect(documentOf(text)).toMatchObject({ blank: false, rules: [], settings: {} });
    expect(warningsOf(text)).toEqual([]);
  });

  test.each([{ text: '' }, { text: '\n \n' }, { text: '# nothing yet\n' }, { text: '---\n' }, { text: 'null' }])(
    '$text is blank, with a warning',
    ({ text }) => {
      expect(documentOf(text)).toMatchObject({ blank: true, rules: [], settings: {} });
      expect(warningsOf(text)).toEqual([expect.stringMatching(/^blank-document 1:1 .*"rules: \[\]"/)]);
    },
  );
});

describe('all problems are found in one pass', () => {
  test('in the order of the text', () => {
    const text =
      'mode: loud\nrules:\n- registry: https://a.io\n  pulSecret: 5\n  pushSecret: X\n- registry: [a.io, 5, b.io/]\n  trust: "no"\n- 7\n';
    expect(problemsOf(text).map((problem) => problem.split(' ', 2).join(' '))).toEqual([
      'unknown-value 1:7',
      'pattern-scheme 3:13',
      'unknown-field 4:3',
      'bad-secret-name 5:15',
      'wrong-type 6:20',
      'pattern-slash 6:23',
      'wrong-type 7:10',
      'wrong-type 8:3',
    ]);
  });

  test('every alias of an alias bomb, without expanding it', () => {
    const levels = Array.from({ length: 30 }, (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level}, `.repeat(10)}]`);
    const problems = problemsOf(`a0: &a0 lol\n${levels.join('\n')}\n`);
    expect(problems).toHaveLength(101);
    const aliases = problems.filter((problem) => !problem.startsWith('unknown-field'));
    expect(aliases[0]).toMatch(/^yaml-alias 1:9 the YAML anchor "&a0"/);
    expect(aliases[1]).toMatch(/^yaml-alias 2:9 the YAML anchor "&a1"/);
    expect(aliases[2]).toMatch(/^yaml-alias 2:10 the YAML alias "\*a0"/);
  });

  test('every alias and anchor', () => {
    expect(problemsOf('rules:\n- &a {registry: a.io}\n- *a\n')).toEqual([
      expect.stringContaining('yaml-alias 2:6 '),
      expect.stringContaining('yaml-alias 3:3 '),
    ]);
  });

  test('but at most a hundred, and then the number of others', () => {
    const problems = problemsOf(`rules:\n${'- 5\n'.repeat(250)}`);
    expect(problems).toHaveLength(101);
    expect(problems[100]).toMatch(/^too-many-problems 102:3 150 more problems are not shown\./);
    expect(problemsOf(`rules:\n${'- 5\n'.repeat(101)}`)[100]).toMatch(/^too-many-problems 102:3 1 more problem is not shown\./);
  });
});

describe('a harmless duplicate is a warning', () => {
  test.each([
    { text: 'rules:\n- registry: [docker.io, index.docker.io]', warning: 'duplicate-registry 2:25 ', registries: ['docker.io'] },
    { text: 'rules:\n- registry: [reg.io, "reg.io:443"]', warning: 'duplicate-registry 2:22 ', registries: ['reg.io'] },
    { text: 'rules:\n- registry: reg.io\n  pullSecret: [a, b, a]', warning: 'duplicate-secret 3:22 ', registries: ['reg.io'] },
  ])('$warning', ({ text, warning, registries }) => {
    expect(warningsOf(text)).toEqual([expect.stringContaining(warning)]);
    expect(documentOf(text).rules.map(({ pattern }) => pattern.text)).toEqual(registries);
  });

  test('but not the same host on two ports', () => {
    expect(warningsOf('rules:\n- {registry: [reg.io, "reg.io:443"], trust: false}')).toEqual([]);
  });
});

test('parsing never throws, and every problem has a position in the text and a known code', () => {
  const piece = fc.constantFrom(
    ...[
      'rules:',
      'registry: ',
      '- ',
      '\n',
      '  ',
      '\t',
      '"',
      "'",
      '*',
      '&a ',
      '!!str ',
      '[',
      ']',
      '{',
      '}',
      ',',
      ': ',
      '?',
      '|',
      '>',
      '%',
      '#',
      '---\n',
    ],
    ...['a.io', 'trust: ', 'false', '5', 'null', 'pullSecret: ', 'mode: ', '\u2028', '\0', '\r', '\ufeff'],
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (any) => {
      const parsed = parseRulesDocument(any, fileSource('f'));
      const lines = any.split(/\r\n?|\n/);
      for (const { code, origin } of parsed.ok ? parsed.warnings : parsed.problems) {
        expect(problemCodes).toHaveProperty(code);
        expect(origin.line).toBeGreaterThanOrEqual(1);
        expect(origin.line).toBeLessThanOrEqual(lines.length);
        expect(origin.column).toBeGreaterThanOrEqual(1);
      }
      expect(parsed.ok || parsed.problems.length > 0).toBe(true);
    }),
    runs(1000),
  );
});

test('nor does it throw if a field has any value, in either scope, and accepted values have the declared types', () => {
  const anything = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom<unknown>(null, true, 5, '', 'a', 'A b', 'reg.io', '*', '2027-03-31', [], {}, ['a'], [null], [{}]),
    },
    fc.jsonValue({ maxDepth: 2 }),
  );
  const recordOf = (names: readonly string[], deeper: Record<string, fc.Arbitrary<unknown>> = {}) =>
    fc.record(Object.fromEntries(names.map((name) => [name, fc.oneof({ weight: 2, arbitrary: deeper[name] ?? anything }, anything)])), {
      requiredKeys: [],
    });
  const listOf = (entry: fc.Arbitrary<unknown>) => fc.array(entry, { maxLength: 2 });
  const requirement = recordOf([...fieldsOfLevel.requirement, 'x'], {
    operator: fc.constantFrom('In', 'NotIn', 'Exists'),
    values: fc.constantFrom([], ['a'], ['a', 'a']),
  });
  const namespaces = recordOf([...fieldsOfLevel.selector, 'x'], {
    matchLabels: recordOf(['a', '/', '0']),
    matchExpressions: listOf(requirement),
  });
  const document = recordOf([...fieldsOfLevel.document, 'x'], {
    rules: listOf(recordOf([...fieldsOfLevel.rule, 'x'], { namespaces, registry: fc.constantFrom('reg.io', ['a.io', 5], 'x/') })),
    exemptions: listOf(recordOf(fieldsOfLevel.exemption, { namespaces })),
    overrides: listOf(recordOf(fieldsOfLevel.override, { namespaces, mode: fc.constant('audit') })),
  });
  const scope = fc.constantFrom<RuleScope>({ kind: 'cluster' }, { kind: 'namespace', namespace: 'team-a' });
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: document }, anything), scope, (value, of) => {
      const text = JSON.stringify(value, undefined, 1);
      const parsed = parseRulesDocument(text, fileSource('f'), of);
      if (!parsed.ok) {
        expect(parsed.problems.length).toBeGreaterThan(0);
        for (const { message, origin } of parsed.problems) {
          expect(message).toMatch(/^[ -~]+$/);
          expect(text.split('\n')[origin.line - 1]?.length).toBeGreaterThanOrEqual(origin.column - 1);
        }
        return;
      }
      accepted++;
      for (const { namespaces: selector } of [...parsed.document.rules, ...parsed.document.exemptions, ...parsed.document.overrides]) {
        if (selector?.kind === 'labels') expect(selector.requirements.length).toBeGreaterThan(0);
        if (selector?.kind === 'names') expect(selector.names.length).toBeGreaterThan(0);
      }
    }),
    runs(2000),
  );
  expect(accepted).toBeGreaterThan(0);
});

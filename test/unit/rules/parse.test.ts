import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRulesDocument } from '../../../src/rules/parse.ts';
import { problemCodes } from '../../../src/rules/problem.ts';
import { briefly, documentOf, fileSource } from './documents.ts';

function problemsOf(text: string): string[] {
  const parsed = parseRulesDocument(text, fileSource('rules.yaml'));
  return parsed.ok ? [] : briefly(parsed.problems);
}

function warningsOf(text: string): string[] {
  const parsed = parseRulesDocument(text, fileSource('rules.yaml'));
  return parsed.ok ? briefly(parsed.warnings) : ['refused'];
}

describe('a document becomes rules', () => {
  test('with the place of each registry, in one flat list', () => {
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
    { written: 'with Windows line ends', text: 'rules:\r\n- registry: reg.io\r\n  pullSecret: [a, b]\r\n' },
    { written: 'behind a byte order mark', text: '\ufeffrules: [{registry: reg.io, pullSecret: [a, b]}]' },
    { written: 'behind a YAML 1.2 directive', text: '%YAML 1.2\n---\nrules: [{registry: reg.io, pullSecret: [a, b]}]\n...\n' },
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

describe('a mistake is found where it stands', () => {
  const rule = (lines: string) => `rules:\n- registry: reg.io\n  ${lines}\n`;
  test.each([
    // The text as YAML.
    { text: 'rules: [', problem: 'yaml-syntax 1:9 ', says: 'end with a ]' },
    { text: 'mode: "warn', problem: 'yaml-syntax 1:12 ', says: 'quote' },
    { text: 'rules:\n\t- registry: reg.io', problem: 'yaml-syntax 2:1 ', says: 'spaces only' },
    { text: 'contact: ask: us', problem: 'yaml-syntax 1:10 ', says: 'put the value in quotes' },
    { text: rule(' pullSecret: a'), problem: 'yaml-syntax 2:13 ', says: 'align the next line' },
    { text: 'contact: @platform', problem: 'yaml-syntax 1:10 ', says: 'reserves' },
    { text: '? [a]\n: b', problem: 'yaml-syntax 1:3 ', says: 'plain name' },
    { text: 'mode: warn\n}', problem: 'yaml-syntax 2:1 ', says: 'brackets' },
    { text: 'rules:\n- registry: *.example.com', problem: 'yaml-unquoted-wildcard 2:13 ', says: '"*.example.com"' },
    { text: 'rules:\n- registry: *', problem: 'yaml-unquoted-wildcard 2:13 ', says: '"*"' },
    { text: 'rules:\n- registry: *:5000', problem: 'yaml-unquoted-wildcard 2:13 ', says: '"*:5000"' },
    { text: 'rules:\n- registry: [*.a.io, b.io]', problem: 'yaml-unquoted-wildcard 2:14 ', says: '"*.a.io"' },
    { text: 'internalRegistries:\n- *.svc:\n', problem: 'yaml-unquoted-wildcard 2:3 ', says: 'quotes' },
    { text: 'rules:\n- registry: *anchor', problem: 'yaml-alias 2:13 ', says: '"*anchor"' },
    { text: 'contact: &us platform', problem: 'yaml-alias 1:14 ', says: '"&us"' },
    { text: 'rules: !!seq []', problem: 'yaml-tag 1:14 ', says: '"!!seq"' },
    { text: '%YAML 1.1\n---\nrules: []', problem: 'yaml-tag 1:1 ', says: '1.2' },
    { text: 'rules: []\n---\nrules: []', problem: 'yaml-several-documents 2:1 ', says: 'of its own' },
    { text: `${'['.repeat(60)}`, problem: 'nesting-too-deep 1:49 ', says: 'brackets' },
    { text: '- '.repeat(100_000), problem: 'nesting-too-deep 1:', says: 'dashes' },
    { text: ' '.repeat(1_048_577), problem: 'document-too-large 1:1 ', says: '1048576' },
    { text: 'mode: warn\nrules: []\nmode: audit', problem: 'duplicate-field 3:1 ', says: 'line 1' },
    // The fields.
    {
      text: rule('pullsecret: a'),
      problem: 'unknown-field 3:3 ',
      says: 'unknown field "pullsecret" in rules[0]; did you mean "pullSecret"?',
    },
    { text: rule('namespaces: [a]'), problem: 'unknown-field 3:3 ', says: 'not known to this version' },
    { text: 'shortNames: docker.io', problem: 'unknown-field 1:1 ', says: 'not known to this version' },
    { text: 'Rules: []', problem: 'unknown-field 1:1 ', says: 'did you mean "rules"?' },
    { text: 'registry: reg.io', problem: 'unknown-field 1:1 ', says: 'belongs into an entry of rules' },
    { text: rule('mode: warn'), problem: 'unknown-field 3:3 ', says: 'belongs at the top level' },
    { text: '__proto__: {}', problem: 'unknown-field 1:1 ', says: '"__proto__"' },
    { text: '<<: {mode: warn}', problem: 'unknown-field 1:1 ', says: '"<<"' },
    { text: '1: 2', problem: 'unknown-field 1:1 ', says: '"1"' },
    { text: 'rules:\n- regsitry: reg.io', problem: 'unknown-field 2:3 ', says: 'did you mean "registry"?' },
    { text: 'rules:\n- name: a', problem: 'missing-field 2:3 ', says: 'rules[0] has no registry' },
    // The types.
    { text: 'hello', problem: 'wrong-type 1:1 ', says: 'the document is a text' },
    { text: '- registry: reg.io', problem: 'wrong-type 1:1 ', says: 'put them under "rules:"' },
    { text: 'rules: {registry: reg.io}', problem: 'wrong-type 1:8 ', says: '"- registry: ..."' },
    { text: 'rules: [docker.io]', problem: 'wrong-type 1:9 ', says: '"registry: docker.io"' },
    { text: 'rules:\n- [a]', problem: 'wrong-type 2:3 ', says: 'a list, not a rule' },
    { text: rule('trust: "yes"'), problem: 'wrong-type 3:10 ', says: 'write true without quotes' },
    { text: rule('trust: no'), problem: 'wrong-type 3:10 ', says: 'write false without quotes' },
    { text: rule('trust: 1'), problem: 'wrong-type 3:10 ', says: 'true or false' },
    { text: rule('trust: maybe'), problem: 'wrong-type 3:10 ', says: 'true or false' },
    { text: rule('pullSecret: 0123'), problem: 'wrong-type 3:15 ', says: 'put it in quotes: "0123"' },
    { text: rule('pushSecret: [a]'), problem: 'wrong-type 3:15 ', says: 'a list' },
    { text: 'rules:\n- registry: {host: reg.io}', problem: 'wrong-type 2:13 ', says: 'or a list' },
    { text: 'mode: true', problem: 'wrong-type 1:7 ', says: 'enforce, warn or audit' },
    { text: 'contact: [a]', problem: 'wrong-type 1:10 ', says: 'a list' },
    { text: 'internalRegistries: reg.svc:5000', problem: 'wrong-type 1:21 ', says: '"- host:port"' },
    // The values.
    { text: 'mode: Enforce', problem: 'unknown-value 1:7 ', says: 'did you mean "enforce"?' },
    { text: 'unconfigured: refuse', problem: 'unknown-value 1:15 ', says: 'deny, warn or allow' },
    { text: 'rules:', problem: 'empty-value 1:1 ', says: '[]' },
    { text: 'rules:\n- registry:', problem: 'empty-value 2:3 ', says: 'write a registry' },
    { text: 'rules:\n- registry: null', problem: 'empty-value 2:13 ', says: 'write a registry' },
    { text: 'rules:\n- registry: ""', problem: 'empty-value 2:13 ', says: 'write a registry' },
    { text: 'rules:\n- registry: []', problem: 'empty-value 2:13 ', says: 'an empty list' },
    { text: 'rules:\n-\n', problem: 'empty-value 2:2 ', says: 'remove the dash' },
    { text: rule('pullSecret: []'), problem: 'empty-value 3:15 ', says: 'an empty list' },
    { text: rule('pullSecret: ""'), problem: 'empty-value 3:15 ', says: 'the name of a secret' },
    { text: 'mode:', problem: 'empty-value 1:1 ', says: 'enforce, warn or audit' },
    { text: rule('pullSecret: Corp_Pull'), problem: 'bad-secret-name 3:15 ', says: 'lower-case' },
    { text: rule('pullSecret: [a, team/pull]'), problem: 'bad-secret-name 3:19 ', says: 'rules[0].pullSecret[1] is "team/pull"' },
    { text: rule('pushSecret: corp.'), problem: 'bad-secret-name 3:15 ', says: '"corp."' },
    { text: rule(`pullSecret: ${'a'.repeat(254)}`), problem: 'bad-secret-name 3:15 ', says: '253' },
    { text: `contact: ${'a'.repeat(201)}`, problem: 'bad-text 1:10 ', says: '201 characters long; at most 200' },
    { text: 'contact: "a\\nb"', problem: 'bad-text 1:10 ', says: 'one line' },
    { text: 'contact: "\\e[31m"', problem: 'bad-text 1:10 ', says: 'control characters' },
    { text: 'contact: " "', problem: 'bad-text 1:10 ', says: 'visible' },
    { text: rule('name: "  x"'), problem: 'bad-text 3:9 ', says: 'visible' },
    // The sense.
    { text: rule('reason: old'), problem: 'reason-on-trusted 3:3 ', says: '"trust: false"' },
    { text: rule('trust: true\n  reason: old'), problem: 'reason-on-trusted 4:3 ', says: '"trust: false"' },
    { text: rule('trust: false\n  pullSecret: a'), problem: 'secret-on-distrusted 4:3 ', says: 'needs no pullSecret' },
    { text: rule('trust: false\n  pushSecret: a'), problem: 'secret-on-distrusted 4:3 ', says: 'needs no pushSecret' },
    {
      text: 'rules:\n- registry: https://reg.io',
      problem: 'pattern-scheme 2:13 ',
      says: 'rules[0].registry: "https://reg.io" begins with a scheme; write "reg.io"',
    },
    { text: 'rules:\n- registry: [reg.io, quay.io/]', problem: 'pattern-slash 2:22 ', says: 'rules[0].registry[1]' },
    { text: 'internalRegistries: [reg.svc:5000/team]', problem: 'internal-pattern 1:22 ', says: 'write "reg.svc:5000"' },
    { text: 'internalRegistries: ["*"]', problem: 'internal-pattern 1:22 ', says: 'every host' },
    { text: 'internalRegistries: [reg.svc:x]', problem: 'pattern-tag 1:22 ', says: 'where a port stands' },
  ])('$problem$says', ({ text, problem, says }) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(says)]);
    expect(problemsOf(text)[0]).toContain(problem);
  });

  test('all of them in one go, in the order of the text', () => {
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

  test('every alias and anchor', () => {
    expect(problemsOf('rules:\n- &a {registry: a.io}\n- *a\n')).toEqual([
      expect.stringContaining('yaml-alias 2:6 '),
      expect.stringContaining('yaml-alias 3:3 '),
    ]);
  });

  test('but no more than a hundred, and then how many more', () => {
    const problems = problemsOf(`rules:\n${'- 5\n'.repeat(250)}`);
    expect(problems).toHaveLength(101);
    expect(problems[100]).toMatch(/^too-many-problems 102:3 150 more problems/);
  });
});

describe('a harmless repetition is a warning', () => {
  test.each([
    { text: 'rules:\n- registry: [docker.io, index.docker.io]', warning: 'duplicate-registry 2:25 ', registries: ['docker.io'] },
    { text: 'rules:\n- registry: [reg.io, "reg.io:443"]', warning: 'duplicate-registry 2:22 ', registries: ['reg.io'] },
    { text: 'rules:\n- registry: reg.io\n  pullSecret: [a, b, a]', warning: 'duplicate-secret 3:22 ', registries: ['reg.io'] },
  ])('$warning', ({ text, warning, registries }) => {
    expect(warningsOf(text)).toEqual([expect.stringContaining(warning)]);
    expect(documentOf(text).rules.map(({ pattern }) => pattern.text)).toEqual(registries);
  });

  test('but the same host on two ports is none', () => {
    expect(warningsOf('rules:\n- {registry: [reg.io, "reg.io:443"], trust: false}')).toEqual([]);
  });
});

test('parsing never throws, and every problem has a place in the text and a known code', () => {
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
      const lines = any.split('\n');
      for (const { code, origin } of parsed.ok ? parsed.warnings : parsed.problems) {
        expect(problemCodes).toHaveProperty(code);
        expect(origin.line).toBeGreaterThanOrEqual(1);
        expect(origin.line).toBeLessThanOrEqual(lines.length);
        expect(origin.column).toBeGreaterThanOrEqual(1);
      }
      expect(parsed.ok || parsed.problems.length > 0).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

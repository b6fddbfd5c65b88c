/** Tests the findings about sources whose content is known. */
import { expect, test } from 'vitest';
import { lintSources } from '../../../src/delivery/lint-sources.ts';
import { levelOf } from '../../../src/rules/language/problem.ts';
import { fileSource, ruleSetOf } from '../rules/documents.ts';

const rules = ruleSetOf(`
rules:
- {registry: reg.io/team, pullSecret: corp-pull}
- {registry: push.io, pushSecret: corp-pull}
secrets:
- {name: corp-pull, source: corp-source, namespaces: "*"}
`);

function source(auths: object, more: object = {}) {
  const object = {
    metadata: { name: 'corp-source', labels: { 'regkeeper.io/source': 'true' } },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
    ...more,
  };
  return { object, origin: { source: fileSource('sources.yaml'), line: 3, column: 1 } };
}

const login = { auth: btoa('robot:hunter2') };
const findings = (...sources: readonly ReturnType<typeof source>[]) =>
  lintSources(rules, sources).map(({ code, origin, message }) => `${levelOf(code)} ${code} ${origin.line} ${message}`);

test('a source with exactly what the rules need is valid, even with entries for others', () => {
  expect(findings(source({ 'reg.io/team': login, 'push.io': login, 'other.io': login }))).toEqual([]);
});

test('an entry that is wider than a rule is a hint', () => {
  expect(findings(source({ 'reg.io': login, 'push.io': login }))).toEqual([
    'hint wide-credential 3 the entry "reg.io" of the source "corp-source" also gives access to images outside of the rule reg.io/team in a.yaml:3:14. Use a narrower entry, if the registry allows it.',
  ]);
});

test('a rule without an entry is a warning', () => {
  expect(findings(source({ 'reg.io/team': login }))).toEqual([
    'warning source-without-entry 3 the source "corp-source" has no credential for the rule push.io in a.yaml:4:14, which references the secret corp-pull. Add an entry to the source.',
  ]);
});

test.each([
  ['malformed', { auth: 'x' }, '"auth" is not base64'],
  ['without a login', {}, 'it has no user name and no password'],
])('a rule whose entry is %s is a warning to correct the entry, not to add one', (_name, entry, cause) => {
  expect(findings(source({ 'reg.io/team': login, 'push.io': entry }))).toEqual([
    `warning source-unusable 3 copies of the source "corp-source" do not contain one of its entries. Entry "push.io": ${cause}. Correct the source.`,
    'warning source-without-entry 3 the source "corp-source" has no credential for the rule push.io in a.yaml:4:14, which references the secret corp-pull. Correct the entry "push.io", which cannot be copied.',
  ]);
});

test.each([
  ['of another type', source({}, { type: 'Opaque' }), 'the source "corp-source" has the type "Opaque"'],
  ['that is malformed', source({}, { stringData: { '.dockerconfigjson': 'x' } }), 'is malformed'],
])('a source %s is a warning', (_name, broken, says) => {
  expect(findings(broken)).toEqual([
    expect.stringContaining(`warning source-unusable 3 the secret corp-pull cannot be delivered: the source "corp-source"`),
  ]);
  expect(findings(broken)[0]).toContain(says);
});

test('an omitted entry is a warning, and no password is in any message', () => {
  const all = findings(source({ 'reg.io/team': login, 'push.io': login, 'me:hunter2@bad.io': { auth: '???' } }));
  expect(all).toEqual([expect.stringContaining('warning source-unusable 3 copies of the source "corp-source" do not contain one of its')]);
  expect(all.join()).not.toContain('hunter2');
});

test('a Secret without an entry in the rules is ignored', () => {
  expect(findings(source({}, { metadata: { name: 'other' } }))).toEqual([]);
});

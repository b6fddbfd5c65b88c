/** Tests when the state of the sources is logged. */
import { expect, test } from 'vitest';
import { createSourceReport } from '../../../../src/cluster/delivery/source-report.ts';
import { forbiddenSource, readSource } from '../../../../src/delivery/source.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { ruleSetOf } from '../../rules/documents.ts';

const withSecret = `
rules: [{registry: reg.example.com, pullSecret: corp}]
secrets: [{name: corp, source: corp-source, namespaces: '*'}]
`;
const source = forbiddenSource('corp-source');

test('a problem is logged once, and again after its secret was absent from the rules', () => {
  const log = recordingLog();
  const report = createSourceReport(log);
  const update = (rules: string) => report.update(ruleSetOf(rules), () => source);
  update(withSecret);
  update(withSecret);
  expect(log.lines).toHaveLength(1);
  update('rules: [{registry: reg.example.com}]');
  update(withSecret);
  expect(log.lines).toHaveLength(2);
});

const sourceWith = (auths: object) =>
  readSource('corp-source', {
    metadata: { labels: { 'regkeeper.io/source': 'true' }, uid: 'u', resourceVersion: '1' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': btoa(JSON.stringify({ auths })) },
  });

test.each<[title: string, auths: object, lines: readonly string[]]>([
  ['does not exist', {}, ['the source "corp-source" has no entry for rule "reg.example.com". Add an entry for its registry']],
  [
    'is malformed',
    { 'reg.example.com': { auth: btoa('no-colon') } },
    [
      'the entry "reg.example.com" of the source "corp-source" matches rule "reg.example.com", but cannot be copied. Correct the entry',
      'the source "corp-source" has an entry that is not copied. Entry "reg.example.com": "auth" has no colon between user name and password. Correct the source',
    ],
  ],
  [
    'has no login',
    { 'reg.example.com': {} },
    [
      'the entry "reg.example.com" of the source "corp-source" matches rule "reg.example.com", but cannot be copied. Correct the entry',
      'the source "corp-source" has an entry that is not copied. Entry "reg.example.com": it has no user name and no password. Correct the source',
    ],
  ],
])('if the entry for a rule %s, the log shows what to correct', (_title, auths, lines) => {
  const log = recordingLog();
  createSourceReport(log).update(ruleSetOf(withSecret), () => sourceWith(auths));
  expect(log.lines.map(({ message }) => message)).toEqual(lines);
});

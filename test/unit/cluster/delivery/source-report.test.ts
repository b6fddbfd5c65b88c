/** Tests when the state of the sources is logged. */
import { expect, test } from 'vitest';
import { createSourceReport } from '../../../../src/cluster/delivery/source-report.ts';
import { forbiddenSource } from '../../../../src/delivery/source.ts';
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

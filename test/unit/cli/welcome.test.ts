/** Tests the text that the development server prints when it is ready. */
import { expect, test } from 'vitest';
import { readSettings } from '../../../src/app/settings.ts';
import { renderWelcome } from '../../../src/cli/output/welcome.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { ruleSetOf } from '../rules/documents.ts';

const settings = readSettings({ dev: true, rules: ['my/rules.yaml'] }, {});
const welcome = (ruleSet: RuleSet | undefined) =>
  renderWelcome(
    { url: 'https://localhost:8443', healthUrl: 'http://localhost:8080', caFile: 'ca.crt', ruleStore: { written: () => ruleSet } },
    settings,
  );

test('lists the rules', () => {
  const text = welcome(ruleSetOf('mode: warn\nrules: [{registry: reg.io, pullSecret: a}]'));
  expect(text).toMatch(/^Rules: my\/rules\.yaml \(revision [0-9a-f]{12}, mode warn, unconfigured deny\)\n {2}reg\.io +trusted +pull a$/m);
});

test('without rules, shows that the server is not ready', () => {
  const text = welcome(undefined);
  expect(text).toContain('Rules: none yet in my/rules.yaml. The server is not ready until there are rules.\nEdit them');
  expect(text).not.toContain('undefined');
});

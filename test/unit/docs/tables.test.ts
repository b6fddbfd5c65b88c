/** Tables of the docs, compared with the code: codes, reasons, metrics, settings, dependencies and scripts. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { readSettings } from '../../../src/app/settings.ts';
import { serveCommand } from '../../../src/cli/commands/serve.ts';
import { quoteText } from '../../../src/cli/line/setting-options.ts';
import { registrySecretProblems, type SecretEffect } from '../../../src/credentials/registry-secret.ts';
import { reasons } from '../../../src/decision/reasons.ts';
import { recordGaps } from '../../../src/evaluate/replay/read-record.ts';
import { imageProblemCodes } from '../../../src/image/problem.ts';
import { failures } from '../../../src/observe/audit/failure.ts';
import { deliveryMetrics } from '../../../src/observe/delivery-metrics.ts';
import { eventDrops } from '../../../src/observe/event-drops.ts';
import { ownMetrics } from '../../../src/observe/metrics.ts';
import { levelOf, type ProblemCode, problemCodes } from '../../../src/rules/language/problem.ts';
import { problemRemedies } from '../../../src/rules/language/problem-remedies.ts';
import { fieldsOfLevel } from '../../../src/rules/language/schema.ts';
import { defaultOf, deliverySettingNames, flagOf, settingNames, settingOf, usageOf, variableOf } from '../../../src/settings/table.ts';
import { firstCodes, pages, readPage, root, rows, section } from './pages.ts';

const withoutSubsections = (text: string) => text.split(/^### /m)[0] ?? '';
const sorted = (names: readonly string[]) => [...names].sort();

describe('the docs list what the code has, and nothing else', () => {
  test.each([
    ['problem', 'Problems that cause rejection'],
    ['warning', 'Warnings'],
    ['hint', 'Hints'],
  ])('codes of level %s in docs/rules.md, under "%s"', (level, heading) => {
    const codes = (Object.keys(problemCodes) as ProblemCode[]).filter((code) => levelOf(code) === level);
    expect(sorted(firstCodes(section(readPage('docs/rules.md'), heading)))).toEqual(sorted(codes));
  });

  test('the fix for each code, as in SARIF', () => {
    const listed = ['Problems that cause rejection', 'Warnings', 'Hints'].flatMap((heading) =>
      rows(section(readPage('docs/rules.md'), heading)),
    );
    const remedies = listed.map(([code = '', , remedy = '']) => [code.replaceAll('`', ''), remedy.replaceAll('\\|', '|')]);
    expect(Object.fromEntries(remedies)).toEqual(problemRemedies);
  });

  test.each([
    ['document', 'The document'],
    ['rule', 'A rule'],
    ['exemption', 'An exemption'],
    ['override', 'An override'],
    ['secret', 'A delivered secret'],
    ['selector', 'Labels'],
    ['requirement', 'A requirement on a label'],
  ] as const)('fields of a %s in docs/rules.md, under "%s"', (level, heading) => {
    const fields = firstCodes(section(section(readPage('docs/rules.md'), 'Fields'), heading));
    expect(sorted(fields)).toEqual(sorted(fieldsOfLevel[level]));
  });

  test('reasons in docs/reasons.md', () => {
    const page = readPage('docs/reasons.md');
    const codes = [...firstCodes(section(page, 'Reasons for images')), ...firstCodes(section(page, 'Reasons for warnings'))];
    // `secret-missing` is in both tables: it denies a Pod, and is a warning for other objects.
    expect(sorted([...new Set(codes)])).toEqual(sorted(Object.keys(reasons)));
  });

  test('codes of malformed Secrets in docs/tools.md, with their effect', () => {
    const effects: Readonly<Record<SecretEffect, string>> = {
      rejected: 'the API server rejects the Secret',
      'breaks-pulls': 'every pull for a Pod that lists the Secret fails',
      'entry-ignored': 'kubelets ignore the entry',
    };
    const listed = rows(section(readPage('docs/tools.md'), 'Codes of malformed Secrets'));
    expect(Object.fromEntries(listed.map(([code = '', , effect]) => [code.replaceAll('`', ''), effect]))).toEqual(
      Object.fromEntries(Object.entries(registrySecretProblems).map(([code, effect]) => [code, effects[effect]])),
    );
  });

  test('reasons why a record cannot be replayed in docs/tools.md, with the same text', () => {
    const listed = rows(section(readPage('docs/tools.md'), 'Replay past requests')).filter(
      ([code = '']) => code.replaceAll('`', '') in recordGaps,
    );
    expect(Object.fromEntries(listed.map(([code = '', words]) => [code.replaceAll('`', ''), words]))).toEqual(recordGaps);
  });

  test('codes of image names in docs/reasons.md, with their text', () => {
    const listed = rows(section(readPage('docs/reasons.md'), 'Why an image name is invalid'));
    expect(Object.fromEntries(listed.map(([code = '', words]) => [code.replaceAll('`', ''), words]))).toEqual(imageProblemCodes);
  });

  test('metrics in docs/metrics.md, with their labels', () => {
    const listed = ['Request metrics', 'State metrics', 'Metrics of secret delivery'].flatMap((heading) =>
      rows(withoutSubsections(section(readPage('docs/metrics.md'), heading))),
    );
    const documented = listed.map(([name = '', labels = '']) => `${name.replaceAll('`', '')}{${labels.replaceAll('`', '')}}`);
    expect(sorted(documented)).toEqual(
      sorted(
        [...Object.values(ownMetrics), ...Object.values(deliveryMetrics)].map(
          ({ name, labelNames }) => `${name}{${labelNames.join(', ')}}`,
        ),
      ),
    );
  });

  test('reasons why a request was not evaluated in docs/metrics.md, with their text', () => {
    const listed = rows(section(readPage('docs/metrics.md'), 'Requests that could not be evaluated'));
    expect(Object.fromEntries(listed.map(([reason = '', words]) => [reason.replaceAll('`', ''), words]))).toEqual(failures);
  });

  test('reasons why an Event was not written in docs/metrics.md, with the same text', () => {
    const listed = rows(section(readPage('docs/metrics.md'), 'Events that were not written'));
    expect(Object.fromEntries(listed.map(([reason = '', words]) => [reason.replaceAll('`', ''), words]))).toEqual(eventDrops);
  });

  test('settings of serve in docs/settings.md: flags, variables and defaults', () => {
    const listed = rows(section(readPage('docs/settings.md'), 'Settings'));
    expect(listed.map(([flag, variable, usual]) => [flag, variable, usual])).toEqual(
      settingNames.map((name) => [`\`${usageOf(name)}\``, `\`${variableOf(name)}\``, defaultOf(name) ?? '']),
    );
  });

  test('settings of deliver in docs/settings.md', () => {
    const text = section(readPage('docs/settings.md'), 'Settings of regkeeper deliver').split('It ignores')[0] ?? '';
    expect(text.match(/`--[a-z-]+`/g)).toEqual(deliverySettingNames.map((name) => `\`${flagOf(name)}\``));
  });

  test('--help of serve: flags, variables and defaults', () => {
    const { options } = serveCommand(
      async () => {},
      () => {},
    );
    const shown = options.filter(({ hidden }) => !hidden).map(({ flags, description }) => [flags, description]);
    expect(shown).toEqual(
      settingNames.map((name) => {
        const usual = defaultOf(name, settingOf(name), quoteText);
        const facts = `${usual === undefined ? '' : `default: ${usual}, `}env: ${variableOf(name)}`;
        return [usageOf(name), `${settingOf(name).description} (${facts})`];
      }),
    );
  });

  test('variables with our prefix, in docs and tests, are settings or listed as variables of the tests', () => {
    const withoutRenames = (text: string) => text.replace(/^### Renamed before the first release$[\s\S]*?(?=^##|(?![\s\S]))/m, '');
    const inDocs = pages.flatMap((page) => withoutRenames(readPage(page)).match(/\bREGKEEPER_\w*[A-Z]\b/g) ?? []);
    const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const inTests = tests.flatMap((file) => readPage(join('test', file)).match(/(?<=process\.env\.)REGKEEPER_\w+/g) ?? []);
    expect(inDocs).toContain('REGKEEPER_PORT');
    expect(inTests).toContain('REGKEEPER_TEST_KUBECONFIG');
    const env = Object.fromEntries([...inDocs, ...inTests].map((name) => [name, '']));
    expect(() => readSettings({}, env)).not.toThrow();
  });

  test.each([
    ['Runtime', packageJson.dependencies],
    ['Development', packageJson.devDependencies],
  ])('dependencies and their versions: %s', (heading, declared) => {
    const listed = rows(section(readPage('docs/decisions/2026-11-21-dependencies.md'), heading));
    expect(Object.fromEntries(listed.map(([name = '', version]) => [name.replaceAll('`', ''), version]))).toEqual(declared);
  });

  test('scripts in CONTRIBUTING.md', () => {
    const page = readPage('CONTRIBUTING.md');
    const words = (script: string) => (script === 'start' || script === 'test' ? `npm ${script}` : `npm run (-s )?${script}`);
    const missing = Object.keys(packageJson.scripts).filter((script) => !new RegExp(`\`${words(script)}(?![\\w:-])`).test(page));
    expect(missing).toEqual([]);
    const named = [...page.matchAll(/`npm run (?:-s )?([\w:-]+)/g)].map(([, script]) => script ?? '');
    expect(named.filter((script) => !(script in packageJson.scripts))).toEqual([]);
  });
});

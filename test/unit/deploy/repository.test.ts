/** Settings of the repository that repeat others: .editorconfig those of biome, and Renovate the versions in the workflows. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

test('.editorconfig has the settings of biome', () => {
  const { formatter } = JSON.parse(read('biome.json')) as { formatter: { indentStyle: string; indentWidth: number; lineWidth: number } };
  const everyFile = /^\[\*\]\n((?:.+\n)+)/m.exec(read('.editorconfig'))?.[1] ?? '';
  expect(Object.fromEntries([...everyFile.matchAll(/^(\w+) = (.+)$/gm)].map(([, name, value]) => [name, value]))).toMatchObject({
    indent_style: formatter.indentStyle,
    indent_size: `${formatter.indentWidth}`,
    max_line_length: `${formatter.lineWidth}`,
    // The default of biome.
    end_of_line: 'lf',
  });
});

type Renovate = {
  readonly packageRules: readonly { readonly matchFileNames?: readonly string[] }[];
  readonly customManagers: readonly [{ readonly managerFilePatterns: readonly [string]; readonly matchStrings: readonly [string] }];
};
const renovate = JSON.parse(read('.github/renovate.json')) as Renovate;

test('Renovate updates every Go program of the workflows', () => {
  const [{ managerFilePatterns, matchStrings }] = renovate.customManagers;
  const workflows = readdirSync(join(root, '.github/workflows')).map((file) => `.github/workflows/${file}`);
  expect(workflows.filter((file) => !new RegExp(managerFilePatterns[0].slice(1, -1)).test(file))).toEqual([]);
  const text = workflows.map(read).join('\n');
  const found = [...text.matchAll(new RegExp(matchStrings[0], 'g'))].map(({ groups }) => groups?.depName);
  expect(found.sort()).toEqual(['github.com/rhysd/actionlint', 'sigs.k8s.io/kind']);
  expect(found).toHaveLength([...text.matchAll(/\bgo (?:install|run) /g)].length);
});

test('Renovate has a group for each Go module', () => {
  const named = renovate.packageRules.flatMap(({ matchFileNames = [] }) => matchFileNames);
  expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  const modules = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter((file) => /(^|\/)go\.mod$/.test(file));
  expect(modules.map((file) => `test/${file}`).sort()).toEqual([...named].sort());
});

test.each(readdirSync(join(root, '.github/ISSUE_TEMPLATE')).filter((file) => file !== 'config.yml'))('GitHub can parse %s', (file) => {
  const form = parse(read(`.github/ISSUE_TEMPLATE/${file}`)) as {
    name: string;
    description: string;
    body: { type: string; id?: string }[];
  };
  expect([form.name, form.description].every((text) => text.length > 3)).toBe(true);
  expect(form.body.filter(({ type }) => !['markdown', 'input', 'textarea', 'dropdown', 'checkboxes'].includes(type))).toEqual([]);
  const ids = form.body.flatMap(({ type, id }) => (type === 'markdown' ? [] : [id]));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).not.toContain(undefined);
});

/** Every sentence of docs/semantics.md cites a test that exists. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPage, root, rows } from './pages.ts';

const sentences = rows(readPage('docs/semantics.md')).map(([sentence = '', citations = '']) => ({ sentence, citations }));

test.each(sentences)('a test exists: $sentence', ({ citations }) => {
  const tests = testsIn(citations);
  expect(tests.length).toBeGreaterThan(0);
  expect(tests.filter((each) => !exists(each))).toEqual([]);
});

test('there are sentences', () => {
  expect(sentences.length).toBeGreaterThan(40);
});

type Cited = { readonly scenario: string; readonly title: string } | { readonly folder: string };

/** Parses `SCENARIO: TITLE; case NAME`. A title may contain a semicolon too. */
function testsIn(text: string): readonly Cited[] {
  return text.split(/; (?=case [a-z-]+(?:;|$)|[a-z-]+: )/).map((each): Cited => {
    const [, folder] = /^case ([a-z-]+)$/.exec(each) ?? [];
    if (folder !== undefined) return { folder };
    const [, scenario = '', title = ''] = /^([a-z-]+): (.+)$/.exec(each) ?? [];
    return { scenario, title };
  });
}

function exists(cited: Cited): boolean {
  if ('folder' in cited) return existsSync(join(root, 'test/cases', cited.folder, 'expected.yaml'));
  const file = join(root, 'test/cluster/scenarios', `${cited.scenario}.test.ts`);
  return existsSync(file) && readFileSync(file, 'utf8').includes(cited.title);
}

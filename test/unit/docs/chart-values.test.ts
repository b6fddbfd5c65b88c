/** Values of the chart that the documentation names, such as `webhook.port: 10250`, exist in its schema. */
import { expect, test } from 'vitest';
import schema from '../../../deploy/chart/values.schema.json' with { type: 'json' };
import { outsideBlocks, pages, readPage } from './pages.ts';

type Node = { readonly properties?: Readonly<Record<string, Node>>; readonly [field: string]: unknown };
const root = schema as unknown as Node;

/** Records have fields of the same form. */
const others = new Set(['CHANGELOG.md', 'docs/audit.md', 'docs/tools.md']);
const named = pages
  .filter((page) => !others.has(page) && !page.startsWith('docs/decisions/'))
  .flatMap((page) =>
    [...outsideBlocks(readPage(page)).matchAll(/`([a-z]\w*(?:\.[a-z]\w*)+|[a-z]\w*Count)(?::[^`]*)?`/g)]
      .map(([, path = '']) => path)
      .filter((path) => Object.hasOwn(root.properties ?? {}, path.split('.')[0] ?? '') || /Count$/.test(path))
      .map((path) => ({ page, path })),
  )
  // Names of files and API groups, and a field of a kind, are not values.
  .filter(({ path }) => !/\.(?:yaml|json|io)$|^image\.dockerImageReference$/.test(path));

test('there are such values', () => {
  expect(named.length).toBeGreaterThan(20);
});

test.each(named)('$page: $path', ({ path }) => {
  const found = path.split('.').reduce<Node | undefined>((node, key) => {
    const free = node?.additionalProperties !== false && node?.properties?.[key] === undefined && node?.type === 'object';
    return free ? node : node?.properties?.[key];
  }, root);
  expect(found).toBeDefined();
});

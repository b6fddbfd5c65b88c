/** The links between the pages of the docs. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchors, outsideBlocks, pages, readPage, root } from './pages.ts';

type Link = { readonly file: string; readonly anchor: string | undefined };

describe.each(pages)('links in %s', (page) => {
  const links = relativeLinks(page);

  test('lead to files that exist', () => {
    expect(links.map(({ file }) => file).filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('lead to headings that exist', () => {
    const lost = links.filter(({ file, anchor }) => anchor !== undefined && !anchors(file).includes(anchor));
    expect(lost).toEqual([]);
  });
});

test('every page of docs is reached from README.md', () => {
  const reached = new Set(['README.md']);
  for (const page of reached) {
    for (const { file } of relativeLinks(page)) {
      const target = file.replace(/\/$/, '');
      if (target.endsWith('.md')) reached.add(target);
      else if (existsSync(join(root, target)) && statSync(join(root, target)).isDirectory()) {
        for (const name of readdirSync(join(root, target))) if (name.endsWith('.md')) reached.add(join(target, name));
      }
    }
  }
  expect(pages.filter((page) => page.startsWith('docs/') && !reached.has(page))).toEqual([]);
});

/** Paths are relative to the root of the repository. */
function relativeLinks(page: string): readonly Link[] {
  const text = outsideBlocks(readPage(page)).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor] = target.split('#');
      return { file: file === '' ? page : normalize(join(page, '..', file)), anchor };
    });
}

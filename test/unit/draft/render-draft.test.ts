/** A document with many rules stays within the limits of a ConfigMap. */
import { describe, expect, test } from 'vitest';
import type { DraftRule } from '../../../src/draft/draft-rules.ts';
import { renderDraft } from '../../../src/draft/render-draft.ts';

const notes = { objects: 1, denied: [], unknown: [], notEvaluated: [] };

function render(count: number, host: string) {
  const rules = Array.from({ length: count }, (_, index): DraftRule => {
    const registry = `${host}-${index}.example.com`;
    return { registry, images: [`${registry}/x:1`], namespaces: ['shop'], objects: 1, pull: { kind: 'none' }, push: { kind: 'none' } };
  });
  return renderDraft({ rules, internal: [], unlikely: [], shortNames: [] }, notes);
}

describe('for each rule it shows', () => {
  test('examples while there is room', () => {
    expect(render(3, 'r').text).toContain(
      '# 1 image in 1 object of 1 namespace (shop): r-2.example.com/x:1\n- registry: r-2.example.com\n',
    );
  });

  test('counts if examples do not fit', () => {
    expect(render(6_000, 'r'.repeat(63)).text.slice(0, 400)).toMatch(/^rules:\n# 1 image in 1 object of 1 namespace\.\n- registry/m);
  });

  test('nothing if counts do not fit', () => {
    const { text, fits } = render(18_000, 'r');
    expect(fits).toBe(true);
    expect(text.slice(0, 400)).toMatch(/^rules:\n- registry: r-0/m);
  });
});

test('rules that are too long even without comments do not fit', () => {
  expect(render(5_000, `${'r'.repeat(63)}.`.repeat(3)).fits).toBe(false);
});

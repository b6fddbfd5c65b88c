/** The messages that docs/denied.md explains are messages of the program. */
import { describe, expect, test } from 'vitest';
import { readPage, rows, section } from './pages.ts';

const page = readPage('docs/denied.md');
const golden = readPage('test/unit/decision/messages.golden.md');
const messages = rows(section(page, 'What the message means, and what to do')).flatMap(([cell = '']) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
);

describe('docs/denied.md', () => {
  test.each(messages)('explains a message that exists: %s', (message) => {
    const parts = message.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    expect(golden).toMatch(new RegExp(parts.join('.*')));
  });

  test('explains messages', () => {
    expect(messages.length).toBeGreaterThan(10);
  });
});

/** Holds identifiers and comments to the glossary of CONTRIBUTING.md, so that a reader can search for the words they know. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseSync } from 'vite';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');

/** What not to write, and what to write instead. `comments` are patterns, `identifiers` are words of a camelCase name. */
const glossary: readonly { readonly comments?: RegExp; readonly identifiers?: readonly string[]; readonly instead: string }[] = [
  { comments: /\b(?:whoever|whomever|somebody|nobody)\b/i, instead: 'the user, the author, the operator, the API server, or the passive' },
  { comments: /\b(?:tells?|told|telling)\b/i, identifiers: ['tell', 'tells', 'told'], instead: 'report, log, message, event' },
  { comments: /\b(?:stands?|stood) (?:in|for|there|at|before|behind|where|beside|as|alone)\b/i, instead: 'is, matches, contains' },
  { identifiers: ['holds'], instead: 'matches, contains' },
  { comments: /\b(?:lets?|letting) (?:\S+ )?in\b/i, instead: 'allowed' },
  {
    comments: /\brefus(?:e|es|ed|al|als|ing)\b/i,
    identifiers: ['refuse', 'refuses', 'refused', 'refusal', 'refusals'],
    instead: 'denied, rejected',
  },
  { comments: /\b(?:is|are|was|were|be) away\b/i, instead: 'unavailable' },
  { comments: /\b(?:anew|comes? again)\b/i, identifiers: ['anew'], instead: 'recreated, is retried' },
  { comments: /\bmend(?:s|ed|ing)?\b/i, identifiers: ['mend', 'mends', 'mended'], instead: 'fix' },
  { comments: /\bbesides?\b/i, identifiers: ['beside'], instead: 'next to, with' },
  { comments: /\b(?:an|has|have|the) own\b/i, instead: 'its own, separate' },
  { comments: /\bby which\b/i, instead: 'rephrase' },
  { comments: /(?<!certificate )\bauthorit(?:y|ies)\b/i, identifiers: ['authority', 'authorities'], instead: 'CA' },
  { comments: /\bpatience\b/i, identifiers: ['patience'], instead: 'retry' },
  { identifiers: ['silence', 'silent'], instead: 'idle' },
  { identifiers: ['news'], instead: 'change notification' },
  { identifiers: ['contest'], instead: 'explanation' },
  { identifiers: ['given'], instead: 'input' },
  { comments: /\bdoors?\b/i, identifiers: ['door', 'doors'], instead: 'entry point' },
  { comments: /\bpristine\b/i, identifiers: ['pristine'], instead: 'rephrase' },
  { identifiers: ['wish', 'wishes'], instead: 'desired' },
  { comments: /\bjudg(?:e|es|ed|ing|ement)\b/i, identifiers: ['judge', 'judges', 'judged', 'judging', 'judgement'], instead: 'evaluate' },
  { comments: /\bdistrusted\b/i, identifiers: ['distrusted'], instead: 'untrusted' },
  { comments: /\bauthored\b/i, identifiers: ['authored'], instead: 'user-supplied' },
];

/** Where a word means what it says. */
const allowed: readonly { readonly file?: string; readonly text: RegExp; readonly because: string }[] = [
  { file: 'test/unit/architecture/glossary.test.ts', text: /./, because: 'it lists the words' },
  { text: /^authorityKeyIdentifier$/, because: 'an X.509 extension (RFC 5280)' },
  { text: /^judged$/, because: 'a field of audit records' },
  { text: /^newlyRefused$/, because: 'a field of the output of diff' },
];

type Use = { readonly kind: 'comment' | 'identifier'; readonly text: string; readonly line: number };

const folders = ['src', 'test', 'bench', 'certs'];
const files = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`),
);

describe('the glossary', () => {
  test('is kept by identifiers and comments', () => {
    const uses = files.flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8')));
    expect(uses).toEqual([]);
  });

  test.each([
    ['a comment', '// whoever asks\n', ['1: "whoever": write the user, the author, the operator, the API server, or the passive']],
    ['a block comment, with its line', '/**\n * Here\n * they are judged.\n */\n', ['3: "judged": write evaluate']],
    ['a part of an identifier', 'const caAuthority = 1;\n', ['1: "caAuthority": write CA']],
    ['a property', 'const a = { toldUser: 1 };\n', ['1: "toldUser": write report, log, message, event']],
    ['no text of a string', 'const a = "whoever was told";\n', []],
    ['no longer word', 'const threshold = 1; // household\n', []],
  ])('finds %s', (_name, text, expected) => {
    expect(violations('example.ts', text).map((found) => found.replace('example.ts:', ''))).toEqual(expected);
  });
});

function violations(file: string, text: string): readonly string[] {
  const { program, comments, errors } = parseSync(file, text);
  expect(errors).toEqual([]);
  const lineStarts = [...text.matchAll(/^/gm)].map(({ index }) => index);
  const lineAt = (offset: number) => lineStarts.findLastIndex((start) => start <= offset) + 1;
  const uses: Use[] = comments.flatMap(({ value, start }) =>
    value.split('\n').map((line, index): Use => ({ kind: 'comment', text: line, line: lineAt(start) + index })),
  );
  collectIdentifiers(program, ({ name, start }) => uses.push({ kind: 'identifier', text: name, line: lineAt(start) }));
  return uses
    .filter((use) => !allowed.some((each) => (each.file === undefined || each.file === file) && each.text.test(use.text)))
    .flatMap((use) =>
      glossary.flatMap((entry) => wordsAgainst(entry, use).map((word) => `${file}:${use.line}: "${word}": write ${entry.instead}`)),
    );
}

function wordsAgainst({ comments, identifiers }: (typeof glossary)[number], { kind, text }: Use): readonly string[] {
  if (kind === 'comment') return comments?.exec(text)?.slice(0, 1) ?? [];
  const words = text.split(/(?=[A-Z])|_/).map((word) => word.toLowerCase());
  return identifiers?.some((word) => words.includes(word)) ? [text] : [];
}

function collectIdentifiers(node: unknown, found: (identifier: { readonly name: string; readonly start: number }) => void): void {
  if (Array.isArray(node)) {
    for (const each of node) collectIdentifiers(each, found);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const { type, name, start } = node as { readonly type?: unknown; readonly name?: unknown; readonly start?: unknown };
  if ((type === 'Identifier' || type === 'PrivateIdentifier') && typeof name === 'string' && typeof start === 'number')
    found({ name, start });
  for (const value of Object.values(node)) collectIdentifiers(value, found);
}

/** Checks identifiers, comments and texts for users against the glossary of CONTRIBUTING.md, so that readers can search for known words. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseSync } from 'vite';
import { describe, expect, test } from 'vitest';
import { outsideBlocks, pages } from '../docs/pages.ts';

const root = resolve(import.meta.dirname, '../../..');

/**
 * Words to avoid, and what to write instead. `prose` are patterns for comments and texts. `texts` are patterns for texts only, because the
 * word is unambiguous there or too common in comments. `program` are patterns for texts of the program and of `deploy`, not for pages.
 * `identifiers` are words of a camelCase name.
 */
type Entry = {
  readonly prose?: RegExp;
  readonly texts?: RegExp;
  readonly program?: RegExp;
  readonly identifiers?: readonly string[];
  readonly instead: string;
};

const glossary: readonly Entry[] = [
  {
    prose: /\b(?:whoever|whomever|somebody|nobody|everybody|anybody|someone)\b/i,
    instead: 'the user, the author, the operator, the API server, or the passive',
  },
  { prose: /\b(?:tells?|told|telling)\b/i, identifiers: ['tell', 'tells', 'told'], instead: 'report, log, message, event' },
  { texts: /\b(?:says?|said|saying)\b/i, instead: 'report, contain, show, require' },
  { prose: /\b(?:stands?|stood|standing)\b/i, instead: 'is, matches, contains' },
  { texts: /\b(?:holds?|held|holding)\b/i, identifiers: ['holds'], instead: 'matches, contains, applies' },
  { texts: /\btakes (?!(?:longer|more|less|up|effect|precedence|over|about|\d+|an? (?:second|minute))\b)/i, instead: 'must be, accepts' },
  { prose: /\b(?:lets?|letting) (?:\S+ )?in\b/i, instead: 'allowed' },
  {
    prose: /(?<!connection )\brefus(?:e|es|ed|al|als|ing)\b/i,
    identifiers: ['refuse', 'refuses', 'refused', 'refusal', 'refusals'],
    instead: 'denied, rejected',
  },
  { prose: /\b(?:is|are|was|were|be) away\b/i, instead: 'unavailable' },
  { prose: /\b(?:is|are|was|were|be) (?:not )?there\b/i, instead: 'exists, does not exist, not found' },
  { prose: /\b(?:anew|comes? again)\b/i, identifiers: ['anew'], instead: 'again, recreated, is retried' },
  { prose: /\bmend(?:s|ed|ing)?\b/i, identifiers: ['mend', 'mends', 'mended'], instead: 'fix' },
  { texts: /\b(?:heal(?:s|ed|ing)?|repairs? (?:it|them|those))\b/i, instead: 'fix, recover' },
  { texts: /\b(?:wants?|wanted|wish(?:es)?)\b/i, identifiers: ['wish', 'wishes'], instead: 'needs, requires, desired' },
  { texts: /\basks? for\b/i, instead: 'requests, requires' },
  { prose: /\bbesides?\b/i, identifiers: ['beside'], instead: 'next to, with' },
  { prose: /\b(?:an|has|have|the) own\b/i, instead: 'its own, separate' },
  { prose: /\bof (?:its|our|your|their) own\b(?! \p{Ll})/iu, instead: 'its own, own, self-managed' },
  { prose: /\bby which\b/i, instead: 'rephrase' },
  { prose: /\bcannot be had\b/i, instead: 'cannot acquire' },
  { prose: /\bmade out (?:for|to)\b/i, instead: 'is (not) valid for' },
  { prose: /\bput back\b/i, instead: 'restored' },
  { texts: /\b(?:leads|leads? not)\b/i, instead: 'is the leader' },
  {
    prose: /(?<!certificate |signed by unknown )\bauthorit(?:y|ies)\b/i,
    identifiers: ['authority', 'authorities'],
    instead: 'CA',
  },
  { texts: /\blook(?:s|ed|ing)?\b(?! like\b|$)/i, instead: 'check, reconcile, see' },
  { prose: /\bpatience\b/i, identifiers: ['patience'], instead: 'retry' },
  { prose: /\bsilen(?:t|ce)\b/i, identifiers: ['silence', 'silent'], instead: 'idle, stalled, without a message' },
  { prose: /\bnews\b/i, identifiers: ['news'], instead: 'change notification' },
  { identifiers: ['contest'], instead: 'explanation' },
  { identifiers: ['given'], instead: 'input' },
  { texts: /\bgiven\b/i, instead: 'set, passed, gets' },
  { prose: /\bdoors?\b/i, identifiers: ['door', 'doors'], instead: 'entry point' },
  { prose: /\bpristine\b/i, identifiers: ['pristine'], instead: 'rephrase' },
  { prose: /\bjudg(?:e|es|ed|ing|e?ments?)\b/i, identifiers: ['judge', 'judges', 'judged', 'judging', 'judgement'], instead: 'evaluate' },
  { prose: /\bdistrust(?:s|ed)?\b/i, identifiers: ['distrusted'], instead: 'untrusted' },
  { prose: /\bauthored\b/i, identifiers: ['authored'], instead: 'user-supplied' },
  { prose: /\bunparseable\b/i, instead: 'invalid' },
  { prose: /\b(?:good|bad) (?:one|ones|edit)\b/i, instead: 'valid, invalid' },
  { texts: /[\p{L}\d"”)…>]; \p{Ll}/u, instead: 'two sentences' },
  // A file, a log and an Event are written.
  {
    texts:
      /\bwrite (?:the (?:image|registry|repository|name|key|value|port|date|label|pattern|host|namespace)\b|an? (?:image|registry|name|date|host|pattern|value)\b|it as\b|["…])/i,
    instead: 'specify, include (the registry), use (before a literal)',
  },
  { texts: /\bimages? of Docker Hub\b/i, instead: 'Docker Hub image' },
  { texts: /\btrust of\b/i, instead: 'the rule that trusts, is trusted until' },
  { texts: /\banother(?: [\w-]+){1,3} than\b/i, instead: 'a different … than' },
  { texts: /\bfolders?\b/i, instead: 'directory' },
  { texts: /\bin(?:to)? force\b/i, instead: 'in effect, remains in effect, took effect' },
  { texts: /\b(?:is|are|be|was|were) read as (?:an?|the|one|another|Docker)\b/i, instead: 'is parsed as, is treated as' },
  { program: /[\p{L}…] answer(?:s|ed|ing)?\b|\banswer(?:s|ed|ing)? [\p{L}…]/iu, instead: 'respond, response, serve requests' },
];

/** Where a word is correct. `text` matches the identifier, the line of a comment, or the text. */
const allowed: readonly { readonly file?: RegExp; readonly text: RegExp; readonly because: string }[] = [
  { file: /^test\/unit\/architecture\/glossary\.test\.ts$/, text: /./, because: 'it lists the words' },
  { file: /^src\/cli\/completion\//, text: /\n {2}if \[\[/, because: 'a script of a shell, which separates commands with semicolons' },
  { file: /\.sh$/, text: /; (?:then|do)$/, because: 'the syntax of the shell' },
  { text: /^certificate-authority$/, because: 'a field of a kubeconfig' },
  { text: /^authorityKeyIdentifier$/, because: 'an X.509 extension (RFC 5280)' },
  { text: /^regkeeper development authority$/, because: 'the common name in certificates that developers already have' },
  { file: /^deploy\//, text: /^ +runbook: /, because: 'it names the heading of a page' },
  { file: /^src\/kube\/leader-election\.ts$/, text: /is held by|still holds it/, because: 'a Lease has a holder' },
];

type Use = { readonly kind: 'comment' | 'identifier' | 'text'; readonly text: string; readonly line: number };

/** TypeScript whose texts are read by users. Those of other folders are read by developers. */
const withTexts = /^(?:src|bin)\//;
const code = ['src', 'bin', 'test', 'bench', 'certs', 'release'].flatMap((folder) => filesIn(folder, /\.(?:ts|mjs)$/));
/** Texts that are shipped. Markdown is checked as documentation. */
const texts = [...filesIn('deploy', /(?<!\.md)$/), ...filesIn('docs', /\.schema\.json$/), 'package.json', 'Dockerfile'];

/** Documentation for users, and decisions. READMEs of tests are for developers of regkeeper. */
const docs = pages.filter((page) => /^(?:README|CHANGELOG|SECURITY|CONTRIBUTING)\.md$|^(?:docs|deploy)\//.test(page));

describe('the glossary', () => {
  test('applies to identifiers, comments, and the texts of the program', () => {
    expect(code.flatMap((file) => violations(file, usesOf(file)))).toEqual([]);
  });

  test('applies to manifests, the chart, alerts and schemas', () => {
    expect(texts.flatMap((file) => violations(file, usesInLines(read(file))))).toEqual([]);
  });

  test.each(docs)('applies to %s, with sentences of at most 25 words', (page) => {
    expect(violationsInPage(page)).toEqual([]);
  });

  test('requires sentences of at most 25 words in each text of the program', () => {
    expect(code.filter((file) => withTexts.test(file)).flatMap((file) => longSentences(file, usesOf(file)))).toEqual([]);
  });

  test.each([
    ['a comment', '// whoever asks\n', ['1: "whoever": write the user, the author, the operator, the API server, or the passive']],
    ['a block comment, with its line', '/**\n * Here\n * they are judged.\n */\n', ['3: "judged": write evaluate']],
    ['a part of an identifier', 'const caAuthority = 1;\n', ['1: "caAuthority": write CA']],
    ['a property', 'const a = { toldUser: 1 };\n', ['1: "toldUser": write report, log, message, event']],
    ['a string', "const a =\n  'the request was refused';\n", ['2: "refused": write denied, rejected']],
    ['a string around a value', `const a = \`it is \${1} away, and was \${2} told\`;\n`, ['1: "told": write report, log, message, event']],
    [
      'a string inside a value',
      `const a = \`\${b ? 'whoever' : ''}\`;\n`,
      ['1: "whoever": write the user, the author, the operator, the API server, or the passive'],
    ],
    ['two facts in one sentence', "const a = 'it is blank; remove it';\n", ['1: "k; r": write two sentences']],
    [
      'a literal value to use',
      `const a = \`Write \${b}.\`;\n`,
      ['1: "Write …": write specify, include (the registry), use (before a literal)'],
    ],
    [
      'a word of the program',
      "const a = 'no replica answers the API server';\n",
      ['1: "a answers": write respond, response, serve requests'],
    ],
    ['no file to write', "const a = 'write audit records to a file';\n", []],
    ['no name of a module', "import a from './refused.ts';\nexport * from './judged.ts';\n", []],
    ['no longer word', "const threshold = 'household'; // household\n", []],
  ])('finds %s', (_name, text, expected) => {
    expect(violations('src/example.ts', usesInCode('src/example.ts', text)).map((found) => found.replace('src/example.ts:', ''))).toEqual(
      expected,
    );
  });
});

function filesIn(folder: string, name: RegExp): readonly string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && name.test(entry.name));
  return files.map(({ parentPath, name: file }) => join(parentPath, file).slice(root.length + 1)).sort();
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function usesInLines(text: string): readonly Use[] {
  return text.split('\n').map((line, index): Use => ({ kind: 'text', text: line, line: index + 1 }));
}

function violationsInPage(page: string): readonly string[] {
  const text = withoutCitations(page, read(page));
  const inLines = violations(page, usesInLines(prose(text)));
  return [...inLines, ...violationsAcrossLines(page, text), ...longSentences(page, sentenceBlocks(text))];
}

/** Words of which one ends a line and the next begins another, such as "in" and "force". */
function violationsAcrossLines(page: string, text: string): readonly string[] {
  const lines = prose(text).split('\n');
  return lines.flatMap((line, index) => {
    const next = lines[index + 1] ?? '';
    if (line.trim() === '' || next.trim() === '' || /^[|#]/.test(next)) return [];
    const end = line.split(/\s+/).slice(-3).join(' ');
    const start = next.trim().split(/\s+/).slice(0, 3).join(' ');
    const alone = violations(page, [
      { kind: 'text', text: end, line: index + 1 },
      { kind: 'text', text: start, line: index + 1 },
    ]);
    return violations(page, [{ kind: 'text', text: `${end} ${start}`, line: index + 1 }]).filter((found) => !alone.includes(found));
  });
}

/** What is not prose. In CONTRIBUTING.md the glossary itself. Titles of tests: in docs/semantics.md the last cell of each row, in docs/threats.md what is quoted after a file. */
function withoutCitations(page: string, text: string): string {
  if (page === 'CONTRIBUTING.md')
    return text.replace(/^\| do not write [\s\S]*?\n\n/m, (table) => '\n'.repeat(table.split('\n').length - 1));
  if (page === 'docs/semantics.md') return text.replace(/\|[^|\n]*\|$/gm, '|');
  return page === 'docs/threats.md' ? text.replace(/(?<=`|; ?)(?: ?"[^"\n]*";?)+/g, '') : text;
}

/** The prose of a page: without blocks, code, and the targets of links. */
function prose(text: string): string {
  const withoutCode = outsideBlocks(text).replace(/`[^`\n]*`/g, 'code');
  return withoutCode.replace(/\]\([^)]*\)/g, ']').replace(/<!--[\s\S]*?-->/g, (comment) => comment.replace(/[^\n]/g, ''));
}

/** The texts that contain sentences: headings, cells of tables, items of lists, and paragraphs, whose lines are joined. */
function sentenceBlocks(text: string): readonly Use[] {
  const found: { kind: 'text'; text: string; line: number }[] = [];
  let paragraph: (typeof found)[number] | undefined;
  const begin = (content: string, index: number) => {
    const block = { kind: 'text' as const, text: content.trim(), line: index + 1 };
    found.push(block);
    return block;
  };
  for (const [index, line] of prose(text).split('\n').entries()) {
    const isItem = /^\s*(?:[-*] |\d+\. |>)/.test(line);
    if (line.startsWith('|')) for (const cell of line.split('|')) begin(cell, index);
    else if (line.startsWith('#')) begin(line, index);
    else if (paragraph && !isItem && line.trim() !== '') {
      paragraph.text += ` ${line.trim()}`;
      continue;
    }
    paragraph = line.trim() === '' || /^[|#]/.test(line) ? undefined : begin(line, index);
  }
  return found;
}

const parsed = new Map<string, readonly Use[]>();

function usesOf(file: string): readonly Use[] {
  const uses = parsed.get(file) ?? usesInCode(file, read(file));
  if (withTexts.test(file)) parsed.set(file, uses);
  return uses;
}

function usesInCode(file: string, text: string): readonly Use[] {
  const { program, comments, errors } = parseSync(file, text);
  expect(errors).toEqual([]);
  const lineStarts = [...text.matchAll(/^/gm)].map(({ index }) => index);
  const lineAt = (offset: number) => lineStarts.findLastIndex((start) => start <= offset) + 1;
  const uses: Use[] = comments.flatMap(({ value, start }) =>
    value.split('\n').map((line, index): Use => ({ kind: 'comment', text: line, line: lineAt(start) + index })),
  );
  const found = (kind: Use['kind'], content: string, start: number) => uses.push({ kind, text: content, line: lineAt(start) });
  collect(program, withTexts.test(file) ? found : (kind, ...rest) => kind === 'identifier' && found(kind, ...rest));
  return uses;
}

type Node = {
  readonly type?: unknown;
  readonly start?: unknown;
  readonly name?: unknown;
  readonly value?: unknown;
  readonly source?: unknown;
  readonly quasis?: readonly { readonly value: { readonly raw: string } }[];
};

/** Identifiers and texts. Placeholders of a template become `…`, and their own texts are collected separately. */
function collect(node: unknown, found: (kind: 'identifier' | 'text', text: string, start: number) => unknown): void {
  if (Array.isArray(node)) {
    for (const each of node) collect(each, found);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const { type, start, name, value, source, quasis } = node as Node;
  if (typeof start === 'number') {
    if ((type === 'Identifier' || type === 'PrivateIdentifier') && typeof name === 'string') found('identifier', name, start);
    if (type === 'Literal' && typeof value === 'string') found('text', value, start);
    if (type === 'TemplateLiteral' && quasis) found('text', quasis.map((quasi) => quasi.value.raw).join('…'), start);
  }
  // The source of an import or export is the name of a module.
  for (const child of Object.values(node)) if (child !== source || source === undefined) collect(child, found);
}

function violations(file: string, uses: readonly Use[]): readonly string[] {
  return uses.flatMap((use) => {
    const found =
      use.kind === 'identifier'
        ? entriesAgainst(use.text).map((entry) => ({ entry, word: use.text }))
        : glossary.flatMap((entry) => wordsAgainst(entry, use, file).map((word) => ({ entry, word })));
    if (found.length === 0 || allowed.some((each) => (each.file?.test(file) ?? true) && each.text.test(use.text))) return [];
    return found.map(({ entry, word }) => `${file}:${use.line}: "${word}": write ${entry.instead}`);
  });
}

/** A placeholder counts as one word. A colon begins a new sentence, because what precedes it names the place. */
function longSentences(file: string, uses: readonly Use[]): readonly string[] {
  const sentences = uses.flatMap(({ kind, text, line }) =>
    kind === 'text' ? text.split(/(?<=[.?!](?:\*\*|[)"”])?) |: |\n/).map((sentence) => ({ sentence, line })) : [],
  );
  return sentences.filter(({ sentence }) => sentence.split(/\s+/).length > 25).map(({ sentence, line }) => `${file}:${line}: ${sentence}`);
}

function wordsAgainst({ prose, texts: inTexts, program }: Entry, { kind, text }: Use, file: string): readonly string[] {
  const inProgram = file.endsWith('.md') ? undefined : program;
  const match = prose?.exec(text) ?? (kind === 'text' ? (inTexts?.exec(text) ?? inProgram?.exec(text)) : undefined);
  return match ? [match[0]] : [];
}

const knownIdentifiers = new Map<string, readonly Entry[]>();

/** Most identifiers occur many times, so each is compared with the glossary once. */
function entriesAgainst(identifier: string): readonly Entry[] {
  const known = knownIdentifiers.get(identifier);
  if (known !== undefined) return known;
  const words = identifier.split(/(?=[A-Z])|_/).map((word) => word.toLowerCase());
  const entries = glossary.filter(({ identifiers }) => identifiers?.some((word) => words.includes(word)));
  knownIdentifiers.set(identifier, entries);
  return entries;
}

import { Composer, type Document, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Pair, Parser, type Scalar } from 'yaml';
import { quote } from '../../image/problem.ts';
import type { DocumentStart, Position, ProblemCode } from './problem.ts';

/** A problem whose document is known to the caller. */
export type Finding = { readonly code: ProblemCode; readonly message: string; readonly position: Position };

/** Plain data read from YAML, and where each of its values stood. */
export type LocatedData = {
  /** Objects without prototype, arrays, strings, numbers, booleans, null. */
  readonly value: unknown;
  /** Where the value at a JSON pointer stands, or the field in which an empty value was left. */
  locate(pointer: string): Position;
  /** Where the field that holds the value stands; for a list's entry, the entry. */
  locateField(pointer: string): Position;
  /** A scalar's own letters, before YAML made a number of them; empty for anything else. */
  spelling(pointer: string): string;
};

export type ReadResult =
  | { readonly ok: true; readonly data: LocatedData | undefined }
  | {
      readonly ok: false;
      readonly findings: readonly Finding[];
      /** What can be looked at all the same, where the findings are about single values: aliases, tags, doubles. */
      readonly rest?: { readonly data: LocatedData; readonly lost: ReadonlySet<string> };
    };

/** What a document may be, and where it stands. */
export type DocumentFrame = {
  /** In UTF-16 code units. */
  readonly longest: number;
  /**
   * As YAML's lexer cuts the text. Each may become a node or an error: a text of a million commas would take more memory than the program
   * has, and end it.
   */
  readonly mostLexemes: number;
  /** Where the text begins in the file it was taken from; each of its lines is indented as far as the first. */
  readonly start: DocumentStart;
};

/** YAML's parser pushes up to three entries a level, and rules are three levels deep; the limit keeps recursion over the tree shallow. */
const deepestStack = 48;

/**
 * Reads one YAML 1.2 (or JSON) document into plain data. Without anchors, aliases, tags, directives and duplicate fields, so that what
 * stands in the text is what is meant. No data: the text holds nothing but comments. Never throws; time linear in the text.
 */
export function readDocument(text: string, { longest, mostLexemes, start }: DocumentFrame): ReadResult {
  if (text.length > longest) {
    const message = `the document is ${text.length} characters long; split it, at most ${longest} are allowed`;
    return refuse('document-too-large', message, start);
  }
  const unmarked = text.startsWith('\ufeff') ? text.slice(1) : text;
  // The YAML library makes tokens of each comment, which costs as much as a rule.
  if (holdsCommentsOnly(unmarked)) return { ok: true, data: undefined };
  const lines = new Lines(start);
  const composed = withoutStacks(() => composeOne(unmarked, lines, mostLexemes));
  if (!composed.ok) return composed;
  const { document } = composed;
  if (document === undefined) return { ok: true, data: undefined };

  const walk = walkTree(document, lines);
  const malformed = syntaxFindings(document, unmarked, lines);
  if (malformed.length > 0) return { ok: false, findings: [...walk.findings, ...malformed] };
  if (walk.findings.length > 0) return { ok: false, findings: walk.findings, rest: { data: walk.data, lost: walk.lost } };
  return { ok: true, data: isBlank(document) ? undefined : walk.data };
}

/** Whether each line is blank or a comment behind spaces. Where a tab or something else stands, YAML decides. */
function holdsCommentsOnly(text: string): boolean {
  for (let from = 0; from < text.length; ) {
    let at = from;
    while (text[at] === ' ') at += 1;
    if (text[at] === '\r' && text[at + 1] === '\n') at += 1;
    if (at < text.length && text[at] !== '\n' && text[at] !== '#') return false;
    const end = text.indexOf('\n', at);
    if (end < 0) return true;
    from = end + 1;
  }
  return true;
}

/**
 * The YAML library makes an Error of each thing it stumbles over. Their stacks take longer to collect than the text takes to read, and more
 * memory: of a text of commas two thirds of both. V8 reads the limit when an Error is made.
 */
function withoutStacks<T>(work: () => T): T {
  const errors = Error as { stackTraceLimit?: number };
  const { stackTraceLimit } = errors;
  errors.stackTraceLimit = 0;
  try {
    return work();
  } finally {
    if (stackTraceLimit !== undefined) errors.stackTraceLimit = stackTraceLimit;
  }
}

/** Offsets as positions in the file that the text stands in. */
class Lines {
  private readonly counter = new LineCounter();
  private readonly start: DocumentStart;

  constructor(start: DocumentStart) {
    this.start = start;
    this.counter.addNewLine(0);
  }

  readonly addNewLine = (offset: number): number => this.counter.addNewLine(offset);

  at(offset: number): Position {
    if (this.start.whole) return { line: this.start.line, column: this.start.column };
    const { line, col } = this.counter.linePos(offset);
    return { line: line + this.start.line - 1, column: col + this.start.column - 1 };
  }
}

type Composed = { readonly ok: true; readonly document: Document.Parsed | undefined } | (ReadResult & { readonly ok: false });

// The parser is fed token by token, since composing a tree that is nested without bound would overflow the stack.
function composeOne(text: string, lines: Lines, mostLexemes: number): Composed {
  const parser = new Parser(lines.addNewLine);
  const tokens = [];
  let documents = 0;
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > mostLexemes) {
      const message = `the document holds more than ${mostLexemes} words, signs and spaces between them; split it, or look for what is repeated in it`;
      return refuse('document-too-large', message, lines.at(parser.offset));
    }
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (parser.stack.length > deepestStack) {
      return refuse(
        'nesting-too-deep',
        'the document is nested deeper than any rule needs; look for stray brackets or dashes',
        lines.at(parser.offset),
      );
    }
  }
  for (const token of parser.end()) tokens.push(token);
  for (const token of tokens) {
    if (token.type === 'error') return refuse('yaml-syntax', syntaxSentence('', token.message), lines.at(token.offset));
    if (token.type === 'directive' && !/^%YAML\s+1\.2\s*$/.test(token.source)) {
      return refuse(
        'yaml-tag',
        `the directive ${quote(token.source)} is not part of the format, which is YAML 1.2; remove it`,
        lines.at(token.offset),
      );
    }
    if (token.type === 'document' && ++documents > 1) {
      return refuse(
        'yaml-several-documents',
        'a second document begins here; put it into a key or file of its own',
        lines.at(token.offset),
      );
    }
  }
  // Duplicate fields are found by the walk: the composer's own search for them is quadratic.
  const composer = new Composer({ version: '1.2', uniqueKeys: false, prettyErrors: false });
  const [document] = composer.compose(tokens);
  return { ok: true, document: document as Document.Parsed | undefined };
}

function isBlank(document: Document.Parsed): boolean {
  const { contents } = document;
  return contents === null || (isScalar(contents) && contents.value === null);
}

/** Offsets, since few places are ever asked for, and a position takes a search. */
type Place = { readonly field: number; readonly value: number; readonly spelling: string };

/** Turns nodes into plain data, notes the place of each, and finds what YAML allows and the format does not. */
function walkTree(document: Document.Parsed, lines: Lines): { findings: Finding[]; data: LocatedData; lost: ReadonlySet<string> } {
  const findings: Finding[] = [];
  /** JSON pointers of values that nobody can tell: what stands there in the data means nothing. */
  const lost = new Set<string>();
  const places = new Map<string, Place>();

  function visit(node: unknown, pointer: string, field: number | undefined): unknown {
    const start = offsetOf(node) ?? field ?? 0;
    const spelling = isScalar(node) ? (node.source ?? '') : '';
    const leftOut = node === null || (isScalar(node) && node.value === null && spelling === '');
    places.set(pointer, { field: field ?? start, value: leftOut && field !== undefined ? field : start, spelling });
    if (isAlias(node)) findings.push({ ...wordAlias(node.source), position: lines.at(start) });
    else checkProperties(node, start);
    if (isAlias(node) || (node as { tag?: string } | null)?.tag !== undefined) lost.add(pointer);
    if (isMap(node)) return visitMap(node.items, pointer, start);
    if (isSeq(node)) return node.items.map((item, index) => visit(item, `${pointer}/${index}`, undefined));
    return isScalar(node) ? node.value : null;
  }

  function checkProperties(node: unknown, start: number): void {
    const { anchor, tag } = (node ?? {}) as { anchor?: string; tag?: string };
    if (anchor !== undefined) {
      const message = `the anchor ${quote(`&${anchor}`)} is not part of the format; write the value out where it is needed`;
      findings.push({ code: 'yaml-alias', message, position: lines.at(start) });
    }
    if (tag !== undefined) {
      const written = quote(tag.replace('tag:yaml.org,2002:', '!!'));
      const message = `the tag ${written} is not part of the format; remove it, and put text in quotes`;
      findings.push({ code: 'yaml-tag', message, position: lines.at(start) });
    }
  }

  function visitMap(pairs: readonly Pair[], pointer: string, start: number): Record<string, unknown> {
    // No prototype: a field may be called __proto__ or constructor, and is then unknown like any other.
    const fields: Record<string, unknown> = Object.create(null);
    const offsets = new Map<string, number>();
    for (const { key, value } of pairs) {
      const offset = offsetOf(key) ?? start;
      const name = fieldName(key);
      const first = name === undefined ? undefined : offsets.get(name);
      const wording = wordKey(key, name, first === undefined ? undefined : lines.at(first).line);
      if (wording) findings.push({ ...wording, position: lines.at(offset) });
      if (isScalar(key)) checkProperties(key, offset);
      if (name === undefined || first !== undefined) continue;
      offsets.set(name, offset);
      fields[name] = visit(value, `${pointer}/${escapePointer(name)}`, offset);
    }
    return fields;
  }

  const value = visit(document.contents, '', undefined);
  const placeOf = (pointer: string): Place => {
    const place = places.get(pointer);
    if (!place) throw new Error(`no value at ${pointer}`);
    return place;
  };
  const data: LocatedData = {
    value,
    locate: (pointer) => lines.at(placeOf(pointer).value),
    locateField: (pointer) => lines.at(placeOf(pointer).field),
    spelling: (pointer) => placeOf(pointer).spelling,
  };
  return { findings, data, lost };
}

type Wording = Omit<Finding, 'position'>;

function wordKey(key: unknown, name: string | undefined, firstLine: number | undefined): Wording | undefined {
  if (isAlias(key)) return wordAlias(key.source);
  if (name === undefined) return { code: 'yaml-syntax', message: 'a field has a list or a mapping for its name; write a plain name' };
  if (firstLine === undefined) return undefined;
  const message = `the field ${quote(name)} is already written in line ${firstLine}; keep one of the two`;
  return { code: 'duplicate-field', message };
}

/** One field of a JSON pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function fieldName(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === 'string' ? key.value : ((key as Scalar).source ?? String(key.value));
}

function wordAlias(source: string): Wording {
  const isWildcard = /[.:/]/.test(source) || source === '';
  return isWildcard
    ? { code: 'yaml-unquoted-wildcard', message: `YAML reads an unquoted * as an alias; put the pattern in quotes: ${quote(`*${source}`)}` }
    : {
        code: 'yaml-alias',
        message: `the alias ${quote(`*${source}`)} is not part of the format; write the value out, or put it in quotes if it is a pattern`,
      };
}

// One mistake often brings further errors behind it on the same line, which would only distract.
function syntaxFindings(document: Document.Parsed, text: string, lines: Lines): Finding[] {
  const findings: Finding[] = [];
  for (const { code, message, pos } of document.errors) {
    const position = lines.at(pos[0]);
    if (findings.at(-1)?.position.line === position.line) continue;
    if (code === 'BAD_ALIAS') {
      // An alias without a name is found in the tree; one that ends in a colon is a wildcard with half a port.
      if (text[pos[0]] !== '*') findings.push({ ...wordAlias(text.slice(pos[0], pos[1])), position });
    } else findings.push({ code: 'yaml-syntax', message: syntaxSentence(code, message), position });
  }
  return findings;
}

function syntaxSentence(code: string, message: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab indents this line; YAML takes spaces only';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a field begins inside a value; put the value in quotes if it holds ": ", or align the next line with the field above';
    case 'BAD_SCALAR_START':
      return 'a value begins with a character that YAML reserves; put the value in quotes';
    case 'MISSING_CHAR':
      return `the text is not valid YAML: ${presentable(message)}; look here and just before for the missing character or a wrong indent`;
    default:
      return `the text is not valid YAML: ${presentable(message)}; check quotes, brackets and indents here and just before`;
  }
}

/** The parser's own words quote from the text, which may be long or not printable. */
function presentable(message: string): string {
  const printable = message.replace(/[^ -~]/g, '?');
  return printable.charAt(0).toLowerCase() + printable.slice(1, 120);
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0];
}

function refuse(code: ProblemCode, message: string, position: Position): ReadResult & { ok: false } {
  return { ok: false, findings: [{ code, message, position }] };
}

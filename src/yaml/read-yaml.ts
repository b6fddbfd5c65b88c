/** The one reader of YAML and JSON: plain data, the place of every value, and what is wrong as data. Pure, so that the engine can use it. */
import { Composer, type CST, type Document, Lexer, Parser } from 'yaml';
import { Lines, type TextStart } from './lines.ts';
import { type DocumentOptions, readDocument, type YamlDocument } from './read-document.ts';
import { syntaxError, type YamlError, type YamlTrouble } from './yaml-error.ts';

export type YamlOptions = {
  /** What plain scalars mean: as YAML 1.2 has it (the default), or as kubectl reads them. */
  readonly scalars?: 'yaml-1.2' | 'kubectl';
  /**
   * `resolved` (the default): aliases and merge keys are replaced by what they mean, by go-yaml's rules. `refused`: anchors, aliases, tags
   * and directives are errors, and `<<` is a field like any other, so that what the text shows is what is meant.
   */
  readonly aliases?: 'resolved' | 'refused';
  /** `one`: a second document is an error, and is not read. */
  readonly documents?: 'one' | 'many';
  readonly limits?: Partial<YamlLimits>;
  /** Where the text begins in its file. */
  readonly start?: TextStart;
};

export type YamlLimits = {
  /** In UTF-16 code units. */
  readonly longest: number;
  /**
   * As YAML's lexer cuts the text. Each may become a node or an error: a text of a million commas would take more memory than the program
   * has, and end it.
   */
  readonly mostLexemes: number;
  /** Entries of the parser's stack, up to three for a level. It keeps the recursion over nodes shallow. */
  readonly deepestStack: number;
  /** Values that come from aliases, in one document. */
  readonly mostAliased: number;
};

const usualLimits: YamlLimits = {
  longest: Number.POSITIVE_INFINITY,
  mostLexemes: Number.POSITIVE_INFINITY,
  // The schemas in custom resource definitions are nested some sixty levels deep.
  deepestStack: 600,
  // go-yaml's own limit (alias_ratio_range_low).
  mostAliased: 400_000,
};

export type YamlText = {
  /** As far as they can be read, each with its own errors. None: the text is blank, or only comments, or unreadable. */
  readonly documents: readonly YamlDocument[];
  /** The first thing that is wrong with the text as a whole. */
  readonly error?: YamlError;
};

/** Never throws, whatever the text; time linear in it, and in the values that its aliases make. */
export function readYaml(text: string, options: YamlOptions = {}): YamlText {
  const { scalars = 'yaml-1.2', aliases = 'resolved', documents = 'many', start = { line: 1, column: 1 } } = options;
  const limits = { ...usualLimits, ...options.limits };
  const unmarked = text.startsWith('\ufeff') ? text.slice(1) : text;
  const lines = new Lines(unmarked, start);
  if (text.length > limits.longest) {
    return { documents: [], error: { code: 'too-long', length: text.length, longest: limits.longest, position: lines.at(0) } };
  }
  // The YAML library makes tokens of each comment, which costs as much as a rule.
  if (holdsCommentsOnly(unmarked)) return { documents: [] };

  const settings = { text: unmarked, lines, scalars, aliases, documents, limits };
  return withoutStacks(() => readDocuments(settings));
}

/** Whether each line is blank or a comment behind spaces. Where a tab or something else is written, YAML decides. */
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

type Settings = DocumentOptions & Required<Pick<YamlOptions, 'documents'>> & { readonly limits: YamlLimits };

/** Each document is composed as soon as it is parsed: the tokens of many documents at a time would be half of the memory. */
function readDocuments(settings: Settings): YamlText {
  const { text, lines, scalars, aliases, documents, limits } = settings;
  const read: YamlDocument[] = [];
  let error: YamlError | undefined;
  // Duplicate fields are found later: the composer's own search for them is quadratic. `schema` overrides a directive %YAML 1.1.
  const schema = scalars === 'kubectl' ? 'failsafe' : 'core';
  const composer = new Composer({ version: '1.2', schema, uniqueKeys: false, prettyErrors: false });
  const take = (composed: Iterable<Document>): void => {
    for (const document of composed) {
      if (read.length === 0 || documents === 'many') read.push(readDocument(document as Document.Parsed, settings));
    }
  };

  let parsed = 0;
  for (const token of tokensOf(text, lines, limits)) {
    if ('code' in token) return { documents: [], error: token };
    if (token.type === 'document') parsed += 1;
    // The composer forgets errors that come before any document.
    error ??= errorOf(token, parsed, settings);
    if (error && aliases === 'refused') return { documents: [], error };
    take(composer.next(token));
  }
  take(composer.end());
  return { documents: read, ...(error && { error }) };
}

/** Or the limit that the text exceeds. The parser is fed bit by bit, since a tree that is nested without bound would overflow the stack. */
function* tokensOf(text: string, lines: Lines, { mostLexemes, deepestStack }: YamlLimits): Generator<CST.Token | YamlError> {
  const parser = new Parser(lines.addNewLine);
  const refuse = (trouble: YamlTrouble): YamlError => ({ ...trouble, position: lines.at(parser.offset) });
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > mostLexemes) {
      yield refuse({ code: 'too-many-lexemes', most: mostLexemes });
      return;
    }
    yield* parser.next(lexeme);
    if (parser.stack.length > deepestStack) {
      yield refuse({ code: 'nested-too-deep' });
      return;
    }
  }
  yield* parser.end();
}

function errorOf(token: CST.Token, documentsUntilHere: number, { lines, aliases, documents }: Settings): YamlError | undefined {
  const position = () => lines.at(token.offset);
  if (token.type === 'error') return { ...syntaxError('', token.message, token.source), position: position() };
  if (aliases === 'refused' && token.type === 'directive' && !/^%YAML\s+1\.2\s*$/.test(token.source)) {
    return { code: 'directive', text: token.source, position: position() };
  }
  return documents === 'one' && documentsUntilHere > 1 ? { code: 'second-document', position: position() } : undefined;
}

/** Reads YAML and JSON into plain data with the position of every value and all errors. It is pure, so that the engine can use it. */
import { Composer, type CST, type Document, Lexer, Parser } from 'yaml';
import type { TextPart } from './json-stream.ts';
import { Lines, type TextStart } from './lines.ts';
import { type DocumentOptions, readDocument, type YamlDocument } from './read-document.ts';
import { readOrdinary } from './read-ordinary.ts';
import { isBlankOrComment, splitDocuments } from './split-documents.ts';
import { syntaxError, type YamlError, type YamlTrouble } from './yaml-error.ts';

export type YamlOptions = {
  /** How plain scalars are read: by the YAML 1.2 core schema (the default), or as kubectl does. */
  readonly scalars?: 'yaml-1.2' | 'kubectl';
  /**
   * `resolved` (the default): aliases and merge keys are replaced by their values, by go-yaml's rules. `rejected`: anchors, aliases, tags
   * and directives are errors, and `<<` is an ordinary field, so that the text shows all values as they are.
   */
  readonly aliases?: 'resolved' | 'rejected';
  /** `one`: a second document is an error and is not read. The default is `many`. */
  readonly documents?: 'one' | 'many';
  readonly limits?: Partial<YamlLimits>;
  /** Where the text begins in its file. */
  readonly start?: TextStart;
  /** `false`: everything is read by the YAML library, as in the test that compares both ways. */
  readonly ordinary?: boolean;
};

export type YamlLimits = {
  /** Of the text, in UTF-16 code units. */
  readonly maxLength: number;
  /**
   * Tokens of the YAML library's lexer. Each may become a node or an error, so a text of a million commas would need more memory than the
   * process has, and crash it.
   */
  readonly maxLexemes: number;
  /** Entries of the parser's stack, up to three per level of nesting. Limits the recursion over nodes. */
  readonly maxStackDepth: number;
  /** Values that aliases add to one document. */
  readonly maxAliased: number;
};

const defaultLimits: YamlLimits = {
  maxLength: Number.POSITIVE_INFINITY,
  maxLexemes: Number.POSITIVE_INFINITY,
  // The schemas in CustomResourceDefinitions are nested about sixty levels deep.
  maxStackDepth: 600,
  // The limit of go-yaml (alias_ratio_range_low).
  maxAliased: 400_000,
};

export type YamlText = {
  /**
   * The documents as far as they can be read, each with its own errors. Empty if the text is blank, contains only comments, or is
   * unreadable.
   */
  readonly documents: readonly YamlDocument[];
  /** The first error of the text as a whole. */
  readonly error?: YamlError;
};

/** Never throws, whatever the text. Takes time linear in the length of the text plus the number of values that its aliases add. */
export function readYaml(text: string, options: YamlOptions = {}): YamlText {
  const documents: YamlDocument[] = [];
  const error = readEachYamlDocument(text, options, {
    use: (document) => documents.push(document),
    forget: () => {
      documents.length = 0;
    },
  });
  if (!error) return { documents };
  return { documents: error.isFatal ? [] : documents, error: error.error };
}

/** `isFatal`: the text is unreadable, so the documents before the error do not count. */
export type YamlTextError = { readonly error: YamlError; readonly isFatal: boolean };

export type UseDocument = (document: YamlDocument, part: TextPart) => void;

export type DocumentReader = {
  readonly use: UseDocument;
  /** All documents so far are going to be passed on again. */
  readonly forget: () => void;
};

/**
 * The same, except that each document is passed on as soon as it is read, with its text. So a stream of many documents needs the memory of the
 * largest one. Returns the first error of the text as a whole.
 */
export function readEachYamlDocument(text: string, options: YamlOptions, reader: DocumentReader): YamlTextError | undefined {
  const settings = settingsOf(text, options);
  const { start, limits } = settings;
  if (text.length > limits.maxLength) {
    return fatal({ code: 'too-long', length: text.length, maxLength: limits.maxLength, position: new Lines('', start).at(0) });
  }
  // The YAML library turns each comment into tokens, which costs as much as a rule.
  if (containsOnlyComments(settings.text)) return undefined;

  return withoutStackTraces(() => (options.ordinary === false ? readDocuments(settings, reader.use) : readParts(settings, reader)));
}

/**
 * The document of the text if it is the only one, and so ordinary that js-yaml can read it. Undefined for any other text. Never throws. With
 * a limit of 300,000 lexemes, the costliest texts of a million characters that were found need a tenth of a second, and no more memory than usual
 * ones.
 */
export function readOrdinaryYaml(text: string, options: YamlOptions): YamlDocument | undefined {
  const settings = settingsOf(text, options);
  if (text.length > settings.limits.maxLength) return undefined;
  const parts = splitDocuments(settings.text);
  const [part] = parts ?? [];
  return part && parts?.length === 1 ? withoutStackTraces(() => readOrdinaryPart(settingsOfPart(part, settings))) : undefined;
}

function settingsOf(text: string, options: YamlOptions): Settings {
  const { scalars = 'yaml-1.2', aliases = 'resolved', documents = 'many', start = { line: 1, column: 1 } } = options;
  const limits = { ...defaultLimits, ...options.limits };
  return { text: withUsualLines(text), start, scalars, aliases, documents, limits };
}

/**
 * The text without the byte order marks before its documents, which files have that were joined, and with line feeds instead of carriage returns
 * alone. YAML allows both (YAML 1.2.2, 5.2 and 5.4), but the library does not. Lines keep their numbers.
 */
function withUsualLines(text: string): string {
  const start = text.startsWith('\ufeff') ? text.slice(1) : text;
  const lines = start.includes('\r') ? start.replace(/\r(?!\n)/g, '\n') : start;
  return lines.includes('\ufeff') ? lines.replace(/^(---[^\n]*\n)\ufeff/gm, '$1') : lines;
}

/**
 * Reads each document on its own, so that only those which are not ordinary need the YAML library. If one has an error, the library reads the
 * whole text, because where it continues after an error depends on what precedes it.
 */
function readParts(settings: Settings, { use, forget }: DocumentReader): YamlTextError | undefined {
  const { text, documents, limits } = settings;
  const parts = splitDocuments(text);
  const isOneText = documents === 'one' || Number.isFinite(limits.maxLexemes);
  if (!parts || parts.length === 0 || (isOneText && parts.length > 1)) return readDocuments(settings, use);
  for (const part of parts) {
    const ofPart = settingsOfPart(part, settings);
    const ordinary = readOrdinaryPart(ofPart);
    if (ordinary) use(ordinary, { text: part.text, line: ofPart.start.line });
    else if (parts.length === 1 || hasError(ofPart, use)) {
      forget();
      return readDocuments(settings, use);
    }
  }
  return undefined;
}

function readOrdinaryPart(settings: Settings): YamlDocument | undefined {
  const { text, scalars, limits, start } = settings;
  return readOrdinary(text, { ...limits, scalars, start, readAgain: () => readFirst(settings) });
}

function settingsOfPart({ text, line }: TextPart, settings: Settings): Settings {
  const { start } = settings;
  return { ...settings, text, start: start.startOnly ? start : { line: start.line + line - 1, column: start.column } };
}

/** Passes on the documents of the text until there is an error. */
function hasError(settings: Settings, use: UseDocument): boolean {
  let isWrong = false;
  const error = readDocuments(settings, (document, part) => {
    isWrong ||= document.errors.length > 0;
    if (!isWrong) use(document, part);
  });
  return isWrong || error !== undefined;
}

/** Of a text that is known to be one document without errors. */
function readFirst(settings: Settings): YamlDocument {
  let first: YamlDocument | undefined;
  const use = (document: YamlDocument) => {
    first ??= document;
  };
  withoutStackTraces(() => readDocuments(settings, use));
  if (!first) throw new Error('a document is gone');
  return first;
}

/** Whether each line is blank or a comment, with spaces as its only indent. Any other text, also a tab, is left to the parser. */
function containsOnlyComments(text: string): boolean {
  for (let at = 0; at < text.length; ) {
    if (!isBlankOrComment(text, at)) return false;
    const end = text.indexOf('\n', at);
    at = end < 0 ? text.length : end + 1;
  }
  return true;
}

/**
 * The YAML library creates an Error for each error in the text. Collecting their stack traces takes more time and memory than reading the
 * text: two thirds of both for a text of commas. V8 reads the limit when it creates an Error.
 */
function withoutStackTraces<T>(work: () => T): T {
  const errors = Error as { stackTraceLimit?: number };
  const { stackTraceLimit } = errors;
  errors.stackTraceLimit = 0;
  try {
    return work();
  } finally {
    if (stackTraceLimit !== undefined) errors.stackTraceLimit = stackTraceLimit;
  }
}

type Settings = Omit<DocumentOptions, 'lines'> & Required<Pick<YamlOptions, 'documents' | 'start'>> & { readonly limits: YamlLimits };

/** Composes each document as soon as it is parsed. Keeping the tokens of all documents would double the memory. */
function readDocuments(settings: Settings, use: UseDocument): YamlTextError | undefined {
  const { text, start: startOfText, scalars, aliases, documents, limits } = settings;
  const lines = new Lines(text, startOfText);
  let error: YamlError | undefined;
  // Duplicate fields are found later, because the composer's search for them is quadratic. `schema` overrides a directive %YAML 1.1.
  const schema = scalars === 'kubectl' ? 'failsafe' : 'core';
  const composer = new Composer({ version: '1.2', schema, uniqueKeys: false, prettyErrors: false });
  const starts: number[] = [];
  let read = 0;
  /** A document is complete when the next one begins, at `end`. */
  const readAll = (composed: Iterable<Document>, end: number): void => {
    for (const document of composed) {
      if (read === 0 || documents === 'many')
        use(readDocument(document as Document.Parsed, { ...settings, lines }), partOf(starts[read] ?? 0, end));
      read += 1;
    }
  };
  const partOf = (start: number, end: number): TextPart => {
    const from = text.lastIndexOf('\n', start - 1) + 1;
    return { text: text.slice(start === 0 ? 0 : from, end), line: lines.at(start).line };
  };

  for (const token of tokensOf(text, lines, limits)) {
    if ('code' in token) return fatal(token);
    if (token.type === 'document') starts.push(token.offset);
    // The composer drops errors that come before the first document.
    error ??= errorOf(token, starts.length, { ...settings, lines });
    if (error && aliases === 'rejected') return fatal(error);
    readAll(composer.next(token), token.offset);
  }
  readAll(composer.end(), text.length);
  return error && { error, isFatal: false };
}

function fatal(error: YamlError): YamlTextError {
  return { error, isFatal: true };
}

/** Yields tokens, or the limit that the text exceeds. Parses one lexeme at a time, because unlimited nesting would overflow the stack. */
function* tokensOf(text: string, lines: Lines, { maxLexemes, maxStackDepth }: YamlLimits): Generator<CST.Token | YamlError> {
  const parser = new Parser(lines.addNewLine);
  const errorHere = (trouble: YamlTrouble): YamlError => ({ ...trouble, position: lines.at(parser.offset) });
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > maxLexemes) {
      yield errorHere({ code: 'too-many-lexemes', max: maxLexemes });
      return;
    }
    yield* parser.next(lexeme);
    if (parser.stack.length > maxStackDepth) {
      yield errorHere({ code: 'nested-too-deep' });
      return;
    }
  }
  yield* parser.end();
}

function errorOf(
  token: CST.Token,
  documentCount: number,
  { lines, aliases, documents }: Settings & { readonly lines: Lines },
): YamlError | undefined {
  const position = () => lines.at(token.offset);
  if (token.type === 'error') return { ...syntaxError('', token.message, token.source), position: position() };
  if (aliases === 'rejected' && token.type === 'directive' && !/^%YAML\s+1\.2\s*$/.test(token.source)) {
    return { code: 'directive', text: token.source, position: position() };
  }
  return documents === 'one' && documentCount > 1 ? { code: 'second-document', position: position() } : undefined;
}

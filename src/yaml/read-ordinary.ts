/**
 * Reads ordinary YAML documents with js-yaml, which needs a tenth of the time and of the memory of the `yaml` library. Everything else is left
 * to the latter: errors, anchors, tags, and each notation about which two parsers might disagree.
 */
import { COLLECTION_STYLE, EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE, type ScalarEvent } from 'js-yaml';
import { readCoreScalar } from './core-scalar.ts';
import { Lines, type TextStart } from './lines.ts';
import { type Located, Locator } from './located.ts';
import { readPlainScalar, type ScalarValue } from './plain-scalar.ts';
import type { YamlDocument } from './read-document.ts';
import { setField } from './set-field.ts';
import type { Position } from './yaml-error.ts';

export type OrdinaryOptions = {
  readonly scalars: 'yaml-1.2' | 'kubectl';
  /** Tokens of the YAML library's lexer that the text may have. */
  readonly maxLexemes: number;
  /** Entries of the stack of the YAML library's parser. */
  readonly maxStackDepth: number;
  /** Where the text begins in its file. */
  readonly start: TextStart;
  /** Reads the same text with the YAML library, for the positions that are not known here. */
  readonly readAgain: () => YamlDocument;
};

/**
 * Undefined if the text is not exactly one ordinary document. Otherwise the document is the one that the YAML library reads, without errors.
 * Never throws. Takes time linear in the length of the text.
 */
export function readOrdinary(text: string, options: OrdinaryOptions): YamlDocument | undefined {
  // js-yaml 5.5 ignores the indent of the first line, so it takes an indented --- for the start of a document.
  if (text.startsWith(' ') || unusual.test(text)) return undefined;
  const maxDepth = Math.min(maxLevels, Math.floor((options.maxStackDepth - 2) / 3));
  const maxLexemes = options.maxLexemes - lexemesOfLines(text);
  const hasMany = maxLexemes < 0 || (Number.isFinite(maxLexemes) && lexemesOfCollections(text) > maxLexemes);
  const events = maxDepth < 1 || hasMany ? undefined : eventsOf(text, maxDepth);
  if (!events) return undefined;
  const builder = new Builder(text, events, options.scalars === 'kubectl');
  const built = builder.build();
  if (!built || builder.lexemes > maxLexemes) return undefined;
  return new OrdinaryDocument(built.value, builder, options);
}

/**
 * Tabs, control characters, surrogates and characters that some versions of YAML take for the end of a line. Also what may be an anchor, an
 * alias or a tag.
 */
const unusual = /[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]|(?:^|[-:?,[{]) *[&!*]/m;

/** Of nested collections. Kubernetes objects rarely have more than twenty. */
const maxLevels = 60;

function eventsOf(text: string, maxDepth: number): readonly Event[] | undefined {
  try {
    // Each level may have a scalar for its field names.
    return parseEvents(text, { maxDepth: maxDepth + 1 });
  } catch {
    return undefined;
  }
}

/**
 * An upper limit for what the YAML library makes of line ends, indentation, trailing spaces, comments and commas. It is known before anything is
 * parsed, so a text with very many of them needs no memory for its events.
 */
function lexemesOfLines(text: string): number {
  return 3 * countOf('\n', text) + 2 * countOf('#', text) + 2 * countOf(',', text) + 8;
}

/** What nested collections cost at least, unless they are part of a string. So there are no events of them in vain. */
function lexemesOfCollections(text: string): number {
  return 2 * (countOf('- ', text) + countOf(': ', text)) + 5 * (countOf('[', text) + countOf('{', text));
}

function countOf(part: string, text: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) count += 1;
  return count;
}

/** Thrown where the text is not ordinary. There is one, without a stack trace, because it is no error. */
const notOrdinary = Symbol('not ordinary');

/** Makes values of the events. */
class Builder {
  readonly text: string;
  readonly events: readonly Event[];
  readonly kubectl: boolean;
  /** An upper limit for the YAML library's tokens, without those of lines. */
  lexemes = 0;
  private at = 0;
  /** The end of the line with the flow collection that is being read. */
  private endOfFlow = 0;
  private flowLevel = 0;
  /** The offset after what was read last. */
  private offset = 0;

  constructor(text: string, events: readonly Event[], kubectl: boolean) {
    this.text = text;
    this.events = events;
    this.kubectl = kubectl;
  }

  build(): { readonly value: unknown } | undefined {
    const [document] = this.events;
    if (document?.type !== EVENT_ID.DOCUMENT || document.explicitEnd || document.directives.length > 0) return undefined;
    try {
      this.at = 1;
      const value = this.read();
      return this.at === this.events.length - 1 ? { value } : undefined;
    } catch (reason) {
      if (reason === notOrdinary) return undefined;
      throw reason;
    }
  }

  /** The text of a scalar without its quotes. */
  textOf(event: ScalarEvent): string {
    if (event.valueStart < 0) return '';
    const written = this.text.slice(event.valueStart, event.valueEnd);
    switch (event.style) {
      case SCALAR_STYLE.PLAIN:
        return written;
      case SCALAR_STYLE.SINGLE_QUOTED:
        return written.includes("'") ? written.replaceAll("''", "'") : written;
      case SCALAR_STYLE.DOUBLE_QUOTED:
        return written.includes('\\') ? replaceEscapes(written) : written;
      default:
        return getScalarValue(this.text, event);
    }
  }

  /** The field name, as it is in the data. */
  nameOf(event: ScalarEvent): string {
    const text = this.textOf(event);
    return this.kubectl && event.style === SCALAR_STYLE.PLAIN ? String(readPlainScalar(text)) : text;
  }

  private read(): unknown {
    const event = this.events[this.at];
    this.at += 1;
    switch (event?.type) {
      case EVENT_ID.SCALAR:
        // After a comment `#x` with less indent, yaml 2.9 takes the next line for a continuation of plain text.
        if (event.style === SCALAR_STYLE.PLAIN && this.flowLevel === 0 && this.beginsLine(event.valueStart)) throw notOrdinary;
        return this.endingLine(this.readScalar(event), event.style);
      case EVENT_ID.SEQUENCE:
        if (event.style === COLLECTION_STYLE.BLOCK) return this.readSequence();
        return this.endingLine(this.readFlow(event.start, openingBracket, closingBracket, () => this.readSequence()));
      case EVENT_ID.MAPPING:
        if (event.style === COLLECTION_STYLE.BLOCK) return this.readMapping();
        return this.endingLine(this.readFlow(event.start, openingBrace, closingBrace, () => this.readMapping()));
      default:
        throw notOrdinary;
    }
  }

  /** js-yaml 5.5 takes what follows a value in quotes or brackets for a field: the b of `- "a" b: c`. */
  private endingLine<Value>(value: Value, style?: number): Value {
    if (this.flowLevel > 0 || (style !== undefined && style !== SCALAR_STYLE.SINGLE_QUOTED && style !== SCALAR_STYLE.DOUBLE_QUOTED))
      return value;
    let at = this.offset;
    while (this.text.charCodeAt(at) === space) at += 1;
    if (at < this.text.length && this.text[at] !== '\n' && this.text[at] !== '#') throw notOrdinary;
    return value;
  }

  private beginsLine(offset: number): boolean {
    let at = offset - 1;
    while (this.text.charCodeAt(at) === space) at -= 1;
    return this.text.charCodeAt(at) === newline;
  }

  private readSequence(): readonly unknown[] {
    const items: unknown[] = [];
    while (!this.isAtEnd()) {
      items.push(this.read());
      this.lexemes += 2;
    }
    this.at += 1;
    return items;
  }

  private readMapping(): object {
    const fields: Record<string, unknown> = {};
    while (!this.isAtEnd()) {
      const name = this.readName();
      if (Object.hasOwn(fields, name)) throw notOrdinary;
      setField(fields, name, this.read());
      this.lexemes += 2;
    }
    this.at += 1;
    return fields;
  }

  private isAtEnd(): boolean {
    return this.events[this.at]?.type === EVENT_ID.POP;
  }

  private readName(): string {
    const event = this.events[this.at];
    this.at += 1;
    if (event?.type !== EVENT_ID.SCALAR || event.valueStart < 0 || event.valueEnd - event.valueStart > maxNameLength) throw notOrdinary;
    const value = this.readScalar(event);
    // A field name with `?`, one that is followed by spaces, and a merge.
    const colonAt = this.offset;
    if (this.text.charCodeAt(colonAt) !== colon || !isSpaceOrEnd(this.text.charCodeAt(colonAt + 1))) throw notOrdinary;
    if (value === '<<' || value === null || value === '') throw notOrdinary;
    return this.kubectl ? String(value) : this.textOf(event);
  }

  private readScalar(event: ScalarEvent): ScalarValue {
    const { text, flowLevel } = this;
    const { valueStart, valueEnd, style } = event;
    this.lexemes += 6;
    if (valueStart < 0) {
      if (flowLevel > 0) throw notOrdinary;
      return null;
    }
    if (style === SCALAR_STYLE.LITERAL_BLOCK) return this.readBlock(event);
    if (style === SCALAR_STYLE.FOLDED_BLOCK || (flowLevel > 0 && valueEnd > this.endOfFlow)) throw notOrdinary;
    const isPlain = style === SCALAR_STYLE.PLAIN;
    this.lexemes -= isPlain ? 4 : 5;
    this.offset = isPlain ? valueEnd : valueEnd + 1;
    const value = this.textOf(event);
    if (value.includes('\n') && text.slice(valueStart, valueEnd).includes('\n')) throw notOrdinary;
    if (!isPlain) {
      if (!endsQuoted(text.charCodeAt(this.offset))) throw notOrdinary;
      return value;
    }
    if (!beginsPlain(text.charCodeAt(valueStart))) throw notOrdinary;
    const read = this.kubectl ? readPlainScalar(value) : readCoreScalar(value);
    if (typeof read === 'number' && this.kubectl && !Number.isFinite(read)) throw notOrdinary;
    return read;
  }

  /** Only with the header `|` or `|-`, and as deep as its first line. */
  private readBlock(event: ScalarEvent): string {
    const { valueStart, valueEnd, indent } = event;
    const isRoot = this.at === 2;
    const beginning = this.text.slice(Math.max(0, valueStart - 3), valueStart + indent + 1);
    // A comment after the header may end like one.
    const header = this.text.slice(this.text.lastIndexOf('\n', valueStart - 2) + 1, valueStart);
    if (isRoot || header.includes('#') || !/^(?:.\||\|-)\n *[^ \n]$/.test(beginning)) throw notOrdinary;
    this.offset = valueEnd;
    return this.textOf(event);
  }

  /** Only on one line, without empty values, and without a comma before its end. */
  private readFlow<Value>(start: number, opening: number, closing: number, read: () => Value): Value {
    const { text } = this;
    if (text.charCodeAt(start) !== opening) throw notOrdinary;
    if (this.flowLevel === 0) {
      const end = text.indexOf('\n', start);
      this.endOfFlow = end < 0 ? text.length : end;
    }
    this.flowLevel += 1;
    this.offset = start + 1;
    const value = read();
    this.flowLevel -= 1;
    let end = this.offset;
    while (text.charCodeAt(end) === space) end += 1;
    if (end >= this.endOfFlow || text.charCodeAt(end) !== closing) throw notOrdinary;
    this.offset = end + 1;
    this.lexemes += 5;
    if (this.flowLevel === 0 && !isSpaceOrEnd(text.charCodeAt(this.offset))) throw notOrdinary;
    return value;
  }
}

/** The YAML library reports an error if there are 1,024 characters before the colon. */
const maxNameLength = 500;

/** YAML has all escapes of JSON, and others that are rare. */
function replaceEscapes(written: string): string {
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    throw notOrdinary;
  }
}

/** NaN is beyond the end of the text. */
function isSpaceOrEnd(code: number): boolean {
  return code === space || code === newline || Number.isNaN(code);
}

function endsQuoted(code: number): boolean {
  return isSpaceOrEnd(code) || code === colon || code === comma || code === closingBracket || code === closingBrace;
}

/** Letters, digits and `$ ( + - . / < = ^ _ ~ \`. Whether a dash begins a list is seen by both parsers. */
function beginsPlain(code: number): boolean {
  return plainBeginnings[code] === true;
}

const plainBeginnings: readonly boolean[] = Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9$(+\-./<=^_~\\]/.test(String.fromCharCode(code)),
);

const newline = 0x0a;
const space = 0x20;
const comma = 0x2c;
const colon = 0x3a;
const openingBracket = 0x5b;
const closingBracket = 0x5d;
const openingBrace = 0x7b;
const closingBrace = 0x7d;

class OrdinaryDocument implements YamlDocument {
  readonly value: unknown;
  readonly errors = [];
  private readonly builder: Builder;
  private readonly start: TextStart;
  private readonly readAgain: () => YamlDocument;
  /** By indexes of events. */
  private readonly located: Locator;
  private knownLines: Lines | undefined;
  private knownAgain: YamlDocument | undefined;

  constructor(value: unknown, builder: Builder, { start, readAgain }: OrdinaryOptions) {
    this.value = value;
    this.builder = builder;
    this.start = start;
    this.readAgain = readAgain;
    this.located = new Locator(1, (index) => childrenOf(index, builder));
  }

  locate(pointer: string): Position {
    const { value, field } = this.located.at(pointer);
    // The YAML library's schema for kubectl's scalars has no null.
    const isNull = this.isEmpty(value) && !this.builder.kubectl;
    const offset = this.offsetOf(isNull && field !== undefined ? field : value);
    return offset === undefined ? this.again.locate(pointer) : this.lines.at(offset);
  }

  locateField(pointer: string): Position {
    const { value, field } = this.located.at(pointer);
    const offset = this.offsetOf(field ?? value);
    return offset === undefined ? this.again.locateField(pointer) : this.lines.at(offset);
  }

  startOfText(pointer: string): TextStart {
    const { value } = this.located.at(pointer);
    const event = this.builder.events[value];
    if (this.isEmpty(value)) return this.again.startOfText(pointer);
    if (event?.type !== EVENT_ID.SCALAR || event.style !== SCALAR_STYLE.LITERAL_BLOCK) return { ...this.locate(pointer), startOnly: true };
    if (this.start.startOnly) return this.start;
    return { line: this.lines.at(event.valueStart).line, column: event.indent + this.start.column };
  }

  spelling(pointer: string): string {
    const event = this.builder.events[this.located.at(pointer).value];
    return event?.type === EVENT_ID.SCALAR ? this.builder.textOf(event) : '';
  }

  commentAt(pointer: string): string | undefined {
    return this.again.commentAt(pointer);
  }

  rejectedValues(): ReadonlySet<string> {
    return new Set();
  }

  private get lines(): Lines {
    this.knownLines ??= Lines.of(this.builder.text, this.start);
    return this.knownLines;
  }

  private get again(): YamlDocument {
    this.knownAgain ??= this.readAgain();
    return this.knownAgain;
  }

  private isEmpty(index: number): boolean {
    const event = this.builder.events[index];
    return event?.type === EVENT_ID.SCALAR && event.valueStart < 0;
  }

  /** Undefined for an empty value. */
  private offsetOf(index: number): number | undefined {
    const event = this.builder.events[index];
    if (event?.type === EVENT_ID.SEQUENCE || event?.type === EVENT_ID.MAPPING) return event.start;
    if (event?.type !== EVENT_ID.SCALAR || event.valueStart < 0) return undefined;
    const { style, valueStart } = event;
    // The header of a block is `|` or `|-`, and a line feed follows it.
    if (style === SCALAR_STYLE.LITERAL_BLOCK) return this.builder.text.lastIndexOf('|', valueStart - 2);
    return style === SCALAR_STYLE.PLAIN ? valueStart : valueStart - 1;
  }
}

/** The fields or items of the value whose event is at the index. Empty if it has none. */
function childrenOf(index: number, builder: Builder): ReadonlyMap<string, Located> {
  const { events } = builder;
  const children = new Map<string, Located>();
  const type = events[index]?.type;
  if (type !== EVENT_ID.SEQUENCE && type !== EVENT_ID.MAPPING) return children;
  for (let at = index + 1; events[at]?.type !== EVENT_ID.POP; at = endOfValue(at, events)) {
    const field = events[at];
    if (type === EVENT_ID.SEQUENCE) children.set(String(children.size), { value: at });
    else if (field?.type === EVENT_ID.SCALAR) {
      children.set(builder.nameOf(field), { value: at + 1, field: at });
      at += 1;
    }
  }
  return children;
}

/** The index of the event after the value. */
function endOfValue(index: number, events: readonly Event[]): number {
  let depth = 0;
  for (let at = index; ; at += 1) {
    const type = events[at]?.type;
    if (type === EVENT_ID.SEQUENCE || type === EVENT_ID.MAPPING) depth += 1;
    else if (type === EVENT_ID.POP) depth -= 1;
    if (depth === 0) return at + 1;
  }
}

/** Reads JSON with JSON.parse, and finds positions in the text when they are requested. A YAML parser needs ten times as long. */
import {
  closingBrace,
  closingBracket,
  colon,
  comma,
  endOfLiteral,
  endOfString,
  endOfValue,
  openingBrace,
  openingBracket,
  quote,
  skipWhiteSpace,
} from './json-scan.ts';
import { readKubectlScalar } from './kubectl-scalar.ts';
import { Lines, type TextStart } from './lines.ts';
import { type Located, Locator } from './located.ts';
import type { YamlDocument } from './read-document.ts';
import type { Position } from './yaml-error.ts';

/**
 * Undefined if the text is not one list or object of JSON, if a field name has an escape, or if the YAML reader has something to report: a
 * duplicate field, deep nesting, a number out of range. Otherwise the document is the one that `readYaml` returns with kubectl's scalars.
 * Never throws. Takes time linear in the length of the text.
 */
export function readJson(text: string, start: TextStart = { line: 1, column: 1 }): YamlDocument | undefined {
  const json = text.startsWith('\ufeff') ? text.slice(1) : text;
  const root = skipWhiteSpace(json, 0);
  const first = json.charCodeAt(root);
  if (first !== openingBrace && first !== openingBracket) return undefined;
  const parsed = parse(json);
  if (!parsed) return undefined;
  const { depth, fields, numbersAreExact, hasEscapedFields } = survey(json, root);
  // JSON.parse of Node.js 24 can give a field name with escapes the name of another one that was read before (nodejs/node issue 63785).
  if (depth > maxDepth || hasEscapedFields) return undefined;
  // JSON.parse keeps the last of two fields with one name.
  if (countFields(parsed.value) < fields) return undefined;
  const exact = numbersAreExact ? parsed : parseNumbers(json);
  return exact && new JsonDocument(exact.value, json, root, start);
}

/** Levels. The YAML reader accepts about 200. */
const maxDepth = 190;

function parse(json: string, reviver?: Reviver): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(json, reviver) };
  } catch {
    return undefined;
  }
}

type Reviver = (name: string, value: unknown) => unknown;

/** Integers that a number cannot represent become bigints, as kubectl keeps them. Undefined if there is a number that kubectl rejects. */
function parseNumbers(json: string): { readonly value: unknown } | undefined {
  let rejected = false;
  // The third parameter is newer than the types of the library.
  const reviver = (_name: string, value: unknown, { source = '' }: { readonly source?: string }) => {
    if (typeof value !== 'number') return value;
    const read = readKubectlScalar({ text: source, plain: true, tag: undefined });
    if (typeof read === 'number' || typeof read === 'bigint') return read;
    rejected = true;
    return value;
  };
  const parsed = parse(json, reviver as Reviver);
  return rejected ? undefined : parsed;
}

type Survey = {
  readonly depth: number;
  /** The number of all fields in all objects, duplicate ones included. */
  readonly fields: number;
  /** Whether JSON.parse reads each number as kubectl does. */
  readonly numbersAreExact: boolean;
  readonly hasEscapedFields: boolean;
};

function survey(json: string, root: number): Survey {
  let depth = 0;
  let deepest = 0;
  let fields = 0;
  let numbersAreExact = true;
  let hasEscapedFields = false;
  let nextBackslash = indexOfBackslash(json, root);
  for (let at = root; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    switch (code) {
      case quote: {
        const end = endOfString(json, at);
        if (nextBackslash < end) {
          hasEscapedFields ||= json.charCodeAt(skipWhiteSpace(json, end + 1)) === colon;
          nextBackslash = indexOfBackslash(json, end);
        }
        at = end;
        break;
      }
      case openingBrace:
      case openingBracket:
        depth += 1;
        if (depth > deepest) deepest = depth;
        break;
      case closingBrace:
      case closingBracket:
        depth -= 1;
        break;
      case colon:
        fields += 1;
        break;
      default:
        if (code === minus || (code >= zero && code <= nine)) {
          const end = endOfLiteral(json, at);
          if (numbersAreExact && !exactNumber.test(json.slice(at, end))) numbersAreExact = false;
          at = end - 1;
        }
    }
  }
  return { depth: deepest, fields, numbersAreExact, hasEscapedFields };
}

function indexOfBackslash(json: string, from: number): number {
  const index = json.indexOf('\\', from);
  return index < 0 ? json.length : index;
}

const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;

/** At most 15 digits, without an exponent, and not a negative zero. Others are read one by one. */
const exactNumber = /^(?:0|-?[1-9]\d{0,14}|0\.\d{1,14}|-?[1-9]\d{0,6}\.\d{1,8})$/;

/** The depth of the value is limited. */
function countFields(value: unknown): number {
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += countFields(item);
  else if (typeof value === 'object' && value !== null) {
    for (const name in value) count += 1 + countFields((value as Record<string, unknown>)[name]);
  }
  return count;
}

class JsonDocument implements YamlDocument {
  readonly value: unknown;
  readonly errors = [];
  private readonly json: string;
  private readonly start: TextStart;
  private readonly located: Locator;
  private known: Lines | undefined;

  constructor(value: unknown, json: string, root: number, start: TextStart) {
    this.value = value;
    this.json = json;
    this.start = start;
    this.located = new Locator(root, (offset) => childrenOf(json, offset));
  }

  locate(pointer: string): Position {
    return this.lines.at(this.located.at(pointer).value);
  }

  locateField(pointer: string): Position {
    const { field, value } = this.located.at(pointer);
    return this.lines.at(field ?? value);
  }

  startOfText(pointer: string): TextStart {
    return { ...this.locate(pointer), startOnly: true };
  }

  spelling(pointer: string): string {
    const { value } = this.located.at(pointer);
    const code = this.json.charCodeAt(value);
    if (code === openingBrace || code === openingBracket) return '';
    const written = this.json.slice(value, endOfValue(this.json, value));
    return code === quote ? String(JSON.parse(written)) : written;
  }

  commentAt(): undefined {
    return undefined;
  }

  rejectedValues(): ReadonlySet<string> {
    return new Set();
  }

  private get lines(): Lines {
    this.known ??= Lines.of(this.json, this.start);
    return this.known;
  }
}

/** The fields or items of the value at the offset. Empty if it has none. */
function childrenOf(json: string, offset: number): ReadonlyMap<string, Located> {
  const children = new Map<string, Located>();
  const opening = json.charCodeAt(offset);
  if (opening !== openingBrace && opening !== openingBracket) return children;
  let at = skipWhiteSpace(json, offset + 1);
  while (!isClosing(json.charCodeAt(at)) && at < json.length) {
    let name = String(children.size);
    let field: number | undefined;
    if (opening === openingBrace) {
      field = at;
      const end = endOfString(json, at) + 1;
      name = String(JSON.parse(json.slice(at, end)));
      at = skipWhiteSpace(json, skipWhiteSpace(json, end) + 1);
    }
    children.set(name, field === undefined ? { value: at } : { value: at, field });
    at = skipWhiteSpace(json, endOfValue(json, at));
    if (json.charCodeAt(at) === comma) at = skipWhiteSpace(json, at + 1);
  }
  return children;
}

function isClosing(code: number): boolean {
  return code === closingBrace || code === closingBracket;
}

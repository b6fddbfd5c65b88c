/**
 * Moves over JSON in bytes without building values. It accepts exactly what JSON.parse accepts, and counts depth and structures as
 * `findExcess` does. Each function takes the position of a first byte and returns the position after the last one, or `invalid`.
 *
 * No byte of a multi-byte character equals one of JSON's structural characters, and decoders replace invalid bytes without swallowing the
 * next valid byte. So bytes and decoded text have the same structure.
 */
import type { StructureLimits } from './body-scan.ts';

/** Larger than any position in a text. There is no byte, so that whatever follows is invalid too. */
export const invalid = 0x3fffffff;

/** Counts what has been passed in one text. */
export class StructureCounter {
  structures = 0;
  readonly limits: StructureLimits;
  /** For each open list or object that is being passed whether it is an object. */
  readonly isObject: Uint8Array;

  constructor(limits: StructureLimits) {
    this.limits = limits;
    this.isObject = new Uint8Array(limits.depth + 1);
  }

  /** False if there are too many lists, objects and commas by now. */
  isWithinLimits(): boolean {
    return this.structures <= this.limits.structures;
  }
}

/**
 * `depth` is the number of lists and objects around the value. White space after the value is skipped too.
 *
 * This is the innermost loop of the server. Calls for each byte or comma would double its time, so what an API server writes, which is JSON
 * without white space, is handled in place.
 */
export function skipValue(text: Uint8Array, start: number, depth: number, counter: StructureCounter): number {
  const { isObject } = counter;
  const { depth: deepest, structures: mostStructures } = counter.limits;
  const { length } = text;
  let { structures } = counter;
  let open = depth;
  let inObject = 0;
  let at = start;
  for (;;) {
    // An item begins, in an object with its key.
    if (inObject === 1) {
      if (at >= length || text[at] !== quote) return invalid;
      at = skipString(text, at);
      if (at + 1 < length && text[at] === colon && (text[at + 1] as number) > space) at += 1;
      else at = skipColon(text, at);
    }
    if (at >= length) return invalid;
    const first = text[at] as number;
    if (first === quote) at = skipString(text, at);
    else if (first === openingBrace || first === openingBracket) {
      open += 1;
      structures += 1;
      if (open > deepest || structures > mostStructures) return invalid;
      inObject = first === openingBrace ? 1 : 0;
      isObject[open] = inObject;
      at += 1;
      if (at < length && (text[at] as number) <= space) at = skipSpace(text, at);
      if (at >= length || text[at] !== closingOf(first)) continue;
      open -= 1;
      inObject = isObject[open] as number;
      at += 1;
    } else at = skipScalar(text, at);
    // A value has ended.
    for (;;) {
      if (at < length && (text[at] as number) <= space) at = skipSpace(text, at);
      if (open === depth) {
        counter.structures = structures;
        return at;
      }
      if (at >= length) return invalid;
      const next = text[at] as number;
      at += 1;
      if (next === comma) {
        structures += 1;
        if (structures > mostStructures) return invalid;
        if (at < length && (text[at] as number) <= space) at = skipSpace(text, at);
        break;
      }
      if (next !== (inObject === 1 ? closingBrace : closingBracket)) return invalid;
      open -= 1;
      inObject = isObject[open] as number;
    }
  }
}

export function skipSpace(text: Uint8Array, start: number): number {
  const { length } = text;
  let at = start;
  while (at < length) {
    const byte = text[at] as number;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    at += 1;
  }
  return at;
}

/** The byte, or 0 past the end. JSON contains no 0. */
export function byteAt(text: Uint8Array, at: number): number {
  return at < text.length ? (text[at] as number) : 0;
}

/** From the end of a key to its value. */
export function skipColon(text: Uint8Array, start: number): number {
  const at = skipSpace(text, start);
  return byteAt(text, at) === colon ? skipSpace(text, at + 1) : invalid;
}

function skipString(text: Uint8Array, start: number): number {
  const { length } = text;
  for (let at = start + 1; at < length; at += 1) {
    const byte = text[at] as number;
    // Nearly every byte is decided here.
    if (byte > backslash || (byte > quote && byte !== backslash)) continue;
    if (byte === quote) return at + 1;
    if (byte < 0x20) return invalid;
    if (byte === backslash) at = skipEscape(text, at);
  }
  return invalid;
}

/** Returns the position of the last byte. */
function skipEscape(text: Uint8Array, backslashAt: number): number {
  const at = backslashAt + 1;
  const byte = byteAt(text, at);
  if (byte !== 0x75) return isEscape(byte) ? at : invalid;
  for (let digit = 1; digit <= 4; digit += 1) if (!isHexDigit(byteAt(text, at + digit))) return invalid;
  return at + 4;
}

/** After a backslash: `"`, `\`, `/`, `b`, `f`, `n`, `r` or `t`. */
function isEscape(byte: number): boolean {
  switch (byte) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return true;
    default:
      return false;
  }
}

function skipScalar(text: Uint8Array, at: number): number {
  switch (byteAt(text, at)) {
    case 0x74:
      return skipWord(text, at, wordTrue);
    case 0x66:
      return skipWord(text, at, wordFalse);
    case 0x6e:
      return skipWord(text, at, wordNull);
    default:
      return skipNumber(text, at);
  }
}

function skipWord(text: Uint8Array, at: number, word: Uint8Array): number {
  for (let index = 0; index < word.length; index += 1) if (byteAt(text, at + index) !== word[index]) return invalid;
  return at + word.length;
}

function skipNumber(text: Uint8Array, start: number): number {
  let at = byteAt(text, start) === minus ? start + 1 : start;
  at = byteAt(text, at) === digitZero ? at + 1 : skipDigits(text, at);
  if (byteAt(text, at) === point) at = skipDigits(text, at + 1);
  if ((byteAt(text, at) | 0x20) !== letterE) return at;
  at += 1;
  if (byteAt(text, at) === plus || byteAt(text, at) === minus) at += 1;
  return skipDigits(text, at);
}

/** At least one. */
function skipDigits(text: Uint8Array, start: number): number {
  let at = start;
  while (isDigit(byteAt(text, at))) at += 1;
  return at === start ? invalid : at;
}

function isDigit(byte: number): boolean {
  return byte >= digitZero && byte <= 0x39;
}

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20;
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x66);
}

/** `[` and `]`, `{` and `}` are two apart. */
function closingOf(opening: number): number {
  return opening + 2;
}

export const quote = 0x22;
export const comma = 0x2c;
export const openingBracket = 0x5b;
export const backslash = 0x5c;
export const closingBracket = 0x5d;
export const openingBrace = 0x7b;
export const closingBrace = 0x7d;
const space = 0x20;
const plus = 0x2b;
const minus = 0x2d;
const point = 0x2e;
const digitZero = 0x30;
const colon = 0x3a;
const letterE = 0x65;
const wordTrue = bytesOf('true');
const wordFalse = bytesOf('false');
const wordNull = bytesOf('null');

function bytesOf(word: string): Uint8Array {
  return Uint8Array.from(word, (letter) => letter.charCodeAt(0));
}

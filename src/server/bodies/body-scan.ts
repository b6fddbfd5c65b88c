/** Limits the memory that a JSON text would need, by counting structures in its bytes before it is parsed. */
import { endianness } from 'node:os';

export type StructureLimits = {
  /** Nesting of lists and objects. `[]` has depth 1, `[[]]` depth 2. */
  readonly depth: number;
  /** Number of `{`, `[` and `,` outside of strings: lists, objects and, roughly, their entries. */
  readonly structures: number;
};

/** The limit that a text exceeds. */
export type Excess = keyof StructureLimits;

/**
 * Undefined if the text is within both limits. Reads the bytes once, up to the first excess.
 *
 * In UTF-8 no byte of a multi-byte character equals one of JSON's structural characters. Decoders replace invalid bytes without swallowing
 * the next valid byte. So the bytes and the decoded text have the same structure. Invalid JSON is left to the parser: up to the position of
 * the syntax error, both see the same.
 */
export function findExcess(text: Uint8Array, limits: StructureLimits): Excess | undefined {
  let depth = 0;
  let structures = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case quote:
        at = endOfText(text, at);
        break;
      case openingBrace:
      case openingBracket:
        depth += 1;
        structures += 1;
        if (depth > limits.depth) return 'depth';
        if (structures > limits.structures) return 'structures';
        break;
      case comma:
        structures += 1;
        if (structures > limits.structures) return 'structures';
        break;
      case closingBrace:
      case closingBracket:
        depth -= 1;
        break;
    }
  }
  return undefined;
}

const quote = 0x22;
const comma = 0x2c;
const openingBracket = 0x5b;
const backslash = 0x5c;
const closingBracket = 0x5d;
const openingBrace = 0x7b;
const closingBrace = 0x7d;

/**
 * A quick check that excludes an excess for every ordinary text, provided that it is JSON. It costs a quarter of {@link findExcess}, because
 * it reads four bytes at a time and does not distinguish strings.
 *
 * The depth is never more than the number of brackets opened so far, and never more than the number that is still closed, since JSON closes
 * all of them. So the first number is counted up to the limit, and the second one from there. An empty list or object, of which there are
 * hundreds in managed fields, adds one level at most.
 */
export function couldExceed(text: Uint8Array, { depth, structures }: StructureLimits): boolean {
  // A very short text may not contain a whole word.
  if (text.length > structures || text.length < 8 || !isLittleEndian) return true;
  // Words of an Int32Array start at an address that is divisible by four.
  const before = -text.byteOffset & 3;
  const words = new Int32Array(text.buffer, text.byteOffset + before, (text.length - before) >>> 2);
  // The bytes before and after the words may all be brackets, and an empty list may be the innermost one.
  const limit = depth - 7;
  return countClosed(words, placeOfLimit(words, limit), limit) > limit;
}

/** The first byte of a text is the lowest one of its word. */
const isLittleEndian = endianness() === 'LE';

/** The index of the word with which more brackets have been opened than the limit. */
function placeOfLimit(words: Int32Array, limit: number): number {
  let count = 0;
  let at = 0;
  for (; at < words.length; at += 1) {
    const word = words[at] as number;
    const opening = marksOfZeros((word & 0xdfdfdfdf) ^ 0x5b5b5b5b);
    if (opening === 0) continue;
    const following = (word >>> 8) | ((words[at + 1] ?? 0) << 24);
    // Not those that are closed at once. Nor those before a backslash or "|", which are in a string.
    count += countMarks(opening & ~marksOfZeros((following & 0xdededede) ^ 0x5c5c5c5c));
    if (count > limit) break;
  }
  return at;
}

/** The number of brackets that are closed, except empty lists and objects. Stops counting beyond the limit. */
function countClosed(words: Int32Array, from: number, limit: number): number {
  let count = 0;
  for (let at = from; at < words.length && count <= limit; at += 1) {
    const word = words[at] as number;
    const closing = marksOfZeros((word & 0xdfdfdfdf) ^ 0x5d5d5d5d);
    if (closing === 0) continue;
    const preceding = (word << 8) | ((words[at - 1] ?? 0) >>> 24);
    count += countMarks(closing & ~marksOfZeros((preceding & 0xdfdfdfdf) ^ 0x5b5b5b5b));
  }
  return count;
}

/** Sets the highest bit of each byte that is zero. */
function marksOfZeros(word: number): number {
  return ~(((word & 0x7f7f7f7f) + 0x7f7f7f7f) | word | 0x7f7f7f7f);
}

function countMarks(marks: number): number {
  return Math.imul(marks >>> 7, 0x01010101) >>> 24;
}

/** The index of the quotation mark that closes the string, or an index past the end if none does. */
function endOfText(text: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== quote) at += text[at] === backslash ? 2 : 1;
  return at;
}

/**
 * Parses AdmissionReviews faster than JSON.parse, with the same result: large values of `fieldsV1` in managed fields that were parsed before
 * are not parsed again.
 *
 * These values are a third of a Pod and half of a Deployment as the API server sends them. Both webhooks get the same ones, and so do all
 * Pods of a workload and its next update. Only the time next to them differs.
 *
 * A known value is recognized by its text after `,"fieldsV1":`, and replaced by a placeholder in the text. Then JSON.parse accepts that text
 * if and only if it accepts the whole body:
 * - Outside of a string, the bytes before the value are a comma, a string and a colon. Where a value may follow, JSON allows both the known
 *   object and the placeholder. Elsewhere it rejects both.
 * - Inside of a string, the quotation mark after the comma ends that string, because no backslash is before it. Both texts have the same
 *   syntax error at the `f`.
 *
 * So the result is that of JSON.parse once each placeholder has been replaced in the place where it is expected. If one is not found there,
 * for instance because of a duplicate field, the whole body is parsed.
 */
import { randomUUID } from 'node:crypto';
import { ownText, RecentValues } from '../../cache/recent-values.ts';
import { isObject, type JsonObject, listAt } from '../../object/json.ts';
import { endOfValue } from '../../yaml/json-scan.ts';

/** A value and its JSON. The value is frozen, because all requests with it share it. */
type Known = { readonly text: string; readonly value: JsonObject };

/** A value that is known, and its place in a body. */
type Occurrence = { readonly start: number; readonly known: Known };

/** Returns a function that parses a text as JSON.parse does. */
export function createParser(): (text: string) => unknown {
  const known = new KnownValues();
  // It cannot be guessed, so no body contains it.
  const placeholder = `known ${randomUUID()}`;
  return (text) => {
    if (text.length > longestText) return JSON.parse(text);
    const found: Occurrence[] = [];
    const unknown: number[] = [];
    for (const start of startsIn(text)) {
      const match = known.find(text, start);
      if (match) found.push({ start, known: match });
      else unknown.push(start);
    }
    const parsed = (found.length > 0 && parseWithout(text, found, placeholder)) || JSON.parse(text);
    // Now the text is certainly JSON. Nothing is learned from others.
    for (const start of unknown) known.consider(text, start);
    return parsed;
  };
}

/** Characters. A longer text has longer values, and the text without them would need memory too. */
const longestText = 1_048_576;

/** Characters of a value. Shorter ones save nothing. */
const shortest = 512;
const longest = 16_384;

/** The first characters of a value, with which it is found. For Pods they contain the uid of the owner. */
const beginning = 384;

/** Values with the same beginning that are kept. */
const mostPerBeginning = 4;

/** Characters of the values of one generation. Parsed, they need about twelve times as many bytes. */
const keptCharacters = 196_608;

/**
 * Learning a value costs as much as parsing a whole Pod. So it must have paid lately: each value that is found pays for another one. Otherwise
 * only one of 128 is learned.
 */
const mostCredit = 100;
const learnedWithoutCredit = 128;

class KnownValues {
  private readonly values = new RecentValues<readonly Known[]>({
    entries: 200,
    size: keptCharacters,
    largest: mostPerBeginning * longest,
    sizeOf: (_key, values) => values.reduce((sum, { text }) => sum + text.length, 0),
  });
  private credit = mostCredit;
  private notLearned = 0;

  /** The known value that begins at `start`. */
  find(text: string, start: number): Known | undefined {
    const candidates = this.values.get(text.slice(start, start + beginning));
    const found = candidates?.find((each) => text.slice(start, start + each.text.length) === each.text);
    if (found) this.credit = Math.min(this.credit + 1, mostCredit);
    return found;
  }

  /** The value that begins at `start` may be known the next time. The text must be JSON. */
  consider(text: string, start: number): void {
    if (this.mayLearn()) this.learn(text, start);
  }

  private mayLearn(): boolean {
    if (this.credit === 0) return ++this.notLearned % learnedWithoutCredit === 0;
    this.credit -= 1;
    return true;
  }

  private learn(text: string, start: number): void {
    const learned = parseValue(text, start);
    if (!learned) return;
    const key = ownText(text.slice(start, start + beginning));
    const others = (this.values.get(key) ?? []).filter((each) => each.text !== learned.text);
    this.values.set(key, [learned, ...others.slice(0, mostPerBeginning - 1)]);
  }
}

/** Real objects have a handful of managers. Others could have any number. */
const mostOccurrences = 32;

/** The search is for the end of what precedes a value, because it begins with a rare letter. */
const before = ',"fields';
const end = 'V1":{';

/** Where values of `fieldsV1` begin, if the text is JSON. */
function startsIn(text: string): readonly number[] {
  const starts: number[] = [];
  let at = text.indexOf(end);
  for (let count = 0; at >= 0 && count < mostOccurrences; count += 1) {
    if (text.startsWith(before, at - before.length)) starts.push(at + end.length - 1);
    at = text.indexOf(end, at + end.length);
  }
  return starts;
}

/** Undefined if the value is too short or too long. The text must be JSON. */
function parseValue(text: string, start: number): Known | undefined {
  // The end of a longer value is not searched. It counts as the end of the part, which is too long.
  const part = text.slice(start, start + longest + 1);
  const length = endOfValue(part, 0);
  if (length < shortest || length > longest) return undefined;
  const own = ownText(part.slice(0, length));
  return { text: own, value: freeze(JSON.parse(own)) };
}

function freeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) freeze(each);
    Object.freeze(value);
  }
  return value;
}

/** Undefined if the text is not JSON, or has a known value in an unexpected place. */
function parseWithout(text: string, found: readonly Occurrence[], placeholder: string): unknown {
  const values = new Map<unknown, JsonObject>();
  let shorter = '';
  let end = 0;
  for (const { start, known } of found) {
    const each = `${placeholder} ${values.size}`;
    values.set(each, known.value);
    shorter += `${text.slice(end, start)}"${each}"`;
    end = start + known.text.length;
  }
  let review: unknown;
  try {
    review = JSON.parse(shorter + text.slice(end));
  } catch {
    return undefined;
  }
  const replaced = replaceIn(review, 'object', values) + replaceIn(review, 'oldObject', values);
  return replaced === values.size ? review : undefined;
}

/** Replaces the placeholders in the managed fields of an object, and returns how many it has found. */
function replaceIn(review: unknown, name: 'object' | 'oldObject', values: ReadonlyMap<unknown, JsonObject>): number {
  let count = 0;
  for (const entry of listAt(review, ['request', name, 'metadata', 'managedFields'])) {
    const value = isObject(entry) ? values.get(entry.fieldsV1) : undefined;
    if (value === undefined) continue;
    (entry as { fieldsV1: unknown }).fieldsV1 = value;
    count += 1;
  }
  return count;
}

/**
 * Parses an AdmissionReview without the `metadata.managedFields` of its objects, which are parsed when something reads them. They are the
 * larger half of what JSON.parse costs, and a decision depends on them only where an earlier pass of ours has written secrets.
 *
 * The result equals that of JSON.parse for every input. In any doubt it is undefined, and the caller parses everything:
 *
 * - Native search finds `"managedFields":[` after a comma or a brace, so its first quotation mark is not escaped. It begins a key, or it ends a
 *   string and the text is not JSON.
 * - If the list is valid JSON, the text is valid exactly if it is with another value in its place. That value is random, so it only appears
 *   where the list was. Each list must be that of the object or of the old object.
 */
import { randomUUID } from 'node:crypto';
import { isObject, type JsonObject, type Path, valueAt } from '../../object/json.ts';
import { findExcess, type StructureLimits } from './body-scan.ts';
import { byteAt, comma, invalid, openingBrace, StructureCounter, skipValue } from './skip-json.ts';

export function parseDeferringManagedFields(body: Buffer, limits: StructureLimits): unknown {
  const counter = new StructureCounter(limits);
  const lists = findLists(body, counter);
  if (!lists) return undefined;
  const text = withStandIns(body, lists);
  if (findExcess(text, { depth: limits.depth, structures: limits.structures - counter.structures })) return undefined;
  const review = parse(text);
  const holders = lists.map((_, index) => holderOf(review, standIns[index]));
  if (holders.includes(undefined)) return undefined;
  for (const [index, { from, end }] of lists.entries()) deferList(holders[index] as JsonObject, body.subarray(from, end));
  return review;
}

/** A range of bytes. */
type List = { readonly from: number; readonly end: number };

const key = Buffer.from('"managedFields":');

/** The review, its request, the object and its metadata are around the list. */
const depthOfList = 4;

/** Undefined where there are none, or if one is in doubt. */
function findLists(body: Buffer, counter: StructureCounter): readonly List[] | undefined {
  const lists: List[] = [];
  for (let at = body.indexOf(key); at >= 0; at = body.indexOf(key, at)) {
    const before = byteAt(body, at - 1);
    if (lists.length === standIns.length || (before !== comma && before !== openingBrace)) return undefined;
    const from = at + key.length;
    const end = skipValue(body, from, depthOfList, counter);
    if (end === invalid) return undefined;
    lists.push({ from, end });
    at = end;
  }
  return lists.length > 0 ? lists : undefined;
}

/** For the lists of the object and of the old object. */
const standIns: readonly string[] = [randomUUID(), randomUUID()];
const standInBytes = standIns.map((text) => Buffer.from(JSON.stringify(text)));

function withStandIns(body: Buffer, lists: readonly List[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const [index, { from, end }] of lists.entries()) {
    parts.push(body.subarray(at, from), standInBytes[index] as Buffer);
    at = end;
  }
  return Buffer.concat([...parts, body.subarray(at)]);
}

/** Undefined if it is not JSON. */
function parse(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'));
  } catch {
    return undefined;
  }
}

const metadataPaths: readonly Path[] = [
  ['request', 'object', 'metadata'],
  ['request', 'oldObject', 'metadata'],
];

/** The metadata with the stand-in. */
function holderOf(review: unknown, standIn: string | undefined): JsonObject | undefined {
  for (const path of metadataPaths) {
    const metadata = valueAt(review, path);
    if (isObject(metadata) && metadata.managedFields === standIn) return metadata;
  }
  return undefined;
}

function deferList(metadata: JsonObject, text: Buffer): void {
  const define = (property: PropertyDescriptor) =>
    Object.defineProperty(metadata, 'managedFields', { ...property, enumerable: true, configurable: true });
  define({
    get() {
      const value: unknown = JSON.parse(text.toString('utf8'));
      define({ value, writable: true });
      return value;
    },
  });
}

/** Matches path patterns in objects of one kind: a step may be a wildcard for every item of a list, or every value of a map. */
import { isAbsent, isObject, type JsonObject, type Path } from './json.ts';
import type { MalformedObject } from './object-shape.ts';
import { nameType, problemAt } from './pod.ts';

export const everyItem = Symbol('[*]');
export const everyValue = Symbol('*');
export type PathPatternStep = string | typeof everyItem | typeof everyValue;
/** `spec.steps[*].image` is `['spec', 'steps', everyItem, 'image']`. */
export type PathPattern = readonly PathPatternStep[];

export type PathPatternMatches =
  | { readonly ok: true; readonly paths: readonly Path[] }
  | { readonly ok: false; readonly problem: MalformedObject };

/** The paths of all values that the pattern matches, in the order of the object. A value of a wrong type on the way is a problem. */
export function matchPathPattern(root: JsonObject, pattern: PathPattern): PathPatternMatches {
  let found: { readonly path: Path; readonly value: unknown }[] = [{ path: [], value: root }];
  for (const step of pattern) {
    const next: typeof found = [];
    for (const { path, value } of found) {
      const isList = step === everyItem;
      if (isList ? !Array.isArray(value) : !isObject(value)) {
        return { ok: false, problem: problemAt(path, `must be ${isList ? 'a list' : 'an object'}, but is ${nameType(value)}`) };
      }
      // Not as arguments of one `push`: a list in a request can be longer than the maximum number of arguments.
      for (const [key, inner] of entriesAt(value as JsonObject | unknown[], step)) {
        if (!isAbsent(inner)) next.push({ path: [...path, key], value: inner });
      }
    }
    found = next;
  }
  return { ok: true, paths: found.map(({ path }) => path) };
}

function entriesAt(value: JsonObject | readonly unknown[], step: PathPatternStep): Iterable<readonly [string | number, unknown]> {
  if (Array.isArray(value)) return value.entries();
  if (typeof step !== 'string') return Object.entries(value);
  return Object.hasOwn(value, step) ? [[step, (value as JsonObject)[step]]] : [];
}

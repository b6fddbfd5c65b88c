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

/**
 * For each pattern the paths of all values that it matches, in the order of the object. A value of a wrong type on the way is a problem: the one
 * with the shortest path, and of these the first. What several patterns have in common is read once, since a list may have a million items.
 */
export function matchPathPatterns(root: JsonObject, patterns: readonly PathPattern[]): readonly PathPatternMatches[] {
  const results = patterns.map((): Result => ({ paths: [], problem: undefined, depth: Number.POSITIVE_INFINITY }));
  const path: (string | number)[] = [];

  function visit({ steps, ends }: PatternNode, value: unknown): void {
    for (const index of ends) results[index]?.paths.push([...path]);
    for (const [step, next] of steps) {
      if (step === everyItem ? Array.isArray(value) : isObject(value)) enter(step, next, value as JsonObject | readonly unknown[]);
      else reject(next, `must be ${step === everyItem ? 'a list' : 'an object'}, but is ${nameType(value)}`);
    }
  }

  function enter(step: PathPatternStep, next: PatternNode, value: JsonObject | readonly unknown[]): void {
    if (Array.isArray(value)) for (let index = 0; index < value.length; index++) descend(index, next, value[index]);
    else if (typeof step !== 'string') for (const key of Object.keys(value)) descend(key, next, (value as JsonObject)[key]);
    else if (Object.hasOwn(value, step)) descend(step, next, (value as JsonObject)[step]);
  }

  function descend(key: string | number, next: PatternNode, value: unknown): void {
    if (isAbsent(value)) return;
    path.push(key);
    visit(next, value);
    path.pop();
  }

  function reject({ patterns: concerned }: PatternNode, message: string): void {
    for (const index of concerned) {
      const result = results[index];
      if (!result || result.depth <= path.length) continue;
      result.problem = problemAt(path, message);
      result.depth = path.length;
    }
  }

  visit(combine(patterns), root);
  return results.map(({ paths, problem }) => (problem ? { ok: false, problem } : { ok: true, paths }));
}

type Result = { readonly paths: Path[]; problem: MalformedObject | undefined; depth: number };

/** Patterns by their steps. */
type PatternNode = {
  readonly steps: Map<PathPatternStep, PatternNode>;
  /** The indexes of the patterns that end here, and of all that lead here. */
  readonly ends: number[];
  readonly patterns: number[];
};

function combine(patterns: readonly PathPattern[]): PatternNode {
  const root: PatternNode = { steps: new Map(), ends: [], patterns: [] };
  for (const [index, pattern] of patterns.entries()) {
    let node = root;
    for (const step of pattern) {
      const next: PatternNode = node.steps.get(step) ?? { steps: new Map(), ends: [], patterns: [] };
      node.steps.set(step, next);
      next.patterns.push(index);
      node = next;
    }
    node.ends.push(index);
  }
  return root;
}

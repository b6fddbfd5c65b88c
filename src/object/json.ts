/** Objects arrive as parsed JSON that nobody has checked: these readers never trust a type, and never walk a prototype. */

export type JsonObject = { readonly [key: string]: unknown };

/** Keys and array indexes from the object's root to one value. */
export type Path = readonly (string | number)[];

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at the path, looking at own properties only: a key `__proto__` or `constructor` is data like any other. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (Array.isArray(value)) value = typeof step === 'number' ? value[step] : undefined;
    else if (isObject(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** A string with something in it, else undefined. */
export function textAt(root: unknown, path: Path): string | undefined {
  const value = valueAt(root, path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Absent and null are the same thing to the API server, and to us. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** `spec.template.spec.containers[0].image`, the way the API server's own messages write a field. */
export function renderPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** Characters. The API server accepts 256 KiB of annotations on an object (apimachinery api/validation, TotalAnnotationSizeLimitB). */
const longestJsonText = 262_144;

/** The value of a JSON text that stands in an object, such as an annotation. Undefined where it is absent, longer than an annotation can be, or no JSON. */
export function parseJsonText(text: unknown): unknown {
  if (typeof text !== 'string' || text === '' || text.length > longestJsonText) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Requests and manifests are refused at less than this; deeper values would overflow the stack sooner or later. */
const deepestCompared = 1_000;

/**
 * Equality of two JSON values; the order of keys does not count, null and an absent key are the same. Values that are nested deeper than
 * 1,000 levels count as different.
 */
export function sameJson(left: unknown, right: unknown, depth = 0): boolean {
  if (left === right) return true;
  if (isAbsent(left) && isAbsent(right)) return true;
  if (depth >= deepestCompared) return false;
  if (Array.isArray(left)) {
    return Array.isArray(right) && left.length === right.length && left.every((item, index) => sameJson(item, right[index], depth + 1));
  }
  if (!isObject(left) || !isObject(right)) return false;
  for (const key of Object.keys(left)) {
    if (!sameJson(left[key], Object.hasOwn(right, key) ? right[key] : undefined, depth + 1)) return false;
  }
  for (const key of Object.keys(right)) {
    if (!Object.hasOwn(left, key) && !isAbsent(right[key])) return false;
  }
  return true;
}

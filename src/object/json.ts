/** Reads values of parsed JSON that has not been validated: checks every type, and never follows the prototype chain. */

export type JsonObject = { readonly [key: string]: unknown };

/** Keys and array indexes from the object's root to one value. */
export type Path = readonly (string | number)[];

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at the path, from own properties only: a key `__proto__` or `constructor` is data like any other. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (Array.isArray(value)) value = typeof step === 'number' ? value[step] : undefined;
    else if (isObject(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** The string at the path. Undefined if it is empty, or not a string. */
export function textAt(root: unknown, path: Path): string | undefined {
  const value = valueAt(root, path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The list at the path. Empty if it is absent, or not a list. */
export function listAt(root: unknown, path: Path): readonly unknown[] {
  const value = valueAt(root, path);
  return Array.isArray(value) ? value : [];
}

/** Null and absent mean the same, as for the API server. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** `spec.template.spec.containers[0].image`, as the API server writes a field in its messages. */
export function renderPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** Characters. The API server accepts 256 KiB of annotations per object (apimachinery api/validation, TotalAnnotationSizeLimitB). */
const longestJsonText = 262_144;

/** Parses a JSON text inside an object, such as an annotation. Undefined if it is absent, longer than an annotation can be, or not JSON. */
export function parseJsonText(text: unknown): unknown {
  if (typeof text !== 'string' || text === '' || text.length > longestJsonText) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Levels. Requests and manifests are rejected at a lower depth. Without a limit, deep values could overflow the stack. */
const deepestCompared = 1_000;

/**
 * Whether two JSON values are equal. The order of keys does not matter, and null equals an absent key. Values nested deeper than 1,000
 * levels are different.
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

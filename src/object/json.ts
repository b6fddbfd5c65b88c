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

/** Equality of two JSON values; the order of keys does not count, null and an absent key are the same. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (isAbsent(left) && isAbsent(right)) return true;
  if (Array.isArray(left)) {
    return Array.isArray(right) && left.length === right.length && left.every((item, index) => sameJson(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  for (const key of Object.keys(left)) {
    if (!sameJson(left[key], Object.hasOwn(right, key) ? right[key] : undefined)) return false;
  }
  for (const key of Object.keys(right)) {
    if (!Object.hasOwn(left, key) && !isAbsent(right[key])) return false;
  }
  return true;
}

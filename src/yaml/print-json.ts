/** Prints JSON with bigints as plain numbers. */

/** Bigints are integers beyond 2^53. `indent` is the number of spaces per level, or 0 for one line. */
export function printJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? json.rawJSON(String(each)) : each), indent);
}

// In Node.js since version 21, but not yet in the type library that this project compiles against.
const json = JSON as typeof JSON & { rawJSON(text: string): object };

/** JSON in which integers beyond 2^53, bigints here, stand as the plain numbers they were. `indent` in blanks; without it one line. */
export function printJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? json.rawJSON(String(each)) : each), indent);
}

// Newer than the library that TypeScript compiles against; in Node.js since 21.
const json = JSON as typeof JSON & { rawJSON(text: string): object };

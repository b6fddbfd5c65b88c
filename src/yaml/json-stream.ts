/** Splits a stream of JSON objects into parts that a YAML parser can read one by one. */

export type TextPart = {
  readonly text: string;
  /** 1-based line of the whole text on which the part begins. */
  readonly line: number;
};

/**
 * Splits concatenated JSON objects, as `jq '.items[]'` prints them, into one part per object, because a YAML parser accepts only one. Any
 * other text is returned as one part. Takes time linear in the length of the text.
 */
export function splitJsonStream(text: string): readonly TextPart[] {
  const whole = [{ text, line: 1 }];
  // A template, such as of a Helm chart, begins with two braces.
  if (!/^\ufeff?\s*\{(?!\{)/.test(text)) return whole;
  const ends: number[] = [];
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"?|[{}]|[^{}"\s]+/gs)) {
    if (token === '{') depth += 1;
    else if (token === '}' && --depth === 0) ends.push(index + 1);
    // Other text between two objects: not a stream of JSON objects, but possibly YAML.
    else if (depth <= 0) return whole;
  }
  if (depth !== 0 || ends.length < 2) return whole;

  let start = 0;
  let line = 1;
  let indent = '';
  return ends.map((end) => {
    const lines = text.slice(start, end).split('\n');
    // If the previous object ends on the same line, spaces replace it, so that columns match the whole text.
    const part = { text: indent + lines.join('\n'), line };
    line += lines.length - 1;
    indent = ' '.repeat((lines.length > 1 ? 0 : indent.length) + (lines.at(-1)?.length ?? 0));
    start = end;
    return part;
  });
}

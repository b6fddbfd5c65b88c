/** Texts of several JSON objects as parts, which YAML's parser can read one by one. */
export type TextPart = {
  readonly text: string;
  /** 1-based line in which the part begins. */
  readonly line: number;
};

/**
 * JSON objects one after the other, as `jq '.items[]'` prints them, each for itself; YAML's parser takes only one. Any other text is one part.
 * Linear in the text.
 */
export function splitJsonStream(text: string): readonly TextPart[] {
  const whole = [{ text, line: 1 }];
  if (!/^\ufeff?\s*\{/.test(text)) return whole;
  const ends: number[] = [];
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"?|[{}]|[^{}"\s]+/gs)) {
    if (token === '{') depth += 1;
    else if (token === '}' && --depth === 0) ends.push(index + 1);
    // Something between two objects: no stream, but perhaps YAML.
    else if (depth <= 0) return whole;
  }
  if (depth !== 0 || ends.length < 2) return whole;

  let start = 0;
  let line = 1;
  let indent = '';
  return ends.map((end) => {
    const lines = text.slice(start, end).split('\n');
    // Blanks where the object before it stands in the same line, so that columns are those of the whole text.
    const part = { text: indent + lines.join('\n'), line };
    line += lines.length - 1;
    indent = ' '.repeat((lines.length > 1 ? 0 : indent.length) + (lines.at(-1)?.length ?? 0));
    start = end;
    return part;
  });
}

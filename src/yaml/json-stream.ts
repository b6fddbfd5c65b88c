/** Splits a stream of JSON objects into parts that can be read one by one. */
import { closingBrace, endOfString, openingBrace, quote } from './json-scan.ts';

export type TextPart = {
  readonly text: string;
  /** 1-based line of the whole text on which the part begins. */
  readonly line: number;
};

/**
 * Splits concatenated JSON objects, as `jq '.items[]'` prints them, into one part per object, because a parser accepts only one. Any other
 * text is returned as one part. Takes time linear in the length of the text.
 */
export function splitJsonStream(text: string): readonly TextPart[] {
  const whole = [{ text, line: 1 }];
  // A template, such as of a Helm chart, begins with two braces.
  if (!/^\ufeff?\s*\{(?!\{)/.test(text)) return whole;
  const ends = endsOfObjects(text);
  if (!ends || ends.length < 2) return whole;

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

/** Undefined if there is other text between two objects, or after the last one: not a stream of JSON objects, but possibly YAML. */
function endsOfObjects(text: string): readonly number[] | undefined {
  const ends: number[] = [];
  let depth = 0;
  for (let at = text.startsWith('\ufeff') ? 1 : 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === openingBrace) depth += 1;
    else if (code === closingBrace) {
      depth -= 1;
      if (depth === 0) ends.push(at + 1);
      else if (depth < 0) return undefined;
    } else if (code === quote && depth > 0) at = endOfString(text, at);
    else if (depth === 0 && !isSpace(text, at)) return undefined;
  }
  return depth === 0 ? ends : undefined;
}

function isSpace(text: string, at: number): boolean {
  return /\s/.test(text.charAt(at));
}

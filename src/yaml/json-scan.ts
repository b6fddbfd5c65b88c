/** Walks over the text of valid JSON, or of JSON objects one after the other, without parsing it. */

/** The index of the quotation mark that closes the string whose opening one is at `start`. The length of the text if none does. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

/** The index after the value that begins at `start`. Expects valid JSON. */
export function endOfValue(text: string, start: number): number {
  switch (text.charCodeAt(start)) {
    case quote:
      return endOfString(text, start) + 1;
    case openingBrace:
    case openingBracket:
      return endOfContainer(text, start);
    default:
      return endOfLiteral(text, start);
  }
}

function endOfContainer(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at);
        break;
      case openingBrace:
      case openingBracket:
        depth += 1;
        break;
      case closingBrace:
      case closingBracket:
        depth -= 1;
        if (depth === 0) return at + 1;
        break;
    }
  }
  return text.length;
}

/** The index after the number or word that begins at `start`. */
export function endOfLiteral(text: string, start: number): number {
  let end = start;
  while (end < text.length && !endsLiteral(text.charCodeAt(end))) end += 1;
  return end;
}

function endsLiteral(code: number): boolean {
  return code === comma || code === closingBrace || code === closingBracket || isWhiteSpace(code);
}

export function skipWhiteSpace(text: string, start: number): number {
  let at = start;
  while (isWhiteSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

export const quote = 0x22;
export const comma = 0x2c;
export const colon = 0x3a;
export const openingBracket = 0x5b;
const backslash = 0x5c;
export const closingBracket = 0x5d;
export const openingBrace = 0x7b;
export const closingBrace = 0x7d;

/**
 * Matches one label of a host with one of a key, as Go's path/filepath.Match does: `*` is any text, `[a-c]` one of these characters. The
 * remaining syntax of Match cannot occur: in Go's URLs a host has no backslash and no `^`, and a question mark ends it.
 */
export function labelMatches(glob: string, label: string): boolean {
  const tokens = tokenize(glob);
  if (!tokens) return false;
  const characters = [...label];
  // The last star that was passed takes one character more whenever what follows it does not match. So the work is bounded by the product
  // of the two lengths.
  let token = 0;
  let position = 0;
  let star = -1;
  let starPosition = 0;
  while (position < characters.length) {
    const expected = tokens[token];
    if (expected === anyText) {
      star = token++;
      starPosition = position;
    } else if (expected?.(characters[position] ?? '')) {
      token++;
      position++;
    } else {
      if (star < 0) return false;
      token = star + 1;
      position = ++starPosition;
    }
  }
  return tokens.slice(token).every((left) => left === anyText);
}

type OneCharacter = (character: string) => boolean;
const anyText = 'any text';

/** Undefined if a bracket is not closed or a range is not complete: Go matches nothing with such a pattern. */
function tokenize(glob: string): readonly (OneCharacter | typeof anyText)[] | undefined {
  const tokens: (OneCharacter | typeof anyText)[] = [];
  let left = glob;
  while (left !== '') {
    if (left.startsWith('[')) {
      // Each item is a character or a range of two, and neither may be a bracket or a dash.
      const [text, items] = /^\[((?:[^\]-](?:-[^\]-])?)+)\]/u.exec(left) ?? [];
      if (text === undefined || items === undefined) return undefined;
      const ranges = [...items.matchAll(/(.)(?:-(.))?/gu)].map(([, low = '', high = low]) => [low, high] as const);
      tokens.push((character) => ranges.some(([low, high]) => low <= character && character <= high));
      left = left.slice(text.length);
    } else {
      const [first = ''] = left;
      tokens.push(first === '*' ? anyText : (character) => character === first);
      left = left.slice(first.length);
    }
  }
  return tokens;
}

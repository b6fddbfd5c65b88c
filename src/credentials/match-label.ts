/**
 * Matches one label of a host with one of a key, as Go's path/filepath.Match does: `*` is any text. The remaining syntax of Match cannot
 * occur: in Go's URLs a host has no backslash, brackets are for addresses, and a question mark ends it.
 */
export function labelMatches(glob: string, label: string): boolean {
  // The last star that was passed takes one character more whenever what follows it does not match. So the work is bounded by the product
  // of the two lengths.
  let token = 0;
  let position = 0;
  let star = -1;
  let starPosition = 0;
  while (position < label.length) {
    if (glob[token] === '*') {
      star = token++;
      starPosition = position;
    } else if (glob[token] === label[position]) {
      token++;
      position++;
    } else {
      if (star < 0) return false;
      token = star + 1;
      position = ++starPosition;
    }
  }
  return /^\**$/.test(glob.slice(token));
}

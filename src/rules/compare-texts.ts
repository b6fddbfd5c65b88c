/** Compares texts for sorting, by UTF-16 code units: the order is the same on every machine, in every locale. */
export function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

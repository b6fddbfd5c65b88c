/** Lists in sentences. The rooms below certificates have no helper for them. */
const conjunction = new Intl.ListFormat('en-GB', { type: 'conjunction' });
const disjunction = new Intl.ListFormat('en-GB', { type: 'disjunction' });

/** `a`, `a and b`, `a, b and c`. */
export function allOf(words: readonly string[]): string {
  return conjunction.format(words);
}

/** `a`, `a or b`, `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  return disjunction.format(words);
}

import { type Term, termsMayOverlap, termsOf } from './namespaces.ts';
import { childOf, type ForNamespaces, rarestAskedFor } from './place-index.ts';

/** Two entries that may apply in one namespace, neither of them more specifically. */
export type Tie<Entry> = { readonly later: Placed<Entry>; readonly earlier: Placed<Entry> };

/** An entry, its place in the order given, and the term by which it applies. */
export type Placed<Entry> = { readonly entry: Entry; readonly order: number; readonly term: Term };

/**
 * Ties among entries that differ in their namespaces only: at most one for each entry, with the earliest one, in the order given.
 * `contradict` says whether two entries are at odds at all; two that are not at odds with a third must not be so with each other.
 * The cost grows with the entries and not with their square, but for globs that begin alike and label selectors that ask for no value.
 */
export function findTies<Entry extends ForNamespaces>(
  entries: readonly Entry[],
  contradict: (one: Entry, other: Entry) => boolean = () => true,
): readonly Tie<Entry>[] {
  if (entries.length < 2) return [];
  const placed = entries.flatMap((entry, order) => termsOf(entry.namespaces).map((term): Placed<Entry> => ({ entry, order, term })));
  const ties = new Map<number, Tie<Entry>>();
  for (const [one, other] of pairsOfOneRank(placed)) {
    const [earlier, later] = one.order < other.order ? [one, other] : [other, one];
    const known = ties.get(later.order);
    if (earlier.order === later.order || (known && known.earlier.order <= earlier.order)) continue;
    if (contradict(earlier.entry, later.entry) && termsMayOverlap(earlier.term, later.term)) ties.set(later.order, { later, earlier });
  }
  return [...ties.values()].sort((one, other) => one.later.order - other.later.order);
}

/** Every pair of equal rank that could overlap, and some more. */
function* pairsOfOneRank<Entry>(placed: readonly Placed<Entry>[]): Generator<readonly [Placed<Entry>, Placed<Entry>]> {
  for (const [first, ...others] of Map.groupBy(placed, nameOrRank).values()) {
    if (!first || others.length === 0) continue;
    if (first.term.kind === 'glob') yield* pairsOfGlobs([first, ...others]);
    else if (first.term.kind === 'labels') yield* pairsOfLabels([first, ...others]);
    // The same name, or everywhere: whoever ties with any ties with the first.
    else for (const other of others) yield [first, other];
  }
}

function nameOrRank<Entry>({ term }: Placed<Entry>): string {
  return `${term.kind} ${term.kind === 'name' ? term.name : term.rank}`;
}

/** Of two globs with a name in common one begins, up to its first star, as the other does. */
function* pairsOfGlobs<Entry>(globs: readonly Placed<Entry>[]): Generator<readonly [Placed<Entry>, Placed<Entry>]> {
  const byPrefix = Map.groupBy(globs, prefixOf);
  const lengths = new Set([...byPrefix.keys()].map(({ length }) => length));
  for (const glob of globs) {
    const prefix = prefixOf(glob);
    for (const length of lengths) {
      if (length <= prefix.length) for (const other of byPrefix.get(prefix.slice(0, length)) ?? []) yield [glob, other];
    }
  }
}

function prefixOf<Entry>({ term }: Placed<Entry>): string {
  return term.kind === 'glob' ? term.glob.slice(0, term.glob.indexOf('*')) : '';
}

/** Of two label selectors that hold one namespace, the second asks for a value that the first does, or for none of that key. */
function* pairsOfLabels<Entry>(selectors: readonly Placed<Entry>[]): Generator<readonly [Placed<Entry>, Placed<Entry>]> {
  const asking = new Map<string, Map<string, Placed<Entry>[]>>();
  for (const selector of selectors) {
    for (const { key, operator, values } of requirementsOf(selector)) {
      if (operator !== 'In') continue;
      const byValue = childOf(asking, key, () => new Map<string, Placed<Entry>[]>());
      for (const value of values) childOf(byValue, value, () => []).push(selector);
    }
  }
  const withoutKey = new Map<string, readonly Placed<Entry>[]>();
  const notAsking = (key: string) =>
    childOf(withoutKey, key, () => selectors.filter((selector) => !requirementsOf(selector).some((each) => isAskingFor(each, key))));
  const rarest = rarestAskedFor(selectors.map(requirementsOf));
  for (const [index, selector] of selectors.entries()) {
    const asked = rarest[index];
    const others = asked
      ? [...asked.values.flatMap((value) => asking.get(asked.key)?.get(value) ?? []), ...notAsking(asked.key)]
      : selectors;
    for (const other of others) yield [selector, other];
  }
}

function requirementsOf<Entry>({ term }: Placed<Entry>) {
  return term.kind === 'labels' ? term.requirements : [];
}

function isAskingFor(requirement: { readonly key: string; readonly operator: string }, key: string): boolean {
  return requirement.operator === 'In' && requirement.key === key;
}

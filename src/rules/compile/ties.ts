import { childOf, type ForNamespaces, rarestAskedFor } from '../match/namespace-index.ts';
import { type Term, termsMayOverlap, termsOf } from '../match/namespaces.ts';
import type { LabelRequirement } from '../rule-set.ts';

/** Two entries that may apply in one namespace, neither of them more specifically. */
export type Tie<Entry> = { readonly later: OrderedEntry<Entry>; readonly earlier: OrderedEntry<Entry> };

/** An entry, its place in the order given, and the term by which it applies. */
export type OrderedEntry<Entry> = { readonly entry: Entry; readonly order: number; readonly term: Term };

/**
 * Ties among entries that differ in their namespaces only: at most one for each entry, with one before it in the order given. `contradict`
 * says whether two entries are at odds at all; two that are not at odds with a third must not be so with each other.
 *
 * Ten thousand selectors are compared in about a tenth of a second where they are as they usually are: of one pattern for many teams.
 */
export function findTies<Entry extends ForNamespaces>(
  entries: readonly Entry[],
  contradict: (one: Entry, other: Entry) => boolean = () => true,
): readonly Tie<Entry>[] {
  if (entries.length < 2) return [];
  const placed = entries.flatMap((entry, order) => termsOf(entry.namespaces).map((term): OrderedEntry<Entry> => ({ entry, order, term })));
  const search = new TieSearch(contradict);
  for (const alike of Map.groupBy(placed, nameOrRank).values()) compareAlike(alike, search);
  return [...search.ties.values()].sort((one, other) => one.later.order - other.later.order);
}

class TieSearch<Entry> {
  readonly ties = new Map<number, Tie<Entry>>();
  private readonly contradict: (one: Entry, other: Entry) => boolean;

  constructor(contradict: (one: Entry, other: Entry) => boolean) {
    this.contradict = contradict;
  }

  compare(one: OrderedEntry<Entry>, other: OrderedEntry<Entry>): void {
    const [earlier, later] = one.order < other.order ? [one, other] : [other, one];
    if (earlier.order === later.order || this.ties.has(later.order)) return;
    if (this.contradict(earlier.entry, later.entry) && termsMayOverlap(earlier.term, later.term))
      this.ties.set(later.order, { later, earlier });
  }
}

/** Only terms of equal rank tie, and only the same of two exact names. */
function nameOrRank<Entry>({ term }: OrderedEntry<Entry>): string {
  return `${term.kind} ${term.kind === 'name' ? term.name : term.rank}`;
}

function compareAlike<Entry>(alike: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const [first, ...others] = alike;
  if (!first || others.length === 0) return;
  if (first.term.kind === 'glob') compareGlobs(alike, search);
  else if (first.term.kind === 'labels') compareLabels(alike, search);
  // The same name, or everywhere: whoever ties with any ties with the first.
  else for (const other of others) search.compare(first, other);
}

/**
 * Of two globs with a name in common one begins, up to its first star, as the other does, and one ends as the other does. So those that begin
 * with a letter are compared by their beginnings, and those that begin with a star with all by their ends.
 */
function compareGlobs<Entry>(globs: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const beginning = globs.filter((glob) => partsOf(glob)[0] !== '');
  compareByStem(beginning, beginning, (glob) => partsOf(glob)[0] ?? '', search);
  const starFirst = globs.filter((glob) => partsOf(glob)[0] === '');
  const reversedEnd = (glob: OrderedEntry<Entry>) => [...(partsOf(glob).at(-1) ?? '')].reverse().join('');
  compareByStem(starFirst, globs, reversedEnd, search);
  compareByStem(globs, starFirst, reversedEnd, search);
}

/** Compares each of `some` with those of `others` whose stem its own stem begins with. */
function compareByStem<Entry>(
  some: readonly OrderedEntry<Entry>[],
  others: readonly OrderedEntry<Entry>[],
  stemOf: (glob: OrderedEntry<Entry>) => string,
  search: TieSearch<Entry>,
): void {
  const byStem = Map.groupBy(others, stemOf);
  const lengths = new Set([...byStem.keys()].map(({ length }) => length));
  for (const one of some) {
    const stem = stemOf(one);
    for (const length of lengths) {
      if (length <= stem.length) for (const other of byStem.get(stem.slice(0, length)) ?? []) search.compare(one, other);
    }
  }
}

function partsOf<Entry>({ term }: OrderedEntry<Entry>): readonly string[] {
  return term.kind === 'glob' ? term.glob.split('*') : [];
}

/** Of two label selectors that hold one namespace, the second asks for a value of the first's rarest key that the first does, or for none. */
function compareLabels<Entry>(selectors: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const asking = new Map<string, Map<string, OrderedEntry<Entry>[]>>();
  const askedBy = new Map<string, Set<OrderedEntry<Entry>>>();
  for (const selector of selectors) {
    for (const { key, values } of requirementsOf(selector).filter(({ operator }) => operator === 'In')) {
      const byValue = childOf(asking, key, () => new Map<string, OrderedEntry<Entry>[]>());
      for (const value of values) childOf(byValue, value, () => []).push(selector);
      childOf(askedBy, key, () => new Set()).add(selector);
    }
  }
  const withoutKey = new Map<string, readonly OrderedEntry<Entry>[]>();
  const notAsking = (key: string) => {
    const some = askedBy.get(key);
    if (!some || some.size === 1) return selectors;
    return childOf(withoutKey, key, () => selectors.filter((selector) => !some.has(selector)));
  };
  const rarest = rarestAskedFor(selectors.map(requirementsOf));
  for (const [index, selector] of selectors.entries()) {
    const asked = rarest[index];
    const values = asked?.values.map((value) => asking.get(asked.key)?.get(value) ?? []) ?? [];
    for (const others of [...values, asked ? notAsking(asked.key) : selectors]) compareUntilTied(selector, others, search);
  }
}

function compareUntilTied<Entry>(one: OrderedEntry<Entry>, others: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  for (const other of others) {
    if (search.ties.has(one.order)) return;
    search.compare(one, other);
  }
}

function requirementsOf<Entry>({ term }: OrderedEntry<Entry>): readonly LabelRequirement[] {
  return term.kind === 'labels' ? term.requirements : [];
}

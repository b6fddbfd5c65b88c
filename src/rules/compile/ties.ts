/** Finds entries that may apply in the same namespace, neither more specifically than the other. */
import { type ForNamespaces, getOrCreate, rarestRequirements } from '../match/namespace-index.ts';
import { agreeAtEnds, type Term, termsMayOverlap, termsOf } from '../match/namespaces.ts';
import type { LabelRequirement } from '../rule-set.ts';

/** Two entries that may apply in one namespace, neither more specifically than the other. */
export type Tie<Entry> = { readonly later: OrderedEntry<Entry>; readonly earlier: OrderedEntry<Entry> };

/** An entry, its index in the input, and one of the terms of its selector. */
export type OrderedEntry<Entry> = { readonly entry: Entry; readonly order: number; readonly term: Term };

/**
 * How often two selectors may still be compared. If it is used up, not all ties are found, and the rules must be rejected. The same for all
 * entries of a rule set, since a caller may send any rules for review.
 */
export type TieBudget = { comparisons: number };

/** Together they take about a second. 1,000 patterns with one beginning and equally many characters need one million. */
export function newTieBudget(): TieBudget {
  return { comparisons: 4_000_000 };
}

/**
 * Ties among entries that differ in their namespaces only: at most one for each entry, with an entry before it in the input. `contradict`
 * returns whether two entries conflict at all. Two entries that do not conflict with a third must not conflict with each other.
 *
 * Usually there is one pattern with selectors for many teams. Then ten thousand selectors are compared in about 0.1 s.
 */
export function findTies<Entry extends ForNamespaces>(
  entries: readonly Entry[],
  contradict: (one: Entry, other: Entry) => boolean = () => true,
  budget = newTieBudget(),
): readonly Tie<Entry>[] {
  if (entries.length < 2) return [];
  const ordered = entries.flatMap((entry, order) => termsOf(entry.namespaces).map((term): OrderedEntry<Entry> => ({ entry, order, term })));
  const search = new TieSearch(contradict, budget);
  for (const alike of Map.groupBy(ordered, nameOrRank).values()) compareAlike(alike, search);
  return [...search.ties.values()].sort((one, other) => one.later.order - other.later.order);
}

class TieSearch<Entry> {
  readonly ties = new Map<number, Tie<Entry>>();
  private readonly contradict: (one: Entry, other: Entry) => boolean;
  private readonly budget: TieBudget;

  constructor(contradict: (one: Entry, other: Entry) => boolean, budget: TieBudget) {
    this.contradict = contradict;
    this.budget = budget;
  }

  get isExhausted(): boolean {
    return this.budget.comparisons < 0;
  }

  compare(one: OrderedEntry<Entry>, other: OrderedEntry<Entry>): void {
    this.budget.comparisons -= costOf(one.term, other.term);
    const [earlier, later] = one.order < other.order ? [one, other] : [other, one];
    if (earlier.order === later.order || this.ties.has(later.order)) return;
    if (this.contradict(earlier.entry, later.entry) && termsMayOverlap(earlier.term, later.term))
      this.ties.set(later.order, { later, earlier });
  }
}

/** Two patterns with compatible ends need a table of their characters, of which 50 entries take about as long as another comparison. */
function costOf(one: Term, other: Term): number {
  if (one.kind !== 'glob' || other.kind !== 'glob' || !agreeAtEnds(one.glob, other.glob)) return 1;
  return 1 + (one.glob.length * other.glob.length) / 50;
}

/** Only terms of equal rank tie, and exact names only with the same name. */
function nameOrRank<Entry>({ term }: OrderedEntry<Entry>): string {
  return `${term.kind} ${term.kind === 'name' ? term.name : term.rank}`;
}

function compareAlike<Entry>(alike: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const [first, ...others] = alike;
  if (!first || others.length === 0) return;
  if (first.term.kind === 'glob') compareGlobs(alike, search);
  else if (first.term.kind === 'labels') compareLabels(alike, search);
  // The same name, or everywhere: an entry that ties with any of them ties with the first.
  else for (const other of others) search.compare(first, other);
}

/**
 * If two globs match a common name, the text before the first star of one is a prefix of that of the other. The same holds for their ends.
 * So globs that begin with a literal are compared by their beginnings. Globs that begin with a star are compared with all globs by their
 * ends.
 */
function compareGlobs<Entry>(globs: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const beginning = globs.filter((glob) => partsOf(glob)[0] !== '');
  compareByStem(beginning, beginning, (glob) => partsOf(glob)[0] ?? '', search);
  const starFirst = globs.filter((glob) => partsOf(glob)[0] === '');
  const reversedEnd = (glob: OrderedEntry<Entry>) => [...(partsOf(glob).at(-1) ?? '')].reverse().join('');
  compareByStem(starFirst, globs, reversedEnd, search);
  compareByStem(globs, starFirst, reversedEnd, search);
}

/** Compares each of `some` with those of `others` whose stem is a prefix of the first one's stem. */
function compareByStem<Entry>(
  some: readonly OrderedEntry<Entry>[],
  others: readonly OrderedEntry<Entry>[],
  stemOf: (glob: OrderedEntry<Entry>) => string,
  search: TieSearch<Entry>,
): void {
  const byStem = Map.groupBy(others, stemOf);
  const lengths = new Set([...byStem.keys()].map(({ length }) => length));
  for (const one of some) {
    if (search.isExhausted) return;
    const stem = stemOf(one);
    for (const length of lengths) {
      if (length <= stem.length) for (const other of byStem.get(stem.slice(0, length)) ?? []) search.compare(one, other);
    }
  }
}

function partsOf<Entry>({ term }: OrderedEntry<Entry>): readonly string[] {
  return term.kind === 'glob' ? term.glob.split('*') : [];
}

/**
 * Compares each selector only with those that may match the same namespace. Such a selector requires a value of the first one's rarest key
 * that the first one requires too, or no value of that key.
 */
function compareLabels<Entry>(selectors: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const asking = new Map<string, Map<string, OrderedEntry<Entry>[]>>();
  const askedBy = new Map<string, Set<OrderedEntry<Entry>>>();
  for (const selector of selectors) {
    for (const { key, values } of requirementsOf(selector).filter(({ operator }) => operator === 'In')) {
      const byValue = getOrCreate(asking, key, () => new Map<string, OrderedEntry<Entry>[]>());
      for (const value of values) getOrCreate(byValue, value, () => []).push(selector);
      getOrCreate(askedBy, key, () => new Set()).add(selector);
    }
  }
  const withoutKey = new Map<string, readonly OrderedEntry<Entry>[]>();
  const notAsking = (key: string) => {
    const some = askedBy.get(key);
    if (!some || some.size === 1) return selectors;
    return getOrCreate(withoutKey, key, () => selectors.filter((selector) => !some.has(selector)));
  };
  const rarest = rarestRequirements(selectors.map(requirementsOf));
  for (const [index, selector] of selectors.entries()) {
    const asked = rarest[index];
    const values = asked?.values.map((value) => asking.get(asked.key)?.get(value) ?? []) ?? [];
    for (const others of [...values, asked ? notAsking(asked.key) : selectors]) compareUntilTied(selector, others, search);
  }
}

function compareUntilTied<Entry>(one: OrderedEntry<Entry>, others: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  for (const other of others) {
    if (search.ties.has(one.order) || search.isExhausted) return;
    search.compare(one, other);
  }
}

function requirementsOf<Entry>({ term }: OrderedEntry<Entry>): readonly LabelRequirement[] {
  return term.kind === 'labels' ? term.requirements : [];
}

/** Finds entries that may apply in the same namespace, neither more specifically than the other. */
import { type ForNamespaces, getOrCreate, rarestRequirements } from '../match/namespace-index.ts';
import { type Term, termsMayOverlap, termsOf } from '../match/namespaces.ts';
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

/** Together they take about a second. */
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
    const [earlier, later] = one.order < other.order ? [one, other] : [other, one];
    this.budget.comparisons -= costOfSkipping;
    if (earlier.order === later.order || this.ties.has(later.order) || !this.contradict(earlier.entry, later.entry)) return;
    this.budget.comparisons -= costOf(one.term, other.term);
    if (termsMayOverlap(earlier.term, later.term)) this.ties.set(later.order, { later, earlier });
  }

  skip(): void {
    this.budget.comparisons -= costOfSkipping;
  }

  lookUp(): void {
    this.budget.comparisons -= costOfLookup;
  }
}

/** Of two entries that cannot tie or need not be compared again. */
const costOfSkipping = 0.15;
const costOfLookup = 0.5;

/** Requirements and values of labels are compared one by one. */
function costOf(one: Term, other: Term): number {
  if (one.kind !== 'labels' || other.kind !== 'labels') return 1;
  const requirements = one.requirements.length + other.requirements.length;
  return 1 + requirements / 2 + Math.min(valuesOf(one.requirements), valuesOf(other.requirements)) / 5;
}

function valuesOf(requirements: readonly LabelRequirement[]): number {
  let count = 0;
  for (const { values } of requirements) count += values.length;
  return count;
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
 * So globs that begin with a literal are compared by their beginnings, then by their ends. Globs that begin with a star are compared with all
 * globs by their ends.
 */
function compareGlobs<Entry>(globs: readonly OrderedEntry<Entry>[], search: TieSearch<Entry>): void {
  const beginningOf = (glob: OrderedEntry<Entry>) => partsOf(glob)[0] ?? '';
  const endOf = (glob: OrderedEntry<Entry>) => [...(partsOf(glob).at(-1) ?? '')].reverse().join('');
  const beginning = globs.filter((glob) => beginningOf(glob) !== '');
  const starFirst = globs.filter((glob) => beginningOf(glob) === '');
  compareByStems(beginning, beginning, [beginningOf, endOf], search);
  compareByStems(starFirst, globs, [endOf, beginningOf], search);
  compareByStems(beginning, starFirst, [endOf, beginningOf], search);
}

type StemOf<Entry> = (glob: OrderedEntry<Entry>) => string;

/**
 * Compares each of `some` with those of `others` whose first stem is a prefix of its own first stem, and of whose second stems one is a prefix
 * of the other.
 */
function compareByStems<Entry>(
  some: readonly OrderedEntry<Entry>[],
  others: readonly OrderedEntry<Entry>[],
  [firstOf, secondOf]: readonly [StemOf<Entry>, StemOf<Entry>],
  search: TieSearch<Entry>,
): void {
  const byFirst = new Map([...Map.groupBy(others, firstOf)].map(([stem, alike]) => [stem, new StemIndex(alike, secondOf)]));
  const lengths = new Set([...byFirst.keys()].map(({ length }) => length));
  for (const one of some) {
    const [first, second] = [firstOf(one), secondOf(one)];
    for (const length of lengths) {
      if (search.isExhausted) return;
      if (length > first.length) continue;
      for (const other of byFirst.get(first.slice(0, length))?.compatibleWith(second, search) ?? []) search.compare(one, other);
    }
  }
}

/** Globs by one of their stems. */
class StemIndex<Entry> {
  private readonly byStem: ReadonlyMap<string, readonly OrderedEntry<Entry>[]>;
  private readonly lengths: ReadonlySet<number>;
  private readonly sorted: readonly string[];

  constructor(globs: readonly OrderedEntry<Entry>[], stemOf: StemOf<Entry>) {
    this.byStem = Map.groupBy(globs, stemOf);
    this.sorted = [...this.byStem.keys()].sort();
    this.lengths = new Set(this.sorted.map(({ length }) => length));
  }

  /** Globs whose stem is a prefix of this one or begins with it, in the order of the entries. */
  compatibleWith(stem: string, search: TieSearch<Entry>): readonly OrderedEntry<Entry>[] {
    const found: (readonly OrderedEntry<Entry>[])[] = [];
    for (const length of this.lengths) {
      if (length > stem.length) continue;
      search.lookUp();
      const alike = this.byStem.get(stem.slice(0, length));
      if (alike) found.push(alike);
    }
    for (let index = this.firstAfter(stem); this.sorted[index]?.startsWith(stem); index++) {
      search.lookUp();
      found.push(this.byStem.get(this.sorted[index] ?? '') ?? []);
    }
    return found.length === 1 ? (found[0] ?? []) : found.flat().sort((one, other) => one.order - other.order);
  }

  /** The index of the first stem that is greater. */
  private firstAfter(stem: string): number {
    let [from, to] = [0, this.sorted.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.sorted[middle] ?? '') > stem) to = middle;
      else from = middle + 1;
    }
    return from;
  }
}

function partsOf<Entry>({ term }: OrderedEntry<Entry>): readonly string[] {
  return term.kind === 'glob' ? term.parts : [];
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
    // It was compared with all others before, unless it was found to tie itself.
    if (other.order < one.order && !search.ties.has(other.order)) search.skip();
    else search.compare(one, other);
  }
}

function requirementsOf<Entry>({ term }: OrderedEntry<Entry>): readonly LabelRequirement[] {
  return term.kind === 'labels' ? term.requirements : [];
}

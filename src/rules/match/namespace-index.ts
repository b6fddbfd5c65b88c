/** Indexes entries by their namespaces: finds the most specific one for a namespace. */
import type { LabelRequirement, NamespaceContext, NamespaceSelector } from '../rule-set.ts';
import { globMatches, labelOf, labelsMatch, renderSelector, termsOf, unknownLabel } from './namespaces.ts';

/** Anything that may apply to some namespaces only. */
export type ForNamespaces = { readonly namespaces?: NamespaceSelector };

/** An entry, and how specifically it matches the namespace: `rank` is as in {@link Term}. */
export type Ranked<Entry> = { readonly entry: Entry; readonly rank: number };

/**
 * Entries that differ in their namespaces only. A lookup costs the same for one entry as for a thousand that have different names or
 * labels. Only globs with the same beginning or end, and selectors that require no label value, are compared one by one.
 *
 * Of entries that tie (see `findTies`) any one may be found, so callers reject ties.
 */
export class NamespaceIndex<Entry extends ForNamespaces> {
  private everywhere: Ranked<Entry> | undefined;
  private byName: Map<string, Ranked<Entry>> | undefined;
  private globs: GlobIndex<Entry> | undefined;
  private labels: LabelIndex<Entry> | undefined;

  add(entry: Entry): void {
    for (const term of termsOf(entry.namespaces)) {
      const ranked = { entry, rank: term.rank };
      switch (term.kind) {
        case 'everywhere':
          this.everywhere = ranked;
          break;
        case 'name':
          this.byName ??= new Map();
          this.byName.set(term.name, ranked);
          break;
        case 'glob':
          this.globs ??= new GlobIndex();
          this.globs.add({ entry, rank: term.rank, parts: term.parts });
          break;
        case 'labels':
          this.labels ??= new LabelIndex();
          this.labels.add({ ...ranked, requirements: term.requirements, text: renderSelector(entry.namespaces) });
          break;
      }
    }
  }

  /** Whether `find` searches globs or label selectors, and so takes longer the more there are. */
  get isSearched(): boolean {
    return this.globs !== undefined || this.labels !== undefined;
  }

  get selectsByLabels(): boolean {
    return this.labels !== undefined;
  }

  /** The most specific entry that certainly applies in the namespace. */
  find(context: NamespaceContext): Ranked<Entry> | undefined {
    // Most entries apply to every namespace, and then the other indexes do not exist.
    return this.byName?.get(context.namespace) ?? this.globs?.find(context.namespace) ?? this.labels?.find(context) ?? this.everywhere;
  }

  /** Entries with a higher rank than `above` that might apply, depending on unknown labels. The most specific comes first. */
  undecided(context: NamespaceContext, above: number): readonly Ranked<Entry>[] {
    return context.labels || !this.labels ? empty : this.labels.undecided(context, above);
  }
}

const empty: readonly never[] = [];

type IndexedGlob<Entry> = Ranked<Entry> & { readonly parts: readonly string[] };

/** Globs by the text before their first star, or if that is empty, by the text after their last star. */
class GlobIndex<Entry> {
  private readonly byBeginning = new Map<string, IndexedGlob<Entry>[]>();
  private readonly byEnd = new Map<string, IndexedGlob<Entry>[]>();
  private readonly beginnings = new Set<number>();
  private readonly ends = new Set<number>();

  add(glob: IndexedGlob<Entry>): void {
    const beginning = glob.parts[0] ?? '';
    const stem = beginning || (glob.parts.at(-1) ?? '');
    const byStem = beginning ? this.byBeginning : this.byEnd;
    const alike = byStem.get(stem);
    if (alike) alike.push(glob);
    // An empty list that grows has room for 17 entries, and most globs have their own stem.
    else byStem.set(stem, [glob]);
    (beginning ? this.beginnings : this.ends).add(stem.length);
  }

  find(namespace: string): Ranked<Entry> | undefined {
    let best: IndexedGlob<Entry> | undefined;
    for (const length of this.beginnings) best = bestOf(this.byBeginning.get(namespace.slice(0, length)), namespace, best);
    for (const length of this.ends) best = bestOf(this.byEnd.get(namespace.slice(Math.max(0, namespace.length - length))), namespace, best);
    return best;
  }
}

function bestOf<Entry>(globs: readonly IndexedGlob<Entry>[] | undefined, namespace: string, best: IndexedGlob<Entry> | undefined) {
  let found = best;
  for (const glob of globs ?? empty) if ((!found || glob.rank > found.rank) && globMatches(glob.parts, namespace)) found = glob;
  return found;
}

type IndexedLabels<Entry> = Ranked<Entry> & {
  readonly requirements: readonly LabelRequirement[];
  /** A sort key for selectors of one rank, independent of the order of the rules. */
  readonly text: string;
};

/** Label selectors by the rarest label that each requires. */
class LabelIndex<Entry> {
  private readonly all: IndexedLabels<Entry>[] = [];
  private sorted: LabelBuckets<Entry> | undefined;

  add(labels: IndexedLabels<Entry>): void {
    this.all.push(labels);
    this.sorted = undefined;
  }

  find(context: NamespaceContext): Ranked<Entry> | undefined {
    let best: IndexedLabels<Entry> | undefined;
    for (const labels of this.candidates(context)) {
      if ((!best || labels.rank > best.rank) && labelsMatch(labels.requirements, context) === true) best = labels;
    }
    return best;
  }

  undecided(context: NamespaceContext, above: number): readonly Ranked<Entry>[] {
    return this.all
      .filter(({ rank, requirements }) => rank > above && labelsMatch(requirements, context) === 'unknown')
      .sort((one, other) => other.rank - one.rank || (one.text < other.text ? -1 : 1));
  }

  /** All selectors that might match. Selectors that require another value of a known label are left out. */
  private candidates(context: NamespaceContext): readonly IndexedLabels<Entry>[] {
    this.sorted ??= sortIntoBuckets(this.all);
    const { byKey, others } = this.sorted;
    let found: readonly IndexedLabels<Entry>[] = others;
    for (const [key, byValue] of byKey) {
      const value = labelOf(context, key);
      const asked = value === undefined || value === unknownLabel ? undefined : byValue.get(value);
      if (asked) found = found.length > 0 ? [...found, ...asked] : asked;
    }
    return found;
  }
}

type LabelBuckets<Entry> = {
  readonly byKey: ReadonlyMap<string, ReadonlyMap<string, readonly IndexedLabels<Entry>[]>>;
  /** Selectors that require no label value. */
  readonly others: readonly IndexedLabels<Entry>[];
};

function sortIntoBuckets<Entry>(all: readonly IndexedLabels<Entry>[]): LabelBuckets<Entry> {
  const byKey = new Map<string, Map<string, IndexedLabels<Entry>[]>>();
  const others: IndexedLabels<Entry>[] = [];
  const rarest = rarestRequirements(all.map(({ requirements }) => requirements));
  for (const [index, labels] of all.entries()) {
    const asked = rarest[index];
    if (!asked) others.push(labels);
    for (const value of asked?.values ?? empty) {
      const byValue = getOrCreate(byKey, asked?.key ?? '', () => new Map<string, IndexedLabels<Entry>[]>());
      getOrCreate(byValue, value, () => []).push(labels);
    }
  }
  return { byKey, others };
}

/**
 * For each list of requirements its `In` requirement whose values the fewest other lists contain. Undefined if a list has no `In`. If a
 * thousand teams have rules for `env=prod` and for their own team label, that is the team label.
 */
export function rarestRequirements(lists: readonly (readonly LabelRequirement[])[]): readonly (LabelRequirement | undefined)[] {
  const counts = new Map<string, Map<string, number>>();
  const asking = (requirements: readonly LabelRequirement[]) => requirements.filter(({ operator }) => operator === 'In');
  for (const { key, values } of lists.flatMap(asking)) {
    const ofKey = getOrCreate(counts, key, () => new Map<string, number>());
    for (const value of values) ofKey.set(value, (ofKey.get(value) ?? 0) + 1);
  }
  const sharedBy = ({ key, values }: LabelRequirement) => values.reduce((sum, value) => sum + (counts.get(key)?.get(value) ?? 0), 0);
  return lists.map((requirements) => {
    const asked = asking(requirements);
    return asked.length < 2 ? asked[0] : asked.reduce((one, other) => (sharedBy(other) < sharedBy(one) ? other : one));
  });
}

export function getOrCreate<Key, Child>(children: Map<Key, Child>, key: Key, create: () => Child): Child {
  const existing = children.get(key);
  if (existing !== undefined) return existing;
  const created = create();
  children.set(key, created);
  return created;
}

import type { ImageReference } from '../image/reference.ts';
import { rankIn } from './namespaces.ts';
import type { PatternHost, PatternPort, RegistryPattern } from './pattern.ts';
import { childOf, type ForNamespaces, PlaceIndex, type Ranked } from './place-index.ts';
import type { Place } from './ruleset.ts';

/** What an index keeps: anything with a pattern, with the trust that ranks its port, and with the namespaces it is for. */
export type Indexed = ForNamespaces & { readonly pattern: RegistryPattern; readonly trust: boolean };

/** What is looked up. */
export type Lookup = Pick<ImageReference, 'host' | 'port' | 'path'>;

/**
 * The winner, and where the labels of the namespace are not known and would count, the most specific entry that selects by them and could
 * have won. The winner is then the strictest: trusting entries of which nobody can say whether they apply do not, distrusting ones do.
 */
export type Match<Entry> = { readonly entry: Entry | undefined; readonly unsure: Entry | undefined };

/** Finds the most specific entry for a reference in a namespace. */
export type RuleIndex<Entry extends Indexed> = { match(reference: Lookup, place: Place): Match<Entry> };

/**
 * Builds the index. Of all entries whose pattern holds a reference and that apply in the namespace, the winner is decided by, in this order:
 *
 * 1. the host: a literal one, then `*.suffix` with the longer suffix first, then `*`;
 * 2. the port: a literal or default one before a trusting `:*`. A refusal of every port (a distrusting entry that names none) stands
 *    beside the literal ones here: otherwise `reg.io`, trusted on its default port, would outrank a refusal of `reg.io/evil`;
 * 3. the path: the longer one; of equal length, at the first segment from the left where they differ, the literal before `*`;
 * 4. the namespaces: an exact name, then the glob with more literal characters, then the selector with more label requirements, then none;
 * 5. the literal port before the refusal of every port.
 *
 * That is total but for entries with equal host, port and path whose namespaces tie; callers refuse such ties.
 *
 * Hosts are a trie over labels from the right, paths a trie over segments. Looking up walks the labels of the reference once, then its
 * segments once for each host node that applies; the number of rules does not count, but for `*` segments beside literal ones, which
 * double the branches that are followed.
 */
export function indexRules<Entry extends Indexed>(entries: readonly Entry[]): RuleIndex<Entry> {
  const root: HostNode<Entry> = newHostNode();
  for (const entry of entries) insert(root, entry);
  return {
    match({ host, port, path }, place) {
      const search = new Search<Entry>(port ?? 'default', path, place);
      for (const { literal, trustedAny } of portNodesFor(root, host)) {
        if (search.under(literal) || search.under(trustedAny)) break;
      }
      return search;
    },
  };
}

/** In what two entries that hold one reference in one namespace differ first, by the order of {@link indexRules}. */
export type Criterion = 'host' | 'port' | 'path' | 'namespaces' | 'every port';

/** Which of two entries that hold one reference in one namespace wins there, and by what; undefined where they tie. */
export function compareSpecificity(
  one: Indexed,
  other: Indexed,
  place: Place,
): { readonly firstWins: boolean; readonly by: Criterion } | undefined {
  for (const { by, rank } of criteria) {
    const difference = rank(one, other, place);
    if (difference !== 0) return { firstWins: difference > 0, by };
  }
  return undefined;
}

type Comparison = (one: Indexed, other: Indexed, place: Place) => number;

const criteria: readonly { readonly by: Criterion; readonly rank: Comparison }[] = [
  { by: 'host', rank: (one, other) => hostRank(one.pattern.host) - hostRank(other.pattern.host) },
  { by: 'port', rank: (one, other) => portRank(one) - portRank(other) },
  { by: 'path', rank: (one, other) => comparePaths(one.pattern.path, other.pattern.path) },
  { by: 'namespaces', rank: (one, other, place) => (rankIn(one.namespaces, place) ?? 0) - (rankIn(other.namespaces, place) ?? 0) },
  { by: 'every port', rank: (one, other) => Number(one.pattern.port !== 'any') - Number(other.pattern.port !== 'any') },
];

/** Both hold one host, so of two suffixes the longer is the more specific. */
function hostRank(host: PatternHost): number {
  return host.kind === 'exact' ? Number.MAX_SAFE_INTEGER : host.kind === 'suffix' ? host.name.length : 0;
}

function portRank({ pattern, trust }: Indexed): number {
  return isTrustedAny(pattern.port, trust) ? 0 : 1;
}

function comparePaths(one: readonly string[], other: readonly string[]): number {
  if (one.length !== other.length) return one.length - other.length;
  const different = one.findIndex((segment, index) => segment !== other[index]);
  return different < 0 ? 0 : one[different] === '*' ? -1 : 1;
}

function isTrustedAny(port: PatternPort, trust: boolean): boolean {
  return port === 'any' && trust;
}

type HostNode<Entry extends Indexed> = {
  readonly labels: Map<string, HostNode<Entry>>;
  /** Entries for just this host. */
  exact?: PortNode<Entry>;
  /** Entries for every host below this one; at the root, for every host. */
  below?: PortNode<Entry>;
};

/** The two ranks of ports, each with a trie of paths. */
type PortNode<Entry extends Indexed> = { readonly literal: PathNode<Entry>; readonly trustedAny: PathNode<Entry> };

type PathNode<Entry extends Indexed> = {
  readonly segments: Map<string, PathNode<Entry>>;
  star?: PathNode<Entry>;
  readonly byPort: Map<PatternPort, PlaceIndex<Entry>>;
};

function insert<Entry extends Indexed>(root: HostNode<Entry>, entry: Entry): void {
  const { host, port, path } = entry.pattern;
  const ports = portNodeOf(root, host);
  let node = isTrustedAny(port, entry.trust) ? ports.trustedAny : ports.literal;
  for (const segment of path) node = segment === '*' ? starOf(node) : childOf(node.segments, segment, newPathNode<Entry>);
  childOf(node.byPort, port, () => new PlaceIndex<Entry>()).add(entry);
}

function portNodeOf<Entry extends Indexed>(root: HostNode<Entry>, host: PatternHost): PortNode<Entry> {
  let node = root;
  if (host.kind !== 'any') for (const label of labelsFromRight(host.name)) node = childOf(node.labels, label, newHostNode<Entry>);
  if (host.kind === 'exact') {
    node.exact ??= newPortNode();
    return node.exact;
  }
  node.below ??= newPortNode();
  return node.below;
}

/** The port nodes whose host holds the given one, most specific first. */
function portNodesFor<Entry extends Indexed>(root: HostNode<Entry>, host: string): readonly PortNode<Entry>[] {
  const found: PortNode<Entry>[] = [];
  let node: HostNode<Entry> | undefined = root;
  for (const label of labelsFromRight(host)) {
    if (node.below) found.push(node.below);
    node = node.labels.get(label);
    if (!node) break;
  }
  if (node?.exact) found.push(node.exact);
  return found.reverse();
}

/** One lookup: told of tries of paths, most specific first, it keeps the first winner, and the first entry of which nobody can say. */
class Search<Entry extends Indexed> {
  entry: Entry | undefined;
  unsure: Entry | undefined;
  private readonly port: PatternPort;
  private readonly path: readonly string[];
  private readonly place: Place;

  constructor(port: PatternPort, path: readonly string[], place: Place) {
    this.port = port;
    this.path = path;
    this.place = place;
  }

  /** Looks below a root for the longest path that wins. */
  under(root: PathNode<Entry>): boolean {
    const earlier = this.unsure;
    this.unsure = undefined;
    this.look([root]);
    // Nodes of one depth, in order of preference: literal before star, the segments further left counting first.
    let nodes = [root];
    for (const segment of this.path) {
      const next: PathNode<Entry>[] = [];
      for (const node of nodes) {
        const literal = node.segments.get(segment);
        if (literal) next.push(literal);
        if (node.star) next.push(node.star);
      }
      if (next.length === 0) break;
      this.look(next);
      nodes = next;
    }
    // What was unsure before ranks above all that is found here.
    this.unsure = earlier ?? this.unsure;
    return this.entry !== undefined;
  }

  /** The winner at one depth outranks what was found less deep; where there is none, what is unsure here still does. */
  private look(nodes: readonly PathNode<Entry>[]): void {
    let unsure: Entry | undefined;
    for (const node of nodes) {
      const found = this.at(node);
      unsure ??= found.unsure;
      if (!found.entry) continue;
      this.entry = found.entry;
      this.unsure = unsure;
      return;
    }
    this.unsure = unsure ?? this.unsure;
  }

  private at({ byPort }: PathNode<Entry>): Match<Entry> {
    const { port, place } = this;
    const [literal, every] = [byPort.get(port), port === 'any' ? undefined : byPort.get('any')];
    const [atLiteral, atEvery] = [literal?.find(place), every?.find(place)];
    const winner = atEvery && (!atLiteral || atEvery.rank > atLiteral.rank) ? atEvery : atLiteral;
    if (place.labels) return { entry: winner?.entry, unsure: undefined };

    // At equal rank the literal port wins, so there an entry of the rank that won for every port would have won too.
    const undecided: readonly Ranked<Entry>[] = [
      ...(literal?.undecided(place, winner === atLiteral ? (winner?.rank ?? -1) : (winner?.rank ?? 0) - 1) ?? []),
      ...(every?.undecided(place, winner?.rank ?? -1) ?? []),
    ].sort((one, other) => other.rank - one.rank);
    const refusal = undecided.find(({ entry }) => !entry.trust);
    return { entry: (refusal ?? winner)?.entry, unsure: undecided[0]?.entry };
  }
}

// No IPv6 address has a dot, so its brackets are one label.
function labelsFromRight(host: string): readonly string[] {
  return host.split('.').reverse();
}

function starOf<Entry extends Indexed>(node: PathNode<Entry>): PathNode<Entry> {
  node.star ??= newPathNode();
  return node.star;
}

function newHostNode<Entry extends Indexed>(): HostNode<Entry> {
  return { labels: new Map() };
}

function newPortNode<Entry extends Indexed>(): PortNode<Entry> {
  return { literal: newPathNode(), trustedAny: newPathNode() };
}

function newPathNode<Entry extends Indexed>(): PathNode<Entry> {
  return { segments: new Map(), byPort: new Map() };
}

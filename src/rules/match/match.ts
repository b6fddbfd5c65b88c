import type { ImageReference } from '../../image/reference.ts';
import type { PatternHost, PatternPort, RegistryPattern } from '../language/pattern.ts';
import type { NamespaceContext } from '../rule-set.ts';
import { childOf, type ForNamespaces, NamespaceIndex, type Ranked } from './namespace-index.ts';
import { rankIn } from './namespaces.ts';

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
export type RuleIndex<Entry extends Indexed> = { match(reference: Lookup, place: NamespaceContext): Match<Entry> };

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
  const root = new HostNode<Entry>();
  for (const entry of entries) insert(root, entry);
  return {
    match({ host, port, path }, place) {
      const search = new Search<Entry>(port ?? 'default', path, place);
      search.host(root, host, host.length);
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
  place: NamespaceContext,
): { readonly firstWins: boolean; readonly by: Criterion } | undefined {
  return compareRanked(
    { ...one, namespaceRank: rankIn(one.namespaces, place) ?? 0 },
    { ...other, namespaceRank: rankIn(other.namespaces, place) ?? 0 },
  );
}

/** What is compared where the namespace is known, or of no interest. The rank is that of `termsOf`. */
export type RankedPattern = Pick<Indexed, 'pattern' | 'trust'> & { readonly namespaceRank: number };

/** The same for entries that hold a namespace with these ranks. */
export function compareRanked(
  one: RankedPattern,
  other: RankedPattern,
): { readonly firstWins: boolean; readonly by: Criterion } | undefined {
  for (const { by, rank } of criteria) {
    const difference = rank(one, other);
    if (difference !== 0) return { firstWins: difference > 0, by };
  }
  return undefined;
}

type Comparison = (one: RankedPattern, other: RankedPattern) => number;

const criteria: readonly { readonly by: Criterion; readonly rank: Comparison }[] = [
  { by: 'host', rank: (one, other) => hostRank(one.pattern.host) - hostRank(other.pattern.host) },
  { by: 'port', rank: (one, other) => portRank(one) - portRank(other) },
  { by: 'path', rank: (one, other) => comparePaths(one.pattern.path, other.pattern.path) },
  { by: 'namespaces', rank: (one, other) => one.namespaceRank - other.namespaceRank },
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

// What a lookup waits for is memory: among many rules, each object it comes by has left the processor's caches. So there are few of them, and
// no empty ones.

class HostNode<Entry extends Indexed> {
  labels: Map<string, HostNode<Entry>> | undefined;
  /** Entries for just this host. */
  exact: PortNode<Entry> | undefined;
  /** Entries for every host below this one; at the root, for every host. */
  below: PortNode<Entry> | undefined;
}

/** The two ranks of ports, each with a trie of paths. */
class PortNode<Entry extends Indexed> {
  literal: PathNode<Entry> | undefined;
  trustedAny: PathNode<Entry> | undefined;
}

class PathNode<Entry extends Indexed> {
  segments: Map<string, PathNode<Entry>> | undefined;
  star: PathNode<Entry> | undefined;
  defaultPort: NamespaceIndex<Entry> | undefined;
  everyPort: NamespaceIndex<Entry> | undefined;
  otherPorts: Map<number, NamespaceIndex<Entry>> | undefined;
}

function insert<Entry extends Indexed>(root: HostNode<Entry>, entry: Entry): void {
  const { host, port, path } = entry.pattern;
  let node = rootOfPaths(portNodeOf(root, host), isTrustedAny(port, entry.trust));
  for (const segment of path) {
    if (segment === '*') {
      node.star ??= new PathNode();
      node = node.star;
    } else {
      node.segments ??= new Map();
      node = childOf(node.segments, segment, () => new PathNode<Entry>());
    }
  }
  entriesOf(node, port).add(entry);
}

function portNodeOf<Entry extends Indexed>(root: HostNode<Entry>, host: PatternHost): PortNode<Entry> {
  let node = root;
  // No IPv6 address has a dot, so its brackets are one label.
  for (const label of host.kind === 'any' ? [] : host.name.split('.').reverse()) {
    node.labels ??= new Map();
    node = childOf(node.labels, label, () => new HostNode<Entry>());
  }
  if (host.kind === 'exact') {
    node.exact ??= new PortNode();
    return node.exact;
  }
  node.below ??= new PortNode();
  return node.below;
}

function rootOfPaths<Entry extends Indexed>(ports: PortNode<Entry>, trustedAny: boolean): PathNode<Entry> {
  const rank = trustedAny ? 'trustedAny' : 'literal';
  ports[rank] ??= new PathNode();
  return ports[rank];
}

function entriesOf<Entry extends Indexed>(node: PathNode<Entry>, port: PatternPort): NamespaceIndex<Entry> {
  if (typeof port === 'number') {
    node.otherPorts ??= new Map();
    return childOf(node.otherPorts, port, () => new NamespaceIndex<Entry>());
  }
  const field = port === 'default' ? 'defaultPort' : 'everyPort';
  node[field] ??= new NamespaceIndex();
  return node[field];
}

/** One lookup: it goes from the most specific on and ends with the first winner, and keeps the first entry of which nobody can say. */
class Search<Entry extends Indexed> {
  entry: Entry | undefined;
  unsure: Entry | undefined;
  private readonly port: number | 'default';
  private readonly path: readonly string[];
  private readonly place: NamespaceContext;

  constructor(port: number | 'default', path: readonly string[], place: NamespaceContext) {
    this.port = port;
    this.path = path;
    this.place = place;
  }

  /** Looks for the labels before `end`, the last one first, then among the hosts that the node stands for. True where something won. */
  host(node: HostNode<Entry>, host: string, end: number): boolean {
    const dot = host.lastIndexOf('.', end - 1);
    const next = node.labels?.get(host.slice(dot + 1, end));
    if (next && (dot < 0 ? this.ports(next.exact) : this.host(next, host, dot))) return true;
    return this.ports(node.below);
  }

  private ports(ports: PortNode<Entry> | undefined): boolean {
    return ports !== undefined && (this.paths(ports.literal) || this.paths(ports.trustedAny));
  }

  private paths(root: PathNode<Entry> | undefined): boolean {
    if (!root) return false;
    const nodes = nodesAlong(root, this.path);
    for (let last = nodes.length - 1; last >= 0; last--) if (this.entries(nodes[last])) return true;
    return false;
  }

  private entries(node: PathNode<Entry> | undefined): boolean {
    const literal = this.port === 'default' ? node?.defaultPort : node?.otherPorts?.get(this.port);
    const every = node?.everyPort;
    const [atLiteral, atEvery] = [literal?.find(this.place), every?.find(this.place)];
    // At equal rank the literal port wins.
    const winner = atEvery && (!atLiteral || atEvery.rank > atLiteral.rank) ? atEvery : atLiteral;
    this.entry = winner?.entry;
    if (!this.place.labels) this.assumeTheStrictest(literal, every, winner, winner === atLiteral);
    return this.entry !== undefined;
  }

  /** Of entries whose labels are unknown and that would outrank the winner, a refusal wins. */
  private assumeTheStrictest(
    literal: NamespaceIndex<Entry> | undefined,
    every: NamespaceIndex<Entry> | undefined,
    winner: Ranked<Entry> | undefined,
    isLiteral: boolean,
  ): void {
    const rank = winner?.rank ?? -1;
    const undecided = [
      ...(literal?.undecided(this.place, isLiteral ? rank : rank - 1) ?? []),
      ...(every?.undecided(this.place, rank) ?? []),
    ].sort((one, other) => other.rank - one.rank);
    this.unsure ??= undecided[0]?.entry;
    this.entry = undecided.find(({ entry }) => !entry.trust)?.entry ?? this.entry;
  }
}

/** All nodes whose segments hold the beginning of the path: the least deep first, and of one depth the one to prefer last. */
function nodesAlong<Entry extends Indexed>(root: PathNode<Entry>, path: readonly string[]): readonly PathNode<Entry>[] {
  const nodes = [root];
  let from = 0;
  for (const segment of path) {
    const end = nodes.length;
    // Segments further left count first, so the children of a node stand together; a literal one is preferred to a star.
    for (; from < end; from++) {
      const node = nodes[from];
      if (node?.star) nodes.push(node.star);
      const literal = node?.segments?.get(segment);
      if (literal) nodes.push(literal);
    }
    if (nodes.length === end) break;
  }
  return nodes;
}

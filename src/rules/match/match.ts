/** The rule index: finds the most specific rule for an image reference in a namespace. */
import type { ImageReference } from '../../image/reference.ts';
import type { PatternHost, PatternPort, RegistryPattern } from '../language/pattern.ts';
import type { NamespaceContext } from '../rule-set.ts';
import { firstToEnd } from '../trust-end.ts';
import { rememberLast } from './last-context.ts';
import { type ForNamespaces, getOrCreate, NamespaceIndex, type Ranked } from './namespace-index.ts';
import { rankIn } from './namespaces.ts';

/** An entry of the index: anything with a pattern, with the trust that ranks its port, and with the namespaces to which it applies. */
export type Indexed = ForNamespaces & {
  readonly pattern: RegistryPattern;
  readonly trust: boolean;
  /** The last day of trust. */
  readonly until?: string;
};

/** The parts of a reference that are matched. */
export type Lookup = Pick<ImageReference, 'host' | 'port' | 'path'>;

/**
 * The winner. If unknown labels of the namespace could change it, `unsure` is the most specific entry that selects by them and could win.
 * The winner is then the strictest possible one: of the entries that may apply, trusting ones are ignored and denying ones count. `limit` is
 * the ignored one whose trust ends first, since it denies afterwards.
 */
export type Match<Entry> = { readonly entry: Entry | undefined; readonly unsure: Entry | undefined; readonly limit: Entry | undefined };

/** Finds the most specific entry for a reference in a namespace. */
export type RuleIndex<Entry extends Indexed> = { match(reference: Lookup, context: NamespaceContext): Match<Entry> };

/**
 * Builds the index. Among all entries that match a reference and apply in the namespace, the winner is decided in this order:
 *
 * 1. The host: a literal host, then `*.suffix` with the longer suffix first, then `*`.
 * 2. The port: a literal or default port before a trusting `:*`. A denial of every port (an untrusted entry without a port) ranks with the
 *    literal ports here. Otherwise `reg.io`, trusted on its default port, would outrank a denial of `reg.io/evil`.
 * 3. The path: the longer one. At equal length, at the first segment from the left where they differ, the literal before `*`.
 * 4. The namespaces: an exact name, then the glob with more literal characters, then the selector with more label requirements, then none.
 * 5. The literal port before the denial of every port.
 *
 * This order is total except for entries with equal host, port and path whose namespaces tie. Callers reject such ties.
 *
 * Hosts are a trie over labels from the right, paths a trie over segments. A lookup walks the labels of the reference once, then its
 * segments once for each matching host node. The number of rules does not affect the cost, except that a `*` segment next to a literal one
 * doubles the branches to follow.
 */
export function indexRules<Entry extends Indexed>(entries: readonly Entry[]): RuleIndex<Entry> {
  const root = new HostNode<Entry>();
  for (const entry of entries) insert(root, entry);
  const foundIn = rememberLast((context) => new FoundInNamespace<Entry>(context));
  return {
    match({ host, port, path }, context) {
      const search = new Search<Entry>(port ?? 'default', path, context, foundIn);
      search.host(root, host, host.length);
      return search;
    },
  };
}

/** The first difference between two entries that match one reference in one namespace, in the order of {@link indexRules}. */
export type Criterion = 'host' | 'port' | 'path' | 'namespaces' | 'every port';

/** Which of two entries that match one reference in one namespace wins there, and the criterion that decides. Undefined if they tie. */
export function compareSpecificity(
  one: Indexed,
  other: Indexed,
  context: NamespaceContext,
): { readonly firstWins: boolean; readonly by: Criterion } | undefined {
  return compareRanked(
    { ...one, namespaceRank: rankIn(one.namespaces, context) ?? 0 },
    { ...other, namespaceRank: rankIn(other.namespaces, context) ?? 0 },
  );
}

/** What is compared if the namespace is known or does not matter. The rank is that of `termsOf`. */
export type RankedPattern = Pick<Indexed, 'pattern' | 'trust'> & { readonly namespaceRank: number };

/** The same for entries that match a namespace with these ranks. */
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

/** Both match one host, so the longer of two suffixes is more specific. */
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

// Lookups are limited by memory access: with many rules, the objects on the way are no longer in the processor's caches. So the trie has
// few objects, and no empty ones.

class HostNode<Entry extends Indexed> {
  labels: Map<string, HostNode<Entry>> | undefined;
  /** Entries for exactly this host. */
  exact: PortNode<Entry> | undefined;
  /** Entries for every host below this one. At the root: for every host. */
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
      node = getOrCreate(node.segments, segment, () => new PathNode<Entry>());
    }
  }
  entriesOf(node, port).add(entry);
}

function portNodeOf<Entry extends Indexed>(root: HostNode<Entry>, host: PatternHost): PortNode<Entry> {
  let node = root;
  // An IPv6 address has no dot, so it is one label with its brackets.
  for (const label of host.kind === 'any' ? [] : host.name.split('.').reverse()) {
    node.labels ??= new Map();
    node = getOrCreate(node.labels, label, () => new HostNode<Entry>());
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
    return getOrCreate(node.otherPorts, port, () => new NamespaceIndex<Entry>());
  }
  const field = port === 'default' ? 'defaultPort' : 'everyPort';
  node[field] ??= new NamespaceIndex();
  return node[field];
}

/**
 * What was found for one namespace among globs and selectors. All images of an object have the same context, and thousands of them may be
 * from a registry with hundreds of selectors. So these are searched once.
 */
class FoundInNamespace<Entry extends Indexed> {
  private readonly context: NamespaceContext;
  private readonly certain = new Map<NamespaceIndex<Entry>, Ranked<Entry> | undefined>();
  private readonly strictest = new Map<NamespaceIndex<Entry> | undefined, Map<NamespaceIndex<Entry> | undefined, Strictest<Entry>>>();

  constructor(context: NamespaceContext) {
    this.context = context;
  }

  find(index: NamespaceIndex<Entry>): Ranked<Entry> | undefined {
    if (!this.certain.has(index)) this.certain.set(index, index.find(this.context));
    return this.certain.get(index);
  }

  /** Of the entries that unknown labels leave undecided, and that would outrank the winner. */
  strictestOf({ literal, every, winner, isLiteral }: Candidates<Entry>): Strictest<Entry> {
    const ofLiteral = getOrCreate(this.strictest, literal, () => new Map<NamespaceIndex<Entry> | undefined, Strictest<Entry>>());
    return getOrCreate(ofLiteral, every, () => {
      const rank = winner?.rank ?? -1;
      const undecided = [
        ...(literal?.undecided(this.context, isLiteral ? rank : rank - 1) ?? []),
        ...(every?.undecided(this.context, rank) ?? []),
      ].sort((one, other) => other.rank - one.rank);
      return {
        first: undecided[0]?.entry,
        denying: undecided.find(({ entry }) => !entry.trust)?.entry,
        limit: undecided.reduce<Entry | undefined>((limit, { entry }) => firstToEnd(limit, entry), undefined),
      };
    });
  }
}

/** The entries for the port of an image and for every port, with the winner among those that certainly apply. */
type Candidates<Entry extends Indexed> = {
  readonly literal: NamespaceIndex<Entry> | undefined;
  readonly every: NamespaceIndex<Entry> | undefined;
  readonly winner: Ranked<Entry> | undefined;
  readonly isLiteral: boolean;
};

/** The most specific undecided entry, the most specific one that denies, and the one whose trust ends first. */
type Strictest<Entry> = { readonly first: Entry | undefined; readonly denying: Entry | undefined; readonly limit: Entry | undefined };

/**
 * One lookup. It goes from the most to the least specific entries and ends at the first winner. It keeps the first entry whose labels are
 * unknown.
 */
class Search<Entry extends Indexed> {
  entry: Entry | undefined;
  unsure: Entry | undefined;
  limit: Entry | undefined;
  private readonly port: number | 'default';
  private readonly path: readonly string[];
  private readonly context: NamespaceContext;
  private readonly foundIn: (context: NamespaceContext) => FoundInNamespace<Entry>;

  constructor(
    port: number | 'default',
    path: readonly string[],
    context: NamespaceContext,
    foundIn: (context: NamespaceContext) => FoundInNamespace<Entry>,
  ) {
    this.port = port;
    this.path = path;
    this.context = context;
    this.foundIn = foundIn;
  }

  /**
   * Searches the labels before `end`, the last one first, then the hosts that the node matches as a suffix. Returns true if an entry won.
   */
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
    const [atLiteral, atEvery] = [this.certain(literal), this.certain(every)];
    // At equal rank the literal port wins.
    const winner = atEvery && (!atLiteral || atEvery.rank > atLiteral.rank) ? atEvery : atLiteral;
    this.entry = winner?.entry;
    if (!this.context.labels && (literal?.selectsByLabels || every?.selectsByLabels))
      this.assumeStrictest({ literal, every, winner, isLiteral: winner === atLiteral });
    return this.entry !== undefined;
  }

  private certain(index: NamespaceIndex<Entry> | undefined): Ranked<Entry> | undefined {
    return index?.isSearched ? this.foundIn(this.context).find(index) : index?.find(this.context);
  }

  /** Among entries with unknown labels that would outrank the winner, a denying one wins. */
  private assumeStrictest(candidates: Candidates<Entry>): void {
    const { first, denying, limit } = this.foundIn(this.context).strictestOf(candidates);
    this.unsure ??= first;
    this.entry = denying ?? this.entry;
    if (limit) this.limit = firstToEnd(this.limit, limit);
  }
}

/** All nodes whose segments match the beginning of the path, by depth. At equal depth the preferred node comes last. */
function nodesAlong<Entry extends Indexed>(root: PathNode<Entry>, path: readonly string[]): readonly PathNode<Entry>[] {
  const nodes = [root];
  let from = 0;
  for (const segment of path) {
    const end = nodes.length;
    // Segments further left count first, so the children of a node are adjacent. A literal segment is preferred to a star.
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

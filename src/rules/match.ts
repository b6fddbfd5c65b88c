import type { ImageReference } from '../image/reference.ts';
import type { PatternHost, PatternPort, RegistryPattern } from './pattern.ts';

/** What an index keeps: anything with a pattern, and with the trust that ranks its port. */
export type Indexed = { readonly pattern: RegistryPattern; readonly trust: boolean };

/** Finds the most specific entry for a reference. */
export type RuleIndex<Entry extends Indexed> = {
  match(reference: Pick<ImageReference, 'host' | 'port' | 'path'>): Entry | undefined;
  /** An entry that holds every reference the pattern holds, path aside; made for entries without path. */
  cover(pattern: RegistryPattern): Entry | undefined;
};

/**
 * Builds the index. Of all entries whose pattern holds a reference, the winner is decided by, in this order:
 *
 * 1. the host: a literal one, then `*.suffix` with the longer suffix first, then `*`;
 * 2. the port: a literal or default one before a trusting `:*`. A refusal of every port (a distrusting entry that names none) stands
 *    beside the literal ones here: otherwise `reg.io`, trusted on its default port, would outrank a refusal of `reg.io/evil`;
 * 3. the path: the longer one; of equal length, at the first segment from the left where they differ, the literal before `*`;
 * 4. at equal host and path, the literal port before the refusal of every port.
 *
 * That is total but for entries with equal host, port and path; there the last one given would win, so callers refuse such ties.
 *
 * Hosts are a trie over labels from the right, paths a trie over segments. Looking up walks the labels of the reference once, then its
 * segments once for each host node that applies; the number of rules does not count, but for `*` segments beside literal ones, which
 * double the branches that are followed.
 */
export function indexRules<Entry extends Indexed>(entries: readonly Entry[]): RuleIndex<Entry> {
  const root: HostNode<Entry> = newHostNode();
  for (const entry of entries) insert(root, entry);
  return {
    match: ({ host, port, path }) => find(root, host, port ?? 'default', path),
    // The wildcard label of a suffix stands for itself: no host node is called *, so only wildcards above or at it are found.
    cover: ({ host, port }) => find(root, host.kind === 'any' ? '*' : host.kind === 'suffix' ? `*.${host.name}` : host.name, port, []),
  };
}

type HostNode<Entry> = {
  readonly labels: Map<string, HostNode<Entry>>;
  /** Entries for just this host. */
  exact?: PortNode<Entry>;
  /** Entries for every host below this one; at the root, for every host. */
  below?: PortNode<Entry>;
};

/** The two ranks of ports, each with a trie of paths. */
type PortNode<Entry> = { readonly literal: PathNode<Entry>; readonly trustedAny: PathNode<Entry> };

type PathNode<Entry> = {
  readonly segments: Map<string, PathNode<Entry>>;
  star?: PathNode<Entry>;
  readonly byPort: Map<PatternPort, Entry>;
};

function insert<Entry extends Indexed>(root: HostNode<Entry>, entry: Entry): void {
  const { host, port, path } = entry.pattern;
  const ports = portNodeOf(root, host);
  let node = port === 'any' && entry.trust ? ports.trustedAny : ports.literal;
  for (const segment of path) node = segment === '*' ? starOf(node) : childOf(node.segments, segment, newPathNode<Entry>);
  node.byPort.set(port, entry);
}

function portNodeOf<Entry>(root: HostNode<Entry>, host: PatternHost): PortNode<Entry> {
  let node = root;
  if (host.kind !== 'any') for (const label of labelsFromRight(host.name)) node = childOf(node.labels, label, newHostNode<Entry>);
  if (host.kind === 'exact') {
    node.exact ??= newPortNode();
    return node.exact;
  }
  node.below ??= newPortNode();
  return node.below;
}

function find<Entry>(root: HostNode<Entry>, host: string, port: PatternPort, path: readonly string[]): Entry | undefined {
  for (const ports of portNodesFor(root, host)) {
    const found = findPath(ports.literal, port, path) ?? findPath(ports.trustedAny, port, path);
    if (found) return found;
  }
  return undefined;
}

/** The port nodes whose host holds the given one, most specific first. */
function portNodesFor<Entry>(root: HostNode<Entry>, host: string): readonly PortNode<Entry>[] {
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

function findPath<Entry>(root: PathNode<Entry>, port: PatternPort, path: readonly string[]): Entry | undefined {
  let best = entryAt(root, port);
  // Nodes of one depth, in order of preference: literal before star, the segments further left counting first.
  let nodes = [root];
  for (const segment of path) {
    const next: PathNode<Entry>[] = [];
    for (const node of nodes) {
      const literal = node.segments.get(segment);
      if (literal) next.push(literal);
      if (node.star) next.push(node.star);
    }
    if (next.length === 0) break;
    best = firstEntry(next, port) ?? best;
    nodes = next;
  }
  return best;
}

function firstEntry<Entry>(nodes: readonly PathNode<Entry>[], port: PatternPort): Entry | undefined {
  for (const node of nodes) {
    const entry = entryAt(node, port);
    if (entry) return entry;
  }
  return undefined;
}

function entryAt<Entry>(node: PathNode<Entry>, port: PatternPort): Entry | undefined {
  return node.byPort.get(port) ?? node.byPort.get('any');
}

// No IPv6 address has a dot, so its brackets are one label.
function labelsFromRight(host: string): readonly string[] {
  return host.split('.').reverse();
}

function starOf<Entry>(node: PathNode<Entry>): PathNode<Entry> {
  node.star ??= newPathNode();
  return node.star;
}

function childOf<Node>(children: Map<string, Node>, name: string, create: () => Node): Node {
  const existing = children.get(name);
  if (existing) return existing;
  const created = create();
  children.set(name, created);
  return created;
}

function newHostNode<Entry>(): HostNode<Entry> {
  return { labels: new Map() };
}

function newPortNode<Entry>(): PortNode<Entry> {
  return { literal: newPathNode(), trustedAny: newPathNode() };
}

function newPathNode<Entry>(): PathNode<Entry> {
  return { segments: new Map(), byPort: new Map() };
}

/** Indexes rules by their patterns, so that lint can find overlapping rules quickly. */
import type { PatternHost, RegistryPattern } from '../language/pattern.ts';
import type { NamespaceSelector, Rule } from '../rule-set.ts';
import { isGlob } from './namespaces.ts';

/**
 * Rules by their patterns, for queries about overlapping rules. All results are candidates: the caller compares ports, namespaces and
 * ranks.
 */
export type PatternIndex = {
  /**
   * Rules of the same host whose path matches everything below the pattern's path, if every image has at least `shortest` segments. Their
   * namespaces may include `namespaces`. With `above` also rules whose wildcard matches the host. Ends early after too many visits.
   */
  covering(
    pattern: Pick<RegistryPattern, 'host' | 'path'>,
    namespaces: NamespaceSelector | undefined,
    options?: { readonly shortest?: number; readonly above?: boolean },
  ): Iterable<Rule>;
  /**
   * Rules that may decide on a rule's images if that rule and all more specific ones did not exist. They come in groups, each of which
   * outranks the next by host or port. Ends early as above.
   */
  behind(rule: Rule): Iterable<readonly Rule[]>;
  /**
   * Trusting rules of the same host, or of hosts inside it, that may match some images of the rule and also other images. Ends early as
   * above.
   */
  crossing(rule: Rule): Iterable<Rule>;
};

/**
 * How many nodes and rules one query may visit, and how many per rule all queries of a kind may visit together. These limits keep the total
 * cost linear for any rules.
 */
const maxVisits = 10_000;
const visitsPerRule = 100;

export function indexPatterns(rules: readonly Rule[]): PatternIndex {
  const root = newHostNode();
  for (const rule of rules) insert(root, rule);
  // Only needed for denials of a wildcard, which are rare.
  let trustedInside: ReadonlyMap<HostNode, PathNode> | undefined;
  const pool = visitsPerRule * rules.length;
  const remaining = { covering: pool, behind: pool, crossing: pool };

  /** Returns a function that counts one visit and returns whether the query may continue. */
  function visitBudget(kind: keyof typeof remaining): () => boolean {
    let own = maxVisits;
    return () => own-- > 0 && remaining[kind]-- > 0;
  }

  return {
    *covering({ host, path }, namespaces, { shortest = 0, above = false } = {}) {
      const visit = visitBudget('covering');
      const hosts = portsAtOrAbove(root, host);
      for (const ports of above ? hosts : hosts.slice(0, 1)) {
        if (!ports) continue;
        yield* coveringPaths(ports.written, path, shortest, namespaces, visit);
        yield* coveringPaths(ports.trustedAny, path, shortest, namespaces, visit);
      }
    },
    *behind(rule) {
      const { host, path } = rule.pattern;
      const visit = visitBudget('behind');
      const [own, ...above] = portsAtOrAbove(root, host);
      const all = Number.POSITIVE_INFINITY;
      const searches: [PathNode | undefined, number][] = [
        // Within the rule's own rank, longer paths outrank it.
        [trustsAnyPort(rule) ? undefined : own?.written, path.length],
        [own?.trustedAny, trustsAnyPort(rule) ? path.length : all],
        ...above.flatMap((ports): [PathNode | undefined, number][] => [
          [ports?.written, all],
          [ports?.trustedAny, all],
        ]),
      ];
      for (const [paths, deepest] of searches) {
        if (!paths) continue;
        const group = overlappingPaths(paths, path, deepest, visit);
        if (!group) return;
        yield group;
      }
    },
    *crossing({ pattern: { host, path } }) {
      const visit = visitBudget('crossing');
      const [own] = portsAtOrAbove(root, host);
      if (own) yield* crossingPaths(own.written, path, visit);
      const node = host.kind === 'exact' ? undefined : hostNodeOf(root, host);
      if (!node) return;
      trustedInside ??= indexTrustedInside(root, rules);
      const inside = trustedInside.get(node);
      if (inside) yield* crossingPaths(inside, path, visit);
    },
  };
}

/** A denial of every port ranks with written ports. Otherwise an image with a port would bypass it. */
function trustsAnyPort({ trust, pattern }: Rule): boolean {
  return trust && pattern.port === 'any';
}

type HostNode = {
  readonly labels: Map<string, HostNode>;
  /** Rules for exactly this host. */
  exact?: Ports;
  /** Rules for every host below this one. At the root: for every host. */
  below?: Ports;
};

type Ports = { readonly written: PathNode; readonly trustedAny: PathNode };

type PathNode = {
  // Most nodes have neither segments nor rules for some namespaces, and an empty Map needs more memory than the rest of the node.
  segments?: Map<string, PathNode>;
  star?: PathNode;
  readonly rules: Rule[];
  /** Rules for some namespaces, by {@link storageKeys}: a pattern may have one for each team. */
  bySelector?: Map<string, Rule[]>;
};

function insert(root: HostNode, rule: Rule): void {
  const { host, path } = rule.pattern;
  let node = root;
  for (const label of labelsOf(host)) {
    const next = node.labels.get(label) ?? newHostNode();
    node.labels.set(label, next);
    node = next;
  }
  const kind = host.kind === 'exact' ? 'exact' : 'below';
  node[kind] ??= { written: newPathNode(), trustedAny: newPathNode() };
  add(nodeAt(trustsAnyPort(rule) ? node[kind].trustedAny : node[kind].written, path), rule);
}

/** Trusting rules by the hosts that contain their own host or wildcard, for any port. */
function indexTrustedInside(root: HostNode, rules: readonly Rule[]): ReadonlyMap<HostNode, PathNode> {
  const inside = new Map<HostNode, PathNode>();
  for (const rule of rules) {
    if (!rule.trust) continue;
    const { host, path } = rule.pattern;
    let node: HostNode | undefined = root;
    for (const label of labelsOf(host)) {
      if (!node) break;
      const paths = inside.get(node) ?? newPathNode();
      inside.set(node, paths);
      add(nodeAt(paths, path), rule);
      node = node.labels.get(label);
    }
  }
  return inside;
}

function add(node: PathNode, rule: Rule): void {
  const keys = storageKeys(rule.namespaces);
  if (!keys) {
    node.rules.push(rule);
    return;
  }
  node.bySelector ??= new Map();
  for (const key of keys) node.bySelector.set(key, [...(node.bySelector.get(key) ?? []), rule]);
}

/**
 * The keys under which a rule with exact names or labels is stored. A query for selectors that include another one knows one of these keys.
 * Undefined for globs and for rules that apply everywhere.
 */
function storageKeys(namespaces: NamespaceSelector | undefined): readonly string[] | undefined {
  if (namespaces?.kind === 'names') return namespaces.names.some(isGlob) ? undefined : [...new Set(namespaces.names)];
  return namespaces?.requirements.slice(0, 1).map((requirement) => JSON.stringify(requirement));
}

function lookupKeys(namespaces: NamespaceSelector | undefined): readonly string[] {
  if (namespaces?.kind === 'labels') return namespaces.requirements.map((requirement) => JSON.stringify(requirement));
  return storageKeys(namespaces)?.slice(0, 1) ?? [];
}

function* allRules({ rules, bySelector }: PathNode): Iterable<Rule> {
  yield* rules;
  for (const found of bySelector?.values() ?? []) yield* found;
}

function nodeAt(root: PathNode, path: readonly string[]): PathNode {
  let node = root;
  for (const segment of path) {
    const next: PathNode = childOf(node, segment) ?? newPathNode();
    if (segment === '*') node.star = next;
    else {
      node.segments ??= new Map();
      node.segments.set(segment, next);
    }
    node = next;
  }
  return node;
}

/** First the entry for the host itself, then those for wildcards that match it, the longest first. */
function portsAtOrAbove(root: HostNode, host: PatternHost): readonly (Ports | undefined)[] {
  const above: (Ports | undefined)[] = [];
  let node: HostNode | undefined = root;
  for (const label of labelsOf(host)) {
    above.push(node?.below);
    node = node?.labels.get(label);
  }
  return [host.kind === 'exact' ? node?.exact : node?.below, ...above.reverse()];
}

function hostNodeOf(root: HostNode, host: PatternHost): HostNode | undefined {
  let node: HostNode | undefined = root;
  for (const label of labelsOf(host)) node = node?.labels.get(label);
  return node;
}

function* coveringPaths(
  root: PathNode,
  path: readonly string[],
  shortest: number,
  namespaces: NamespaceSelector | undefined,
  visit: () => boolean,
): Iterable<Rule> {
  const keys = lookupKeys(namespaces);
  let nodes = [root];
  for (let depth = 0; nodes.length > 0; depth++) {
    for (const node of nodes) {
      for (const rule of rulesOf(node, keys)) {
        if (!visit()) return;
        yield rule;
      }
    }
    if (depth >= Math.max(path.length, shortest)) return;
    const segment = path[depth];
    const next: PathNode[] = [];
    for (const node of nodes) {
      if (segment !== '*') push(next, childOf(node, segment));
      push(next, node.star);
    }
    nodes = next;
  }
}

/** Those for all namespaces, and those that are stored under the keys. */
function rulesOf({ rules, bySelector }: PathNode, keys: readonly string[]): readonly Rule[] {
  return bySelector === undefined || keys.length === 0 ? rules : [...rules, ...keys.flatMap((key) => bySelector.get(key) ?? [])];
}

/** Rules whose path, of at most `deepest` segments, has common images with `path`. Undefined if they are too many. */
function overlappingPaths(root: PathNode, path: readonly string[], deepest: number, visit: () => boolean): readonly Rule[] | undefined {
  const found: Rule[] = [];
  let nodes = [root];
  for (let depth = 0; nodes.length > 0; depth++) {
    const segment = path[depth] ?? '*';
    const next: PathNode[] = [];
    for (const node of nodes) {
      if (!visit()) return undefined;
      for (const rule of allRules(node)) {
        if (!visit()) return undefined;
        found.push(rule);
      }
      if (depth >= deepest) continue;
      if (segment === '*') for (const child of node.segments?.values() ?? []) next.push(child);
      else push(next, node.segments?.get(segment));
      push(next, node.star);
    }
    nodes = next;
  }
  return found;
}

/** Rules whose path has common images with `path` and is not inside it. */
function* crossingPaths(root: PathNode, path: readonly string[], visit: () => boolean): Iterable<Rule> {
  const waiting: { node: PathNode; depth: number; inside: boolean }[] = [{ node: root, depth: 0, inside: true }];
  for (let next = waiting.pop(); next && visit(); next = waiting.pop()) {
    const { node, depth, inside } = next;
    if (depth >= path.length && inside) continue;
    for (const rule of allRules(node)) {
      if (!visit()) return;
      yield rule;
    }
    const segment = path[depth];
    if (segment === undefined || segment === '*') {
      for (const child of node.segments?.values() ?? []) waiting.push({ node: child, depth: depth + 1, inside });
      if (node.star) waiting.push({ node: node.star, depth: depth + 1, inside });
    } else {
      const child = node.segments?.get(segment);
      if (child) waiting.push({ node: child, depth: depth + 1, inside });
      if (node.star) waiting.push({ node: node.star, depth: depth + 1, inside: false });
    }
  }
}

function childOf(node: PathNode, segment: string | undefined): PathNode | undefined {
  return segment === '*' ? node.star : segment === undefined ? undefined : node.segments?.get(segment);
}

function push(nodes: PathNode[], node: PathNode | undefined): void {
  if (node) nodes.push(node);
}

/** From the right. An IPv6 address has no dot, so it is one label with its brackets. */
function labelsOf(host: PatternHost): readonly string[] {
  return host.kind === 'any' ? [] : host.name.split('.').reverse();
}

function newHostNode(): HostNode {
  return { labels: new Map() };
}

function newPathNode(): PathNode {
  return { rules: [] };
}

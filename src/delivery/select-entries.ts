/**
 * Selects the entries of a source that the rules of a namespace need. An entry is needed if it is the one that the kubelet tries first, or that
 * OpenShift's builder uses, for some image of a rule. The matchers of `credentials` decide this, for sample images that are made from the
 * rule's pattern and the entry's key.
 */
import { createBuilderPullLookup } from '../credentials/builder.ts';
import { keyringName, parseLocation } from '../credentials/key-location.ts';
import { createKeyring, type KeyedEntry } from '../credentials/kubelet.ts';
import { labelMatches } from '../credentials/match-label.ts';
import { dockerHub } from '../image/docker-hub.ts';
import { type ImageReference, parseImage, repositoryAsWritten } from '../image/reference.ts';
import { hostMatches, patternMatches, type RegistryPattern } from '../rules/language/pattern.ts';

/** A rule that names the secret, and the purposes for which it does. */
export type NamingRule = {
  /** For messages. */
  readonly name: string;
  readonly pattern: RegistryPattern;
  readonly pull: boolean;
  readonly push: boolean;
};

export type SelectedEntries<Entry> = {
  /** In the order of the source. */
  readonly entries: readonly Entry[];
  /** Rules for which the source has no entry. */
  readonly rulesWithout: readonly NamingRule[];
  /** Selected entries that also serve images outside their rule. */
  readonly wider: readonly { readonly key: string; readonly rule: NamingRule }[];
};

/**
 * Of two entries that match the same images, only the one that is tried first is selected, which has the longer path. So a namespace whose
 * rule is for `reg.io/team` does not get the entry for all of `reg.io` if there is one for `reg.io/team`.
 */
export function selectEntries<Entry extends KeyedEntry>(entries: readonly Entry[], rules: readonly NamingRule[]): SelectedEntries<Entry> {
  return createSelector(entries)(rules);
}

export type Selector<Entry> = (rules: readonly NamingRule[]) => SelectedEntries<Entry>;

/** The same for many sets of rules. The entries are read once. */
export function createSelector<Entry extends KeyedEntry>(entries: readonly Entry[]): Selector<Entry> {
  const { first } = createKeyring(entries);
  const lookUpForBuild = createBuilderPullLookup(entries);
  const sampler = createSampler(entries);
  return (rules) => select(entries, rules, { first, lookUpForBuild, sampler });
}

type Lookups<Entry> = {
  first(repository: string): readonly Entry[];
  lookUpForBuild(repository: string): Entry | undefined;
  sampler(pattern: RegistryPattern): readonly string[];
};

function select<Entry extends KeyedEntry>(
  entries: readonly Entry[],
  rules: readonly NamingRule[],
  { first, lookUpForBuild, sampler }: Lookups<Entry>,
): SelectedEntries<Entry> {
  const selected = new Set<Entry>();
  const rulesWithout: NamingRule[] = [];
  const wider: { readonly key: string; readonly rule: NamingRule }[] = [];
  for (const rule of rules) {
    const needed = new Set<Entry>();
    for (const repository of sampler(rule.pattern)) {
      for (const entry of first(repository)) needed.add(entry);
      const forBuild = rule.pull ? lookUpForBuild(repository) : undefined;
      if (forBuild) needed.add(forBuild);
    }
    if (needed.size === 0) rulesWithout.push(rule);
    for (const entry of needed) {
      selected.add(entry);
      if (isWider(entry.key, rule.pattern)) wider.push({ key: entry.key, rule });
    }
  }
  return { entries: entries.filter((entry) => selected.has(entry)), rulesWithout, wider };
}

/**
 * Three repositories for each entry that may serve an image of the pattern: that of its key, one below it, and one whose path only begins with
 * the key's, since the kubelet compares paths as text. Also two for each host of a key, since a builder finds a host in keys with any path.
 * A source may have 20,000 entries and as many rules, so entries that cannot serve the pattern are left out before an image is parsed.
 */
function createSampler(entries: readonly KeyedEntry[]): (pattern: RegistryPattern) => readonly string[] {
  const names = [...new Set(entries.flatMap(({ key }) => keyringName(key) ?? []))];
  const other = wordOfNoKey(names);
  const hosts = readHosts(names, other);
  return (pattern) =>
    hosts(pattern).flatMap(({ hostAndPort, paths }) => {
      const host = withoutWildcards(hostAndPort, pattern, other);
      const repositories = [[], ...paths.filter((path) => mayServe(path, pattern.path))].flatMap((path) => {
        const repository = [host, ...samplePath(pattern.path, path, other)].join('/');
        const extended = path.map((segment, index) => (index === path.length - 1 ? segment + other : segment));
        return [repository, `${repository}/${other}`, [host, ...samplePath(pattern.path, extended, other)].join('/')];
      });
      return [...new Set(repositories)].flatMap((text) => {
        const parsed = parseImage(text);
        return parsed.ok && patternMatches(pattern, parsed.reference) ? [repositoryAsWritten(parsed.reference)] : [];
      });
    });
}

/** The host of some keys, spelled as in the keys, with the segments of their paths. */
type KeyHost = {
  readonly hostAndPort: string;
  readonly paths: (readonly string[])[];
  /** Of an image on this host. Undefined for a host with wildcards, and for one that no image can have. */
  readonly reference: Pick<ImageReference, 'host'> | undefined;
};

/** Returns the hosts that may serve images of a pattern. */
function readHosts(names: readonly string[], other: string): (pattern: RegistryPattern) => readonly KeyHost[] {
  const all = new Map<string, KeyHost>();
  for (const name of names) {
    const [hostAndPort = '', ...path] = name.split('/');
    const known = all.get(hostAndPort) ?? { hostAndPort, paths: [], reference: referenceTo(hostAndPort, other) };
    all.set(hostAndPort, known);
    known.paths.push(path.filter((segment) => segment !== ''));
  }
  const withWildcards = [...all.values()].filter(({ hostAndPort }) => hostAndPort.includes('*'));
  const literal = Map.groupBy(all.values(), ({ reference }) => reference?.host);
  literal.delete(undefined);
  return ({ host }) => {
    const named = host.kind === 'exact' ? (literal.get(host.name) ?? []) : [...literal.values()].flat();
    return [
      ...named.filter(({ reference }) => reference && hostMatches(host, reference.host)),
      ...withWildcards.filter(({ hostAndPort }) => mayMatch(hostAndPort, host)),
    ];
  };
}

function referenceTo(hostAndPort: string, other: string): KeyHost['reference'] {
  const parsed = hostAndPort.includes('*') ? undefined : parseImage(`${hostAndPort}/${other}`);
  return parsed?.ok ? parsed.reference : undefined;
}

/** False if a key with wildcards has another label where the pattern has a literal one, or another number of labels. */
function mayMatch(hostAndPort: string, host: RegistryPattern['host']): boolean {
  // Docker Hub has several names.
  if (host.kind === 'any' || host.name === dockerHub) return true;
  const literal = host.name.split('.').reverse();
  const labels = hostAndPort.replace(/:.*$/s, '').split('.').reverse();
  if (host.kind === 'exact' && labels.length !== literal.length) return false;
  return literal.every((label, index) => labels[index]?.includes('*') || labels[index]?.toLowerCase() === label);
}

/** False if the path of a key is not the beginning of the path of an image that the pattern matches, as text. */
function mayServe(path: readonly string[], pattern: readonly string[]): boolean {
  return path.every((segment, index) => {
    const wanted = pattern[index];
    return wanted === undefined || wanted === '*' || wanted === segment || (index === path.length - 1 && wanted.startsWith(segment));
  });
}

/** A path segment and label that matches no key, except for keys whose whole label is a wildcard. */
function wordOfNoKey(names: readonly string[]): string {
  const locations = names.flatMap((name) => parseLocation(name) ?? []);
  const globs = [...new Set(locations.flatMap(({ labels }) => labels).filter((label) => /[^*]/.test(label)))];
  const segments = [...new Set(locations.flatMap(({ path }) => path.split('/').filter((segment) => segment !== '')))];
  const isFree = (word: string) =>
    !segments.some((segment) => word.startsWith(segment) || segment.startsWith(word)) && !globs.some((glob) => labelMatches(glob, word));
  const letters = [...'xqzjkvwybcdfghlmnprstaeiou'];
  return [...letters, ...letters.flatMap((one) => letters.map((other) => one + other))].find(isFree) ?? 'x';
}

/** The host of a key as an image of the pattern may have it: literal labels of the pattern, counted from the right, replace wildcards. */
function withoutWildcards(hostAndPort: string, { host }: RegistryPattern, other: string): string {
  if (!hostAndPort.includes('*')) return hostAndPort;
  const colon = hostAndPort.lastIndexOf(':');
  const [name, port] = colon < 0 ? [hostAndPort, ''] : [hostAndPort.slice(0, colon), hostAndPort.slice(colon)];
  const literal = host.kind === 'any' ? [] : host.name.split('.').reverse();
  const labels = name.split('.').reverse();
  const spelled = labels.map((label, index) => (label.includes('*') ? (literal[index] ?? label.replaceAll('*', other)) : label));
  return spelled.reverse().join('.') + port;
}

/** A path that the pattern matches, as close to the key's as possible. */
function samplePath(pattern: readonly string[], key: readonly string[], other: string): readonly string[] {
  const length = Math.max(pattern.length, key.length, 1);
  return Array.from({ length }, (_, index) => {
    const segment = pattern[index];
    return segment === undefined || segment === '*' ? (key[index] ?? other) : segment;
  });
}

/**
 * A wildcard is wider than the label that it matches, and a shorter path is wider than a longer one. The kubelet compares paths as text, so the
 * key `reg.io/team` also serves `reg.io/team-b`, and then it is the credential for something else.
 */
function isWider(key: string, { host, path }: RegistryPattern): boolean {
  const location = parseLocation(keyringName(key) ?? '');
  if (!location) return false;
  const segments = location.path.split('/').filter((segment) => segment !== '');
  if (segments.length < path.length) return true;
  if (path.some((segment, index) => segment !== '*' && segment !== segments[index])) return true;
  const literal = host.kind === 'any' ? [] : host.name.split('.').reverse();
  return location.labels.toReversed().some((label, index) => label.includes('*') && literal[index] !== undefined);
}

/**
 * Selects the entries of a source that the rules of a namespace need. An entry is needed if it is the one that the kubelet tries first, or that
 * OpenShift's builder uses, for some image of a rule. The matchers of `credentials` decide this, for sample images that are made from the
 * rule's pattern and the entry's key.
 */
import { createBuilderPullLookup } from '../credentials/builder.ts';
import { keyringName, parseLocation } from '../credentials/key-location.ts';
import { createKeyring, type KeyedEntry } from '../credentials/kubelet.ts';
import { labelMatches } from '../credentials/match-label.ts';
import { parseImage, repositoryAsWritten } from '../image/reference.ts';
import { patternMatches, type RegistryPattern } from '../rules/language/pattern.ts';

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
  const { first } = createKeyring(entries);
  const lookUpForBuild = createBuilderPullLookup(entries);
  const sampler = createSampler(entries);
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
 * the key's, since the kubelet compares paths as text.
 */
function createSampler(entries: readonly KeyedEntry[]): (pattern: RegistryPattern) => readonly string[] {
  const names = [...new Set(entries.flatMap(({ key }) => keyringName(key) ?? []))];
  const keys = names.map((name) => {
    const [hostAndPort = '', ...path] = name.split('/');
    return { hostAndPort, path: path.filter((segment) => segment !== '') };
  });
  const other = wordOfNoKey(names);
  return (pattern) =>
    keys.flatMap(({ hostAndPort, path }) => {
      const host = withoutWildcards(hostAndPort, pattern, other);
      const repository = [host, ...samplePath(pattern.path, path, other)].join('/');
      const extended = path.map((segment, index) => (index === path.length - 1 ? segment + other : segment));
      const beginning = [host, ...samplePath(pattern.path, extended, other)].join('/');
      return [...new Set([repository, `${repository}/${other}`, beginning])].flatMap((text) => {
        const parsed = parseImage(text);
        return parsed.ok && patternMatches(pattern, parsed.reference) ? [repositoryAsWritten(parsed.reference)] : [];
      });
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

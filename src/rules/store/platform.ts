/** What a cluster says by itself, beside the rules that are written: its own registries, and what a name without registry means on it. */

import { standInFor } from '../compile/pattern-overlap.ts';
import { canonicalRule } from '../compile/rule-fields.ts';
import { parsePattern, resolvePattern } from '../language/pattern.ts';
import { type Origin, type Problem, renderOrigin } from '../language/problem.ts';
import { indexRules } from '../match/match.ts';
import type { NamespaceContext, Rule, RuleSet, ShortNames } from '../rule-set.ts';

export type Platform = {
  /** host[:port], always trusted and never given a secret, whatever the rules say of them. */
  readonly internalRegistries: readonly PlatformRegistry[];
  /** Counts where the rules do not say. */
  readonly shortNames?: ShortNames;
};

/** `object` is what says so, such as `images.config.openshift.io/cluster`. */
export type PlatformRegistry = { readonly registry: string; readonly object: string };

export type PlatformRules = {
  readonly ruleSet: RuleSet;
  /**
   * Rules of the cluster that have no effect, because what they are about is its own registry. Nobody is to blame: they stand as they are.
   * Asked for when somebody is told, since it takes a look at every rule.
   */
  readonly conflicts: () => readonly Problem[];
};

/**
 * The rules as they hold on the cluster. Internal registries are united, also with those of the rules: the cluster's own registry needs no
 * secret, and images that it serves were judged when they came into it. A rule against one has no effect, and is told; it is not refused,
 * since rules that were good yesterday must not turn bad because the cluster got a registry.
 *
 * The revision changes with what is added, because an audit record must lead to what was in force: the same rules on two clusters are two
 * revisions, and `writtenRevision` keeps the one that is the same on both. Where nothing is added, nothing changes.
 */
export function withPlatform(
  written: RuleSet,
  { internalRegistries, shortNames }: Platform,
  hash: (text: string) => string,
): PlatformRules {
  const known = new Set(written.rules.filter(({ internal }) => internal).map(({ pattern }) => pattern.text));
  const added = internalRegistries.flatMap(readRegistry).filter(({ pattern }) => !known.has(pattern.text) && known.add(pattern.text));
  const meaning = written.shortNamesWritten ? written.settings.shortNames : (shortNames ?? written.settings.shortNames);
  const meansOther = JSON.stringify(meaning) !== JSON.stringify(written.settings.shortNames);
  if (added.length === 0 && !meansOther) return { ruleSet: written, conflicts: () => [] };

  const index = indexRules(added);
  const parts = [written.revision, added.map((rule) => JSON.stringify(canonicalRule(rule))).sort(), ...(meansOther ? [meaning] : [])];
  const ruleSet: RuleSet = {
    ...written,
    revision: hash(JSON.stringify(parts)).slice(0, 12),
    writtenRevision: written.revision,
    settings: { ...written.settings, shortNames: meaning },
    rules: [...added, ...written.rules],
    match(reference, place) {
      const inside = index.match(reference, place).entry;
      return inside ? { value: inside } : written.match(reference, place);
    },
  };
  const conflicts = () =>
    written.rules.flatMap((rule) => {
      const says = rule.internal ? undefined : whatItSays(rule);
      const internal = says && index.match(standInFor(rule.pattern), anyPlace).entry;
      return internal ? [conflict(rule, says, internal)] : [];
    });
  return { ruleSet, conflicts };
}

/** What cannot be a registry is left out: it could not match an image either. */
function readRegistry({ registry, object }: PlatformRegistry): readonly Rule[] {
  const parsed = parsePattern(registry);
  if (!parsed.ok || parsed.pattern.host.kind !== 'exact' || parsed.pattern.path.length > 0) return [];
  const pattern = resolvePattern(parsed.pattern, true);
  const origin: Origin = { source: { kind: 'cluster', object }, line: 1, column: 1 };
  return [{ name: pattern.text, pattern, trust: true, pullSecrets: [], onMissingSecret: 'warn', internal: true, origin }];
}

/** One that merely trusts says what holds anyway. */
function whatItSays({ trust, pullSecrets, pushSecret }: Rule): string | undefined {
  if (!trust) return 'refuses';
  return pullSecrets.length > 0 || pushSecret !== undefined ? 'names a secret for' : undefined;
}

function conflict({ pattern, origin }: Rule, says: string, internal: Rule): Problem {
  const vain = says === 'refuses' ? 'always trusted' : 'never given a secret';
  const message = `the rule ${says} ${pattern.text}, which is the cluster's own registry ${internal.pattern.text} (${renderOrigin(internal.origin)}) and ${vain}: the rule has no effect, remove it`;
  return { code: 'internal-conflict', message, origin, related: internal.origin };
}

/** The cluster's registries are the same in every namespace. */
const anyPlace: NamespaceContext = { namespace: '', labels: {} };

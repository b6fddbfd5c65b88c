/** What a cluster adds to the written rules: its own registries, and the meaning of a name without a registry. */

import { type InternalConflict, indexInternal } from '../compile/internal-rules.ts';
import { canonicalRule } from '../compile/rule-fields.ts';
import { parsePattern, resolvePattern } from '../language/pattern.ts';
import { type Origin, type Problem, renderOrigin } from '../language/problem.ts';
import { indexRules } from '../match/match.ts';
import { indexNearestRulesOf } from '../match/similar-registries.ts';
import type { NamespaceContext, Rule, RuleSet, ShortNames } from '../rule-set.ts';

export type Platform = {
  /** `host[:port]`, always trusted. Its images never get a secret, whatever the rules contain. */
  readonly internalRegistries: readonly PlatformRegistry[];
  /**
   * Other names of the cluster's own registry, from outside. They are trusted where no written rule is about them. The credentials of
   * service accounts are not for these names, so a written rule may give a secret.
   */
  readonly externalRegistries?: readonly PlatformRegistry[];
  /** Applies if the rules do not set it. */
  readonly shortNames?: ShortNames;
};

/** `object` is the object of the cluster that names the registry, such as `images.config.openshift.io/cluster`. */
export type PlatformRegistry = { readonly registry: string; readonly object: string };

export type PlatformRules = {
  readonly ruleSet: RuleSet;
  /**
   * Rules that have no effect because they concern the cluster's own registry. They are reported and left unchanged, since their author
   * made no mistake. Computed on demand, since it checks every rule.
   */
  readonly conflicts: () => readonly Problem[];
};

/**
 * The rules as they apply on the cluster. The cluster's registries are added to the internal registries of the rules. They need no secret,
 * and their images were evaluated when they were imported. A rule that contradicts one of them has no effect and is reported. It is not
 * rejected: rules that were valid yesterday must not become invalid because the cluster got a registry.
 *
 * The revision changes if the platform adds something, because an audit record must identify the rules in force. The same rules have
 * different revisions on different clusters; `writtenRevision` is the one they share. If nothing is added, nothing changes.
 */
export function withPlatform(
  written: RuleSet,
  { internalRegistries, externalRegistries = [], shortNames }: Platform,
  hash: (text: string) => string,
): PlatformRules {
  const known = new Set(written.rules.filter(({ internal }) => internal).map(({ pattern }) => pattern.text));
  const isNew = ({ pattern }: Rule) => !known.has(pattern.text) && known.add(pattern.text);
  const internalRules = internalRegistries.flatMap((each) => readRegistry(each, true)).filter(isNew);
  const externalRules = externalRegistries.flatMap((each) => readRegistry(each, false)).filter(isNew);
  const added = [...internalRules, ...externalRules];
  const meaning = written.shortNamesWritten ? written.settings.shortNames : (shortNames ?? written.settings.shortNames);
  const meaningDiffers = JSON.stringify(meaning) !== JSON.stringify(written.settings.shortNames);
  if (added.length === 0 && !meaningDiffers) return { ruleSet: written, conflicts: () => [] };

  const index = indexRules(internalRules);
  const externalIndex = indexRules(externalRules);
  const parts = [written.revision, added.map((rule) => JSON.stringify(canonicalRule(rule))).sort(), ...(meaningDiffers ? [meaning] : [])];
  const onPlatform =
    (match: RuleSet['match']): RuleSet['match'] =>
    (reference, context) => {
      const internalRule = index.match(reference, context).entry;
      if (internalRule) return { value: internalRule };
      const answer = match(reference, context);
      const externalRule = externalIndex.match(reference, context).entry;
      if (!externalRule || !isLessSpecific(answer.value, written, context)) return answer;
      return answer.limit?.pattern.host.kind === 'exact' ? { ...answer, value: externalRule } : { value: externalRule };
    };
  const match = onPlatform(written.match);
  const ruleSet: RuleSet = {
    ...written,
    revision: hash(JSON.stringify(parts)).slice(0, 12),
    writtenRevision: written.revision,
    settings: { ...written.settings, shortNames: meaning },
    rules: [...added, ...written.rules],
    match,
    matchCluster: onPlatform(written.matchCluster),
    nearest: indexNearestRulesOf([...added, ...written.rules], (namespace) => written.namespaceRules.get(namespace) ?? [], match),
  };
  const conflicts = () => {
    const conflictOf = indexInternal(internalRules);
    return written.rules.flatMap((rule) => {
      const found = rule.internal ? undefined : conflictOf(rule);
      return found ? [conflictProblem(rule, found)] : [];
    });
  };
  return { ruleSet, conflicts };
}

/** Whether the platform's trust in one host wins over the written rule: no rule, or a cluster rule that denies many hosts. */
function isLessSpecific(rule: Rule | undefined, { namespaceRules }: RuleSet, { namespace }: NamespaceContext): boolean {
  if (!rule) return true;
  return !rule.trust && rule.pattern.host.kind !== 'exact' && namespaceRules.get(namespace)?.includes(rule) !== true;
}

/** A text that is no registry is skipped: it could not match an image either. */
function readRegistry({ registry, object }: PlatformRegistry, internal: boolean): readonly Rule[] {
  const parsed = parsePattern(registry);
  if (!parsed.ok || parsed.pattern.host.kind !== 'exact' || parsed.pattern.path.length > 0) return [];
  const pattern = resolvePattern(parsed.pattern, true);
  const origin: Origin = { source: { kind: 'cluster', object }, line: 1, column: 1 };
  return [{ name: pattern.text, pattern, trust: true, pullSecrets: [], onMissingSecret: 'warn', internal, origin }];
}

const verbs: Readonly<Record<InternalConflict['effect'], string>> = {
  denies: 'denies',
  secret: 'specifies a secret for',
  end: 'sets an end date for',
};

function conflictProblem({ pattern, origin }: Rule, { internal, effect, otherFix }: InternalConflict): Problem {
  const treatment = effect === 'secret' ? 'never gets a secret' : 'is always trusted';
  const fix =
    otherFix === undefined ? 'The rule has no effect. Remove it.' : `The rule has no effect on it. Remove the rule, or ${otherFix}.`;
  const message = `the rule ${verbs[effect]} ${pattern.text}, but the cluster's own registry ${internal.pattern.text} (${renderOrigin(internal.origin)}) ${treatment}. ${fix}`;
  return { code: 'internal-conflict', message, origin, related: internal.origin };
}

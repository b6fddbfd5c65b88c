/** Finds past requests that a change of the rules certainly does not affect, for a quarter of the time that two evaluations need. */
import type { PastRequest } from '../../decision/replay.ts';
import { parseImage } from '../../image/reference.ts';
import { labelKeysOf } from '../../rules/label-keys.ts';
import type { NamespaceContext, Rule, RuleSet } from '../../rules/rule-set.ts';

/**
 * Returns a function for requests that `replay` replays with the same result by both rule sets: nothing but rules differs, and each image has
 * rules with equal contents. It returns false in doubt, such as for everything that can make a request impossible to replay.
 */
export function findUnaffected(before: RuleSet, after: RuleSet): (request: PastRequest) => boolean {
  if (!differOnlyInRules(before, after)) return () => false;
  const contentOf = contentsOf([...before.rules, ...after.rules]);
  const labelKeys = [...new Set([...labelKeysOf(before), ...labelKeysOf(after)])];

  function haveEqualRules(text: string, place: NamespaceContext): boolean {
    const parsed = parseImage(text);
    if (!parsed.ok) return true;
    const [old, current] = [before.match(parsed.reference, place), after.match(parsed.reference, place)];
    if (old.unsure || current.unsure || old.limit || current.limit) return false;
    if (!old.value || !current.value) return old.value === current.value;
    // Whether the namespace has a secret may be unknown.
    return old.value.onMissingSecret !== 'deny' && contentOf.get(old.value) === contentOf.get(current.value);
  }

  return ({ images, namespace, namespaceLabels, shortNames }) => {
    if (shortNames !== 'docker.io' || !namespaceLabels || labelKeys.some((key) => !namespaceLabels.has(key))) return false;
    const known = [...namespaceLabels].filter((entry): entry is [string, string] => entry[1] !== null);
    const place = { namespace, labels: Object.fromEntries(known) };
    return images.every(({ text, trustedByCluster }) => !trustedByCluster && haveEqualRules(text, place));
  };
}

/** A secret with delivery may depend on rules for other images, and rules of namespaces on those of the cluster. */
function differOnlyInRules(before: RuleSet, after: RuleSet): boolean {
  const isSimple = ({ settings, deliveredSecrets, namespaceRules }: RuleSet) =>
    settings.shortNames === 'docker.io' && deliveredSecrets.length === 0 && namespaceRules.size === 0;
  const othersOf = ({ settings: { mode, unconfigured, inject }, exemptions, overrides }: RuleSet) =>
    JSON.stringify([mode, unconfigured, inject, exemptions.map(withoutOrigin), overrides.map(withoutOrigin)]);
  return isSimple(before) && isSimple(after) && othersOf(before) === othersOf(after);
}

/** A number for each rule, the same for rules that differ in their position only. */
function contentsOf(rules: readonly Rule[]): ReadonlyMap<Rule, number> {
  const numbers = new Map<string, number>();
  return new Map(
    rules.map((rule) => {
      const content = JSON.stringify(withoutOrigin(rule));
      const number = numbers.get(content) ?? numbers.size;
      numbers.set(content, number);
      return [rule, number];
    }),
  );
}

function withoutOrigin<Entry extends { readonly origin: unknown }>({ origin, ...content }: Entry): Omit<Entry, 'origin'> {
  return content;
}

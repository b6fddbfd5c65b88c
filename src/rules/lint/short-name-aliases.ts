/** Warnings on short names that rules trust as images of one registry, while nodes pull them from another that no rule trusts. */
import { parseImage } from '../../image/reference.ts';
import { aliasTargets } from '../../image/short-name-aliases.ts';
import type { Problem } from '../language/problem.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { shortNamesAreUncertain } from '../short-names.ts';
import { trustPhase } from '../trust-end.ts';

/** One warning for each rule that trusts such names. Only rules for all namespaces are considered. */
export function lintAliases(ruleSet: RuleSet, today: string): readonly Problem[] {
  // Where the rules do not say what a short name means, OpenShift does when they are in force.
  const unknownYet = !ruleSet.shortNamesWritten && ruleSet.settings.shortNames === 'docker.io';
  if (unknownYet || !shortNamesAreUncertain(ruleSet)) return [];
  const contradictions = new Map<Rule, string[]>();
  for (const [name, targets] of aliasTargets) {
    const rule = trustOfShortName(name, ruleSet, today);
    const untrusted = targets.find((target) => !trusts(winner(target, ruleSet), today));
    if (rule && untrusted !== undefined) contradictions.set(rule, [...(contradictions.get(rule) ?? []), `${name} (${untrusted})`]);
  }
  return [...contradictions].map(([rule, names]) => ({ code: 'short-name-alias', message: describe(rule, names), origin: rule.origin }));
}

function describe({ pattern }: Rule, names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `the rule for ${pattern.text} trusts short names, but nodes that use the published short-name aliases may resolve them to untrusted registries: ${shown}${more}. Set shortNames: reject, or add rules for these registries.`;
}

/** Each name is evaluated for each host, and no node searches so many. `docker.io` has fewer characters. */
const mostHosts = 100;

/** The rule that trusts the name wherever it is searched, or undefined. */
function trustOfShortName(name: string, ruleSet: RuleSet, today: string): Rule | undefined {
  const { shortNames } = ruleSet.settings;
  if (shortNames === 'reject' || shortNames.length > mostHosts) return undefined;
  const hosts = shortNames === 'docker.io' ? [shortNames] : shortNames;
  let first: Rule | undefined;
  for (const host of hosts) {
    const rule = winner(`${host}/${name}`, ruleSet);
    if (!trusts(rule, today)) return undefined;
    first ??= rule;
  }
  return first;
}

function trusts(rule: Rule | undefined, today: string): boolean {
  return rule?.trust === true && trustPhase(rule, today) !== 'ended';
}

function winner(image: string, ruleSet: RuleSet): Rule | undefined {
  const parsed = parseImage(image);
  return parsed.ok ? ruleSet.match(parsed.reference, everywhere).value : undefined;
}

/** A namespace that no selector is meant for. */
const everywhere: NamespaceContext = { namespace: '', labels: {} };

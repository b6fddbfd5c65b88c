/** Warnings and hints about sources, where their content is known: what copies would lack, and what they would have beyond the rules. */
import { withoutPassword } from '../credentials/registry-secret.ts';
import { quote } from '../image/problem.ts';
import type { JsonObject } from '../object/json.ts';
import { textAt } from '../object/json.ts';
import { type Origin, type Problem, renderOrigin } from '../rules/language/problem.ts';
import type { DeliveredSecret, Rule, RuleSet } from '../rules/rule-set.ts';
import { createOmittedEntries } from './omitted-entries.ts';
import { type NamingRule, selectEntries } from './select-entries.ts';
import { readSource } from './source.ts';

/** A Secret with the label of a source, and where it is. */
export type LocatedSource = { readonly object: JsonObject; readonly origin: Origin };

/** Messages have keys of `auths`, and never a credential. A source that no entry of `secrets` names is ignored. */
export function lintSources({ deliveredSecrets, rules }: Pick<RuleSet, 'deliveredSecrets' | 'rules'>, sources: readonly LocatedSource[]) {
  return sources.flatMap(({ object, origin }) => {
    const name = textAt(object, ['metadata', 'name']);
    return deliveredSecrets.filter(({ source }) => source === name).flatMap((secret) => lintSource(secret, rules, object, origin));
  });
}

function lintSource(secret: DeliveredSecret, all: readonly Rule[], object: JsonObject, origin: Origin): readonly Problem[] {
  const source = readSource(secret.source, object);
  if (source.state === 'unusable') {
    const message = `the secret ${secret.name} cannot be delivered: ${source.message}.`.replace('..', '.');
    return [{ code: 'source-unusable', message, origin, related: secret.origin }];
  }
  const rules = new Map<NamingRule, Rule>(
    all.flatMap((rule) => {
      const [pull, push] = [rule.pullSecrets.includes(secret.name), rule.pushSecret === secret.name];
      return pull || push ? [[{ name: rule.name, pattern: rule.pattern, pull, push }, rule] as const] : [];
    }),
  );
  const { rulesWithout, wider } = selectEntries(source.credentials, [...rules.keys()]);
  const omittedFor = createOmittedEntries(source);
  const at = (rule: NamingRule) => rules.get(rule)?.origin ?? secret.origin;
  return [
    ...source.problems.map(
      ({ cause }): Problem => ({
        code: 'source-unusable',
        message: `copies of the source ${quote(secret.source)} do not contain one of its entries. ${cause} Correct the source.`,
        origin,
        related: secret.origin,
      }),
    ),
    ...rulesWithout.map((rule): Problem => {
      const [omitted] = omittedFor([rule]);
      const fix = omitted
        ? `Correct the entry ${quote((omitted.entry ?? '').slice(0, maxShown))}, which cannot be copied.`
        : 'Add an entry to the source.';
      const message = `the source ${quote(secret.source)} has no credential for the rule ${rule.pattern.text} in ${renderOrigin(at(rule))}, which references the secret ${secret.name}. ${fix}`;
      return { code: 'source-without-entry', message, origin, related: at(rule) };
    }),
    ...wider.map(({ key, rule }): Problem => {
      const message = `the entry ${quote(withoutPassword(key).slice(0, maxShown))} of the source ${quote(secret.source)} also gives access to images outside of the rule ${rule.pattern.text} in ${renderOrigin(at(rule))}. Use a narrower entry, if the registry allows it.`;
      return { code: 'wide-credential', message, origin, related: at(rule) };
    }),
  ];
}

/** Characters of an entry's key. */
const maxShown = 200;

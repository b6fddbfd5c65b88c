/** The content of each copy, made once for all namespaces to which the same rules apply. */

import type { RegistryCredential } from '../../credentials/registry-secret.ts';
import { type CopyContent, createContent } from '../../delivery/content.ts';
import { createOmittedEntries, type OmittedEntries } from '../../delivery/omitted-entries.ts';
import { createSelector, type NamingRule, type Selector } from '../../delivery/select-entries.ts';
import type { SourceState, UsableSource } from '../../delivery/source.ts';
import type { NamingRule as NamingRuleOfSet } from '../../rules/match/entitlement.ts';
import type { Rule } from '../../rules/rule-set.ts';

export type Contents = {
  /** `naming` are the rules that name the secret and decide in the namespace. */
  get(source: UsableSource, naming: readonly NamingRuleOfSet[]): CopyContent;
};

/** Of all contents that are kept. */
const maxCharacters = 16 * 1024 * 1024;

/** `hash` as in `createContent`. */
export function createContents(hash: (text: string) => string): Contents {
  /** A source has a new object with each version, so that contents of earlier ones are collected as garbage. */
  let bySource = new WeakMap<SourceState, Map<string, CopyContent>>();
  /** A source of 1 MiB may have 20,000 entries, and there may be as many sets of rules as namespaces. */
  const selectors = new WeakMap<SourceState, { readonly select: Selector<RegistryCredential>; readonly omittedFor: OmittedEntries }>();
  const numbers = new WeakMap<Rule, number>();
  let next = 0;
  let characters = 0;

  /** Rules are the same objects until they are loaded again. */
  function numberOf(rule: Rule): number {
    const known = numbers.get(rule);
    if (known !== undefined) return known;
    next += 1;
    numbers.set(rule, next);
    return next;
  }

  return {
    get(source, naming) {
      const contents = bySource.get(source) ?? new Map<string, CopyContent>();
      bySource.set(source, contents);
      // Two secrets of one source may be for the pulls and for the pushes of the same rule.
      const key = naming.map(({ rule, pull, push }) => `${numberOf(rule)}${pull ? '<' : ''}${push ? '>' : ''}`).join(' ');
      const known = contents.get(key);
      if (known) return known;
      const selector = selectors.get(source) ?? { select: createSelector(source.credentials), omittedFor: createOmittedEntries(source) };
      selectors.set(source, selector);
      const content = createContent(source, naming.map(asNamingRule), hash, selector.select, selector.omittedFor);
      characters += 1_000 + (content.data?.['.dockerconfigjson'].length ?? 0);
      // Rules that were loaded again are other objects, and a source may not change for months.
      if (characters > maxCharacters) {
        bySource = new WeakMap([[source, contents]]);
        contents.clear();
        characters = 0;
      }
      contents.set(key, content);
      return content;
    },
  };
}

function asNamingRule({ rule, pull, push }: NamingRuleOfSet): NamingRule {
  return { name: rule.name, pattern: rule.pattern, pull, push };
}

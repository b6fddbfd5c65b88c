/**
 * Records on a copy for which rules it was written. A copy's content is never read, so this shows whether the rules in force still entitle a
 * namespace to all that its copy contains.
 */
import type { NamingRule } from './select-entries.ts';

/** An annotation for each of thousands of rules would be larger than the copy. */
const maxRules = 16;

/** The value of the annotation. With many rules, it identifies them only as a whole. `hash` is that of `createContent`. */
export function ruleIdsText(rules: readonly NamingRule[], hash: (text: string) => string): string {
  return rules.length > maxRules ? idOfAll(rules, hash) : rules.map((rule) => idOf(rule, hash)).join(' ');
}

/** Every part of the annotation that the same rules, or some of them, can have. */
export function ruleIds(rules: readonly NamingRule[], hash: (text: string) => string): ReadonlySet<string> {
  return new Set([...rules.map((rule) => idOf(rule, hash)), idOfAll(rules, hash)]);
}

/** Whether all rules in the annotation are among `ids`. False without the annotation. */
export function areAllAmong(annotation: string | undefined, ids: ReadonlySet<string>): boolean {
  return annotation !== undefined && annotation !== '' && annotation.split(' ').every((id) => ids.has(id));
}

function idOf(rule: NamingRule, hash: (text: string) => string): string {
  return hash(JSON.stringify(contentOf(rule)));
}

function idOfAll(rules: readonly NamingRule[], hash: (text: string) => string): string {
  return hash(JSON.stringify(rules.map(contentOf)));
}

function contentOf({ pattern, pull, push }: NamingRule): readonly unknown[] {
  return [pattern, pull, push];
}

/** The sentences a blocked person reads. */
import { quote } from '../image/problem.ts';
import { canonicalName, formatReference } from '../image/reference.ts';
import { type RuleSource, renderOrigin } from '../rules/problem.ts';
import type { Rule, RuleSet } from '../rules/ruleset.ts';
import type { ImageDecision } from './decision.ts';

/** One image: where it stands, what is wrong, the rule that decided, what would do instead. */
export function renderFinding(image: ImageDecision, rules: RuleSet): string {
  const { slot } = image;
  const subject = slot.content.kind === 'image' ? `${slot.holder}: image ${quote(slot.content.text)}${understood(image)}` : slot.holder;
  const remark = image.reason === 'not-introduced' ? ' (already there before this change)' : '';
  return `${subject} ${predicate(image, rules)}${remark}`;
}

/** What follows after the findings of one object: whom to ask. */
export function renderContact(rules: RuleSet): string {
  const { contact } = rules.settings;
  if (contact !== undefined) return `Ask ${contact}`;
  const places = [...new Set(rules.sources.map(renderPlace))];
  if (places.length === 0) return 'Ask the owners of the registry rules';
  const shown = places.slice(0, 3).join(', ');
  return `Ask the owners of the registry rules in ${shown}${places.length > 3 ? ` and ${places.length - 3} more` : ''}`;
}

function predicate(image: ImageDecision, rules: RuleSet): string {
  switch (image.verdict) {
    case 'unparseable':
      return `is not an image name: ${image.problem?.message ?? ''}`;
    case 'unresolved':
      return `has no image that could run: ${image.slot.content.kind === 'unresolved' ? image.slot.content.why : ''}`;
    case 'distrusted':
      return `comes from a distrusted registry${image.rule?.reason ? `: ${image.rule.reason}` : ''} (rule ${ruleName(image.rule)})`;
    case 'unconfigured':
      return `comes from a registry that no rule names${alternatives(image, rules)}`;
    case 'trusted':
      return `is trusted (rule ${ruleName(image.rule)})`;
  }
}

function ruleName(rule: Rule | undefined): string {
  return rule ? `"${rule.name}", ${renderOrigin(rule.origin)}` : '?';
}

function understood({ reference, slot }: ImageDecision): string {
  if (!reference || slot.content.kind !== 'image') return '';
  return formatReference(reference) === slot.content.text ? '' : ` (${canonicalName(reference)})`;
}

function alternatives(image: ImageDecision, rules: RuleSet): string {
  if (!image.reference) return '';
  const near = rules.nearest(image.reference);
  return near.length === 0 ? '' : `; configured nearby: ${near.map(({ pattern }) => pattern.text).join(', ')}`;
}

function renderPlace(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}`;
}

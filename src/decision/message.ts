/** The sentences a blocked person reads. */
import { quote } from '../image/problem.ts';
import type { ImageReference } from '../image/reference.ts';
import { canonicalName, formatReference } from '../image/reference.ts';
import { type RuleSource, renderOrigin } from '../rules/problem.ts';
import type { Rule, RuleSet } from '../rules/ruleset.ts';
import type { ImageDecision } from './decision.ts';

/**
 * How many findings of one object are told in full. More would bury the first ones, and the search for a nearby registry goes over all
 * rules: a pod of thousands of containers must not repeat it for each.
 */
export const mostListed = 10;

type SearchNearest = (reference: ImageReference) => readonly Rule[];

export type FindingContext = {
  /** Absent where it would cost too much to look. */
  readonly nearest?: SearchNearest | undefined;
  /** Whether a pod made anew with an image that passes now, because it was there before, would be refused. */
  readonly newPodsRefused: boolean;
};

/** One image on one line: where it stands, what is wrong, the rule that decided and, with `nearest`, what would do instead. */
export function renderFinding(image: ImageDecision, { nearest, newPodsRefused }: FindingContext): string {
  const { holder, content } = image.slot;
  const old = `not new, so this change passes${newPodsRefused ? ', but new pods will be refused' : ''}`;
  const remarks = image.reason === 'not-introduced' ? [holder, old] : [holder];
  if (content.kind === 'unresolved') return `${remarks.join(': ')} ${predicate(image, nearest)}`;
  return `${remarks.join(': ')}: ${subject(image, content.text)} ${predicate(image, nearest)}`;
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

function subject({ problem, reference }: ImageDecision, text: string): string {
  // The problem's own words begin with the image, masked where it holds a password.
  if (problem) return 'image';
  const understood = reference && formatReference(reference) !== text ? ` (${canonicalName(reference)})` : '';
  return `image ${quote(text)}${understood}`;
}

function predicate(image: ImageDecision, nearest: SearchNearest | undefined): string {
  switch (image.verdict) {
    case 'unparseable':
      return image.problem?.message ?? 'is not an image name';
    case 'unresolved':
      return `has no image that could run: ${image.slot.content.kind === 'unresolved' ? image.slot.content.why : ''}`;
    case 'distrusted':
      return `comes from a distrusted registry${image.rule?.reason ? `: ${image.rule.reason}` : ''} (rule ${ruleName(image.rule)})`;
    case 'unconfigured':
      return `comes from a registry that no rule names${alternatives(image, nearest)}`;
    case 'trusted':
      return `is trusted (rule ${ruleName(image.rule)})`;
  }
}

function ruleName(rule: Rule | undefined): string {
  return rule ? `"${rule.name}", ${renderOrigin(rule.origin)}` : '?';
}

function alternatives({ reference }: ImageDecision, nearest: SearchNearest | undefined): string {
  const near = reference && nearest ? nearest(reference) : [];
  return near.length === 0 ? '' : `; configured nearby: ${near.map(({ pattern }) => pattern.text).join(', ')}`;
}

function renderPlace(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}`;
}

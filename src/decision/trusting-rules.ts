/**
 * Combines what the rules of an object's images specify. An object may have thousands of images of a rule with hundreds of secrets, so each
 * rule is read once, not once for each image.
 */
import type { Rule } from '../rules/rule-set.ts';
import type { ImageDecision } from './decision.ts';

/** The rules that trust the images, without duplicates, in the order of the images. */
export function trustingRules(images: readonly Pick<ImageDecision, 'trustedBy'>[]): readonly Rule[] {
  const rules = new Set<Rule>();
  for (const { trustedBy } of images) for (const rule of trustedBy) rules.add(rule);
  return [...rules];
}

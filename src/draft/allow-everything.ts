/** Finds what no rule can allow, by rules that allow everything. */
import { renderContact } from '../decision/message.ts';
import { type EvaluatedImage, type ObjectResult, renderSubject } from '../evaluate/evaluate-object.ts';
import { hashRules } from '../loading/load-rules.ts';
import { compileRuleSet } from '../rules/compile/compile.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { FollowedTags } from './followed-tags.ts';

/** Rules that allow every image. What they still deny, no rules can allow. */
export function allowEverything(): RuleSet {
  const compiled = compileRuleSet([], hashRules);
  if (!compiled.ok) throw new Error('no documents contradict each other');
  const { ruleSet } = compiled;
  const settings = { ...ruleSet.settings, unconfigured: 'allow' as const };
  return { ...ruleSet, settings, settingsAt: () => ({ value: settings }) };
}

/** The denial, which names the object, without whom to ask about rules. */
export function describeDenied({ messages }: ObjectResult, rules: RuleSet): string {
  const denial = messages.at(-1)?.replaceAll('\n', ' ') ?? '';
  const contact = ` ${renderContact(rules)}`;
  return denial.endsWith(contact) ? denial.slice(0, -contact.length) : denial;
}

/** A line for each image that is not known yet. */
export function describeUnknownImages({ object, images }: ObjectResult, followed: FollowedTags): readonly string[] {
  const unknown = images.filter(({ verdict, path }) => (verdict === 'unresolved' || verdict === 'invalid') && !followed.has(path));
  return [...new Set(unknown.map((image) => `${renderSubject(object)}, ${image.path}: ${renderUnknown(image)}`))];
}

function renderUnknown({ image, stream, written, why = 'not a valid image name' }: EvaluatedImage): string {
  const text = image ?? stream ?? written;
  return text === undefined || why.includes(text) ? why : `${text}: ${why}`;
}

/** Drafts rules for objects from files. */
import { renderContact } from '../decision/message.ts';
import { type Evaluation, evaluate } from '../evaluate/evaluate.ts';
import { type EvaluatedImage, type ObjectResult, renderSubject } from '../evaluate/evaluate-object.ts';
import { factsFromObjects } from '../evaluate/facts-from-objects.ts';
import { renderNotEvaluated } from '../evaluate/not-evaluated.ts';
import type { ParsedManifests } from '../evaluate/parse-manifests.ts';
import { hashRules } from '../loading/load-rules.ts';
import type { Kinds } from '../object/kinds.ts';
import { compileRuleSet } from '../rules/compile/compile.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { type Draft, draftRules } from './draft-rules.ts';
import { imageUses } from './image-use.ts';
import { registrySecrets } from './registry-secrets.ts';
import type { DraftNotes } from './render-draft.ts';

export type ManifestDraftOptions = {
  /** Default namespace of the objects. */
  readonly namespace: string;
  readonly perPath: boolean;
  readonly skipUnknown?: boolean;
  readonly kinds?: Kinds;
};

export type ManifestDraft = {
  readonly draft: Draft;
  readonly notes: DraftNotes;
  readonly evaluation: Evaluation;
  /** Objects that no rule can allow. */
  readonly denied: readonly ObjectResult[];
};

export function draftFromManifests(input: ParsedManifests, { perPath, ...options }: ManifestDraftOptions): ManifestDraft {
  // What is still denied while everything is allowed, no rule can allow. The day matters only to exemptions.
  const known = { ...options, user: 'developer', assumeComplete: false, now: 0 };
  const rules = everythingAllowed();
  const evaluation = evaluate(input, rules, known);
  const uses = imageUses(evaluation, factsFromObjects(input.manifests, known));
  const denied = evaluation.results.filter(({ outcome }) => outcome === 'denied');
  const notes: DraftNotes = {
    objects: evaluation.results.length,
    denied: denied.map((result) => renderDenied(result, rules)),
    unknown: evaluation.results.filter(({ outcome }) => outcome !== 'denied').flatMap(renderUnknownImages),
    notEvaluated: evaluation.notEvaluated.map(renderNotEvaluated),
  };
  return { draft: draftRules(uses, registrySecrets(input.manifests, options.namespace), { perPath }), notes, evaluation, denied };
}

function everythingAllowed(): RuleSet {
  const compiled = compileRuleSet([], hashRules);
  if (!compiled.ok) throw new Error('no documents contradict each other');
  const { ruleSet } = compiled;
  const settings = { ...ruleSet.settings, unconfigured: 'allow' as const };
  return { ...ruleSet, settings, settingsAt: () => ({ value: settings }) };
}

/** The denial, which names the object, without whom to ask about rules. */
function renderDenied({ messages }: ObjectResult, rules: RuleSet): string {
  const denial = messages.at(-1)?.replaceAll('\n', ' ') ?? '';
  const contact = ` ${renderContact(rules)}`;
  return denial.endsWith(contact) ? denial.slice(0, -contact.length) : denial;
}

function renderUnknownImages({ object, images }: ObjectResult): readonly string[] {
  const unknown = images.filter(({ verdict }) => verdict === 'unresolved' || verdict === 'invalid');
  return [...new Set(unknown.map((image) => `${renderSubject(object)}, ${image.path}: ${renderUnknown(image)}`))];
}

function renderUnknown({ image, stream, written, why = 'not a valid image name' }: EvaluatedImage): string {
  const text = image ?? stream ?? written;
  return text === undefined || why.includes(text) ? why : `${text}: ${why}`;
}

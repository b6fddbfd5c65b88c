/** Drafts rules for objects from files. */
import { type Evaluation, evaluate } from '../evaluate/evaluate.ts';
import type { ObjectResult } from '../evaluate/evaluate-object.ts';
import { factsFromObjects } from '../evaluate/facts-from-objects.ts';
import { renderNotEvaluated } from '../evaluate/not-evaluated.ts';
import type { ParsedManifests } from '../evaluate/parse-manifests.ts';
import type { Kinds } from '../object/kinds.ts';
import { allowEverything, describeDenied, describeUnknownImages } from './allow-everything.ts';
import { type Draft, draftRules } from './draft-rules.ts';
import { followedTags } from './followed-tags.ts';
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
  const rules = allowEverything();
  const evaluation = evaluate(input, rules, known);
  const facts = factsFromObjects(input.manifests, known);
  const uses = imageUses(evaluation, facts);
  const denied = evaluation.results.filter(({ outcome }) => outcome === 'denied');
  const notes: DraftNotes = {
    objects: evaluation.results.length,
    denied: denied.map((result) => describeDenied(result, rules)),
    unknown: evaluation.results.flatMap((result, index) => {
      const manifest = evaluation.evaluated[index];
      if (!manifest || result.outcome === 'denied') return [];
      return describeUnknownImages(result, followedTags(manifest, options.namespace, facts));
    }),
    notEvaluated: evaluation.notEvaluated.map(renderNotEvaluated),
  };
  return { draft: draftRules(uses, registrySecrets(input.manifests, options.namespace), { perPath }), notes, evaluation, denied };
}

/** Drafts rules for what runs in a cluster. */
import type { Facts } from '../decision/facts.ts';
import { allowEverything, describeDenied, describeUnknownImages } from '../draft/allow-everything.ts';
import { type Draft, draftRules } from '../draft/draft-rules.ts';
import { followedTags } from '../draft/followed-tags.ts';
import { type ImageUse, imageUses } from '../draft/image-use.ts';
import type { RegistrySecrets } from '../draft/registry-secrets.ts';
import type { DraftNotes } from '../draft/render-draft.ts';
import { evaluateObject, renderSubject, subjectOf } from '../evaluate/evaluate-object.ts';
import { type NotRead, renderPlace } from './not-read.ts';
import { type LiveObjects, readWorkloads } from './read-workloads.ts';

export type ClusterDraftOptions = LiveObjects & {
  readonly facts: Facts;
  readonly secrets: RegistrySecrets;
  readonly perPath: boolean;
  /** Registries that the platform trusts without a rule. */
  readonly internalRegistries: readonly string[];
  /** What could not be read before. */
  readonly notRead: readonly NotRead[];
};

export type ClusterDraft = {
  readonly draft: Draft;
  readonly notes: DraftNotes;
  /** Objects in namespaces that the webhooks do not receive. They need no rule. */
  readonly excluded: { readonly namespaces: readonly string[]; readonly objects: number };
  readonly notRead: readonly NotRead[];
  readonly notEvaluated: readonly string[];
  /** What could not be read, and runs nothing. */
  readonly gaps: readonly string[];
};

type Found = {
  readonly uses: readonly ImageUse[];
  readonly denied: readonly string[];
  readonly unknown: readonly string[];
  readonly notEvaluated: readonly string[];
};

/** @throws ApiError if the API server cannot be reached, or rejects the credential */
export async function draftFromCluster(options: ClusterDraftOptions): Promise<ClusterDraft> {
  const { facts, secrets, perPath, internalRegistries, ...live } = options;
  const rules = allowEverything();
  const read = await readWorkloads<Found>(live, (manifest, user) => {
    const evaluation = evaluateObject(manifest, rules, facts, { namespace: '', user, source: 'cluster' });
    if (evaluation.kind === 'without-images') return nothing;
    if (evaluation.kind === 'not-evaluated')
      return { ...nothing, notEvaluated: [`${renderSubject(subjectOf(manifest, ''))} ${evaluation.why.message}`] };
    const { result } = evaluation;
    const uses = imageUses({ results: [result], evaluated: [manifest] }, facts);
    if (result.outcome === 'denied') return { ...nothing, uses, denied: [describeDenied(result, rules)] };
    return { ...nothing, uses, unknown: describeUnknownImages(result, followedTags(manifest, '', facts)) };
  });

  const found = read.workloads.flatMap(({ templates, pods, ...workload }) => {
    const object = renderSubject(workload);
    const values = [...templates, ...pods.map(({ value }) => value)];
    // All Pods and templates of a workload count as one object.
    return values.map(({ uses, ...value }) => ({ ...value, uses: uses.map((use) => ({ ...use, object })) }));
  });
  const notRead = [...live.notRead, ...read.notRead];
  const notEvaluated = [...new Set(found.flatMap((each) => each.notEvaluated))];
  const notes: DraftNotes = {
    objects: read.workloads.length,
    denied: [...new Set(found.flatMap(({ denied }) => denied))],
    unknown: [...new Set(found.flatMap(({ unknown }) => unknown))],
    notEvaluated: [...notRead.map((each) => `${renderPlace(each)}: ${each.message}`), ...notEvaluated],
  };
  const draft = draftRules(
    found.flatMap(({ uses }) => uses),
    secrets,
    { perPath, internalRegistries },
  );
  return { draft, notes, excluded: read.excluded, notRead, notEvaluated, gaps: read.gaps };
}

const nothing: Found = { uses: [], denied: [], unknown: [], notEvaluated: [] };

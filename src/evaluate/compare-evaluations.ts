/** Compares the evaluations of the same objects with two rule sets. */
import type { Evaluation } from './evaluate.ts';
import type { ObjectResult } from './evaluate-object.ts';

/** The most important change for the owner of the object. `secrets`: the outcome is unchanged, but secrets differ. */
export type Effect = 'newly-denied' | 'newly-allowed' | 'newly-warned' | 'no-longer-warned' | 'secrets';

/** One object whose evaluation differs. Documented as `changes` of `diff -o json`. */
export type ObjectChange = {
  readonly object: ObjectResult['object'];
  /** Absent if no change is known, but the evaluation is uncertain. */
  readonly effect?: Effect;
  readonly before: ObjectResult['outcome'];
  readonly after: ObjectResult['outcome'];
  readonly secretsGained: readonly SecretAt[];
  readonly secretsLost: readonly SecretAt[];
  /** Images that the new rules evaluate differently. */
  readonly images: readonly { readonly path: string; readonly image?: string; readonly before: ImageResult; readonly after: ImageResult }[];
  /** The exact messages for the client under the new rules. */
  readonly messages: readonly string[];
  /** Which input is missing for a certain result, under either rule set. Absent if none is missing. */
  readonly uncertain?: readonly string[];
};

export type SecretAt = { readonly path: string; readonly secret: string };
/** The part of an image's evaluation that is compared and shown. */
type ImageResult = Pick<ObjectResult['images'][number], 'verdict' | 'reason' | 'rule'>;

export type Comparison = {
  readonly changes: readonly ObjectChange[];
  readonly summary: {
    readonly newlyDenied: number;
    readonly newlyAllowed: number;
    readonly newlyWarned: number;
    readonly noLongerWarned: number;
    readonly secretsGained: number;
    readonly secretsLost: number;
    readonly uncertain: number;
    readonly unchanged: number;
  };
};

/**
 * Both evaluations must be of the same objects. Their results are in the same order, because rules do not change which kinds are evaluated.
 */
export function compareEvaluations(before: Evaluation, after: Evaluation): Comparison {
  const pairs = before.results.map((result, index) => compareResults(result, after.results[index] as ObjectResult));
  const changes = pairs.filter((change) => change !== undefined);
  return { changes, summary: countChanges(changes, pairs.length) };
}

/** `compared`: how many were compared, with those that do not change. */
export function countChanges(changes: readonly Omit<ObjectChange, 'object'>[], compared: number): Comparison['summary'] {
  const count = (matches: (change: Omit<ObjectChange, 'object'>) => boolean) => changes.filter(matches).length;
  return {
    newlyDenied: count(({ effect }) => effect === 'newly-denied'),
    newlyAllowed: count(({ effect }) => effect === 'newly-allowed'),
    newlyWarned: count(({ effect }) => effect === 'newly-warned'),
    noLongerWarned: count(({ effect }) => effect === 'no-longer-warned'),
    secretsGained: count(({ secretsGained }) => secretsGained.length > 0),
    secretsLost: count(({ secretsLost }) => secretsLost.length > 0),
    uncertain: count(({ uncertain }) => uncertain !== undefined),
    unchanged: compared - changes.length,
  };
}

function compareResults(before: ObjectResult, after: ObjectResult): ObjectChange | undefined {
  const change = comparePair(before, after, { gained: secretsOnlyIn(after, before), lost: secretsOnlyIn(before, after) });
  return change && { object: after.object, ...change };
}

/** `secrets` are those that the object would have with one of the rule sets only. Undefined if nothing changes. */
export function comparePair(
  before: ObjectResult,
  after: ObjectResult,
  secrets: { readonly gained: readonly SecretAt[]; readonly lost: readonly SecretAt[] },
): Omit<ObjectChange, 'object'> | undefined {
  // A denied object is not stored, so it gains and loses no secrets.
  const { gained, lost } = after.outcome === 'denied' ? { gained: [], lost: [] } : secrets;
  const effect = effectOf(before.outcome, after.outcome) ?? (gained.length + lost.length > 0 ? 'secrets' : undefined);
  const uncertain = [...new Set([...(before.uncertain ?? []), ...(after.uncertain ?? [])])];
  if (!effect && uncertain.length === 0) return undefined;
  return {
    ...(effect && { effect }),
    before: before.outcome,
    after: after.outcome,
    secretsGained: gained,
    secretsLost: lost,
    images: changedImages(before, after),
    messages: after.messages,
    ...(uncertain.length > 0 && { uncertain }),
  };
}

export function effectOf(before: ObjectResult['outcome'], after: ObjectResult['outcome']): Effect | undefined {
  if (before === after) return undefined;
  if (after === 'denied') return 'newly-denied';
  if (before === 'denied') return 'newly-allowed';
  return after === 'warned' ? 'newly-warned' : 'no-longer-warned';
}

const severities = ['newly-denied', 'loses-secret', 'uncertain', 'newly-warned', 'newly-allowed', 'no-longer-warned', 'secrets'] as const;

/** The rank in a list of changes, from 0: what causes exit code 1 comes first, secrets that are only gained come last. */
export function severityOf({ effect, secretsLost }: { readonly effect?: Effect; readonly secretsLost: readonly unknown[] }): number {
  return severities.indexOf(effect !== 'newly-denied' && secretsLost.length > 0 ? 'loses-secret' : (effect ?? 'uncertain'));
}

/** Leaves out the service account's secrets: Kubernetes itself adds them if we write none, so no object gains or loses them. */
function secretsOnlyIn({ inject }: ObjectResult, other: ObjectResult): readonly SecretAt[] {
  const known = new Set(other.inject.map(({ path, secret }) => `${path} ${secret}`));
  return inject
    .filter(({ path, secret, from }) => from === 'rule' && !known.has(`${path} ${secret}`))
    .map(({ path, secret }) => ({ path, secret }));
}

function changedImages(before: ObjectResult, after: ObjectResult): ObjectChange['images'] {
  return after.images.flatMap(({ path, image, ...now }) => {
    const old = before.images.find((each) => each.path === path && each.image === image && each.action === now.action);
    const [resultBefore, resultAfter] = [old && imageResult(old), imageResult(now)];
    if (!resultBefore || comparisonKey(resultBefore) === comparisonKey(resultAfter)) return [];
    return [{ path, ...(image !== undefined && { image }), before: resultBefore, after: resultAfter }];
  });
}

function imageResult({ verdict, reason, rule }: ImageResult): ImageResult {
  return { verdict, reason, ...(rule && { rule }) };
}

/** Ignores the position of the rule, because the two rule sets come from different files. */
function comparisonKey({ verdict, reason, rule }: ImageResult): string {
  return JSON.stringify([verdict, reason, rule?.name]);
}

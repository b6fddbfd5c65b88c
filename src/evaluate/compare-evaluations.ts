/** What another rule set makes of the same objects. */
import type { Evaluation, ObjectResult } from './evaluate.ts';

/** What matters most to whoever owns the object; `secrets` alone where it is let in as before. */
export type Effect = 'newly-denied' | 'newly-allowed' | 'newly-warned' | 'no-longer-warned' | 'secrets';

/** One object that fares differently. Documented as `changes` of `diff -o json`. */
export type ObjectChange = {
  readonly object: ObjectResult['object'];
  /** Absent where nothing is known to change, and it could not be told for sure. */
  readonly effect?: Effect;
  readonly before: ObjectResult['outcome'];
  readonly after: ObjectResult['outcome'];
  readonly secretsGained: readonly SecretAt[];
  readonly secretsLost: readonly SecretAt[];
  /** Images of which the new rules say something else. */
  readonly images: readonly { readonly path: string; readonly image?: string; readonly before: Said; readonly after: Said }[];
  /** What the client is told under the new rules, word for word. */
  readonly messages: readonly string[];
  /** What is missing to be sure, under either rules; only where something is. */
  readonly undecided?: readonly string[];
};

type SecretAt = { readonly path: string; readonly secret: string };
type Said = Pick<ObjectResult['images'][number], 'verdict' | 'reason' | 'rule'>;

export type Comparison = {
  readonly changes: readonly ObjectChange[];
  readonly summary: {
    readonly newlyDenied: number;
    readonly newlyAllowed: number;
    readonly newlyWarned: number;
    readonly noLongerWarned: number;
    readonly secretsGained: number;
    readonly secretsLost: number;
    readonly undecided: number;
    readonly unchanged: number;
  };
};

/** Both are of the same objects, in the same order: which kinds are read does not depend on rules. */
export function compareEvaluations(before: Evaluation, after: Evaluation): Comparison {
  const pairs = before.results.map((result, index) => compareResults(result, after.results[index] as ObjectResult));
  const changes = pairs.filter((change) => change !== undefined);
  const count = (holds: (change: ObjectChange) => boolean) => changes.filter(holds).length;
  return {
    changes,
    summary: {
      newlyDenied: count(({ effect }) => effect === 'newly-denied'),
      newlyAllowed: count(({ effect }) => effect === 'newly-allowed'),
      newlyWarned: count(({ effect }) => effect === 'newly-warned'),
      noLongerWarned: count(({ effect }) => effect === 'no-longer-warned'),
      secretsGained: count(({ secretsGained }) => secretsGained.length > 0),
      secretsLost: count(({ secretsLost }) => secretsLost.length > 0),
      undecided: count(({ undecided }) => undecided !== undefined),
      unchanged: pairs.length - changes.length,
    },
  };
}

function compareResults(before: ObjectResult, after: ObjectResult): ObjectChange | undefined {
  const secretsGained = secretsOnlyIn(after, before);
  // What is refused is not stored, so it loses nothing.
  const secretsLost = after.outcome === 'denied' ? [] : secretsOnlyIn(before, after);
  const gained = after.outcome === 'denied' ? [] : secretsGained;
  const effect = effectOf(before.outcome, after.outcome) ?? (gained.length + secretsLost.length > 0 ? 'secrets' : undefined);
  const undecided = [...new Set([...(before.undecided ?? []), ...(after.undecided ?? [])])];
  if (!effect && undecided.length === 0) return undefined;
  return {
    object: after.object,
    ...(effect && { effect }),
    before: before.outcome,
    after: after.outcome,
    secretsGained: gained,
    secretsLost,
    images: changedImages(before, after),
    messages: after.messages,
    ...(undecided.length > 0 && { undecided }),
  };
}

function effectOf(before: ObjectResult['outcome'], after: ObjectResult['outcome']): Effect | undefined {
  if (before === after) return undefined;
  if (after === 'denied') return 'newly-denied';
  if (before === 'denied') return 'newly-allowed';
  return after === 'warned' ? 'newly-warned' : 'no-longer-warned';
}

/** Those of the service account stand beside ours, and come from Kubernetes itself where we write none: nobody gains or loses them. */
function secretsOnlyIn({ inject }: ObjectResult, other: ObjectResult): readonly SecretAt[] {
  const known = new Set(other.inject.map(({ path, secret }) => `${path} ${secret}`));
  return inject
    .filter(({ path, secret, from }) => from === 'rule' && !known.has(`${path} ${secret}`))
    .map(({ path, secret }) => ({ path, secret }));
}

function changedImages(before: ObjectResult, after: ObjectResult): ObjectChange['images'] {
  return after.images.flatMap(({ path, image, ...now }) => {
    const old = before.images.find((each) => each.path === path && each.image === image && each.action === now.action);
    const [saidBefore, saidAfter] = [old && said(old), said(now)];
    if (!saidBefore || meaning(saidBefore) === meaning(saidAfter)) return [];
    return [{ path, ...(image !== undefined && { image }), before: saidBefore, after: saidAfter }];
  });
}

function said({ verdict, reason, rule }: Said): Said {
  return { verdict, reason, ...(rule && { rule }) };
}

/** Where the rule is written does not count: the two rule sets come from different files. */
function meaning({ verdict, reason, rule }: Said): string {
  return JSON.stringify([verdict, reason, rule?.name]);
}

/** Evaluates a past request again, from what its audit record contains, by any rules. */
import { dockerHub } from '../image/docker-hub.ts';
import { parseImage } from '../image/reference.ts';
import { noPodMark } from '../object/injection-mark.ts';
import type { ImageSlot, ObjectShape } from '../object/object-shape.ts';
import { labelKeysOf } from '../rules/label-keys.ts';
import { secretsOf } from '../rules/rule-secrets.ts';
import type { NamespaceContext, RuleSet, ShortNames } from '../rules/rule-set.ts';
import { shortNamesFor } from '../rules/short-names.ts';
import { evaluateShape, soften, worst } from './decide.ts';
import type { ImageDecision, Outcome } from './decision.ts';
import { noFacts, type SecretFacts } from './facts.ts';

export type PastRequest = {
  readonly operation: 'CREATE' | 'UPDATE';
  readonly namespace: string;
  /** The object was a Pod, and not a template or anything else. */
  readonly isPod: boolean;
  readonly isStaticPod: boolean;
  /** Whether the kind has fields for secrets. */
  readonly hasSecrets: boolean;
  /** The labels that the rules selected by then. Null for one that the namespace lacked. Undefined if its labels were unknown. */
  readonly namespaceLabels: ReadonlyMap<string, string | null> | undefined;
  /** What a name without a registry meant then. */
  readonly shortNames: ShortNames;
  /** Of a Pod: the secrets that the rules named then for its images. */
  readonly secrets: ReadonlyMap<string, SecretFacts>;
  /** Secrets that the object listed, without those of regkeeper. Undefined if it is not known what rules would write into the object. */
  readonly suppliedSecrets: readonly string[] | undefined;
  readonly images: readonly PastImage[];
};

export type PastImage = {
  /** As written, possibly without its tag and digest, on which no result depends (`withoutVersion`). */
  readonly text: string;
  readonly action: 'pull' | 'push';
  readonly introduced: boolean;
  /** What preceded the text in a custom resource, such as `oci://`. */
  readonly scheme?: string;
  /** As in {@link ImageSlot}. */
  readonly imported: boolean;
  readonly lookupOnly: boolean;
  /** The cluster itself trusted it, such as an image of its internal registry. Rules documents do not contain that. */
  readonly trustedByCluster: boolean;
};

/** Why the rules do not determine the outcome of a past request. */
export const replayGaps = {
  'labels-unknown': 'The rules select namespaces by labels that the record does not contain.',
  'secret-unknown': 'A rule has `onMissingSecret: deny`, and the record does not show whether the namespace has the secret.',
  'short-names': "The result depends on `shortNames`, which differs from the record or came from the cluster's configuration.",
  'cluster-registry':
    'An image was trusted because it is from an internal registry that the server detected. Rules files do not show whether this still applies.',
} as const;
export type ReplayGap = keyof typeof replayGaps;

export type Replay =
  | {
      readonly kind: 'replayed';
      readonly outcome: Outcome;
      /** In the order of the record. */
      readonly images: readonly ReplayedImage[];
      readonly secrets: ReplayedSecrets;
    }
  | { readonly kind: 'unknown'; readonly gap: ReplayGap };

export type ReplayedImage = Pick<ImageDecision, 'verdict' | 'reason' | 'rule' | 'outcomeBeforeMode'> & {
  /** Those that the rules specify for it, in an object that they may write to. */
  readonly secrets: readonly string[];
};

/** `specified`: secrets that the rules specify for the images. `added`: those that the object lacked. Undefined if that is not known. */
export type ReplayedSecrets = { readonly specified: readonly string[]; readonly added: readonly string[] | undefined };

/** Pure. `now` is the time for which exemptions and ends of rules are evaluated. */
export function replay(past: PastRequest, rules: RuleSet, now: () => number): Replay {
  if (shortNamesMayBeOfCluster(past, rules)) return unknown('short-names');
  const certain = evaluateAgain(past, rules, now, ({ introduced }) => introduced);
  if (certain.kind === 'unknown') return certain;
  const mayDiffer = whatMayDiffer(past, rules);
  if (!past.images.some(mayDiffer)) return certain;
  const other = evaluateAgain(past, rules, now, (image) => image.introduced !== mayDiffer(image));
  return other.kind === 'replayed' && other.outcome === certain.outcome ? certain : unknown('short-names');
}

function evaluateAgain(past: PastRequest, rules: RuleSet, now: () => number, isIntroduced: (image: PastImage) => boolean): Replay {
  const { context: place, isIncomplete } = placeOf(past, rules);
  const facts = { ...noFacts(now), secret: (_namespace: string, name: string) => past.secrets.get(name) ?? 'unknown' };
  const { shape, pastOf } = shapeOf(past);
  const { images, unsure, context } = evaluateShape(shape, { rules, place, facts, isOld: ({ slot }) => !isIntroduced(pastOf(slot)) });
  if (isIncomplete && unsure.length > 0) return unknown('labels-unknown');
  if (past.isPod && context.writes && images.some((image) => dependsOnSecret(image, past))) return unknown('secret-unknown');

  // A template is evaluated as an object that nothing is written to, because only its images matter to the outcome.
  const writes = past.hasSecrets && (past.isPod ? context.writes : context.settings.inject === 'all');
  const onCluster = images.map((image) => {
    const result = pastOf(image.slot).trustedByCluster ? asTrustedByCluster(image) : image;
    return result && { ...result, secrets: writes ? imageSecrets(image) : [] };
  });
  const known = onCluster.filter((image) => image !== undefined);
  if (known.length < onCluster.length) return unknown('cluster-registry');
  const outcomeBeforeMode = worst(known.map((image) => image.outcomeBeforeMode));
  const specified = [...new Set(known.flatMap(({ secrets }) => secrets))];
  const isCertain = !isIncomplete || context.unsureSettings?.inject === undefined;
  const { suppliedSecrets } = past;
  const added = isCertain && suppliedSecrets ? specified.filter((name) => !suppliedSecrets.includes(name)) : undefined;
  return { kind: 'replayed', outcome: soften(outcomeBeforeMode, context.settings.mode), images: known, secrets: { specified, added } };
}

function imageSecrets({ slot, trustedBy }: ImageDecision): readonly string[] {
  return trustedBy.flatMap((rule) => secretsOf(rule, slot.action));
}

function unknown(gap: ReplayGap): Replay {
  return { kind: 'unknown', gap };
}

/** Where the documents do not define names without a registry, the cluster may, as it did then. */
function shortNamesMayBeOfCluster({ images, shortNames }: PastRequest, rules: RuleSet): boolean {
  return (
    !rules.shortNamesWritten &&
    shortNames !== 'docker.io' &&
    images.some((image) => shortNamesFor(image, shortNames) !== 'docker.io' && isUnqualified(image.text))
  );
}

function isUnqualified(text: string): boolean {
  const parsed = parseImage(text);
  return parsed.ok && !parsed.reference.qualified;
}

/** Labels that were unknown then are unknown again, with the same result. Labels that were not recorded make the request incomplete. */
function placeOf(
  { namespace, namespaceLabels }: PastRequest,
  rules: RuleSet,
): { readonly context: NamespaceContext; readonly isIncomplete: boolean } {
  const isIncomplete = namespaceLabels !== undefined && labelKeysOf(rules).some((key) => !namespaceLabels.has(key));
  if (!namespaceLabels || isIncomplete) return { context: { namespace, labels: undefined }, isIncomplete };
  const labels = [...namespaceLabels].filter((entry): entry is [string, string] => entry[1] !== null);
  return { context: { namespace, labels: Object.fromEntries(labels) }, isIncomplete };
}

function shapeOf({ isPod, isStaticPod, images }: PastRequest) {
  const slots = images.map(slotOf);
  const pastOfSlot = new Map(slots.map((slot, index) => [slot, images[index] as PastImage]));
  const pod = { kind: 'pod', stage: 'pod', slots, spec: [], metadata: [], serviceAccount: '', pullSecrets: [], mark: noPodMark } as const;
  const shape: ObjectShape = isPod ? { ...pod, ...(isStaticPod && { readOnlyBecause: 'mirror' }) } : { kind: 'naming', slots };
  return { shape, pastOf: (slot: ImageSlot) => pastOfSlot.get(slot) as PastImage };
}

function slotOf({ text, scheme, action, imported, lookupOnly }: PastImage): ImageSlot {
  return {
    path: [],
    displayName: '',
    action,
    content: { kind: 'image', text, ...(scheme !== undefined && { scheme }) },
    ...(imported && { imported }),
    ...(lookupOnly && { lookupOnly }),
  };
}

/** Whether the namespace may lack all pull secrets of a rule that would deny the Pod for that. */
function dependsOnSecret({ trustedBy, missing }: ImageDecision, { secrets }: PastRequest): boolean {
  if (missing) return false;
  return trustedBy.some(({ onMissingSecret, pullSecrets }) => {
    const states = pullSecrets.map((name) => secrets.get(name));
    return onMissingSecret === 'deny' && states.includes(undefined) && !states.includes('present') && !states.includes('unknown');
  });
}

/** Undefined if the rules contradict the cluster, which then depends on the registry. */
function asTrustedByCluster(image: ImageDecision): Omit<ReplayedImage, 'secrets'> | undefined {
  if (image.verdict === 'trusted') return image;
  if (image.verdict !== 'unconfigured') return undefined;
  return { verdict: 'trusted', reason: 'trusted', outcomeBeforeMode: 'allowed' };
}

/**
 * Images of which the rules decide whether the request introduced them. Two names of one image on Docker Hub are the same image only while a
 * name without a registry means Docker Hub.
 */
function whatMayDiffer({ operation, shortNames }: PastRequest, rules: RuleSet): (image: PastImage) => boolean {
  const [then, now] = [shortNames === 'docker.io', rules.settings.shortNames === 'docker.io'];
  if (operation !== 'UPDATE' || then === now) return () => false;
  // What is the same image by the stricter comparison is the same by the other one too.
  return ({ text, introduced }) => introduced !== then && isOnDockerHub(text);
}

function isOnDockerHub(text: string): boolean {
  const parsed = parseImage(text);
  return parsed.ok && parsed.reference.host === dockerHub;
}

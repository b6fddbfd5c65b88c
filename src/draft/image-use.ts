/** Which images objects use, and which secrets are looked up for them: the input of a first rules document. */
import type { Lookup } from '../credentials/usual-key.ts';
import type { Facts } from '../decision/facts.ts';
import type { Evaluation } from '../evaluate/evaluate.ts';
import { type EvaluatedImage, renderSubject } from '../evaluate/evaluate-object.ts';
import { type ImageReference, parseImage } from '../image/reference.ts';
import { renderPath } from '../object/json.ts';
import type { BuildShape, ImageSlot, ObjectShape, PodShape } from '../object/object-shape.ts';
import { shortNamesFor } from '../rules/short-names.ts';
import { type FollowedTags, followedTags } from './followed-tags.ts';
import { readShape } from './read-shape.ts';

/** Images of one object that share one list of secrets. */
export type ImageUse = {
  /** The object, for counting. */
  readonly object: string;
  readonly namespace: string;
  readonly images: readonly ImageReference[];
  /** Those of the images whose registry depends on `shortNames`. */
  readonly shortNames: readonly ImageReference[];
  /** How the credentials of the images are found. Absent where they do not come from a secret of the object. */
  readonly credentials?: {
    readonly lookup: Lookup;
    /** Names of Secrets in the namespace, as the object or its service account lists them. */
    readonly secrets: readonly string[];
  };
};

/** The uses of all evaluated objects, in their order. Images that are invalid or not known yet are none. */
export function imageUses(
  { results, evaluated }: Pick<Evaluation, 'results' | 'evaluated'>,
  facts: Pick<Facts, 'serviceAccount' | 'imageStream' | 'kinds'>,
): readonly ImageUse[] {
  return results.flatMap(({ object, images }, index) => {
    const manifest = evaluated[index];
    const shape = manifest && readShape(manifest, facts);
    if (!shape) return [];
    const references = referencesOf(shape, images, followedTags(manifest, object.namespace, facts));
    const place = { object: renderSubject(object), namespace: object.namespace };
    return usesOf(shape, object.namespace, references, facts).map((use) => ({ ...place, ...use }));
  });
}

type ReferencesBySlot = ReadonlyMap<ImageSlot, { readonly reference: ImageReference; readonly isWritten: boolean }>;

/** The images of a result are in the order of the slots. An object that could not be evaluated has none. */
function referencesOf({ slots }: ObjectShape, images: readonly EvaluatedImage[], followed: FollowedTags): ReferencesBySlot {
  const references = new Map<ImageSlot, { reference: ImageReference; isWritten: boolean }>();
  for (const [index, slot] of slots.entries()) {
    const { image = followed.get(renderPath(slot.path)), stream } = images[index] ?? {};
    const { content } = slot;
    const name = content.kind === 'image' && content.scheme !== undefined ? content.text : image;
    const parsed = name === undefined ? undefined : parseImage(name);
    if (parsed?.ok) references.set(slot, { reference: parsed.reference, isWritten: stream === undefined });
  }
  return references;
}

type Use = Pick<ImageUse, 'images' | 'shortNames' | 'credentials'>;

function usesOf(shape: ObjectShape, namespace: string, references: ReferencesBySlot, facts: Pick<Facts, 'serviceAccount'>): readonly Use[] {
  const withSecrets = shape.kind === 'pod' ? [podUse(shape, namespace, facts)] : shape.kind === 'build' ? buildUses(shape) : [];
  // Rules give no secret for the image of an image stream, and another Pod pulls what is marked so.
  const isPulledHere = (slot: ImageSlot) => references.get(slot)?.isWritten === true && !slot.pulledElsewhere;
  const explained = new Set(withSecrets.flatMap(({ slots }) => slots.filter(isPulledHere)));
  const imagesOf = (slots: readonly ImageSlot[]) => {
    const images = (some: readonly ImageSlot[]) => some.flatMap((slot) => references.get(slot)?.reference ?? []);
    const shortNames = images(slots.filter((slot) => shortNamesFor(slot, 'reject') === 'reject')).filter(({ qualified }) => !qualified);
    return { images: images(slots), shortNames };
  };
  return [
    ...withSecrets.map(({ slots, credentials }) => ({ ...imagesOf(slots.filter(isPulledHere)), credentials })),
    imagesOf(shape.slots.filter((slot) => !explained.has(slot))),
  ].filter(({ images }) => images.length > 0);
}

type SlotsWithSecrets = { readonly slots: readonly ImageSlot[]; readonly credentials: NonNullable<ImageUse['credentials']> };

/** Kubernetes adds the secrets of the service account only to an empty list. */
function podUse(
  { slots, pullSecrets, serviceAccount }: PodShape,
  namespace: string,
  facts: Pick<Facts, 'serviceAccount'>,
): SlotsWithSecrets {
  const account = pullSecrets.length > 0 ? undefined : facts.serviceAccount(namespace, serviceAccount);
  const listed = account?.kind === 'known' ? account.pullSecrets : pullSecrets;
  return { slots, credentials: { lookup: { by: 'kubelet' }, secrets: listed.filter((name) => name !== undefined) } };
}

function buildUses({ credentials }: BuildShape): readonly SlotsWithSecrets[] {
  return credentials.map(({ slots, action, current }) => ({
    slots,
    credentials: { lookup: { by: 'builder', action }, secrets: current === undefined ? [] : [current] },
  }));
}

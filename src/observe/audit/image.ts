/** The images of a decision, as audit records and the command line show them. */
import { createHash } from 'node:crypto';
import type { ImageDecision } from '../../decision/decision.ts';
import { maskUserinfo } from '../../image/problem.ts';
import { canonicalName } from '../../image/reference.ts';
import { renderPath } from '../../object/json.ts';
import { imageAsWritten } from '../../object/object-shape.ts';
import { type AuditedRule, type AuditedSource, auditOrigin, auditRule, type ShortenText } from './audited-rule.ts';
import { budgets, type Cutter, omitted } from './record-limits.ts';

export type DescribedImage = {
  readonly path: string;
  /** As written, or from the image stream. Absent if the object contains no image yet. */
  readonly image?: string;
  /** The image stream that the field names: `namespace/stream:tag` or `namespace/stream@digest`. */
  readonly stream?: string;
  /** Why the image is unknown. Only with verdict `unresolved`. */
  readonly why?: string;
  /** The name that is matched: host[:port]/path. */
  readonly canonical?: string;
  readonly action: 'pull' | 'push';
  readonly verdict: string;
  readonly reason: string;
  readonly rule?: AuditedRule;
  readonly exemption?: { readonly until: string; readonly reason: string; readonly source: AuditedSource };
};

export type AuditedImage = DescribedImage & {
  /** The object did not have the image before the request. */
  readonly introduced: boolean;
  /** OpenShift imports it, so a name without a registry is one of Docker Hub. */
  readonly imported?: true;
  /** The request only asks the registry about it, and stores nothing. */
  readonly lookupOnly?: true;
};

export type ShownImages = {
  readonly images: readonly AuditedImage[];
  /** How many images are not in `images`. */
  readonly imagesOmitted?: number;
  /** If `images` does not show everything: {@link hashImages} of all images. */
  readonly imagesSha256?: string;
};

/**
 * All images in the object's order, if they fit. Otherwise the denied ones first, then those with warnings, then introduced ones, then the
 * others.
 */
export function showImages(images: readonly ImageDecision[], cutter: Cutter): ShownImages {
  const before = cutter.cut;
  cutter.cut = false;
  const audit = (image: ImageDecision) => auditImage(image, cutter);
  let shown: readonly AuditedImage[] = images.length <= budgets.images.count ? cutter.list(images.map(audit), budgets.images) : [];
  if (shown.length < images.length) shown = cutter.list(mostImportant(images, budgets.images.count).map(audit), budgets.images);
  const incomplete = cutter.cut || shown.length < images.length;
  cutter.cut = before || incomplete;
  return { images: shown, ...omitted('imagesOmitted', images, shown), ...(incomplete && { imagesSha256: hashImages(images) }) };
}

function auditImage(image: ImageDecision, cutter: Cutter): AuditedImage {
  const { rule, exemption, ...described } = describeImage(image, (text) => cutter.text(text));
  const { imported, lookupOnly } = image.slot;
  return {
    ...described,
    introduced: image.old !== true,
    ...(imported && { imported }),
    ...(lookupOnly && { lookupOnly }),
    ...(rule && { rule }),
    ...(exemption && { exemption }),
  };
}

/** Complete, unless `short` cuts the texts. A password in an image name is masked. */
export function describeImage(decision: ImageDecision, short: ShortenText = (text) => text): DescribedImage {
  const { slot, verdict, reason, reference, rule, exemption, stream } = decision;
  const { content } = slot;
  const text = imageText(decision);
  const why = stream?.kind === 'resolved' ? undefined : (stream?.why ?? (content.kind === 'unresolved' ? content.why : undefined));
  return {
    path: short(renderPath(slot.path)),
    ...(text !== undefined && { image: short(text) }),
    ...(stream && { stream: short(stream.stream) }),
    ...(why !== undefined && { why: short(why) }),
    ...(reference && { canonical: short(canonicalName(reference)) }),
    action: slot.action,
    verdict,
    reason,
    ...(rule && { rule: auditRule(rule, short) }),
    ...(exemption && {
      exemption: { until: exemption.until, reason: short(exemption.reason), source: auditOrigin(exemption.origin, short) },
    }),
  };
}

function imageText({ slot: { content }, stream }: ImageDecision): string | undefined {
  const text = stream?.kind === 'resolved' ? stream.image : content.kind === 'image' ? imageAsWritten(content) : undefined;
  return text === undefined ? undefined : maskUserinfo(text);
}

function mostImportant(images: readonly ImageDecision[], count: number): ImageDecision[] {
  const ranks: ImageDecision[][] = [[], [], [], []];
  for (const image of images) {
    const rank = ranks[rankOf(image)];
    if (rank && rank.length < count) rank.push(image);
  }
  return ranks.flat().slice(0, count);
}

function rankOf({ outcomeBeforeMode, old }: ImageDecision): number {
  if (outcomeBeforeMode === 'denied') return 0;
  if (outcomeBeforeMode === 'warned') return 1;
  return old ? 3 : 2;
}

/**
 * SHA-256 in hex over one line of JSON for each image, in the object's order: `[path, image, action]`, complete and without spaces, null
 * for a missing image, each followed by a newline. It depends on no rules, so anyone with the object can compute it again.
 */
export function hashImages(images: readonly ImageDecision[]): string {
  const hash = createHash('sha256');
  let lines = '';
  for (const image of images) {
    const { path, action } = image.slot;
    lines += `${JSON.stringify([renderPath(path), imageText(image) ?? null, action])}\n`;
    if (lines.length < 65_536) continue;
    hash.update(lines);
    lines = '';
  }
  return hash.update(lines).digest('hex');
}

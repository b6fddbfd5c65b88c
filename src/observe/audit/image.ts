/** The images of a decision, as records and the command line show them. */
import { createHash } from 'node:crypto';
import type { ImageDecision } from '../../decision/decision.ts';
import { maskUserinfo } from '../../image/problem.ts';
import { canonicalName } from '../../image/reference.ts';
import { renderPath } from '../../object/json.ts';
import { budgets, type Cutter, omitted } from './budget.ts';
import { type AuditedRule, type AuditedSource, auditOrigin, auditRule, type ShortenText } from './source.ts';

export type DescribedImage = {
  readonly path: string;
  /** As written, or what the image stream holds; absent where nothing is written yet. */
  readonly image?: string;
  /** The image stream that the place names: `namespace/stream:tag` or `namespace/stream@digest`. */
  readonly stream?: string;
  /** Why the image is not known; only with verdict `unresolved`. */
  readonly why?: string;
  /** host[:port]/path as matched. */
  readonly canonical?: string;
  readonly action: 'pull' | 'push';
  readonly verdict: string;
  readonly reason: string;
  readonly rule?: AuditedRule;
  readonly exemption?: { readonly until: string; readonly reason: string; readonly source: AuditedSource };
};

/** `introduced`: the object did not have the image before the request. */
export type AuditedImage = DescribedImage & { readonly introduced: boolean };

export type ShownImages = {
  readonly images: readonly AuditedImage[];
  /** How many are not in `images`. */
  readonly imagesOmitted?: number;
  /** Where `images` does not show everything: {@link hashImages} of all. */
  readonly imagesSha256?: string;
};

/** All of them in the object's order, where there is room. Otherwise first the denied ones, then those with warnings, introduced, and others. */
export function showImages(images: readonly ImageDecision[], cutter: Cutter): ShownImages {
  const before = cutter.cut;
  cutter.cut = false;
  const audit = (image: ImageDecision) => auditImage(image, cutter);
  let shown: readonly AuditedImage[] = images.length <= budgets.images.count ? cutter.list(images.map(audit), budgets.images) : [];
  if (shown.length < images.length) shown = cutter.list(mostImportant(images, budgets.images.count).map(audit), budgets.images);
  const partly = cutter.cut || shown.length < images.length;
  cutter.cut = before || partly;
  return { images: shown, ...omitted('imagesOmitted', images, shown), ...(partly && { imagesSha256: hashImages(images) }) };
}

function auditImage(image: ImageDecision, cutter: Cutter): AuditedImage {
  const { rule, exemption, ...described } = describeImage(image, (text) => cutter.text(text));
  return { ...described, introduced: image.old !== true, ...(rule && { rule }), ...(exemption && { exemption }) };
}

/** In full, unless `short` cuts the texts. A password in an image name is masked. */
export function describeImage(decision: ImageDecision, short: ShortenText = (text) => text): DescribedImage {
  const { slot, verdict, reason, reference, rule, exemption, stream } = decision;
  const { content } = slot;
  const text = imageText(decision);
  const why = content.kind === 'unresolved' && stream?.kind !== 'resolved' ? (stream?.why ?? content.why) : undefined;
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
  const text = content.kind === 'image' ? content.text : stream?.kind === 'resolved' ? stream.image : undefined;
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
 * SHA-256 in hex over one line of JSON for each image, in the object's order: `[path, image, action]` in full and without spaces, image null
 * where none is written, a newline behind each. It needs no rules, so anyone who has the object can compute it again.
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

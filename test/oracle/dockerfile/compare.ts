/** Compares the images that the tools would pull with those that regkeeper reads from the same Dockerfile. */
import { formatReference, parseImage } from '../../../src/image/reference.ts';
import { readDockerfileImages } from '../../../src/object/dockerfile/images.ts';
import type { Case } from './generate.ts';

export type Pull = { readonly image: string; readonly tool: string };

/** The pulls that are not among the images that regkeeper reads. Empty where every rule set denies the Dockerfile. */
export function missedPulls({ dockerfile, args, env }: Case, pulls: readonly Pull[]): readonly Pull[] {
  const images = readDockerfileImages(dockerfile, {
    given: new Map(Object.entries(args)),
    env: new Map(Object.entries(env)),
    mayGrow: false,
  });
  if (!Array.isArray(images)) return [];
  // An image with a variable that is not expanded is denied as it is written, whatever its value.
  if (images.some(({ image }) => image?.includes('$'))) return [];
  const ours = new Set(images.map(({ image = '' }) => nameOf(image)));
  // Only OpenShift's builder knows the strategy's env.
  const relevant = Object.keys(env).length > 0 ? pulls.filter(({ tool }) => tool === 'openshift, rewritten') : pulls;
  return relevant.filter(({ image }) => image !== 'scratch' && image !== '' && !ours.has(nameOf(image)) && canBePulled(image));
}

/** The normalized name, with the tag that tools add by default. */
function nameOf(text: string): string {
  // buildah prints what it pulls without the transport.
  const image = text.replace(/^docker:\/\//, '');
  const parsed = parseImage(image);
  if (!parsed.ok) return `as written: ${image}`;
  const { tag, digest } = parsed.reference;
  return formatReference(parsed.reference) + (tag === undefined && digest === undefined ? ':latest' : '');
}

/** Whether a tool can read the name. Otherwise its pull fails. */
function canBePulled(image: string): boolean {
  return parseImage(image).ok || image.includes('://');
}

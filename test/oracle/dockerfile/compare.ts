/** What the tools would pull, held against what is read of the same Dockerfile. */
import { formatReference, parseImage } from '../../../src/image/reference.ts';
import { readDockerfileImages } from '../../../src/object/dockerfile/images.ts';
import type { Case } from './generate.ts';

export type Pull = { readonly image: string; readonly tool: string };

/** The pulls that are not among the images read; none where the Dockerfile is denied whatever the rules say. */
export function missedPulls({ dockerfile, args, env }: Case, pulls: readonly Pull[]): readonly Pull[] {
  const images = readDockerfileImages(dockerfile, {
    args: new Map(Object.entries(args)),
    env: new Map(Object.entries(env)),
    mayGrow: false,
  });
  if (!Array.isArray(images)) return [];
  // A variable that is not followed is denied as it is written, whatever it stands for.
  if (images.some(({ image }) => image?.includes('$'))) return [];
  const ours = new Set(images.map(({ image = '' }) => nameOf(image)));
  // The strategy's env is known to OpenShift's builder alone.
  const asked = Object.keys(env).length > 0 ? pulls.filter(({ tool }) => tool === 'openshift, rewritten') : pulls;
  return asked.filter(({ image }) => image !== 'scratch' && image !== '' && !ours.has(nameOf(image)) && canBePulled(image));
}

/** One spelling for every spelling of a name, with the tag that tools add. */
function nameOf(text: string): string {
  // buildah prints what it pulls without the transport.
  const image = text.replace(/^docker:\/\//, '');
  const parsed = parseImage(image);
  if (!parsed.ok) return `as written: ${image}`;
  const { tag, digest } = parsed.reference;
  return formatReference(parsed.reference) + (tag === undefined && digest === undefined ? ':latest' : '');
}

/** What nobody can read as a name ends in an error. */
function canBePulled(image: string): boolean {
  return parseImage(image).ok || image.includes('://');
}

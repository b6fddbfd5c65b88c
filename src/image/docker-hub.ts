import { digestAlgorithms, type ImageName } from './grammar.ts';

/** Host under which all of Docker Hub's names are known. */
export const dockerHub = 'docker.io';

/** `index` is the name of the first registry protocol's days, `registry-1` the server that answers today. */
const otherNames: readonly string[] = ['index.docker.io', 'registry-1.docker.io'];

/** Docker Hub's custom which first components are registry hosts; every other one belongs to the path on Docker Hub. */
export function readsAsHost(component: string): boolean {
  return component === 'localhost' || /[.:A-Z]/.test(component);
}

/** The host for matching: `docker.io` for all of Docker Hub's names, every other unchanged. Expects lower case. */
export function dockerHubHost(host: string): string {
  return otherNames.includes(host) ? dockerHub : host;
}

/** The repository on Docker Hub: official images stand in `library/`, which nobody writes. */
export function dockerHubPath(path: string): string {
  return path.includes('/') ? path : `library/${path}`;
}

/**
 * Whether container tools take the name for the id of a local image, which is never pulled and can come from any registry:
 * - 64 hex digits (distribution/reference refuses them as a name);
 * - `sha256:`, `sha384:` or `sha512:` and hex digits, however few: containerd looks such a text up as a digest before it reads a name, and
 *   finds the image whose id begins so (containerd internal/cri/server/images: LocalResolve; opencontainers/go-digest digestset: Lookup).
 *   The kubelet adds no tag to it, since `a5` in `sha256:a5` looks like one.
 *
 * An id is written in lower case; upper case is refused too, since no image is meant by it. With a registry, a further path segment or a
 * digest behind it the text is a name for every tool.
 */
export function isImageId({ domain, path, tag, digest }: ImageName): boolean {
  if (domain !== undefined || digest !== undefined) return false;
  if (tag === undefined) return path.length === 64 && !/[^0-9a-f]/.test(path);
  return digestAlgorithms.has(path) && !/[^0-9a-fA-F]/.test(tag);
}

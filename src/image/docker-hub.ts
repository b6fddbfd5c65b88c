/** Docker Hub's special cases: which names it owns, its aliases, and image ids that look like names. */
import { digestAlgorithms, type ImageName } from './grammar.ts';

/** The one host name used for all of Docker Hub's names. */
export const dockerHub = 'docker.io';

/** `index` comes from the first registry protocol; `registry-1` is the server that answers today. */
const otherNames: readonly string[] = ['index.docker.io', 'registry-1.docker.io'];

/** Whether a first component is a registry host by Docker Hub's rules. Any other first component belongs to a path on Docker Hub. */
export function readsAsHost(component: string): boolean {
  return component === 'localhost' || /[.:A-Z]/.test(component);
}

/** The host used for matching: `docker.io` for every name of Docker Hub, any other host unchanged. Expects lower case. */
export function dockerHubHost(host: string): string {
  return otherNames.includes(host) ? dockerHub : host;
}

/** The repository on Docker Hub. Official images are in `library/`, which users leave out. */
export function dockerHubPath(path: string): string {
  return path.includes('/') ? path : `library/${path}`;
}

/**
 * Whether container tools read the name as the id of a local image. Such an image is never pulled and can come from any registry.
 * - 64 hex digits: distribution/reference rejects them as a name.
 * - `sha256:`, `sha384:` or `sha512:` and any number of hex digits. containerd looks such a text up as a digest before it reads it as a
 *   name, and finds the image whose id begins with it (containerd internal/cri/server/images: LocalResolve; opencontainers/go-digest
 *   digestset: Lookup). The kubelet adds no tag to it, since `a5` in `sha256:a5` looks like one.
 *
 * Ids are written in lower case. Upper case is rejected too, since it cannot mean an image. With a registry, a further path segment or a
 * digest after it, every tool reads the text as a name.
 */
export function isImageId({ domain, path, tag, digest }: ImageName): boolean {
  if (domain !== undefined || digest !== undefined) return false;
  if (tag === undefined) return path.length === 64 && !/[^0-9a-f]/.test(path);
  return digestAlgorithms.has(path) && !/[^0-9a-fA-F]/.test(tag);
}

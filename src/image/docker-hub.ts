import type { ImageName } from './grammar.ts';

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

/** Whether the name is 64 hex digits and nothing else: container tools take that for a local image's id and would never pull it. */
export function isImageId({ domain, path, tag, digest }: ImageName): boolean {
  return domain === undefined && tag === undefined && digest === undefined && path.length === 64 && !/[^0-9a-f]/.test(path);
}

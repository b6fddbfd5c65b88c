/** Whether an image spells its registry in a way under which credentials are found. */
import { dockerHub } from '../image/docker-hub.ts';
import type { ImageReference } from '../image/reference.ts';
import { findBuilderCredential } from './builder.ts';
import { findCredentials } from './kubelet.ts';

/** What looks up the credential: the kubelet for a Pod, OpenShift's builder for a build. */
export type Lookup = { readonly by: 'kubelet' } | { readonly by: 'builder'; readonly action: 'pull' | 'push' };

/**
 * Whether the image's credential is found under the key that `docker login` and `kubectl create secret docker-registry` write for its
 * registry. Lookups compare hosts and ports as text, so `:443`, `:05000`, upper case and `registry-1.docker.io` are missed.
 */
export function isFoundUnderUsualKey(image: ImageReference, lookup: Lookup): boolean {
  const entries = [{ key: usualKey(image) }];
  return lookup.by === 'kubelet'
    ? findCredentials(entries, image).length > 0
    : findBuilderCredential(entries, image, lookup.action) !== undefined;
}

function usualKey({ host, port }: ImageReference): string {
  if (port !== undefined) return `${host}:${port}`;
  return host === dockerHub ? 'https://index.docker.io/v1/' : host;
}

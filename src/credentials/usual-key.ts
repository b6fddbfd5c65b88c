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
  return isSpelledAsKey(image) || isFound(image, lookup);
}

/** The lookup itself, which the short cut must agree with. */
export function isFound(image: ImageReference, lookup: Lookup): boolean {
  const entries = [{ key: usualKey(image) }];
  return lookup.by === 'kubelet'
    ? findCredentials(entries, image).length > 0
    : findBuilderCredential(entries, image, lookup.action) !== undefined;
}

/**
 * Whether the name begins with the usual key and a slash, as nearly all do. Every lookup finds such a key. Docker Hub has its own keys, and
 * addresses in brackets their own spellings.
 */
function isSpelledAsKey(image: ImageReference): boolean {
  if (image.host === dockerHub) return false;
  const key = usualKey(image);
  return image.written.startsWith(key) && image.written[key.length] === '/' && plainHost.test(key);
}

const plainHost = /^[a-z0-9.-]+(?::[0-9]+)?$/;

function usualKey({ host, port }: ImageReference): string {
  if (port !== undefined) return `${host}:${port}`;
  return host === dockerHub ? 'https://index.docker.io/v1/' : host;
}

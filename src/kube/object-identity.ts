/** What identifies an object and its version. */
import type { KubeObject } from './api-client.ts';

/** The key of an object in a store: `namespace/name`. */
export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** The least that the `keep` of an informer must return. */
export function identityOf({ metadata: { name, namespace, uid, resourceVersion } }: KubeObject): KubeObject['metadata'] {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** About how many bytes of memory the identity needs, including the key of the object in the store. */
export function identitySize({ name, namespace = '', uid = '', resourceVersion = '' }: KubeObject['metadata']): number {
  return 2 * (name.length + namespace.length) + uid.length + resourceVersion.length;
}

/** False where an object has no resourceVersion. */
export function sameVersion({ metadata: one }: KubeObject, { metadata: other }: KubeObject): boolean {
  return one.resourceVersion !== undefined && one.resourceVersion === other.resourceVersion && one.uid === other.uid;
}

/** The collections of live objects that contain images, in the order in which they are read: owners, their copies, then Pods. */
import type { KindRow, Kinds } from '../object/kinds.ts';

/** `copy`: usually created by a controller, from the template of its owner. */
export type Collection = Pick<KindRow, 'group' | 'kind' | 'resource'> & {
  readonly apiVersion: string;
  readonly role: 'owner' | 'copy' | 'pod';
};

/** The owner of a copy or Pod is looked up while it is read, so owners come first. */
export function collectionsOf({ rows }: Kinds): readonly Collection[] {
  const collections = rows
    .filter((row) => !isView(row))
    .map(({ group, version, kind, resource }): Collection => {
      return { group, kind, resource, apiVersion: group === '' ? version : `${group}/${version}`, role: roleOf({ group, kind }) };
    });
  return (['owner', 'copy', 'pod'] as const).flatMap((role) => collections.filter((collection) => collection.role === role));
}

export function pathOf({ apiVersion, resource }: Pick<Collection, 'apiVersion' | 'resource'>, namespace?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${resource}`;
}

/** The resource as kubectl names it: `deployments.apps`. */
export function resourceName({ resource, group }: Pick<Collection, 'resource' | 'group'>): string {
  return group === '' ? resource : `${resource}.${group}`;
}

/** Requests that are not stored, and views of the tags of image streams. */
function isView({ group, kind }: Pick<KindRow, 'group' | 'kind'>): boolean {
  return (group === 'image.openshift.io' && kind !== 'ImageStream') || kind === 'BuildRequest';
}

const copies = new Set(['ReplicaSet.apps', 'ReplicationController.', 'Job.batch', 'Build.build.openshift.io']);

function roleOf({ group, kind }: Pick<KindRow, 'group' | 'kind'>): Collection['role'] {
  if (group === '' && kind === 'Pod') return 'pod';
  return copies.has(`${kind}.${group}`) ? 'copy' : 'owner';
}

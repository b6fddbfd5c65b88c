/** Counts objects by their kind. */
import type { Manifest } from './parse-manifests.ts';

export type KindCount = { readonly apiVersion: string; readonly kind: string; readonly count: number };

/** In the order of the first object of each kind. */
export function countKinds(manifests: readonly Pick<Manifest, 'apiVersion' | 'kind'>[]): readonly KindCount[] {
  const byKind = Map.groupBy(manifests, ({ apiVersion, kind }) => `${apiVersion} ${kind}`);
  return [...byKind.values()].flatMap(([first, ...others]) => {
    if (!first) return [];
    const { apiVersion, kind } = first;
    return [{ apiVersion, kind, count: others.length + 1 }];
  });
}

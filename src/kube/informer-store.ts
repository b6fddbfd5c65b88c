/** Where an informer keeps its objects, by `namespace/name`: a plain map, or one that refuses what is too much. */
import type { KubeObject } from './api-client.ts';

export type InformerStore<T extends KubeObject> = {
  /** A new list begins: a store for its objects. Until it is adopted it may be thrown away. */
  create(): Map<string, T>;
  /** The list is complete. From now on this store counts, and not the one before. */
  adopt(store: Map<string, T>): void;
};

export function createMapStore<T extends KubeObject>(): InformerStore<T> {
  return { create: () => new Map(), adopt: () => undefined };
}

/** Where an informer keeps its objects, by `namespace/name`: a plain map, or a map with a limit that rejects objects beyond it. */
import type { KubeObject } from './api-client.ts';

export type InformerStore<T extends KubeObject> = {
  /** Creates a store for the objects of a new list. It may be discarded before it is adopted. */
  create(): Map<string, T>;
  /** The list is complete, so this store replaces the previous one. */
  adopt(store: Map<string, T>): void;
};

export function createMapStore<T extends KubeObject>(): InformerStore<T> {
  return { create: () => new Map(), adopt: () => undefined };
}

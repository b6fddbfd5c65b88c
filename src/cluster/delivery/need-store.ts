/**
 * Keeps which secrets the objects of one collection need. A cluster may have 150,000 Pods, so an object is only its key and a shared list of
 * names, and objects that need nothing are not kept at all.
 */
import type { KubeObject } from '../../kube/api-client.ts';
import type { InformerStore } from '../../kube/informer-store.ts';
import { readNeededSecrets } from '../../object/needed-secrets.ts';
import { controllerOf } from '../../object/owner.ts';

export type NeedStore = {
  readonly store: InformerStore<KubeObject>;
  /** What the informer keeps of an object: its name, and its need in place of the resourceVersion. */
  keep(object: KubeObject): KubeObject;
  /** Whether an object of the namespace needs the secret. */
  needs(namespace: string, secret: string): boolean;
  /** The number of objects that are kept. */
  readonly size: number;
};

export type NeedStoreOptions = {
  /** Whether the need for a secret matters. Other names in annotations are dropped, so that forged ones need no memory. */
  readonly isDelivered: (secret: string) => boolean;
  /** Called when a namespace begins or ceases to need a secret. */
  readonly onChange: (namespace: string) => void;
  readonly perNamespace?: number;
};

/**
 * More objects of one kind are counted for a namespace only as a need that does not end. This is about ten times the Pods of a large
 * namespace, and limits what a tenant can make this process keep.
 */
const maxPerNamespace = 10_000;

export function createNeedStore({ isDelivered, onChange, perNamespace = maxPerNamespace }: NeedStoreOptions): NeedStore {
  let current = new NeedMap(perNamespace, onChange);
  const intern = createInterner();
  return {
    store: {
      // A list that is not complete yet changes nothing.
      create: () => new NeedMap(perNamespace, () => undefined),
      adopt(next) {
        if (!(next instanceof NeedMap)) throw new Error('the store belongs to another collection');
        const before = current;
        current = next;
        current.onChange = onChange;
        for (const namespace of namespacesThatDiffer(before, next)) onChange(namespace);
      },
    },
    keep(object) {
      const { name, namespace } = object.metadata;
      // Without uid and version, only a change of the need counts as a change of the object.
      return { metadata: { name, ...(namespace !== undefined && { namespace }), resourceVersion: intern(needOf(object, isDelivered)) } };
    },
    needs: (namespace, secret) => current.needs(namespace, secret),
    get size() {
      return current.size;
    },
  };
}

/** The names of the secrets that an object with its kind needs. */
export function secretsNeededBy(object: KubeObject): readonly string[] {
  if (object.metadata.annotations === undefined) return [];
  // The ReplicaSets of earlier revisions of a Deployment stay for a long time, and would keep a copy that nothing else needs.
  if (object.kind === 'ReplicaSet' && controllerOf(object)?.kind === 'Deployment') return [];
  return readNeededSecrets(object.metadata.annotations);
}

/** The names, joined by commas. */
function needOf(object: KubeObject, isDelivered: (secret: string) => boolean): string {
  return secretsNeededBy(object).filter(isDelivered).join(',');
}

/** Returns the same string for equal texts, so that equal needs share their memory. */
function createInterner(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const same = known.get(text);
    if (same !== undefined) return same;
    if (known.size >= 1_000) known.clear();
    known.set(text, text);
    return text;
  };
}

/** The needs by the key of the object. To the informer it is a map of objects. */
class NeedMap extends Map<string, KubeObject> {
  onChange: (namespace: string) => void;
  readonly #perNamespace: number;
  readonly #needs = new Map<string, string>();
  readonly #namespaces = new Map<string, NamespaceNeeds>();

  constructor(perNamespace: number, onChange: (namespace: string) => void) {
    super();
    this.#perNamespace = perNamespace;
    this.onChange = onChange;
  }

  override get size(): number {
    return this.#needs.size;
  }

  override has(key: string): boolean {
    return this.#needs.has(key);
  }

  override get(key: string): KubeObject | undefined {
    const need = this.#needs.get(key);
    return need === undefined ? undefined : objectOf(key, need);
  }

  override set(key: string, { metadata }: KubeObject): this {
    const need = metadata.resourceVersion ?? '';
    const before = this.#needs.get(key);
    if (need === before) return this;
    const namespace = namespaceOf(key);
    const needs = this.#namespaces.get(namespace) ?? new NamespaceNeeds();
    let changed = before === undefined ? false : needs.remove(before);
    if (need === '') this.#needs.delete(key);
    else if (before === undefined && needs.objects >= this.#perNamespace) changed = needs.addForEver(need) || changed;
    else {
      changed = needs.add(need) || changed;
      this.#needs.set(key, need);
    }
    this.#keep(namespace, needs, changed);
    return this;
  }

  override delete(key: string): boolean {
    const need = this.#needs.get(key);
    if (need === undefined) return false;
    this.#needs.delete(key);
    const namespace = namespaceOf(key);
    const needs = this.#namespaces.get(namespace);
    if (needs) this.#keep(namespace, needs, needs.remove(need));
    return true;
  }

  override *values(): MapIterator<KubeObject> {
    for (const [key, need] of this.#needs) yield objectOf(key, need);
  }

  override *entries(): MapIterator<[string, KubeObject]> {
    for (const [key, need] of this.#needs) yield [key, objectOf(key, need)];
  }

  override [Symbol.iterator](): MapIterator<[string, KubeObject]> {
    return this.entries();
  }

  needs(namespace: string, secret: string): boolean {
    return this.#namespaces.get(namespace)?.has(secret) ?? false;
  }

  namespaces(): ReadonlyMap<string, NamespaceNeeds> {
    return this.#namespaces;
  }

  #keep(namespace: string, needs: NamespaceNeeds, changed: boolean): void {
    if (needs.isEmpty) this.#namespaces.delete(namespace);
    else this.#namespaces.set(namespace, needs);
    if (changed) this.onChange(namespace);
  }
}

/** How many objects of one namespace need which secret. */
class NamespaceNeeds {
  objects = 0;
  readonly #counts = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  has(secret: string): boolean {
    return this.#counts.has(secret);
  }

  secrets(): IterableIterator<string> {
    return this.#counts.keys();
  }

  /** Returns whether a secret is needed that was not before. */
  add(need: string): boolean {
    this.objects += 1;
    return this.#change(need, 1);
  }

  /** The same for an object whose end is not noticed. */
  addForEver(need: string): boolean {
    return this.#change(need, Number.POSITIVE_INFINITY);
  }

  /** Returns whether a secret is no longer needed. */
  remove(need: string): boolean {
    this.objects -= 1;
    return this.#change(need, -1);
  }

  #change(need: string, difference: number): boolean {
    let changed = false;
    for (const secret of need.split(',')) {
      const before = this.#counts.get(secret) ?? 0;
      const after = before + difference;
      if (after <= 0) this.#counts.delete(secret);
      else this.#counts.set(secret, after);
      changed ||= before === 0 || after <= 0;
    }
    return changed;
  }
}

function namespacesThatDiffer(one: NeedMap, other: NeedMap): ReadonlySet<string> {
  const differing = new Set<string>();
  for (const [before, after] of [
    [one.namespaces(), other.namespaces()],
    [other.namespaces(), one.namespaces()],
  ] as const) {
    for (const [namespace, needs] of before) {
      const others = after.get(namespace);
      if (!others || [...needs.secrets()].some((secret) => !others.has(secret))) differing.add(namespace);
    }
  }
  return differing;
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function objectOf(key: string, need: string): KubeObject {
  const slash = key.indexOf('/');
  return { metadata: { namespace: key.slice(0, slash), name: key.slice(slash + 1), resourceVersion: need } };
}

/** How much text of rules ConfigMaps is held in memory: beyond what a namespace can have in force, only its size is. */

import type { KubeObject } from '../../kube/api-client.ts';
import { identityOf, sameVersion } from '../../kube/informer.ts';
import type { InformerStore } from '../../kube/informer-store.ts';
import { isDocumentKey, type RulesConfigMap } from '../../rules/language/config-map.ts';
import { addSizes, fits, namespaceQuota, noRules, type RulesSize, sizeOf } from '../../rules/store/namespace-quota.ts';

/** A rules ConfigMap as it is held. */
export type ConfigMap = KubeObject &
  Pick<RulesConfigMap, 'data' | 'binaryData'> & {
    /** The texts are not held, since they are too much; this is what there is. `data` has a few of the keys, with empty texts. */
    readonly droppedSize?: RulesSize;
  };

/**
 * What is needed of a ConfigMap: its identity and age, and the keys that hold documents. Of a namespace's ConfigMap that is over the quota by
 * itself only the size.
 */
export function trimRulesConfigMap(of: 'cluster' | 'namespace'): (configMap: ConfigMap) => ConfigMap {
  return (configMap) => {
    const { creationTimestamp } = configMap.metadata;
    const metadata = { ...identityOf(configMap), ...(creationTimestamp !== undefined && { creationTimestamp }) };
    const data = documentsIn(configMap.data, (text) => text);
    const binaryData = documentsIn(configMap.binaryData, () => '');
    const kept: ConfigMap = { metadata, data, binaryData };
    return of === 'namespace' && !fits(measure(kept)) ? withoutTexts(kept) : kept;
  };
}

/** More than one quota is there only while ConfigMaps are being rewritten, or in vain. */
const quotasPerNamespace = 2;
/** With their texts or without. No more than 20 can be in force. */
const mostConfigMaps = 200;
/**
 * In characters, of one or two bytes each: rules of 128 namespaces that use all of their quota, at most 32 MiB. While everything is listed
 * again, texts that have changed are in memory twice.
 */
const mostInAll = 128 * namespaceQuota.characters;

export type RulesConfigMapStore = InformerStore<ConfigMap> & {
  /** Whether a ConfigMap that was left out, or its text, would fit now, so that reading everything again is of use. */
  hasRoomAgain(): boolean;
};

/**
 * Holds the ConfigMaps of all namespaces, and of each namespace the texts of as many as two of its quotas have room for. `onHeld` is called for
 * each whose text was left out before and is there now, although it has not changed.
 */
export function createRulesConfigMapStore(onHeld: (configMap: ConfigMap) => void, inAll = mostInAll): RulesConfigMapStore {
  let current = new TextMap(inAll, () => undefined);
  return {
    create: () => new TextMap(inAll, (key) => current.get(key)),
    adopt(store) {
      if (!(store instanceof TextMap)) throw new Error('a store of another collection');
      const before = current;
      current = store;
      for (const [key, configMap] of store) {
        const known = before.get(key);
        if (known?.droppedSize && !configMap.droppedSize && sameVersion(known, configMap)) onHeld(configMap);
      }
    },
    hasRoomAgain: () => current.hasRoomAgain(),
  };
}

class TextMap extends Map<string, ConfigMap> {
  readonly #inAll: number;
  readonly #known: (key: string) => ConfigMap | undefined;
  readonly #held = new Map<string, RulesSize>();
  readonly #counts = new Map<string, number>();
  /** Namespaces with more ConfigMaps than are kept. */
  readonly #crowded = new Set<string>();
  #total = 0;
  /** Whether something has become smaller since `hasRoomAgain` was called. */
  #freed = false;

  /** `known` is what the list before has by this key. */
  constructor(inAll: number, known: (key: string) => ConfigMap | undefined) {
    super();
    this.#inAll = inAll;
    this.#known = known;
  }

  override set(key: string, configMap: ConfigMap): this {
    const known = this.#known(key);
    this.delete(key);
    const namespace = namespaceOf(configMap);
    // One that may be in force stays, in whatever order a new list comes.
    if (this.#countOf(namespace) >= mostConfigMaps && (!known || known.droppedSize)) {
      this.#crowded.add(namespace);
      return this;
    }
    // A text that has not changed is not in memory a second time while everything is listed again.
    const kept = known && !known.droppedSize && sameVersion(known, configMap) ? known : configMap;
    super.set(key, kept.droppedSize || this.#admits(namespace, measure(kept)) ? kept : withoutTexts(kept));
    this.#add(namespace, heldBy(this.get(key)), 1);
    return this;
  }

  override delete(key: string): boolean {
    const known = this.get(key);
    if (known) this.#add(namespaceOf(known), heldBy(known), -1);
    return super.delete(key);
  }

  hasRoomAgain(): boolean {
    if (!this.#freed) return false;
    this.#freed = false;
    // Half: otherwise each ConfigMap that comes and goes would make room.
    for (const namespace of this.#crowded) if (this.#countOf(namespace) <= mostConfigMaps / 2) return true;
    for (const configMap of this.values())
      if (configMap.droppedSize && fits(configMap.droppedSize) && this.#admits(namespaceOf(configMap), configMap.droppedSize)) return true;
    return false;
  }

  #admits(namespace: string, size: RulesSize): boolean {
    const { documents, characters } = addSizes(this.#held.get(namespace) ?? noRules, size);
    return (
      documents <= quotasPerNamespace * namespaceQuota.documents &&
      characters <= quotasPerNamespace * namespaceQuota.characters &&
      this.#total + size.characters <= this.#inAll
    );
  }

  #countOf(namespace: string): number {
    return this.#counts.get(namespace) ?? 0;
  }

  #add(namespace: string, { documents, characters }: RulesSize, sign: 1 | -1): void {
    const size = addSizes(this.#held.get(namespace) ?? noRules, { documents: sign * documents, characters: sign * characters });
    if (size.documents > 0) this.#held.set(namespace, size);
    else this.#held.delete(namespace);
    const count = this.#countOf(namespace) + sign;
    if (count > 0) this.#counts.set(namespace, count);
    else this.#counts.delete(namespace);
    this.#total += sign * characters;
    if (sign < 0) this.#freed = true;
  }
}

function heldBy(configMap: ConfigMap | undefined): RulesSize {
  return !configMap || configMap.droppedSize ? noRules : measure(configMap);
}

function measure({ data, binaryData }: ConfigMap): RulesSize {
  const documents = [...Object.values(data ?? {}), ...Object.values(binaryData ?? {})].map((text) => ({ text }));
  return sizeOf({ documents });
}

function withoutTexts(configMap: ConfigMap): ConfigMap {
  const named = Object.keys(configMap.data ?? {}).slice(0, namespaceQuota.documents);
  return {
    metadata: configMap.metadata,
    data: Object.fromEntries(named.map((key) => [key, ''])),
    droppedSize: configMap.droppedSize ?? measure(configMap),
  };
}

function documentsIn(texts: RulesConfigMap['data'], keep: (text: string) => string): Readonly<Record<string, string>> {
  const documents = Object.entries(texts ?? {}).filter(([key]) => isDocumentKey(key));
  return Object.fromEntries(documents.map(([key, text]) => [key, keep(text)]));
}

function namespaceOf({ metadata }: ConfigMap): string {
  return metadata.namespace ?? '';
}

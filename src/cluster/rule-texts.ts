/** How much text of rules ConfigMaps is held in memory: beyond what a namespace can have in force, only its size is. */
import { isDocumentKey, type RulesConfigMap } from '../rules/config-map.ts';
import { addSizes, fits, namespaceQuota, noRules, type RulesSize, sizeOf } from '../rules/namespace-quota.ts';
import type { KubeObject } from './api.ts';
import type { CollectionStore } from './collection-store.ts';
import { identityOf } from './reflector.ts';

/** A rules ConfigMap as it is held. */
export type ConfigMap = KubeObject &
  Pick<RulesConfigMap, 'data' | 'binaryData'> & {
    /** The texts are not held, since they are too much; this is what there is. `data` has a few of the keys, with empty texts. */
    readonly unheld?: RulesSize;
  };

/**
 * What is needed of a ConfigMap: its identity and age, and the keys that hold documents. Of a namespace's ConfigMap that is over the quota by
 * itself only the size.
 */
export function keepRules(of: 'cluster' | 'namespace'): (configMap: ConfigMap) => ConfigMap {
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
/** In characters. Rules of 500 namespaces that use all of their quota. */
const mostInAll = 500 * namespaceQuota.characters;

export type RuleTexts = CollectionStore<ConfigMap> & {
  /** Whether a ConfigMap whose text is not held would fit now, so that reading everything again is of use. */
  hasRoomAgain(): boolean;
};

/**
 * Holds the ConfigMaps of all namespaces, and of each namespace the texts of as many as two of its quotas have room for. `onHeld` is called for
 * each whose text was left out before and is there now, although it has not changed.
 */
export function createRuleTexts(onHeld: (configMap: ConfigMap) => void, inAll = mostInAll): RuleTexts {
  let current = new TextMap(inAll);
  return {
    create: () => new TextMap(inAll),
    adopt(store) {
      if (!(store instanceof TextMap)) throw new Error('a store of another collection');
      const before = current;
      current = store;
      for (const [key, configMap] of store) if (before.get(key)?.unheld && !configMap.unheld) onHeld(configMap);
    },
    hasRoomAgain: () => current.hasRoomAgain(),
  };
}

class TextMap extends Map<string, ConfigMap> {
  readonly #inAll: number;
  readonly #held = new Map<string, RulesSize>();
  #total = 0;
  /** Namespaces in which a text was left out for lack of room, and something has become smaller since. */
  readonly #freed = new Set<string>();

  constructor(inAll: number) {
    super();
    this.#inAll = inAll;
  }

  override set(key: string, configMap: ConfigMap): this {
    this.delete(key);
    const namespace = namespaceOf(configMap);
    if (configMap.unheld || this.#admits(namespace, measure(configMap))) super.set(key, configMap);
    else super.set(key, withoutTexts(configMap));
    this.#add(namespace, heldBy(this.get(key)), 1);
    return this;
  }

  override delete(key: string): boolean {
    const known = this.get(key);
    if (known) this.#add(namespaceOf(known), heldBy(known), -1);
    return super.delete(key);
  }

  hasRoomAgain(): boolean {
    if (this.#freed.size === 0) return false;
    const freed = new Set(this.#freed);
    this.#freed.clear();
    for (const configMap of this.values()) {
      const namespace = namespaceOf(configMap);
      if (configMap.unheld && fits(configMap.unheld) && freed.has(namespace) && this.#admits(namespace, configMap.unheld)) return true;
    }
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

  #add(namespace: string, { documents, characters }: RulesSize, sign: 1 | -1): void {
    const size = addSizes(this.#held.get(namespace) ?? noRules, { documents: sign * documents, characters: sign * characters });
    if (size.documents > 0) this.#held.set(namespace, size);
    else this.#held.delete(namespace);
    this.#total += sign * characters;
    if (sign < 0) this.#freed.add(namespace);
  }
}

function heldBy(configMap: ConfigMap | undefined): RulesSize {
  return !configMap || configMap.unheld ? noRules : measure(configMap);
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
    unheld: configMap.unheld ?? measure(configMap),
  };
}

function documentsIn(texts: RulesConfigMap['data'], keep: (text: string) => string): Readonly<Record<string, string>> {
  const documents = Object.entries(texts ?? {}).filter(([key]) => isDocumentKey(key));
  return Object.fromEntries(documents.map(([key, text]) => [key, keep(text)]));
}

function namespaceOf({ metadata }: ConfigMap): string {
  return metadata.namespace ?? '';
}

/** Limits the memory for the texts of rules ConfigMaps. Of texts beyond what a namespace can have in force, only the size is kept. */

import type { KubeObject } from '../../kube/api-client.ts';
import type { InformerStore } from '../../kube/informer-store.ts';
import { identityOf, sameVersion } from '../../kube/object-identity.ts';
import { isDocumentKey, type RulesConfigMap } from '../../rules/language/config-map.ts';
import { addSizes, fits, maxRulesOfNamespace, namespaceQuota, noRules, type RulesSize, sizeOf } from '../../rules/store/namespace-quota.ts';

/** A rules ConfigMap as the informer keeps it. */
export type ConfigMap = KubeObject &
  Pick<RulesConfigMap, 'data' | 'binaryData'> & {
    /** The size of texts that are too large to keep. `data` then has some of the keys, with empty texts. */
    readonly droppedSize?: RulesSize;
    /** How many rules such texts can contain at most. */
    readonly droppedRules?: number;
  };

/**
 * Keeps the identity and age of a ConfigMap, and the keys with documents. If a single ConfigMap of a namespace exceeds the quota, only its
 * size is kept.
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

/** Usually one quota is enough. More is used only while ConfigMaps are rewritten, or without effect. */
const quotasPerNamespace = 2;
/** With or without texts. At most 20 of them can be in force. */
const maxConfigMaps = 200;
/**
 * In characters of one or two bytes: rules of 128 namespaces that use their whole quota, at most 32 MiB. During a relist, changed texts
 * are in memory twice.
 */
const maxCharacters = 128 * namespaceQuota.characters;
/**
 * Rules that the texts can contain. A compiled rule needs about 900 bytes, and its text may have ten characters. So they need at most 135 MB, of
 * namespaces that each have as many rules as possible.
 */
const maxRules = 150_000;

export type RulesConfigMapStore = InformerStore<ConfigMap> & {
  /** Whether an omitted ConfigMap or text would fit now, so that a relist is useful. */
  hasRoomAgain(): boolean;
};

/**
 * Keeps the ConfigMaps of all namespaces, and for each namespace at most two quotas of text. `onHeld` is called for each unchanged
 * ConfigMap whose text was omitted before and is now kept.
 */
export function createRulesConfigMapStore(onHeld: (configMap: ConfigMap) => void, inAll: Partial<TextLimits> = {}): RulesConfigMapStore {
  const limits = { characters: maxCharacters, rules: maxRules, ...inAll };
  let current = new TextMap(limits, () => undefined);
  return {
    create: () => new TextMap(limits, (key) => current.get(key)),
    adopt(store) {
      if (!(store instanceof TextMap)) throw new Error('the store belongs to another collection');
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

/** Of all namespaces together. */
type TextLimits = { readonly characters: number; readonly rules: number };

class TextMap extends Map<string, ConfigMap> {
  readonly #inAll: TextLimits;
  readonly #known: (key: string) => ConfigMap | undefined;
  readonly #held = new Map<string, RulesSize>();
  readonly #counts = new Map<string, number>();
  /** Namespaces with more ConfigMaps than are kept. */
  readonly #crowded = new Set<string>();
  readonly #total = { characters: 0, rules: 0 };
  /** Whether anything has shrunk since the last call of `hasRoomAgain`. */
  #freed = false;

  /** `known` returns the ConfigMap with this key in the previous list. */
  constructor(inAll: TextLimits, known: (key: string) => ConfigMap | undefined) {
    super();
    this.#inAll = inAll;
    this.#known = known;
  }

  override set(key: string, configMap: ConfigMap): this {
    const known = this.#known(key);
    this.delete(key);
    const namespace = namespaceOf(configMap);
    // A ConfigMap that may be in force is kept, whatever the order of a new list.
    if (this.#countOf(namespace) >= maxConfigMaps && (!known || known.droppedSize)) {
      this.#crowded.add(namespace);
      return this;
    }
    // An unchanged text is not in memory twice during a relist.
    const kept = known && !known.droppedSize && sameVersion(known, configMap) ? known : configMap;
    super.set(key, kept.droppedSize || this.#admits(kept) ? kept : withoutTexts(kept));
    this.#add(this.get(key) ?? kept, 1);
    return this;
  }

  override delete(key: string): boolean {
    const known = this.get(key);
    if (known) this.#add(known, -1);
    return super.delete(key);
  }

  hasRoomAgain(): boolean {
    if (!this.#freed) return false;
    this.#freed = false;
    // Half of the limit, so that a single ConfigMap that comes and goes does not cause relists.
    for (const namespace of this.#crowded) if (this.#countOf(namespace) <= maxConfigMaps / 2) return true;
    for (const configMap of this.values()) if (configMap.droppedSize && fits(configMap.droppedSize) && this.#admits(configMap)) return true;
    return false;
  }

  #admits(configMap: ConfigMap): boolean {
    const size = configMap.droppedSize ?? measure(configMap);
    const { documents, characters } = addSizes(this.#held.get(namespaceOf(configMap)) ?? noRules, size);
    return (
      documents <= quotasPerNamespace * namespaceQuota.documents &&
      characters <= quotasPerNamespace * namespaceQuota.characters &&
      this.#total.characters + size.characters <= this.#inAll.characters &&
      this.#total.rules + possibleRules(configMap) <= this.#inAll.rules
    );
  }

  #countOf(namespace: string): number {
    return this.#counts.get(namespace) ?? 0;
  }

  #add(configMap: ConfigMap, sign: 1 | -1): void {
    const namespace = namespaceOf(configMap);
    const { documents, characters } = heldBy(configMap);
    const size = addSizes(this.#held.get(namespace) ?? noRules, { documents: sign * documents, characters: sign * characters });
    if (size.documents > 0) this.#held.set(namespace, size);
    else this.#held.delete(namespace);
    const count = this.#countOf(namespace) + sign;
    if (count > 0) this.#counts.set(namespace, count);
    else this.#counts.delete(namespace);
    this.#total.characters += sign * characters;
    if (!configMap.droppedSize) this.#total.rules += sign * possibleRules(configMap);
    if (sign < 0) this.#freed = true;
  }
}

function heldBy(configMap: ConfigMap): RulesSize {
  return configMap.droppedSize ? noRules : measure(configMap);
}

/**
 * The most rules that the texts can contain, of which a namespace can have 200. Each rule after the first of a list follows a dash or a comma.
 */
function possibleRules(configMap: ConfigMap): number {
  if (configMap.droppedSize) return configMap.droppedRules ?? 0;
  const known = knownRules.get(configMap);
  if (known !== undefined) return known;
  let rules = 0;
  for (const text of Object.values(configMap.data ?? {})) rules += text.match(/[,[]|-\s/g)?.length ?? 0;
  rules = Math.min(rules, maxRulesOfNamespace);
  knownRules.set(configMap, rules);
  return rules;
}

const knownRules = new WeakMap<ConfigMap, number>();

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
    droppedRules: possibleRules(configMap),
  };
}

function documentsIn(texts: RulesConfigMap['data'], keep: (text: string) => string): Readonly<Record<string, string>> {
  const documents = Object.entries(texts ?? {}).filter(([key]) => isDocumentKey(key));
  return Object.fromEntries(documents.map(([key, text]) => [key, keep(text)]));
}

function namespaceOf({ metadata }: ConfigMap): string {
  return metadata.namespace ?? '';
}

/** Limits the memory for the texts of rules ConfigMaps. Of texts beyond what a namespace can have in force, only the size is kept. */

import type { KubeObject } from '../../kube/api-client.ts';
import type { InformerStore } from '../../kube/informer-store.ts';
import { identityOf, sameVersion } from '../../kube/object-identity.ts';
import { isDocumentKey, type RulesConfigMap } from '../../rules/language/config-map.ts';
import { fits, maxRulesOfNamespace, namespaceQuota, noRules, type RulesSize, sizeOf } from '../../rules/store/namespace-quota.ts';

/** A rules ConfigMap as the informer keeps it. */
export type ConfigMap = KubeObject &
  Pick<RulesConfigMap, 'data' | 'binaryData'> & {
    /** The size of texts that are too large to keep. `data` then has one of the keys, with an empty text. */
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
    const data = configMap.data ?? {};
    const keys = documentKeys(data);
    const binaryKeys = documentKeys(configMap.binaryData);
    // Measured before anything is copied: there is room for 100,000 keys, and copying them blocks the process for half a second.
    const characters = keys.reduce((sum, key) => sum + (data[key]?.length ?? 0), 0);
    const size = { documents: Math.max(1, keys.length + binaryKeys.length), characters };
    if (of === 'namespace' && !fits(size)) return withoutTexts(metadata, keys, size, maxRulesOfNamespace);
    return {
      metadata,
      data: Object.fromEntries(keys.map((key) => [key, data[key] ?? ''])),
      binaryData: Object.fromEntries(binaryKeys.map((key) => [key, ''])),
    };
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
/** What one namespace counts with at most: rules in force, and as many that were rejected only in combination with others. */
const maxRulesCounted = quotasPerNamespace * maxRulesOfNamespace;
/** A quarter of each limit is only for the first part of each namespace's rules. So some hundred large namespaces never crowd out a small one. */
const reserved = 1 / 4;
const smallPart: Amounts = { characters: 4_096, rules: 20 };

export type RulesConfigMapStore = InformerStore<ConfigMap> & {
  /** Whether an omitted ConfigMap or text would fit now, so that a relist is useful. */
  hasRoomAgain(): boolean;
};

/**
 * Keeps the ConfigMaps of all namespaces, and for each namespace at most two quotas of text. `onHeld` is called for each unchanged
 * ConfigMap whose text was omitted before and is now kept. `rulesInForce` returns how many rules of a namespace are in force, which may be those
 * of earlier texts.
 */
export function createRulesConfigMapStore(
  onHeld: (configMap: ConfigMap) => void,
  inAll: Partial<Amounts> = {},
  rulesInForce: (namespace: string) => number = () => 0,
): RulesConfigMapStore {
  const limits = { characters: maxCharacters, rules: maxRules, ...inAll };
  let current = new TextMap(limits, rulesInForce);
  return {
    create: () => new TextMap(limits, rulesInForce, current),
    adopt(store) {
      if (!(store instanceof TextMap)) throw new Error('the store belongs to another collection');
      const before = current;
      current = store;
      store.releasePrevious();
      for (const [key, configMap] of store) {
        const known = before.get(key);
        if (known?.droppedSize && !configMap.droppedSize && sameVersion(known, configMap)) onHeld(configMap);
      }
    },
    hasRoomAgain: () => current.hasRoomAgain(),
  };
}

/** What the limits of all namespaces together count. */
type Amounts = { readonly characters: number; readonly rules: number };
const amounts = ['characters', 'rules'] as const;

/** The texts of one namespace, and how many of its rules are in force. */
type Held = RulesSize & Amounts & { readonly inForce: number };
const nothingHeld: Held = { ...noRules, rules: 0, inForce: 0 };

class TextMap extends Map<string, ConfigMap> {
  readonly #inAll: Amounts;
  readonly #rulesInForce: (namespace: string) => number;
  /**
   * The previous list, until this one is complete. Its texts may be in force. Each of them keeps its room until this list has the
   * ConfigMap, so that new ones do not take it, whatever the order.
   */
  #previous: ReadonlyMap<string, ConfigMap> | undefined;
  readonly #kept = new Map<string, ConfigMap>();
  readonly #held = new Map<string, Held>();
  readonly #counts = new Map<string, number>();
  /** Namespaces with more ConfigMaps than are kept. */
  readonly #crowded = new Set<string>();
  readonly #total = { characters: 0, rules: 0 };
  /** Of `#total`, what exceeds the small part of each namespace. */
  readonly #beyondSmallPart = { characters: 0, rules: 0 };
  /** Whether anything has shrunk since the last call of `hasRoomAgain`. */
  #freed = false;

  constructor(inAll: Amounts, rulesInForce: (namespace: string) => number, previous?: ReadonlyMap<string, ConfigMap>) {
    super();
    this.#inAll = inAll;
    this.#rulesInForce = rulesInForce;
    this.#previous = previous;
    for (const [key, configMap] of previous ?? []) this.#hold(key, configMap);
  }

  override set(key: string, configMap: ConfigMap): this {
    const known = (this.#previous ?? this).get(key);
    this.delete(key);
    const namespace = namespaceOf(configMap);
    // A ConfigMap that may be in force is kept, whatever the order of a new list.
    if (this.#countOf(namespace) >= maxConfigMaps && (!known || known.droppedSize)) {
      this.#crowded.add(namespace);
      return this;
    }
    // An unchanged text is not in memory twice during a relist.
    const same = known && !known.droppedSize && sameVersion(known, configMap) ? known : configMap;
    const kept = same.droppedSize || this.#admits(same) ? same : dropTexts(same);
    this.#hold(key, kept);
    this.#counts.set(namespace, this.#countOf(namespace) + 1);
    return super.set(key, kept);
  }

  override delete(key: string): boolean {
    this.#release(key);
    const known = this.get(key);
    if (!known) return false;
    const namespace = namespaceOf(known);
    const count = this.#countOf(namespace) - 1;
    if (count > 0) this.#counts.set(namespace, count);
    else this.#counts.delete(namespace);
    this.#freed = true;
    return super.delete(key);
  }

  /** This list is complete. What it does not contain was deleted. */
  releasePrevious(): void {
    this.#previous = undefined;
    for (const key of [...this.#kept.keys()]) if (!this.has(key)) this.#release(key);
  }

  hasRoomAgain(): boolean {
    for (const namespace of this.#held.keys()) this.#change(namespace, nothingHeld, 1);
    if (!this.#freed) return false;
    this.#freed = false;
    // Half of the limit, so that a single ConfigMap that comes and goes does not cause relists.
    for (const namespace of this.#crowded) if (this.#countOf(namespace) <= maxConfigMaps / 2) return true;
    for (const configMap of this.values()) if (configMap.droppedSize && fits(configMap.droppedSize) && this.#admits(configMap)) return true;
    return false;
  }

  #admits(configMap: ConfigMap): boolean {
    const before = this.#heldBy(namespaceOf(configMap));
    const after = addHeld(before, needsOf(configMap), 1);
    return (
      after.documents <= quotasPerNamespace * namespaceQuota.documents &&
      after.characters <= quotasPerNamespace * namespaceQuota.characters &&
      amounts.every((amount) => {
        const limit = this.#inAll[amount];
        const more = beyondSmallPart(after, amount) - beyondSmallPart(before, amount);
        return (
          this.#total[amount] + counted(after, amount) - counted(before, amount) <= limit &&
          (more === 0 || this.#beyondSmallPart[amount] + more <= limit * (1 - reserved))
        );
      })
    );
  }

  #countOf(namespace: string): number {
    return this.#counts.get(namespace) ?? 0;
  }

  #heldBy(namespace: string): Held {
    return this.#held.get(namespace) ?? nothingHeld;
  }

  #hold(key: string, configMap: ConfigMap): void {
    if (!configMap.droppedSize) this.#kept.set(key, configMap);
    this.#change(namespaceOf(configMap), configMap.droppedSize ? nothingHeld : needsOf(configMap), 1);
  }

  #release(key: string): void {
    const configMap = this.#kept.get(key);
    if (!configMap) return;
    this.#kept.delete(key);
    this.#change(namespaceOf(configMap), needsOf(configMap), -1);
    this.#freed = true;
  }

  /** Adds or removes the texts, and asks again how many rules are in force. */
  #change(namespace: string, more: Held, sign: 1 | -1): void {
    const before = this.#heldBy(namespace);
    const after = { ...addHeld(before, more, sign), inForce: this.#rulesInForce(namespace) };
    if (after.documents > 0 || after.inForce > 0) this.#held.set(namespace, after);
    else this.#held.delete(namespace);
    if (after.inForce < before.inForce) this.#freed = true;
    for (const amount of amounts) {
      this.#total[amount] += counted(after, amount) - counted(before, amount);
      this.#beyondSmallPart[amount] += beyondSmallPart(after, amount) - beyondSmallPart(before, amount);
    }
  }
}

function addHeld(held: Held, more: Held, sign: 1 | -1): Held {
  return {
    inForce: held.inForce,
    documents: held.documents + sign * more.documents,
    characters: held.characters + sign * more.characters,
    rules: held.rules + sign * more.rules,
  };
}

/**
 * What a namespace counts with. A tenant must not use up the limit with rules that can never be in force together, and rules in force count
 * even if their text was replaced by an invalid one.
 */
function counted(held: Held, amount: keyof Amounts): number {
  return amount === 'rules' ? Math.min(Math.max(held.rules, held.inForce), maxRulesCounted) : held[amount];
}

function beyondSmallPart(held: Held, amount: keyof Amounts): number {
  return Math.max(0, counted(held, amount) - smallPart[amount]);
}

/** The room that the texts need, also if they are not kept. */
function needsOf(configMap: ConfigMap): Held {
  return { ...(configMap.droppedSize ?? measure(configMap)), rules: possibleRules(configMap), inForce: 0 };
}

/**
 * The most rules that the texts can contain, of which a namespace can have 200. Each rule after the first of a list follows a dash or a comma.
 * The search ends at 200, since a text may have a megabyte of commas.
 */
function possibleRules(configMap: ConfigMap): number {
  if (configMap.droppedSize) return configMap.droppedRules ?? 0;
  const known = knownRules.get(configMap);
  if (known !== undefined) return known;
  const rules = countPossibleRules(configMap);
  knownRules.set(configMap, rules);
  return rules;
}

function countPossibleRules(configMap: ConfigMap): number {
  let rules = 0;
  for (const text of Object.values(configMap.data ?? {}))
    for (const _ of text.matchAll(/[,[]|-\s/g)) if (++rules === maxRulesOfNamespace) return rules;
  return rules;
}

const knownRules = new WeakMap<ConfigMap, number>();

function measure({ data, binaryData }: ConfigMap): RulesSize {
  const documents = [...Object.values(data ?? {}), ...Object.values(binaryData ?? {})].map((text) => ({ text }));
  return sizeOf({ documents });
}

function dropTexts(configMap: ConfigMap): ConfigMap {
  return withoutTexts(configMap.metadata, Object.keys(configMap.data ?? {}), measure(configMap), possibleRules(configMap));
}

/**
 * Texts that are not kept, because they exceed the quota or a limit. One key is enough to name the ConfigMap: keys may have 253 characters, and
 * no limit counts them.
 */
function withoutTexts(
  metadata: ConfigMap['metadata'],
  [named]: readonly string[],
  droppedSize: RulesSize,
  droppedRules: number,
): ConfigMap {
  return { metadata, data: named === undefined ? {} : { [named]: '' }, droppedSize, droppedRules };
}

function documentKeys(texts: RulesConfigMap['data']): readonly string[] {
  return Object.keys(texts ?? {}).filter(isDocumentKey);
}

function namespaceOf({ metadata }: ConfigMap): string {
  return metadata.namespace ?? '';
}

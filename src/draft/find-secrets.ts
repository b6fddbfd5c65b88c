/**
 * Finds the secrets of rules. A secret is certain for a rule if its key matches an image of the rule, or if an object has one secret and its
 * images are of one rule only. Everything else is only possible: an object may list many secrets, and their contents are rarely among files.
 */
import type { ImageReference } from '../image/reference.ts';
import type { ImageUse } from './image-use.ts';
import type { RegistrySecrets } from './registry-secrets.ts';

export type SecretAction = 'pull' | 'push';

/** The namespaces where a secret is used, by its name. */
export type SecretUses = ReadonlyMap<string, ReadonlySet<string>>;

export type FoundSecrets = { readonly certain: SecretUses; readonly possible: SecretUses };

export type SecretFinder = {
  /** `ruleOf` is the registry of the rule for an image. Undefined if the image gets no rule. */
  add(use: ImageUse, ruleOf: (image: ImageReference) => string | undefined): void;
  /** Once all uses are added. */
  found(rule: string, action: SecretAction): FoundSecrets;
};

/** `proved`: by the key. `sole`: the only secret of an object whose images are of one rule. */
type Evidence = 'proved' | 'sole' | 'possible';

export function createSecretFinder(secrets: RegistrySecrets): SecretFinder {
  const uses = new Map<string, Map<string, Set<string>>>();
  /** The registries of which a secret is the sole one. One that seems to be for several is certain for none of them. */
  const soleRegistries = new Map<string, Set<string>>();

  const usesOf = (evidence: Evidence, action: SecretAction, rule: string) => entryOf(uses, `${evidence} ${action} ${rule}`, newMap);
  const note = (evidence: Evidence, action: SecretAction, rule: string, names: readonly string[], namespace: string) => {
    for (const name of names) {
      entryOf(usesOf(evidence, action, rule), name, newSet).add(namespace);
      if (evidence === 'sole') entryOf(soleRegistries, name, newSet).add(registryOf(rule));
    }
  };

  return {
    add({ namespace, images, credentials }, ruleOf) {
      if (!credentials) return;
      const { lookup } = credentials;
      const action = lookup.by === 'builder' ? lookup.action : 'pull';
      const listed = credentials.secrets.filter((name) => !isOfInternalRegistry(name));
      const unread = new Set<string>();
      const unexplained = new Set<string>();
      for (const image of images) {
        const rule = ruleOf(image);
        if (rule === undefined) continue;
        const answers = listed.map((name) => [name, secrets.serves(namespace, name, image, lookup)] as const);
        const proved = answers.flatMap(([name, serves]) => (serves === true ? [name] : []));
        for (const [name, serves] of answers) if (serves === undefined) unread.add(name);
        if (proved.length > 0) note('proved', action, rule, proved, namespace);
        else if (unread.size > 0) unexplained.add(rule);
        else {
          const unlisted = secrets.serving(namespace, image, lookup);
          note(unlisted.length === 1 ? 'proved' : 'possible', action, rule, unlisted, namespace);
        }
      }
      const evidence = unexplained.size === 1 && unread.size === 1 ? 'sole' : 'possible';
      for (const rule of unexplained) note(evidence, action, rule, [...unread], namespace);
    },
    found(rule, action) {
      const isSole = (name: string) => soleRegistries.get(name)?.size === 1;
      // A secret of another registry explains why objects with images of both registries list it.
      const isOfAnotherRegistry = (name: string) => isSole(name) && !soleRegistries.get(name)?.has(registryOf(rule));
      const [proved, sole, possible] = (['proved', 'sole', 'possible'] as const).map((evidence) => [...usesOf(evidence, action, rule)]);
      const certain = mergeUses([...(proved ?? []), ...(sole ?? []).filter(([name]) => isSole(name))]);
      const others = [...(sole ?? []), ...(possible ?? [])].filter(([name]) => !certain.has(name) && !isOfAnotherRegistry(name));
      return { certain, possible: mergeUses(others) };
    },
  };
}

/** OpenShift creates these secrets for each service account. They are for its internal registry, which needs no rule. */
export function isOfInternalRegistry(name: string): boolean {
  return /-dockercfg-[a-z0-9]{5}$/.test(name);
}

function registryOf(rule: string): string {
  return rule.replace(/\/.*$/, '');
}

function mergeUses(entries: readonly (readonly [string, ReadonlySet<string>])[]): SecretUses {
  const merged = new Map<string, Set<string>>();
  for (const [name, namespaces] of entries) {
    for (const namespace of namespaces) entryOf(merged, name, newSet).add(namespace);
  }
  return merged;
}

const newSet = () => new Set<string>();
const newMap = () => new Map<string, Set<string>>();

function entryOf<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
  const value = map.get(key) ?? create();
  map.set(key, value);
  return value;
}

/** Drafts rules that trust every registry of some images, with the secrets that are certain. */
import { isUsualInternalRegistry } from '../image/openshift-registry.ts';
import type { ImageReference } from '../image/reference.ts';
import { compareTexts } from '../rules/compare-texts.ts';
import { dnsSubdomain } from '../rules/language/label-grammar.ts';
import { type RegistryPattern, resolvePattern } from '../rules/language/pattern.ts';
import { servesPublicImages, whyUnlikely } from '../rules/lint/unlikely-patterns.ts';
import { createSecretFinder, type FoundSecrets, type SecretUses } from './find-secrets.ts';
import type { ImageUse } from './image-use.ts';
import type { RegistrySecrets } from './registry-secrets.ts';

export type Draft = {
  /** Sorted by registry. */
  readonly rules: readonly DraftRule[];
  /** Images of OpenShift's internal registry, which the platform trusts without a rule, by `host:port`. */
  readonly internal: readonly RegistryUse[];
  /** Registries from which no image can come, such as a web site. They get no rule. */
  readonly unlikely: readonly (RegistryUse & { readonly why: string })[];
  /** Images without a registry that nodes or builds pull, sorted. */
  readonly shortNames: readonly string[];
};

/** The images of a registry or of its path, as written, and where they are used. All sorted. */
export type RegistryUse = {
  readonly registry: string;
  readonly images: readonly string[];
  readonly namespaces: readonly string[];
  /** Number of objects. */
  readonly objects: number;
};

export type DraftRule = RegistryUse & { readonly pull: DraftSecret; readonly push: DraftSecret };

export type DraftSecret =
  | { readonly kind: 'none' }
  | { readonly kind: 'certain'; readonly name: string; readonly seen: SecretUses }
  /** The policy owner has to choose. */
  | { readonly kind: 'unclear'; readonly why: 'several' | 'uncertain' | 'public'; readonly seen: SecretUses };

export type DraftOptions = {
  /** One rule for each registry with the first segment of the path. */
  readonly perPath: boolean;
  /** Other registries that the platform trusts without a rule, as `host[:port]`. */
  readonly internalRegistries?: readonly string[];
};

/** The order of `uses` does not matter. */
export function draftRules(uses: readonly ImageUse[], secrets: RegistrySecrets, options: DraftOptions): Draft {
  const { perPath, internalRegistries = [] } = options;
  const ofPlatform = new Set(internalRegistries);
  const isInternal = (image: ImageReference) => isUsualInternalRegistry(image) || ofPlatform.has(registryPattern(image).text);
  const images = uses.flatMap((use) => use.images);
  const patternOf = perPath ? pathPatterns(images, isInternal) : registryPattern;
  const groups = groupUses(uses, patternOf, isInternal);
  const finder = createSecretFinder(secrets);
  for (const use of uses) {
    finder.add(use, (image) => {
      const group = groups.get(patternOf(image).text);
      return group && isRule(group) ? group.pattern.text : undefined;
    });
  }

  const sorted = [...groups.values()].sort((one, other) => compareTexts(one.pattern.text, other.pattern.text));
  return {
    rules: sorted.filter(isRule).map((group) => ({
      ...renderUse(group),
      pull: chooseSecret(finder.found(group.pattern.text, 'pull'), servesPublicImages(group.pattern)),
      push: chooseSecret(finder.found(group.pattern.text, 'push'), false),
    })),
    internal: sorted.filter(({ isInternal }) => isInternal).map(renderUse),
    unlikely: sorted.flatMap((group) => (group.why === undefined ? [] : [{ ...renderUse(group), why: group.why }])),
    shortNames: sortedSet(uses.flatMap((use) => use.shortNames).map(({ written }) => written)),
  };
}

type PatternOf = (image: ImageReference) => RegistryPattern;
type IsInternal = (image: ImageReference) => boolean;

function registryPattern({ host, port }: ImageReference): RegistryPattern {
  return resolvePattern({ host: { kind: 'exact', name: host }, port: port ?? 'default', path: [] }, true);
}

/**
 * The registry with the first segment of the path. A registry that has images under a path such as `v2`, which looks like a mistake in a
 * rule, is not divided: next to a rule for all of it, rules for its paths would be redundant.
 */
function pathPatterns(images: readonly ImageReference[], isInternal: IsInternal): PatternOf {
  const pathPattern = ({ host, port, path }: ImageReference) =>
    resolvePattern({ host: { kind: 'exact', name: host }, port: port ?? 'default', path: path.slice(0, 1) }, true);
  const isWhole = (image: ImageReference) => isInternal(image) || whyUnlikely(pathPattern(image)) !== undefined;
  const whole = new Set(images.filter(isWhole).map((image) => registryPattern(image).text));
  return (image) => (whole.has(registryPattern(image).text) ? registryPattern(image) : pathPattern(image));
}

type Group = {
  readonly pattern: RegistryPattern;
  readonly isInternal: boolean;
  /** Why no image can come from there. */
  readonly why: string | undefined;
  readonly images: Set<string>;
  readonly namespaces: Set<string>;
  readonly objects: Set<string>;
};

function groupUses(uses: readonly ImageUse[], patternOf: PatternOf, isInternal: IsInternal): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>();
  for (const { object, namespace, images } of uses) {
    for (const image of images) {
      const pattern = patternOf(image);
      const group = groups.get(pattern.text) ?? newGroup(pattern, isInternal(image));
      groups.set(pattern.text, group);
      group.images.add(image.written);
      group.namespaces.add(namespace);
      group.objects.add(object);
    }
  }
  return groups;
}

function newGroup(pattern: RegistryPattern, isInternal: boolean): Group {
  return { pattern, isInternal, why: whyUnlikely(pattern), images: new Set(), namespaces: new Set(), objects: new Set() };
}

function isRule({ isInternal, why }: Group): boolean {
  return !isInternal && why === undefined;
}

function renderUse({ pattern, images, namespaces, objects }: Group): RegistryUse {
  return { registry: pattern.text, images: sortedSet(images), namespaces: sortedSet(namespaces), objects: objects.size };
}

/** On a registry with public images, a rule would give the secret to workloads that need none. */
function chooseSecret({ certain, possible }: FoundSecrets, isPublic: boolean): DraftSecret {
  const [name] = certain.keys();
  if (certain.size + possible.size === 0) return { kind: 'none' };
  if (isPublic) return { kind: 'unclear', why: 'public', seen: new Map([...certain, ...possible]) };
  if (name !== undefined && certain.size === 1 && isSecretName(name)) return { kind: 'certain', name, seen: certain };
  const why = certain.size > 1 ? 'several' : 'uncertain';
  return { kind: 'unclear', why, seen: new Map([...certain, ...possible]) };
}

/** Rules accept no other names, and no Secret has them. */
function isSecretName(name: string): boolean {
  return name.length <= 253 && new RegExp(`^${dnsSubdomain}$`).test(name);
}

function sortedSet(texts: Iterable<string>): readonly string[] {
  return [...new Set(texts)].sort(compareTexts);
}

/** What nodes may make of names without a registry, as far as the rules show it. */
import { dockerHub } from '../image/docker-hub.ts';
import { aliasTargets } from '../image/short-name-aliases.ts';
import type { RuleSet, ShortNames } from './rule-set.ts';

/** How an image is used, as far as it decides where a name without a registry leads. */
export type ImageUse = {
  readonly action: 'pull' | 'push';
  readonly imported?: boolean | undefined;
  /** Of the image of a custom resource, such as `oci://`. */
  readonly scheme?: string | undefined;
};

/**
 * What a name without a registry means for this use. OpenShift's importer reads it as a name on Docker Hub (library-go pkg/image/reference),
 * and so do builders when they push (containers/image: a `docker://` name is normalized). Only pulls follow the search list of the nodes.
 * An image with a scheme may be pulled by a controller, which knows no such list and uses Docker Hub, or by a node.
 */
export function shortNamesFor({ action, imported, scheme }: ImageUse, shortNames: ShortNames): ShortNames {
  if (imported || action === 'push') return dockerHub;
  if (scheme === undefined || typeof shortNames === 'string' || shortNames.includes(dockerHub)) return shortNames;
  return [...shortNames, dockerHub];
}

/**
 * Whether a node may pull a name without a registry from another place than the rules expect, or never start it. That is so where several
 * registries are searched, since CRI-O 1.34 and later rejects ambiguous names, and on OpenShift, where nodes have lists of aliases. OpenShift is
 * recognized by its internal registry.
 */
export function shortNamesAreUncertain({ settings: { shortNames }, rules }: Pick<RuleSet, 'settings' | 'rules'>): boolean {
  return (Array.isArray(shortNames) && shortNames.length > 1) || (shortNames !== 'reject' && namesOpenShiftRegistry(rules));
}

/** The internal registries come first among the rules. */
function namesOpenShiftRegistry(rules: RuleSet['rules']): boolean {
  for (const { internal, pattern } of rules) {
    if (!internal) return false;
    if (pattern.host.kind === 'exact' && pattern.host.name.startsWith('image-registry.openshift-image-registry.svc')) return true;
  }
  return false;
}

/** Where published alias lists lead the name, which may have a tag or a digest. Empty for most names. */
export function aliasesOf(shortName: string): readonly string[] {
  return aliasTargets.get(shortName.replace(/[:@].*$/s, '')) ?? [];
}

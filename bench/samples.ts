/** Sample rules of a large organisation and the images that its clusters would use, in the same proportions at every size. */
import { type ImageReference, parseImage } from '../src/image/reference.ts';
import type { NamespaceContext } from '../src/rules/rule-set.ts';

export type Lookup = { readonly reference: ImageReference; readonly context: NamespaceContext };

const words = 'build cache charts data edge front hub image jobs lab mirror ops prod stage tools web'.split(' ');
const domains = ['example.com', 'corp.example.com', 'eu.example.net', 'us.example.net', 'partner.example.org'];

/**
 * A rules document with `size` rules, which must be a multiple of ten. Each group of ten rules has its own three registries, as whole hosts
 * or with one to three path segments. It contains wildcards in host and path, a rule with `trust: false`, and rules for one namespace by
 * name and by label. A larger document begins with all rules of a smaller one.
 */
export function rulesText(size: number): string {
  return `unconfigured: warn\nrules:\n${Array.from({ length: size }, (_, index) => ruleText(index)).join('')}`;
}

function ruleText(index: number): string {
  const repository = `${registryOf(index)}/${pathOf(index)}`;
  const secret = `  pullSecret: pull-${index % 500}\n`;
  switch (index % 10) {
    case 0:
      return `- registry: ${registryOf(index)}\n${secret}`;
    case 1:
      return `- registry: "*.${hostOf(index)}/${pathOf(index)}"\n${secret}`;
    case 2:
      return `- registry: ${repository}\n  trust: false\n  reason: use ${registryOf(index - 2)}\n`;
    case 3:
      return `- registry: ${repository}/*\n${secret}`;
    case 4:
      return `- registry: ${repository}\n  namespaces: ${teamOf(index)}\n${secret}`;
    case 5:
      return `- registry: ${repository}\n  namespaces: {matchLabels: {team: ${teamOf(index)}}}\n${secret}  pushSecret: push-${index % 500}\n`;
    default:
      return `- registry: ${repository}\n${secret}`;
  }
}

/** The same rules as a map by registry and path, for peers without patterns. Rules with wildcards and for single namespaces are left out. */
export function registriesFor(size: number): Record<string, { trust: boolean; pullSecrets: readonly string[] }> {
  const plain = Array.from({ length: size }, (_, index) => index).filter((index) => ![1, 3, 4, 5].includes(index % 10));
  return Object.fromEntries(
    plain.map((index) => {
      const name = index % 10 === 0 ? registryOf(index) : `${registryOf(index)}/${pathOf(index)}`;
      return [name, { trust: index % 10 !== 2, pullSecrets: [`pull-${index % 500}`] }];
    }),
  );
}

/**
 * A thousand lookups spread evenly over the first `size` rules. Of every eight, four are for an image that a rule matches and three for
 * another path in the same registry. One is for a registry that no rule names.
 */
export function lookupsFor(size: number): readonly Lookup[] {
  return Array.from({ length: 1_000 }, (_, at) => {
    // The step is prime, so it visits all rules, and each visit is far from the one before.
    const index = (at * 7_919) % size;
    const parsed = parseImage(imageOf(index, at));
    if (!parsed.ok) throw new Error(parsed.problem.message);
    const labels = { team: teamOf(index), env: 'prod', 'kubernetes.io/metadata.name': teamOf(index) };
    return { reference: parsed.reference, context: { namespace: teamOf(index), labels } };
  });
}

/** Images that are trusted in every namespace, each by another rule. */
export function trustedImages(size: number): readonly string[] {
  const trusting = Array.from({ length: size }, (_, index) => index).filter((index) => [0, 6, 7, 8, 9].includes(index % 10));
  return trusting.map((index) => imageOf(index, 0));
}

function imageOf(index: number, at: number): string {
  const wildcard = index % 10 === 1 ? 'sub.' : '';
  if (at % 8 < 4) return `${wildcard}${registryOf(index)}/${pathOf(index)}/app:v1.${at}`;
  if (at % 8 < 7) return `${wildcard}${registryOf(index)}/${words[at % 16]}/other-${at % 100}/app:v1.${at}`;
  return `unknown-${at % 100}.${domains[at % 5]}/${pathOf(index)}/app:v1.${at}`;
}

function teamOf(index: number): string {
  return `team-${index % 1_000}`;
}

function hostOf(index: number): string {
  const host = hostNumber(index);
  return `${words[host % 16]}${host}.${domains[host % 5]}`;
}

function registryOf(index: number): string {
  return hostNumber(index) % 4 === 3 ? `${hostOf(index)}:5000` : hostOf(index);
}

function hostNumber(index: number): number {
  return Math.floor(index / 10) * 3 + (index % 3);
}

function pathOf(index: number): string {
  return index % 10 < 7 ? `${words[index % 16]}/${words[Math.floor(index / 16) % 16]}-${index}` : `${words[index % 16]}-${index}`;
}

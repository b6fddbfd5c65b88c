/** Finds the exemptions that match an image in a namespace. */
import type { ImageReference } from '../../image/reference.ts';
import { compareTexts } from '../compare-texts.ts';
import { patternMatches } from '../language/pattern.ts';
import type { Answer, Exemption, NamespaceContext } from '../rule-set.ts';
import { rememberLast } from './last-context.ts';
import { getOrCreate } from './namespace-index.ts';
import { renderSelector, selects } from './namespaces.ts';

/**
 * Returns a function that finds the exemptions for an image in a namespace, the last to expire first, then by their patterns. If labels are
 * unknown, an exemption that selects by them does not apply. An object may have thousands of images, so exemptions for other repositories
 * cost nothing, and namespaces are selected once for all images.
 */
export function indexExemptions(
  exemptions: readonly Exemption[],
): (reference: ImageReference, context: NamespaceContext) => Answer<readonly Exemption[]> {
  const inOrder = exemptions
    .map((exemption) => ({ exemption, key: `${exemption.pattern.text} ${renderSelector(exemption.namespaces)} ${exemption.reason}` }))
    .sort((one, other) => compareTexts(other.exemption.until, one.exemption.until) || compareTexts(one.key, other.key))
    .map(({ exemption }, order) => ({ exemption, order }));
  if (inOrder.length === 0) return () => ({ value: [] });
  const groupsFor = groupByRepository(inOrder);
  const selectedIn = rememberLast(() => new Map<readonly Ordered[], readonly Selected[]>());
  return (reference, context) => {
    const selected = selectedIn(context);
    const found = groupsFor(reference)
      .flatMap((group) => getOrCreate(selected, group, () => select(group, context)))
      .filter(({ exemption }) => patternMatches(exemption.pattern, reference))
      .sort((one, other) => one.order - other.order);
    const unsure = found.find(({ applies }) => applies === 'unknown')?.exemption.origin;
    const value = found.filter(({ applies }) => applies === true).map(({ exemption }) => exemption);
    return { value, ...(unsure && { unsure }) };
  };
}

type Ordered = { readonly exemption: Exemption; readonly order: number };
type Selected = Ordered & { readonly applies: true | 'unknown' };

function select(group: readonly Ordered[], context: NamespaceContext): readonly Selected[] {
  return group.flatMap((each) => {
    const applies = selects(each.exemption.namespaces, context);
    return applies === false ? [] : [{ ...each, applies }];
  });
}

/** Returns a function that finds all exemptions that may match a reference, in groups. Those with wildcards are in one group. */
function groupByRepository(exemptions: readonly Ordered[]): (reference: ImageReference) => readonly (readonly Ordered[])[] {
  const byRepository = new Map<string, Ordered[]>();
  const withWildcards: Ordered[] = [];
  let longestPath = 0;
  for (const each of exemptions) {
    const { host, path } = each.exemption.pattern;
    if (host.kind !== 'exact' || path.includes('*')) {
      withWildcards.push(each);
    } else {
      getOrCreate(byRepository, [host.name, ...path].join('/'), () => []).push(each);
      longestPath = Math.max(longestPath, path.length);
    }
  }
  return ({ host, path }) => {
    const repositories = [host];
    for (const segment of path.slice(0, longestPath)) repositories.push(`${repositories.at(-1)}/${segment}`);
    return [withWildcards, ...repositories.map((repository) => byRepository.get(repository)).filter((group) => group !== undefined)];
  };
}

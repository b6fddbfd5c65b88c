/** Finds the exemptions that match an image in a namespace. */
import type { ImageReference } from '../../image/reference.ts';
import { compareTexts } from '../compare-texts.ts';
import { patternMatches } from '../language/pattern.ts';
import type { Origin } from '../language/problem.ts';
import type { Answer, Exemption, NamespaceContext } from '../rule-set.ts';
import { renderSelector, selects } from './namespaces.ts';

/**
 * Returns a function that finds the exemptions for an image in a namespace, the last to expire first, then by their patterns. If labels are
 * unknown, an exemption that selects by them does not apply. The cost grows with the number of exemptions, which stays small since each one
 * expires.
 */
export function indexExemptions(
  exemptions: readonly Exemption[],
): (reference: ImageReference, context: NamespaceContext) => Answer<readonly Exemption[]> {
  const inOrder = exemptions
    .map((exemption) => ({ exemption, key: `${exemption.pattern.text} ${renderSelector(exemption.namespaces)} ${exemption.reason}` }))
    .sort((one, other) => compareTexts(other.exemption.until, one.exemption.until) || compareTexts(one.key, other.key))
    .map(({ exemption }) => exemption);
  return (reference, context) => {
    const value: Exemption[] = [];
    let unsure: Origin | undefined;
    for (const exemption of inOrder) {
      if (!patternMatches(exemption.pattern, reference)) continue;
      const applies = selects(exemption.namespaces, context);
      if (applies === true) value.push(exemption);
      else if (applies === 'unknown') unsure ??= exemption.origin;
    }
    return { value, ...(unsure && { unsure }) };
  };
}

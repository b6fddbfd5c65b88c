import type { ImageReference } from '../../image/reference.ts';
import { compareTexts } from '../compare-texts.ts';
import { patternMatches } from '../language/pattern.ts';
import type { Origin } from '../language/problem.ts';
import type { Answer, Exemption, NamespaceContext } from '../rule-set.ts';
import { renderSelector, selects } from './namespaces.ts';

/**
 * Prepares the question which exemptions hold an image in a namespace, the longest lasting first, then by their patterns. Where labels are
 * unknown, an exemption that selects by them does not apply. The cost grows with the number of exemptions, which end one by one.
 */
export function indexExemptions(
  exemptions: readonly Exemption[],
): (reference: ImageReference, place: NamespaceContext) => Answer<readonly Exemption[]> {
  const inOrder = exemptions
    .map((exemption) => ({ exemption, key: `${exemption.pattern.text} ${renderSelector(exemption.namespaces)} ${exemption.reason}` }))
    .sort((one, other) => compareTexts(other.exemption.until, one.exemption.until) || compareTexts(one.key, other.key))
    .map(({ exemption }) => exemption);
  return (reference, place) => {
    const value: Exemption[] = [];
    let unsure: Origin | undefined;
    for (const exemption of inOrder) {
      if (!patternMatches(exemption.pattern, reference)) continue;
      const applies = selects(exemption.namespaces, place);
      if (applies === true) value.push(exemption);
      else if (applies === 'unknown') unsure ??= exemption.origin;
    }
    return { value, ...(unsure && { unsure }) };
  };
}

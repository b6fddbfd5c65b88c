/** Removes what the answer of a review would repeat of other ConfigMaps. A caller that did not authenticate may be anyone. */
import { type Problem, problemCodes, renderOrigin } from '../rules/language/problem.ts';
import { remedySentence } from '../rules/language/problem-remedies.ts';
import type { Bundle } from '../rules/store/rule-store.ts';

/**
 * Of a rule in another ConfigMap only the position is left. The position comes last: a user who may not read that ConfigMap sees first what is
 * wrong and what to do.
 */
export function hideOtherRules(problem: Problem, bundle: Bundle): Problem {
  const { code, origin, related } = problem;
  const { text } = problemCodes[code];
  const elsewhere = [origin, related].find((each) => each && !isInBundle(bundle, each));
  if (elsewhere) return { ...problem, message: `${text} ${remedySentence(code).replaceAll('`', '"')} See ${renderOrigin(elsewhere)}.` };
  // It has the size of the other ConfigMaps.
  return code === 'namespace-quota' ? { ...problem, message: text } : problem;
}

export function isInBundle({ documents }: Bundle, { source }: Problem['origin']): boolean {
  return documents.some(
    (document) =>
      source.kind === 'configMap' &&
      document.source.kind === 'configMap' &&
      source.key === document.source.key &&
      source.name === document.source.name &&
      source.namespace === document.source.namespace,
  );
}

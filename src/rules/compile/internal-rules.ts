/** Finds rules that contradict an internal registry, which is trusted whatever they contain. */
import { indexRules } from '../match/match.ts';
import type { NamespaceContext, Rule } from '../rule-set.ts';
import { representativeOf } from './pattern-overlap.ts';

/** What the internal registry prevents, and a fix other than removing the rule, if there is one. */
export type InternalConflict = { readonly internal: Rule; readonly effect: 'denies' | 'secret' | 'end'; readonly otherFix?: string };

/**
 * Returns a function that finds the internal registry because of which a rule has no effect. A rule that only trusts repeats what applies
 * anyway, so it conflicts with none. A denial without a port is meant for the internal port too, although it also applies to all others.
 */
export function indexInternal(internal: readonly Rule[]): (rule: Rule) => InternalConflict | undefined {
  const index = indexRules(internal);
  const onAnyPort = indexRules(internal.map((rule) => ({ ...rule, pattern: { ...rule.pattern, port: 'any' as const } })));
  return (rule) => {
    const effect = effectOf(rule);
    if (!effect) return undefined;
    const { pattern, portWritten } = rule;
    const withoutPort = effect === 'denies' && !portWritten && pattern.port === 'any';
    const found = (withoutPort ? onAnyPort : index).match(representativeOf(pattern), anyNamespace).entry;
    if (!found) return undefined;
    return { internal: found, effect, ...(withoutPort && { otherFix: `use ${withAnyPort(pattern.text)} to deny its other ports` }) };
  };
}

function effectOf({ trust, until, pullSecrets, pushSecret }: Rule): InternalConflict['effect'] | undefined {
  if (!trust) return 'denies';
  if (pullSecrets.length > 0 || pushSecret !== undefined) return 'secret';
  return until === undefined ? undefined : 'end';
}

function withAnyPort(text: string): string {
  return text.replace(/^[^/]*/, '$&:*');
}

/** Internal registries are the same in every namespace. */
const anyNamespace: NamespaceContext = { namespace: '', labels: {} };

/** The secrets of one rule. */
import type { Rule } from './rule-set.ts';

/** The names that a rule specifies for pulling or pushing. Without an action, those for both, so a name may occur twice. */
export function secretsOf(
  { pullSecrets, pushSecret }: Pick<Rule, 'pullSecrets' | 'pushSecret'>,
  action?: 'pull' | 'push',
): readonly string[] {
  if (action === 'pull' || pushSecret === undefined) return action === 'push' ? [] : pullSecrets;
  return action === 'push' ? [pushSecret] : [...pullSecrets, pushSecret];
}

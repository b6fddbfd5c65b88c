/** Finds the secrets that an image needs and its namespace lacks. */
import { quote } from '../image/problem.ts';
import { renderOrigin } from '../rules/language/problem.ts';
import type { Rule } from '../rules/rule-set.ts';
import type { ImageDecision } from './decision.ts';
import type { Facts } from './facts.ts';

/** A rule whose secret the namespace lacks. Of several pull secrets, it lacks all. */
export type MissingSecret = { readonly rule: Rule; readonly message: string };

/** Secrets that are certainly missing. Empty if that is unknown, or if the rule has `onMissingSecret: ignore`. */
export function missingSecrets(
  { trustedBy, slot }: Pick<ImageDecision, 'trustedBy' | 'slot'>,
  namespace: string,
  facts: Pick<Facts, 'secret'>,
): readonly MissingSecret[] {
  return trustedBy.flatMap((rule) => {
    const names = slot.action === 'pull' ? rule.pullSecrets : rule.pushSecret === undefined ? [] : [rule.pushSecret];
    if (names.length === 0 || rule.onMissingSecret === 'ignore') return [];
    const states = names.map((name) => facts.secret(namespace, name));
    if (!states.every((state) => state === 'absent' || state === 'wrong-type')) return [];
    const wrongType = names.filter((_name, index) => states[index] === 'wrong-type');
    return [{ rule, message: renderMissing(rule, slot.action, names, wrongType, namespace) }];
  });
}

// Names and fix first: the API server truncates long warnings.
function renderMissing(rule: Rule, action: 'pull' | 'push', names: readonly string[], wrongType: readonly string[], namespace: string) {
  const many = names.length > 1;
  const what = `${action} secret${many ? 's' : ''} ${names.map(quote).join(', ')}`;
  const by = `(rule "${rule.name}", ${renderOrigin(rule.origin)})`;
  if (wrongType.length > 0) {
    const which = wrongType.map(quote).join(', ');
    return `the ${what} of namespace "${namespace}" cannot be used: ${which} is not of type kubernetes.io/dockerconfigjson; make it anew with "kubectl create secret docker-registry" ${by}`;
  }
  return `namespace "${namespace}" has no ${what}${many ? ', not one of them' : ''}; create ${many ? 'one' : 'it'} with "kubectl create secret docker-registry" ${by}`;
}

/** Finds the secrets that an image needs and its namespace lacks. */
import { quote } from '../image/problem.ts';
import { listOf, quoteAll } from '../image/wording.ts';
import type { Rule } from '../rules/rule-set.ts';
import type { ImageDecision, Message } from './decision.ts';
import type { Facts } from './facts.ts';
import { bothForms } from './message.ts';

/** A rule whose secret the namespace lacks. Of several pull secrets, it lacks all. */
export type MissingSecret = Message & { readonly rule: Rule };

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
    const { action } = slot;
    return [{ rule, ...bothForms(({ rule: locate }) => renderMissing({ action, names, wrongType, namespace, rule: locate(rule) })) }];
  });
}

type MissingText = {
  readonly action: 'pull' | 'push';
  readonly names: readonly string[];
  readonly wrongType: readonly string[];
  readonly namespace: string;
  /** ` (rule "corporate")`. */
  readonly rule: string;
};

function renderMissing({ action, names, wrongType, namespace, rule }: MissingText): string {
  const secrets = `${action} secret${names.length > 1 ? 's' : ''} ${quoteAll(names)}`;
  const command = 'with "kubectl create secret docker-registry"';
  if (wrongType.length > 0) {
    const [are, them] = wrongType.length === 1 ? ['is', 'it'] : ['are', 'them'];
    const others = names.length > wrongType.length ? ` (${listOf(names.map(quote), 'or')})` : '';
    return `namespace "${namespace}" has no usable ${action} secret${others}: ${quoteAll(wrongType)} ${are} not of type kubernetes.io/dockerconfigjson${rule}. Recreate ${them} ${command}.`;
  }
  return names.length > 1
    ? `${secrets} do not exist in namespace "${namespace}"${rule}. Create one of them ${command}.`
    : `${secrets} does not exist in namespace "${namespace}"${rule}. Create it ${command}.`;
}

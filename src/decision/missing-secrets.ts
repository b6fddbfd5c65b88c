/** Finds the secrets that an image needs and its namespace lacks. */
import { quote } from '../image/problem.ts';
import { listOf, quoteAll } from '../image/wording.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { entitlementsOf } from '../rules/match/entitlement.ts';
import { secretsOf } from '../rules/rule-secrets.ts';
import type { NamespaceContext, Rule } from '../rules/rule-set.ts';
import type { ImageDecision, ImageMessage } from './decision.ts';
import type { DeliveryFacts, Facts } from './facts.ts';
import { allForms } from './message.ts';

/** A rule whose secret the namespace lacks. Of several pull secrets, it lacks all. */
export type MissingSecret = ImageMessage & {
  readonly rule: Rule;
  readonly reason: 'secret-missing' | 'secret-pending';
  /** Those of the secrets that are delivered to the namespace. A Pod that is denied would not be stored, so nothing would deliver them. */
  readonly delivered: readonly string[];
  /** If unknown labels of the namespace could entitle it to a secret. */
  readonly unsure?: Origin;
};

export type SecretsContext = {
  readonly entitlementTo: ReturnType<typeof entitlementsOf>;
  readonly place: NamespaceContext;
  readonly facts: Pick<Facts, 'secret' | 'delivery'>;
  /** The names in the secret fields of a build. Undefined for other objects. */
  readonly inBuild: ReadonlySet<string> | undefined;
};

export type FindMissingSecrets = (image: Pick<ImageDecision, 'trustedBy' | 'slot'>) => readonly MissingSecret[];

/** In the order in which a build chooses. `coming` is a secret that is, or may be, delivered to the namespace. */
export const availabilities = ['present', 'unknown', 'coming', 'missing'] as const;

export type Availability = (typeof availabilities)[number];

/** Whether a build could use the secret. */
export function availabilityOf(name: string, { entitlementTo, place: { namespace }, facts }: SecretsContext): Availability {
  const state = facts.secret(namespace, name);
  if (state === 'present' || state === 'unknown') return state;
  if (state === 'wrong-type') return 'missing';
  const { value, unsure } = entitlementTo(name);
  return value || unsure ? 'coming' : 'missing';
}

/**
 * Finds the secrets that are certainly missing: none if that is unknown, or if the rule has `onMissingSecret: ignore`. For each rule, the
 * answer is computed once, because an object may have thousands of images of a rule with hundreds of secrets.
 */
export function missingSecretsFinder(context: SecretsContext): FindMissingSecrets {
  const known = { pull: new Map<Rule, MissingSecret | undefined>(), push: new Map<Rule, MissingSecret | undefined>() };
  return ({ trustedBy, slot: { action } }) => {
    for (const rule of trustedBy) if (!known[action].has(rule)) known[action].set(rule, missingSecret(rule, action, context));
    return trustedBy.map((rule) => known[action].get(rule)).filter((missing) => missing !== undefined);
  };
}

function missingSecret(
  rule: Rule,
  action: 'pull' | 'push',
  { entitlementTo, place: { namespace }, facts, inBuild }: SecretsContext,
): MissingSecret | undefined {
  const names = secretsOf(rule, action);
  if (names.length === 0 || rule.onMissingSecret === 'ignore') return undefined;
  const states = names.map((name) => facts.secret(namespace, name));
  if (!states.every((state) => state === 'absent' || state === 'wrong-type')) return undefined;
  // A Secret of another type that has the name is not replaced.
  const absent = names.filter((_name, index) => states[index] === 'absent');
  const answers = absent.map(entitlementTo);
  const delivered = absent.filter((_name, index) => answers[index]?.value !== undefined);
  if (delivered.length > 0) {
    const delivery = facts.delivery?.() ?? { kind: 'unknown' };
    const render = (where: string) => renderDelivered({ action, names: delivered, namespace, rule: where }, delivery);
    const reason = delivery.kind === 'stopped' ? 'secret-missing' : 'secret-pending';
    return { rule, reason, delivered, ...allForms((locate) => render(locate.rule(rule))) };
  }
  const wrongType = names.filter((_name, index) => states[index] === 'wrong-type');
  const unsure = answers.find((answer) => answer.unsure)?.unsure;
  // A name that the user set stays.
  const isLeftOut = inBuild !== undefined && !unsure && !names.some((name) => inBuild.has(name));
  const text = allForms((locate) => renderMissing({ action, names, namespace, rule: locate.rule(rule), isLeftOut }, wrongType));
  return { rule, reason: 'secret-missing', delivered: [], ...(unsure && { unsure }), ...text };
}

type MissingText = {
  readonly action: 'pull' | 'push';
  readonly names: readonly string[];
  readonly namespace: string;
  /** ` (rule "corporate")`. */
  readonly rule: string;
};

type UnusableText = MissingText & { readonly isLeftOut: boolean };

function renderMissing({ action, names, namespace, rule, isLeftOut }: UnusableText, wrongType: readonly string[]): string {
  const secrets = renderSecrets(action, names);
  const command = 'with "kubectl create secret docker-registry"';
  const next = isLeftOut ? ' regkeeper then adds it to builds.' : '';
  if (wrongType.length > 0) {
    const [are, them] = wrongType.length === 1 ? ['is', 'it'] : ['are', 'them'];
    const others = names.length > wrongType.length ? ` (${listOf(names.map(quote), 'or')})` : '';
    return `namespace "${namespace}" has no usable ${action} secret${others}: ${quoteAll(wrongType)} ${are} not of type kubernetes.io/dockerconfigjson${rule}. Recreate ${them} ${command}.${next}`;
  }
  return `${secrets} not exist in namespace "${namespace}"${rule}. Create ${names.length > 1 ? 'one of them' : 'it'} ${command}.${next}`;
}

function renderDelivered({ action, names, namespace, rule }: MissingText, delivery: DeliveryFacts): string {
  const missing = `${renderSecrets(action, names)} not exist in namespace "${namespace}"`;
  const they = names.length > 1 ? 'They' : 'It';
  switch (delivery.kind) {
    case 'running':
      return `${missing} yet${rule}. ${they} will be delivered.`;
    case 'stopped': {
      const since = delivery.since === undefined ? 'is not running' : `has not been running since ${renderSecond(delivery.since)}`;
      return `${missing}${rule}, and secret delivery ${since}. Ask an administrator to start it.`;
    }
    case 'unknown':
      return `${missing} yet${rule}. ${they} will be delivered if "regkeeper deliver" is running.`;
  }
}

/** `pull secrets "a" and "b" do`, the beginning of a sentence. */
function renderSecrets(action: 'pull' | 'push', names: readonly string[]): string {
  return `${action} secret${names.length > 1 ? 's' : ''} ${quoteAll(names)} ${names.length > 1 ? 'do' : 'does'}`;
}

/** `2026-11-21T09:58:00Z`. */
function renderSecond(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

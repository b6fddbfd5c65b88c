/** Builds the audit record of a decision. */
import type { ReviewRequest, Webhook } from '../../admission/review.ts';
import type { Decision, ImageDecision, Injection, Outcome } from '../../decision/decision.ts';
import { trustingRules } from '../../decision/trusting-rules.ts';
import { textAt } from '../../object/json.ts';
import { controllerOf } from '../../object/owner.ts';
import { secretsOf } from '../../rules/rule-secrets.ts';
import type { Rule } from '../../rules/rule-set.ts';
import { type AuditedRule, auditRule } from './audited-rule.ts';
import { type Circumstances, describeCircumstances, type EvaluatedWith } from './circumstances.ts';
import { type AuditedImage, showImages } from './image.ts';
import { budgets, Cutter, omitted } from './record-limits.ts';

/** Nothing else of an object is recorded: it may contain passwords in environment variables, and a record has many readers. */
export type AuditRecord = Circumstances & {
  readonly event: 'decision';
  readonly uid: string;
  /** The trace that the request belongs to, as in W3C Trace Context. Absent if the API server does not trace it. */
  readonly traceparent?: string;
  readonly webhook: Webhook;
  /** The caller of the webhook port has shown a certificate of the client CA. Otherwise anyone may have sent the request. */
  readonly callerAuthenticated: boolean;
  readonly user: string;
  readonly groups: readonly string[];
  /** How many entries of the previous list are not shown. The same for the other lists. */
  readonly groupsOmitted?: number;
  readonly operation: string;
  readonly subresource?: string;
  readonly dryRun: boolean;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly namespace: string;
  /** Empty on CREATE with generateName. */
  readonly name: string;
  readonly generateName?: string;
  /** The controlling owner. A Pod's user is a controller, so only this shows where the Pod comes from. */
  readonly owner?: { readonly kind: string; readonly name: string };
  /** The answer. `error` if the request could not be evaluated, which denies it. */
  readonly outcome: Outcome | 'error';
  /** The answer in mode enforce, if it is different. */
  readonly outcomeIfEnforced?: Outcome;
  readonly mode?: string;
  readonly rulesRevision?: string;
  readonly durationMicroseconds: number;
  readonly images: readonly AuditedImage[];
  readonly imagesOmitted?: number;
  /** Of all images, if `images` does not show everything. See `hashImages`. */
  readonly imagesSha256?: string;
  readonly inject: readonly AuditedInjection[];
  readonly injectOmitted?: number;
  readonly delivery?: AuditedDelivery;
  readonly messages: readonly string[];
  readonly messagesOmitted?: number;
  /** A text was cut, or not everything of a list is shown. */
  readonly truncated?: true;
};

export type AuditedInjection = {
  readonly path: string;
  readonly secret: string;
  readonly from: string;
  /**
   * The first rule that names the secret. Absent for an account's own secret, and for an earlier one that is restored although no rule names
   * it any more.
   */
  readonly rule?: AuditedRule;
};

/** Absent if the request concerns no secret with delivery. */
export type AuditedDelivery = {
  /** What `/mutate` wrote into the annotation of the object. */
  readonly needed?: readonly string[];
  readonly neededOmitted?: number;
  /** Secrets that the namespace lacks and that are delivered there, so that they do not deny. */
  readonly awaited?: readonly string[];
  readonly awaitedOmitted?: number;
  /** Whether `regkeeper deliver` was running, where secrets are awaited. */
  readonly state?: 'running' | 'stopped' | 'unknown';
};

/** `decision` is undefined for a request that introduces nothing. `failure` is the message for a request that could not be evaluated. */
export type AuditedEvent = {
  readonly webhook: Webhook;
  readonly callerAuthenticated: boolean;
  /** A valid header, so it needs no limit. */
  readonly traceparent?: string;
  readonly request: ReviewRequest;
  readonly decision: Decision | undefined;
  /** Absent where the request was not evaluated. */
  readonly evaluatedWith?: EvaluatedWith | undefined;
  readonly failure?: string;
  readonly durationMicroseconds: number;
};

/** At most `maxBytes` of record-limits.ts as a line of JSON, whatever the request contains. */
export function buildAuditRecord({
  webhook,
  callerAuthenticated,
  traceparent,
  request,
  decision,
  evaluatedWith,
  failure,
  durationMicroseconds,
}: AuditedEvent): AuditRecord {
  const cutter = new Cutter();
  const short = (text: string) => cutter.text(text);
  const generateName = textAt(request.object, ['metadata', 'generateName']);
  const owner = controllerOf(request.object);
  const groups = cutter.texts(request.groups, budgets.groups);
  const record = {
    event: 'decision' as const,
    uid: short(request.uid),
    ...(traceparent !== undefined && { traceparent }),
    webhook,
    callerAuthenticated,
    user: short(request.user),
    groups,
    ...omitted('groupsOmitted', request.groups, groups),
    operation: request.operation,
    ...(request.subresource !== '' && { subresource: short(request.subresource) }),
    dryRun: request.dryRun,
    group: short(request.group),
    version: short(request.version),
    kind: short(request.kind),
    namespace: short(request.namespace),
    name: short(request.name),
    ...(request.name === '' && generateName !== undefined && { generateName: short(generateName) }),
    ...(owner && { owner: { kind: short(owner.kind), name: short(owner.name) } }),
    ...conclusion(webhook, decision, failure, cutter),
    ...circumstances({ webhook, request, decision, evaluatedWith }, cutter),
    durationMicroseconds,
  };
  return cutter.cut ? { ...record, truncated: true } : record;
}

/** Of the validating webhook, whose record has the outcome. */
function circumstances(
  { webhook, request, decision, evaluatedWith }: Pick<AuditedEvent, 'webhook' | 'request' | 'decision' | 'evaluatedWith'>,
  cutter: Cutter,
): Circumstances {
  if (webhook !== 'validate' || decision?.kind !== 'decided' || !evaluatedWith) return {};
  const { namespace, group, kind } = request;
  return describeCircumstances({ ...evaluatedWith, decision, namespace, isPod: group === '' && kind === 'Pod' }, cutter);
}

type Conclusion = Pick<AuditRecord, 'outcome' | 'images' | 'inject' | 'messages'> &
  Partial<
    Pick<
      AuditRecord,
      'outcomeIfEnforced' | 'mode' | 'rulesRevision' | 'imagesOmitted' | 'imagesSha256' | 'injectOmitted' | 'delivery' | 'messagesOmitted'
    >
  >;

function conclusion(webhook: Webhook, decision: Decision | undefined, failure: string | undefined, cutter: Cutter): Conclusion {
  const empty = { images: [], inject: [] };
  if (failure !== undefined) return { outcome: 'error', ...empty, messages: [cutter.text(failure)] };
  if (!decision) return { outcome: 'allowed', ...empty, messages: [] };
  switch (decision.kind) {
    case 'malformed':
      return { outcome: 'error', ...empty, messages: [cutter.text(`${decision.problem.path} ${decision.problem.message}`)] };
    case 'unknown-kind':
      return { outcome: 'error', ...empty, messages: ['regkeeper does not evaluate this kind'] };
    case 'not-yet':
      return { outcome: 'error', ...empty, messages: [cutter.text(decision.message)] };
    case 'decided': {
      const mutating = webhook === 'mutate';
      // The mutating webhook denies nothing, so its outcome is what it did. The verdict is in the record of the validating one.
      const outcome = mutating ? (decision.notices.length > 0 ? 'warned' : 'allowed') : decision.outcome;
      const injected = mutating ? decision.injected : [];
      const ruleOf = rulesOfSecrets(injected, decision.images);
      const inject = cutter.list(
        injected.slice(0, budgets.inject.count).map((injection) => auditInjection(injection, ruleOf, cutter)),
        budgets.inject,
      );
      const shown = mutating ? decision.notices : decision.findings;
      const messages = cutter.texts(
        shown.slice(0, budgets.messages.count).map(({ message }) => message),
        budgets.messages,
      );
      if (inject.length < injected.length || messages.length < shown.length) cutter.cut = true;
      return {
        outcome,
        ...(!mutating && decision.outcomeBeforeMode !== decision.outcome && { outcomeIfEnforced: decision.outcomeBeforeMode }),
        mode: decision.mode,
        rulesRevision: decision.revision,
        ...showImages(decision.images, cutter),
        inject,
        ...omitted('injectOmitted', injected, inject),
        ...auditDelivery(mutating ? decision.neededSecrets : undefined, decision.awaited, cutter),
        messages,
        ...omitted('messagesOmitted', shown, messages),
      };
    }
  }
}

function auditDelivery(
  needed: readonly string[] = [],
  awaited: (Decision & { kind: 'decided' })['awaited'],
  cutter: Cutter,
): Pick<Conclusion, 'delivery'> {
  if (needed.length === 0 && !awaited) return {};
  const shownNeeded = cutter.texts(needed, budgets.neededSecrets);
  const shownAwaited = cutter.texts(awaited?.secrets ?? [], budgets.awaitedSecrets);
  const delivery: AuditedDelivery = {
    ...(needed.length > 0 && { needed: shownNeeded, ...omitted('neededOmitted', needed, shownNeeded) }),
    ...(awaited && {
      awaited: shownAwaited,
      ...omitted('awaitedOmitted', awaited.secrets, shownAwaited),
      state: awaited.delivery.kind,
    }),
  };
  return { delivery };
}

type RuleOf = (injection: Injection) => Rule | undefined;

/** The first rule that names each secret. Found in one pass over the images and their rules, since a build can have thousands of both. */
function rulesOfSecrets(injected: readonly Injection[], images: readonly ImageDecision[]): RuleOf {
  if (injected.length === 0) return () => undefined;
  const firstRules = (action: 'pull' | 'push') => {
    const bySecret = new Map<string, Rule>();
    for (const rule of trustingRules(images.filter(({ slot }) => slot.action === action)))
      for (const secret of secretsOf(rule, action)) if (!bySecret.has(secret)) bySecret.set(secret, rule);
    return bySecret;
  };
  const byAction = { pull: firstRules('pull'), push: firstRules('push') };
  return ({ path, secret, from }) => (from === 'rule' ? byAction[actionOf(path)].get(secret) : undefined);
}

function actionOf(path: string): 'pull' | 'push' {
  return path.endsWith('.pushSecret') ? 'push' : 'pull';
}

function auditInjection(injection: Injection, ruleOf: RuleOf, cutter: Cutter): AuditedInjection {
  const short = (text: string) => cutter.text(text);
  const { path, secret, from } = injection;
  const rule = ruleOf(injection);
  return { path: short(path), secret: short(secret), from, ...(rule && { rule: auditRule(rule, short) }) };
}

/** What the metrics count for one decision: verdicts of images and injected secrets, each with the deciding rule. */
export type CountedDecision = {
  readonly images: readonly { readonly verdict: string; readonly rule?: AuditedRule }[];
  readonly inject: readonly { readonly from: string; readonly rule?: AuditedRule }[];
};

/**
 * Returns the record itself if it shows everything, so that counting costs nothing. Names and sources of rules are complete in either case:
 * by the source, metrics distinguish rules of the cluster from those of a namespace.
 */
export function countDecision({ webhook, decision }: Pick<AuditedEvent, 'webhook' | 'decision'>, record: AuditRecord): CountedDecision {
  if (decision?.kind !== 'decided' || record.truncated === undefined) return record;
  const injected = webhook === 'mutate' ? decision.injected : [];
  const ruleOf = rulesOfSecrets(injected, decision.images);
  const withRule = (rule: Rule | undefined) => rule && { rule: auditRule(rule) };
  return {
    images: decision.images.map(({ verdict, rule }) => ({ verdict, ...withRule(rule) })),
    inject: injected.map((injection) => ({ from: injection.from, ...withRule(ruleOf(injection)) })),
  };
}

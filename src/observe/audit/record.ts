/**
 * One record for each decision. Fields come from this list and from nowhere else: an object may hold passwords in its environment
 * variables, and a record is read by many.
 */
import type { ReviewRequest, Webhook } from '../../admission/review.ts';
import type { Decision, ImageDecision, Injection, Outcome } from '../../decision/decision.ts';
import { textAt } from '../../object/json.ts';
import { controllerOf } from '../../object/owner.ts';
import type { Rule } from '../../rules/rule-set.ts';
import { budgets, Cutter, omitted } from './budget.ts';
import { type AuditedImage, showImages } from './image.ts';
import { type AuditedRule, auditRule } from './source.ts';

export type AuditRecord = {
  readonly event: 'decision';
  readonly uid: string;
  readonly webhook: Webhook;
  readonly user: string;
  readonly groups: readonly string[];
  /** How many of the list before are not shown; so for the other lists. */
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
  /** The controlling owner: a Pod's user is a controller, so this tells whose it is. */
  readonly owner?: { readonly kind: string; readonly name: string };
  /** The answer. `error`: the request could not be evaluated and was denied, or the API server was asked to retry. */
  readonly outcome: Outcome | 'error';
  /** The outcome that mode `enforce` would have had. Absent if it is the same. */
  readonly outcomeIfEnforced?: Outcome;
  readonly mode?: string;
  readonly rulesRevision?: string;
  readonly durationMicroseconds: number;
  readonly images: readonly AuditedImage[];
  readonly imagesOmitted?: number;
  /** Of all images, where `images` does not show everything; see `hashImages`. */
  readonly imagesSha256?: string;
  readonly inject: readonly AuditedInjection[];
  readonly injectOmitted?: number;
  readonly messages: readonly string[];
  readonly messagesOmitted?: number;
  /** A text was cut, or not everything of a list is shown. */
  readonly truncated?: true;
};

export type AuditedInjection = {
  readonly path: string;
  readonly secret: string;
  readonly from: string;
  /** The first rule that asks for it; absent for an account's own, and where an earlier one is put back that no rule asks for any more. */
  readonly rule?: AuditedRule;
};

/** `decision` is undefined for a request that brings nothing in; `failure` is the sentence of a request that could not be evaluated. */
export type AuditedEvent = {
  readonly webhook: Webhook;
  readonly request: ReviewRequest;
  readonly decision: Decision | undefined;
  readonly failure?: string;
  readonly durationMicroseconds: number;
};

/** At most `mostBytes` of budget.ts as a line of JSON, whatever the request holds. */
export function buildAuditRecord({ webhook, request, decision, failure, durationMicroseconds }: AuditedEvent): AuditRecord {
  const cutter = new Cutter();
  const short = (text: string) => cutter.text(text);
  const generateName = textAt(request.object, ['metadata', 'generateName']);
  const owner = controllerOf(request.object);
  const groups = cutter.texts(request.groups, budgets.groups);
  const record = {
    event: 'decision' as const,
    uid: short(request.uid),
    webhook,
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
    durationMicroseconds,
  };
  return cutter.cut ? { ...record, truncated: true } : record;
}

type Conclusion = Pick<AuditRecord, 'outcome' | 'images' | 'inject' | 'messages'> &
  Partial<
    Pick<
      AuditRecord,
      'outcomeIfEnforced' | 'mode' | 'rulesRevision' | 'imagesOmitted' | 'imagesSha256' | 'injectOmitted' | 'messagesOmitted'
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
      return { outcome: 'error', ...empty, messages: ['a kind that regkeeper does not read'] };
    case 'not-yet':
      return { outcome: 'error', ...empty, messages: [cutter.text(decision.message)] };
    case 'decided': {
      const mutating = webhook === 'mutate';
      // The mutating answer refuses nothing: its outcome is what it did, the validating one has the verdict.
      const outcome = mutating ? (decision.notices.length > 0 ? 'warned' : 'allowed') : decision.outcome;
      const injected = mutating ? decision.injected : [];
      const ruleOf = askingRules(injected, decision.images);
      const inject = cutter.list(
        injected.slice(0, budgets.inject.count).map((injection) => auditInjection(injection, ruleOf, cutter)),
        budgets.inject,
      );
      const told = mutating ? decision.notices : decision.findings;
      const messages = cutter.texts(
        told.slice(0, budgets.messages.count).map(({ message }) => message),
        budgets.messages,
      );
      if (inject.length < injected.length || messages.length < told.length) cutter.cut = true;
      return {
        outcome,
        ...(!mutating && decision.outcomeBeforeMode !== decision.outcome && { outcomeIfEnforced: decision.outcomeBeforeMode }),
        mode: decision.mode,
        rulesRevision: decision.revision,
        ...showImages(decision.images, cutter),
        inject,
        ...omitted('injectOmitted', injected, inject),
        messages,
        ...omitted('messagesOmitted', told, messages),
      };
    }
  }
}

type RuleOf = (injection: Injection) => Rule | undefined;

/** The first rule that asks for each secret, found in one pass over the images: a build can have thousands of both. */
function askingRules(injected: readonly Injection[], images: readonly ImageDecision[]): RuleOf {
  if (injected.length === 0) return () => undefined;
  const asking = { pull: new Map<string, Rule>(), push: new Map<string, Rule>() };
  for (const { slot, trustedBy } of images) {
    const rules = asking[slot.action];
    for (const rule of trustedBy) {
      const secrets = slot.action === 'pull' ? rule.pullSecrets : rule.pushSecret === undefined ? [] : [rule.pushSecret];
      for (const secret of secrets) if (!rules.has(secret)) rules.set(secret, rule);
    }
  }
  return ({ path, secret, from }) => (from === 'rule' ? asking[actionOf(path)].get(secret) : undefined);
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

/** What the metrics count of one decision: verdicts of images and secrets written, each with the rule that decided. */
export type Counted = {
  readonly images: readonly { readonly verdict: string; readonly rule?: AuditedRule }[];
  readonly inject: readonly { readonly from: string; readonly rule?: AuditedRule }[];
};

/**
 * The record itself where it shows everything, so that counting costs nothing. Names and places of rules are whole in either case: by
 * their place the metrics tell the rules of the cluster from those of a namespace.
 */
export function countOf({ webhook, decision }: Pick<AuditedEvent, 'webhook' | 'decision'>, record: AuditRecord): Counted {
  if (decision?.kind !== 'decided' || record.truncated === undefined) return record;
  const injected = webhook === 'mutate' ? decision.injected : [];
  const ruleOf = askingRules(injected, decision.images);
  const named = (rule: Rule | undefined) => rule && { rule: auditRule(rule) };
  return {
    images: decision.images.map(({ verdict, rule }) => ({ verdict, ...named(rule) })),
    inject: injected.map((injection) => ({ from: injection.from, ...named(ruleOf(injection)) })),
  };
}

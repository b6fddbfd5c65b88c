/** Simulates the admission of one object without a server: calls the webhook functions in the API server's order. */

import jsonPatch from 'fast-json-patch';
import { decide } from '../decision/decide.ts';
import type { Decision, ImageDecision, Injection, Notice, Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { PatchOperation } from '../decision/inject/patch.ts';
import type { ReasonCode } from '../decision/reasons.ts';
import { isAbsent, isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import { serviceAccountOf } from '../object/pod.ts';
import { mirrorAnnotation } from '../object/workload.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { Mode, RuleSet } from '../rules/rule-set.ts';
import { fieldsOfPointer } from '../yaml/json-pointer.ts';
import { type AdmissionResponse, type AnswerableDecision, renderAnswer } from './response.ts';
import { changeOf, type ReviewRequest, type Webhook } from './review.ts';

export type SimulatedRequest = {
  readonly apiVersion: string;
  readonly kind: string;
  /** Used if the object names no namespace. */
  readonly namespace: string;
  readonly user: string;
  readonly object: JsonObject;
  /** The object before the change. Absent for a CREATE. */
  readonly oldObject?: JsonObject;
};

export type SimulationResult =
  | {
      readonly kind: 'answered';
      /** `warned`: allowed, and the client receives warnings. */
      readonly outcome: Outcome;
      /** The outcome that `mode: enforce` would have, as in audit records. Absent if it is the same. */
      readonly outcomeIfEnforced?: Outcome;
      /** The mode of the namespace. Absent if the object could not be read. */
      readonly mode?: Mode;
      /** Of the object as both webhooks left it. Empty if the object could not be read. */
      readonly images: readonly ImageDecision[];
      readonly injected: readonly Injection[];
      readonly patch: readonly PatchOperation[];
      /** The object as it would be stored if it were allowed. */
      readonly object: JsonObject;
      /** As the API server sends them to the client: those of the mutating webhook first. */
      readonly warnings: readonly string[];
      /** The reasons of warnings that are not about one image. */
      readonly reasons: ReadonlyMap<string, ReasonCode>;
      /** The message that follows `denied the request: `. */
      readonly denial?: string;
      /** Rules and settings that select by namespace labels which the facts do not contain, so that the strictest outcome was assumed. */
      readonly unsure: readonly Origin[];
      /** Denied whatever the labels are. */
      readonly certainlyDenied?: true;
    }
  /** The server would ask the API server to retry, since the facts lack something that exists. */
  | { readonly kind: 'not-yet'; readonly message: string }
  /** regkeeper reads no images of this kind, so the API server would not call the webhooks. */
  | { readonly kind: 'unread' };

/** Pure. Does not change the object. */
export function simulateAdmission(change: SimulatedRequest, rules: RuleSet, facts: Facts): SimulationResult {
  const incoming = afterServiceAccountAdmission(requestOf(change), facts);
  const mutated = callWebhook('mutate', incoming, rules, facts);
  if (mutated.kind !== 'answered') return mutated;

  const patch = mutated.decision.kind === 'decided' ? mutated.decision.patch : [];
  const request = { ...incoming, object: applyPatch(incoming.object, patch) };
  const validated = mutated.response.allowed ? callWebhook('validate', request, rules, facts) : mutated;
  if (validated.kind !== 'answered') return validated;

  const warnings = new Set([...(mutated.response.warnings ?? []), ...(validated.response.warnings ?? [])]);
  const { decision, response } = validated;
  return {
    kind: 'answered',
    outcome: response.allowed ? (warnings.size > 0 ? 'warned' : 'allowed') : 'denied',
    ...(decision.kind === 'decided' &&
      decision.outcomeBeforeMode !== decision.outcome && { outcomeIfEnforced: decision.outcomeBeforeMode }),
    ...(decision.kind === 'decided' && { mode: decision.mode }),
    images: decision.kind === 'decided' ? decision.images : [],
    injected: mutated.decision.kind === 'decided' ? mutated.decision.injected : [],
    patch,
    object: request.object,
    warnings: [...warnings],
    reasons: reasonsOfWarnings(mutated),
    ...(!response.allowed && { denial: response.status?.message ?? '' }),
    unsure: decision.kind === 'decided' ? decision.unsure : [],
    ...(decision.kind === 'decided' && decision.certainlyDenied && { certainlyDenied: true }),
  };
}

function reasonsOfWarnings({ decision, response: { warnings = [] } }: WebhookResult & { kind: 'answered' }) {
  const notices = decision.kind === 'decided' ? withoutUnknownFacts(decision.notices) : [];
  // If there are too many, the last one counts the others.
  const complete = warnings.length === notices.length ? warnings : warnings.slice(0, -1);
  return new Map(complete.flatMap((warning, index) => (notices[index] ? [[warning, notices[index].reason] as const] : [])));
}

/** The request as the API server would send it, before any webhook. */
function requestOf({ apiVersion, kind, namespace, user, object, oldObject }: SimulatedRequest): ReviewRequest & { object: JsonObject } {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  return {
    uid: 'rehearsal',
    operation: oldObject ? 'UPDATE' : 'CREATE',
    group,
    version,
    kind,
    subresource: '',
    namespace: textAt(object, ['metadata', 'namespace']) ?? namespace,
    name: textAt(object, ['metadata', 'name']) ?? '',
    user,
    groups: ['system:authenticated'],
    dryRun: true,
    object,
    oldObject: oldObject ?? null,
  };
}

/**
 * Before any webhook, the API server fills the empty list of a new Pod with the secrets of its service account (kubernetes
 * plugin/pkg/admission/serviceaccount, Admit).
 */
function afterServiceAccountAdmission<Request extends ReviewRequest>(request: Request, facts: Facts): Request {
  const { kind, group, operation, object, namespace } = request;
  const spec = valueAt(object, ['spec']);
  if (kind !== 'Pod' || group !== '' || operation !== 'CREATE' || !isObject(object) || !isObject(spec)) return request;
  if (!isAbsent(valueAt(object, ['metadata', 'annotations', mirrorAnnotation]))) return request;
  const { imagePullSecrets: listed } = spec;
  if (!isAbsent(listed) && !(Array.isArray(listed) && listed.length === 0)) return request;

  const name = serviceAccountOf(spec);
  const account = facts.serviceAccount(namespace, name);
  if (account.kind !== 'known' || account.pullSecrets.length === 0) return request;
  return {
    ...request,
    object: { ...object, spec: { ...spec, imagePullSecrets: account.pullSecrets.map((secret) => ({ name: secret })) } },
  };
}

type WebhookResult =
  | { readonly kind: 'answered'; readonly decision: Decision; readonly response: AdmissionResponse }
  | Exclude<SimulationResult, { kind: 'answered' }>;

function callWebhook(webhook: Webhook, request: ReviewRequest, rules: RuleSet, facts: Facts): WebhookResult {
  const change = changeOf(request);
  const decision = change ? decide(change, rules, facts) : { kind: 'unknown-kind' as const };
  if (decision.kind === 'unknown-kind') return { kind: 'unread' };
  if (decision.kind === 'not-yet') return decision;
  return { kind: 'answered', decision, response: renderAnswer(webhook, request, withoutUnknownFactNotices(decision), rules).response };
}

function withoutUnknownFactNotices(decision: AnswerableDecision): AnswerableDecision {
  return decision.kind === 'decided' ? { ...decision, notices: withoutUnknownFacts(decision.notices) } : decision;
}

/** In a cluster the server knows service accounts and labels, so only a simulation has these notices. Clients never see them. */
function withoutUnknownFacts(notices: readonly Notice[]): readonly Notice[] {
  return notices.filter(({ reason }) => reason !== 'account-unknown' && reason !== 'labels-unknown');
}

/** Applied with a library that did not create the patch, as in the API server. The patch's own values stay unchanged, and so does the object. */
function applyPatch(object: JsonObject, patch: readonly PatchOperation[]): JsonObject {
  if (patch.length === 0) return object;
  return jsonPatch.applyPatch(copyAlong(object, patch), structuredClone(patch) as jsonPatch.Operation[], true).newDocument as JsonObject;
}

/** A copy of the objects and lists that the patch changes. The rest, which is most of an object, is shared. */
function copyAlong(object: JsonObject, patch: readonly PatchOperation[]): JsonObject {
  const root = copyOf(object);
  const copies = new Set<unknown>([root]);
  for (const { path } of patch) {
    let container = root;
    for (const step of fieldsOfPointer(path).slice(0, -1)) {
      const child = Object.hasOwn(container, step) ? container[step] : undefined;
      // A value that an earlier operation of the patch adds is not in the object yet.
      if (typeof child !== 'object' || child === null) break;
      const copy = copies.has(child) ? (child as Container) : copyOf(child);
      copies.add(copy);
      container[step] = copy;
      container = copy;
    }
  }
  return root;
}

type Container = Record<string, unknown>;

function copyOf(container: object): Container {
  return (Array.isArray(container) ? [...container] : { ...container }) as Container;
}

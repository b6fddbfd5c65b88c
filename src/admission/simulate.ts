/** What would happen to one object, told without a server: the functions that answer the API server, called in its order. */
import jsonPatch from 'fast-json-patch';
import { decide } from '../decision/decide.ts';
import type { Decision, ImageDecision, Injection, Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { PatchOperation } from '../decision/inject/patch.ts';
import { isAbsent, isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import { mirrorAnnotation } from '../object/workload.ts';
import type { Origin } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { type AdmissionResponse, type AnswerableDecision, renderAnswer } from './response.ts';
import { changeOf, type ReviewRequest, type Webhook } from './review.ts';

export type SimulatedRequest = {
  readonly apiVersion: string;
  readonly kind: string;
  /** Where the object names no namespace of its own. */
  readonly namespace: string;
  readonly user: string;
  readonly object: JsonObject;
  /** What it was before; absent for a CREATE. */
  readonly oldObject?: JsonObject;
};

export type SimulationResult =
  | {
      readonly kind: 'answered';
      /** `warn`: let in, and the client is told something. */
      readonly outcome: Outcome;
      /** Of the object as both webhooks left it; empty where it could not be read. */
      readonly images: readonly ImageDecision[];
      readonly injected: readonly Injection[];
      readonly patch: readonly PatchOperation[];
      /** As it would be stored, were it let in. */
      readonly object: JsonObject;
      /** As the API server hands them to the client, the one who mutates first. */
      readonly warnings: readonly string[];
      /** What follows after `denied the request: `. */
      readonly refusal?: string;
      /** What selects by labels of the namespace that the facts do not know, so that the strictest was assumed. */
      readonly unsure: readonly Origin[];
    }
  /** The server would ask the API server to come again, since the facts lack what is known to exist. */
  | { readonly kind: 'not-yet'; readonly message: string }
  /** No image that we know of stands in the kind, so nobody would ask. */
  | { readonly kind: 'unread' };

/** Pure. The object is left as it is. */
export function simulateAdmission(change: SimulatedRequest, rules: RuleSet, facts: Facts): SimulationResult {
  const arriving = afterServiceAccountAdmission(requestOf(change), facts);
  const mutated = ask('mutate', arriving, rules, facts);
  if (mutated.kind !== 'answered') return mutated;

  const patch = mutated.decision.kind === 'decided' ? mutated.decision.patch : [];
  const request = { ...arriving, object: applied(arriving.object, patch) };
  const validated = mutated.response.allowed ? ask('validate', request, rules, facts) : mutated;
  if (validated.kind !== 'answered') return validated;

  const warnings = new Set([...(mutated.response.warnings ?? []), ...(validated.response.warnings ?? [])]);
  const { decision, response } = validated;
  return {
    kind: 'answered',
    outcome: response.allowed ? (warnings.size > 0 ? 'warn' : 'allow') : 'deny',
    images: decision.kind === 'decided' ? decision.images : [],
    injected: mutated.decision.kind === 'decided' ? mutated.decision.injected : [],
    patch,
    object: request.object,
    warnings: [...warnings],
    ...(!response.allowed && { refusal: response.status?.message ?? '' }),
    unsure: decision.kind === 'decided' ? decision.unsure : [],
  };
}

/** What the API server would send, before anybody changed it. */
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

/** Before any webhook, an empty list of a new pod is filled with its account's secrets (kubernetes plugin/pkg/admission/serviceaccount, Admit). */
function afterServiceAccountAdmission<Request extends ReviewRequest>(request: Request, facts: Facts): Request {
  const { kind, group, operation, object, namespace } = request;
  const spec = valueAt(object, ['spec']);
  if (kind !== 'Pod' || group !== '' || operation !== 'CREATE' || !isObject(object) || !isObject(spec)) return request;
  if (!isAbsent(valueAt(object, ['metadata', 'annotations', mirrorAnnotation]))) return request;
  const { imagePullSecrets: listed } = spec;
  if (!isAbsent(listed) && !(Array.isArray(listed) && listed.length === 0)) return request;

  const name = textAt(spec, ['serviceAccountName']) ?? textAt(spec, ['serviceAccount']) ?? 'default';
  const account = facts.serviceAccount(namespace, name);
  if (account.kind !== 'known' || account.pullSecrets.length === 0) return request;
  return {
    ...request,
    object: { ...object, spec: { ...spec, imagePullSecrets: account.pullSecrets.map((secret) => ({ name: secret })) } },
  };
}

type Asked =
  | { readonly kind: 'answered'; readonly decision: Decision; readonly response: AdmissionResponse }
  | Exclude<SimulationResult, { kind: 'answered' }>;

function ask(webhook: Webhook, request: ReviewRequest, rules: RuleSet, facts: Facts): Asked {
  const change = changeOf(request);
  const decision = change ? decide(change, rules, facts) : { kind: 'unknown-kind' as const };
  if (decision.kind === 'unknown-kind') return { kind: 'unread' };
  if (decision.kind === 'not-yet') return decision;
  return { kind: 'answered', decision, response: renderAnswer(webhook, request, withoutIgnorance(decision), rules).response };
}

/** A server in its cluster knows accounts and labels: what only a rehearsal has to say of them, no client reads. */
function withoutIgnorance(decision: AnswerableDecision): AnswerableDecision {
  if (decision.kind !== 'decided') return decision;
  return { ...decision, notices: decision.notices.filter(({ reason }) => reason !== 'account-unknown' && reason !== 'labels-unknown') };
}

/** By code that did not make the patch, as the API server has it; the patch's own values stay its own. */
function applied(object: JsonObject, patch: readonly PatchOperation[]): JsonObject {
  if (patch.length === 0) return object;
  return jsonPatch.applyPatch(structuredClone(object), structuredClone(patch) as jsonPatch.Operation[], true).newDocument as JsonObject;
}

/** From a decision to the AdmissionReview that answers it. */

import { soften } from '../decision/decide.ts';
import type { Decision, ImageFinding, Outcome } from '../decision/decision.ts';
import { mostListed, renderContact } from '../decision/message.ts';
import { renderPath, textAt } from '../object/json.ts';
import { shortenText } from '../object/text.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { ReviewRequest, Webhook } from './review.ts';

export type AdmissionResponse = {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: 'JSONPatch';
  /** Base64 of the JSON Patch. */
  readonly patch?: string;
  readonly status?: Status;
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: Readonly<Record<string, string>>;
};

/** The parts of meta/v1 Status that the API server passes on. */
export type Status = {
  readonly status: 'Failure';
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: { readonly name?: string; readonly group?: string; readonly kind?: string; readonly causes: readonly Cause[] };
};
type Cause = { readonly reason: string; readonly message: string; readonly field: string };

export type AdmissionAnswer = {
  readonly apiVersion: 'admission.k8s.io/v1';
  readonly kind: 'AdmissionReview';
  readonly response: AdmissionResponse;
};

/** A decision that has an answer; one that comes too early is answered in HTTP, by asking the API server to come again. */
export type AnswerableDecision = Exclude<Decision, { kind: 'not-yet' }>;

export function renderAnswer(webhook: Webhook, request: ReviewRequest, decision: AnswerableDecision, rules: RuleSet): AdmissionAnswer {
  switch (decision.kind) {
    case 'malformed':
      return errored(
        request.uid,
        400,
        'BadRequest',
        `${subject(request)} cannot be evaluated: ${decision.problem.path} ${decision.problem.message}`,
      );
    case 'unknown-kind':
      return errored(
        request.uid,
        400,
        'BadRequest',
        `regkeeper was asked about ${request.kind}${request.group && `.${request.group}`}, a kind it does not read; take it out of the rules of its webhook configurations`,
      );
    case 'decided':
      return webhook === 'mutate' ? patched(request, decision) : judged(request, decision, rules);
  }
}

/** For what brings no image in. */
export function allowed(uid: string): AdmissionAnswer {
  return answer({ uid, allowed: true });
}

/** A refusal that no rule asked for: a request that cannot be read (400), or a bug of ours (500). Never an allow. */
export function errored(uid: string, code: number, reason: string, message: string): AdmissionAnswer {
  return answer({ uid, allowed: false, status: { status: 'Failure', code, reason, message: shortenText(message) } });
}

/** A refusal with everything a person needs in it; `warnings` from {@link withWarnings}. */
export function denied(uid: string, status: Status, warnings: { readonly warnings?: readonly string[] }): AdmissionAnswer {
  return answer({ uid, allowed: false, status, ...warnings });
}

type Decided = AnswerableDecision & { kind: 'decided' };

function patched(request: ReviewRequest, decision: Decided): AdmissionAnswer {
  const { patch, notices } = decision;
  return answer({
    uid: request.uid,
    allowed: true,
    ...(patch.length > 0 && { patchType: 'JSONPatch', patch: encodeBase64(JSON.stringify(patch)) }),
    ...withWarnings(notices.map(({ message }) => `regkeeper: ${message}`)),
    auditAnnotations: { 'rules-revision': decision.revision, 'secrets-injected': String(decision.injected.length) },
  });
}

function judged(request: ReviewRequest, decision: Decided, rules: RuleSet): AdmissionAnswer {
  const { findings, mode } = decision;
  const answered = (outcome: Outcome) => findings.filter(({ image }) => soften(image.outcomeBeforeMode, mode) === outcome);
  const auditAnnotations = {
    outcome: decision.outcome,
    'rules-revision': decision.revision,
    ...(mode !== 'enforce' && { judged: decision.outcomeBeforeMode }),
  };
  const warnings = withWarnings(answered('warn').map(({ message }) => `regkeeper: ${message}`));
  const refused = answered('deny');
  if (refused.length === 0) return answer({ uid: request.uid, allowed: true, ...warnings, auditAnnotations });

  const status: Status = {
    status: 'Failure',
    code: 403,
    reason: 'Forbidden',
    message: renderRefusal(request, refused, rules),
    details: {
      ...(request.name !== '' && { name: shortenText(request.name) }),
      ...(request.group !== '' && { group: shortenText(request.group) }),
      kind: shortenText(request.kind),
      causes: refused
        .slice(0, mostListed)
        .map(({ image, message }) => ({ reason: image.reason, message: shortenText(message), field: renderPath(image.slot.path) })),
    },
  };
  return answer({ uid: request.uid, allowed: false, status, ...warnings, auditAnnotations });
}

function renderRefusal(request: ReviewRequest, refused: readonly ImageFinding[], rules: RuleSet): string {
  const shown = refused.slice(0, mostListed).map(({ message }) => shortenText(message));
  const more = refused.length > mostListed ? [`and ${refused.length - mostListed} more`] : [];
  const lines = [...shown, ...more];
  const head = `${subject(request)}:`;
  const contact = `${renderContact(rules)}.`;
  const [only] = lines;
  return lines.length === 1 ? `${head} ${only}. ${contact}` : `${head}\n${lines.map((line) => `- ${line}`).join('\n')}\n${contact}`;
}

function subject({ kind, namespace, name, object }: ReviewRequest): string {
  const generateName = textAt(object, ['metadata', 'generateName']);
  const shown = name !== '' ? name : generateName !== undefined ? `${generateName}…` : '(unnamed)';
  // The API server checks names only after it has asked us; 253 is its limit.
  return `${shorten(kind, 253)} ${namespace === '' ? '' : `${shorten(namespace, 253)}/`}${shorten(shown, 253)}`;
}

/** The API server keeps 4,096 characters of warnings in all, and cuts each to 256 when there are more (apiserver filters/warning.go). */
export function withWarnings(messages: readonly string[]): { readonly warnings?: readonly string[] } {
  const warnings: string[] = [];
  let room = 4096;
  for (const [index, message] of messages.entries()) {
    const warning = shorten(message, 256);
    const left = messages.length - index;
    const rest = `regkeeper: and ${left} more warning${left === 1 ? '' : 's'}`;
    if (warning.length + rest.length > room) {
      warnings.push(rest);
      break;
    }
    warnings.push(warning);
    room -= warning.length;
  }
  return warnings.length > 0 ? { warnings } : {};
}

function shorten(text: string, length: number): string {
  // A control character would make the API server drop a whole warning (apimachinery net.NewWarningHeader).
  const clean = text.slice(0, length + 1).replace(/\p{Cc}+/gu, ' ');
  return text.length > length ? `${clean.slice(0, length - 1)}…` : clean;
}

/** JSON may write any character as an escape, so the text can be ASCII, which is all that `btoa` takes. */
export function encodeBase64(json: string): string {
  return btoa(json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`));
}

function answer(response: AdmissionResponse): AdmissionAnswer {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

/** Turns a decision into the AdmissionReview that answers the request. */

import { soften } from '../decision/decide.ts';
import type { Decision, ImageFinding, Notice, Outcome } from '../decision/decision.ts';
import { mostListed, renderContact, renderHelp, shortenImageName } from '../decision/message.ts';
import { countOf } from '../image/wording.ts';
import { renderPath, textAt } from '../object/json.ts';
import { controllerOf } from '../object/owner.ts';
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

/** A decision that can be answered. `not-yet` is answered with HTTP 503 instead, so that the API server retries. */
export type AnswerableDecision = Exclude<Decision, { kind: 'not-yet' }>;

/** A request that was evaluated, for those who report it. */
export type AnsweredRequest = {
  readonly webhook: Webhook;
  /** The caller of the webhook port has shown a certificate of the client CA. Otherwise anyone may have sent the request. */
  readonly callerAuthenticated: boolean;
  readonly request: ReviewRequest;
  readonly decision: Decision;
  readonly rules: RuleSet;
};

export function renderAnswer(webhook: Webhook, request: ReviewRequest, decision: AnswerableDecision, rules: RuleSet): AdmissionAnswer {
  switch (decision.kind) {
    case 'malformed':
      return errored(
        request.uid,
        400,
        'BadRequest',
        `${subject(request)} cannot be evaluated: ${decision.problem.path} ${decision.problem.message}.`,
      );
    case 'unknown-kind':
      return errored(
        request.uid,
        400,
        'BadRequest',
        `regkeeper does not evaluate objects of kind ${request.kind}${request.group && `.${request.group}`}. Remove this kind from the rules of regkeeper's webhook configurations.`,
      );
    case 'decided':
      return webhook === 'mutate' ? patched(request, decision) : validated(request, decision, rules);
  }
}

/** For requests that introduce no image. */
export function allowed(uid: string): AdmissionAnswer {
  return answer({ uid, allowed: true });
}

/** A denial that does not come from a rule: an unreadable request (400) or a bug in regkeeper (500). Never allows. */
export function errored(uid: string, code: number, reason: string, message: string): AdmissionAnswer {
  return answer({ uid, allowed: false, status: { status: 'Failure', code, reason, message: shortenText(message) } });
}

/** A denial by the rules. `warnings` comes from {@link withWarnings}. */
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
    ...withWarnings(notices.map(renderNotice)),
    auditAnnotations: { 'rules-revision': decision.revision, 'secrets-injected': String(decision.injected.length) },
  });
}

function validated(request: ReviewRequest, decision: Decided, rules: RuleSet): AdmissionAnswer {
  const { findings, mode } = decision;
  const findingsWith = (outcome: Outcome) => findings.filter(({ image }) => soften(image.outcomeBeforeMode, mode) === outcome);
  const auditAnnotations = {
    outcome: decision.outcome,
    'rules-revision': decision.revision,
    ...(mode !== 'enforce' && { 'outcome-if-enforced': decision.outcomeBeforeMode }),
  };
  const warnings = withWarnings(findingsWith('warned').map((finding) => renderWarning(finding, rules)));
  const deniedFindings = findingsWith('denied');
  if (deniedFindings.length === 0) return answer({ uid: request.uid, allowed: true, ...warnings, auditAnnotations });

  const status: Status = {
    status: 'Failure',
    code: 403,
    reason: 'Forbidden',
    message: renderDenial(request, deniedFindings, rules),
    details: {
      ...(request.name !== '' && { name: shortenText(request.name) }),
      ...(request.group !== '' && { group: shortenText(request.group) }),
      kind: shortenText(request.kind),
      causes: deniedFindings
        .slice(0, mostListed)
        .map(({ image, reason, message }) => ({ reason, message: shortenText(message), field: renderPath(image.slot.path) })),
    },
  };
  return answer({ uid: request.uid, allowed: false, status, ...warnings, auditAnnotations });
}

/** Begins the message about an image that only `mode: warn` allows. */
export const inEnforceMode = 'would be denied in enforce mode: ';

/**
 * A warning with the contact, since the user should ask before the images are denied. The parts that matter less are left out first, so that
 * the API server does not cut off what to use instead: the location of the rule, the help page, the name of the rule, the contact, and the
 * middle of the image name.
 */
function renderWarning({ image, message, brief, terse }: ImageFinding, rules: RuleSet): string {
  const prefix = `regkeeper: ${image.outcomeBeforeMode === 'denied' ? inEnforceMode : ''}`;
  const contact = renderContact(rules);
  const briefContact = renderContact(rules, { brief: true });
  const help = renderHelp(rules);
  const texts = [[message, contact, help], [brief, contact, help], [brief, contact], [terse, contact], [terse, briefContact], [terse]].map(
    (parts) => prefix + parts.filter(Boolean).join(' '),
  );
  const shortest = prefix + terse;
  return texts.find(fitsInWarning) ?? shortenImageName(shortest, image, shortest.length - longestWarning);
}

function renderNotice({ message, brief = message }: Notice): string {
  const text = `regkeeper: ${message}`;
  return fitsInWarning(text) ? text : `regkeeper: ${brief}`;
}

function fitsInWarning(text: string): boolean {
  return text.length <= longestWarning;
}

function renderDenial(request: ReviewRequest, deniedFindings: readonly ImageFinding[], rules: RuleSet): string {
  const shown = deniedFindings.slice(0, mostListed).map(({ message }) => shortenText(message));
  const more = deniedFindings.length > mostListed ? [`and ${deniedFindings.length - mostListed} more`] : [];
  const lines = [...shown, ...more];
  const head = `${subject(request)}:`;
  const ending = [renderContact(rules), renderHelp(rules)].filter(Boolean).join(' ');
  const [only] = lines;
  return lines.length === 1 ? `${head} ${only} ${ending}` : `${head}\n${lines.map((line) => `- ${line}`).join('\n')}\n${ending}`;
}

/**
 * A new object that a controller creates is named by its owner. Its own name is random, so each attempt of the controller would have another
 * message, and Kubernetes would not combine the events.
 */
function subject({ operation, kind, namespace, name, object }: ReviewRequest): string {
  const owner = operation === 'CREATE' ? controllerOf(object) : undefined;
  // A kubelet's mirror Pod is owned by its Node, and its name is not random.
  if (owner && owner.kind !== 'Node') return `${shorten(kind, 253)} of ${qualifiedName(owner.kind, namespace, owner.name)}`;
  const generateName = textAt(object, ['metadata', 'generateName']);
  return qualifiedName(kind, namespace, name !== '' ? name : generateName !== undefined ? `${generateName}…` : '(unnamed)');
}

/** The API server validates names only after it has called webhooks. Its limit is 253 characters. */
function qualifiedName(kind: string, namespace: string, name: string): string {
  return `${shorten(kind, 253)} ${namespace === '' ? '' : `${shorten(namespace, 253)}/`}${shorten(name, 253)}`;
}

/** In characters. The API server cuts longer warnings if there are more than 4,096 characters in all (apiserver filters/warning.go). */
const longestWarning = 256;

/** Keeps to the API server's limits, and counts the warnings that it would drop. */
export function withWarnings(messages: readonly string[]): { readonly warnings?: readonly string[] } {
  const warnings: string[] = [];
  let room = 4096;
  for (const [index, message] of messages.entries()) {
    const warning = shorten(message, longestWarning);
    const left = messages.length - index;
    const rest = `regkeeper: and ${countOf(left, 'more warning')}`;
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
  // The API server drops a warning that contains a control character (apimachinery net.NewWarningHeader).
  const clean = text.slice(0, length + 1).replace(/\p{Cc}+/gu, ' ');
  return text.length > length ? `${clean.slice(0, length - 1)}…` : clean;
}

/** JSON can escape any character, so the text can be made ASCII, which `btoa` requires. */
export function encodeBase64(json: string): string {
  return btoa(json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`));
}

function answer(response: AdmissionResponse): AdmissionAnswer {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

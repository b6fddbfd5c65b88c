/**
 * One record for each decision. Fields come from this list and from nowhere else: an object may hold passwords in its environment
 * variables, and a record is read by many.
 */
import type { ReviewRequest, Webhook } from '../admission/review.ts';
import type { Decision, ImageDecision, Injection, Outcome } from '../decision/decision.ts';
import { maskUserinfo } from '../image/problem.ts';
import { canonicalName } from '../image/reference.ts';
import { isObject, renderPath, textAt, valueAt } from '../object/json.ts';
import type { ClusterObject, Origin, RuleSource } from '../rules/problem.ts';
import type { Rule } from '../rules/ruleset.ts';

export type AuditRecord = {
  readonly event: 'decision';
  readonly uid: string;
  readonly webhook: Webhook;
  readonly user: string;
  readonly groups: readonly string[];
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
  /** What was answered; `error` where no judgement was possible, which refuses the request. */
  readonly outcome: Outcome | 'error';
  /** What would have been answered in mode enforce; only where it differs. */
  readonly judged?: Outcome;
  readonly mode?: string;
  readonly rulesRevision?: string;
  readonly durationMicroseconds: number;
  readonly images: readonly AuditedImage[];
  readonly inject: readonly AuditedInjection[];
  readonly messages: readonly string[];
};

export type AuditedInjection = {
  readonly path: string;
  readonly secret: string;
  readonly from: string;
  /** The first rule that asks for it; absent for an account's own, and where an earlier one is put back that no rule asks for any more. */
  readonly rule?: AuditedRule;
};

export type AuditedImage = {
  readonly path: string;
  /** As written, or what the image stream holds; absent where nothing is written yet. */
  readonly image?: string;
  /** The image stream that the place names: `namespace/stream:tag` or `namespace/stream@digest`. */
  readonly stream?: string;
  /** Why the image could not be told; only with verdict `unresolved`. */
  readonly why?: string;
  /** host[:port]/path as matched. */
  readonly canonical?: string;
  readonly action: 'pull' | 'push';
  readonly verdict: string;
  readonly reason: string;
  readonly rule?: AuditedRule;
  readonly exemption?: { readonly until: string; readonly reason: string; readonly source: AuditedSource };
};

export type AuditedRule = { readonly name: string; readonly source: AuditedSource };
/** A document, or an object of the cluster that stands for one. */
export type AuditedDocument = { readonly configMap: string; readonly key: string } | { readonly file: string };
export type AuditedObject = { readonly cluster: string };
export type AuditedSource = (AuditedDocument & { readonly line: number }) | AuditedObject;

/** `decision` is undefined for a request that brings nothing in; `failure` is the sentence of a request that could not be judged. */
export type AuditedEvent = {
  readonly webhook: Webhook;
  readonly request: ReviewRequest;
  readonly decision: Decision | undefined;
  readonly failure?: string;
  readonly durationMicroseconds: number;
};

export function buildAuditRecord({ webhook, request, decision, failure, durationMicroseconds }: AuditedEvent): AuditRecord {
  const generateName = textAt(request.object, ['metadata', 'generateName']);
  const owner = controllerOf(request.object);
  return {
    event: 'decision',
    uid: request.uid,
    webhook,
    user: request.user,
    groups: request.groups,
    operation: request.operation,
    ...(request.subresource !== '' && { subresource: request.subresource }),
    dryRun: request.dryRun,
    group: request.group,
    version: request.version,
    kind: request.kind,
    namespace: request.namespace,
    name: request.name,
    ...(request.name === '' && generateName !== undefined && { generateName }),
    ...(owner && { owner }),
    ...conclusion(webhook, decision, failure),
    durationMicroseconds,
  };
}

type Conclusion = Pick<AuditRecord, 'outcome' | 'images' | 'inject' | 'messages'> &
  Partial<Pick<AuditRecord, 'judged' | 'mode' | 'rulesRevision'>>;

function conclusion(webhook: Webhook, decision: Decision | undefined, failure: string | undefined): Conclusion {
  const empty = { images: [], inject: [] };
  if (failure !== undefined) return { outcome: 'error', ...empty, messages: [failure] };
  if (!decision) return { outcome: 'allow', ...empty, messages: [] };
  switch (decision.kind) {
    case 'malformed':
      return { outcome: 'error', ...empty, messages: [`${decision.problem.path} ${decision.problem.message}`] };
    case 'unknown-kind':
      return { outcome: 'error', ...empty, messages: ['a kind that regkeeper does not read'] };
    case 'not-yet':
      return { outcome: 'error', ...empty, messages: [decision.message] };
    case 'decided': {
      const mutating = webhook === 'mutate';
      // The mutating answer refuses nothing: its outcome is what it did, the validating one has the verdict.
      const outcome = mutating ? (decision.notices.length > 0 ? 'warn' : 'allow') : decision.outcome;
      return {
        outcome,
        ...(!mutating && decision.judged !== decision.outcome && { judged: decision.judged }),
        mode: decision.mode,
        rulesRevision: decision.revision,
        images: decision.images.map(auditImage),
        inject: mutating ? decision.injected.map((injection) => auditInjection(injection, decision.images)) : [],
        messages: (mutating ? decision.notices : decision.findings).map(({ message }) => message),
      };
    }
  }
}

export function auditImage({ slot, verdict, reason, reference, rule, exemption, stream }: ImageDecision): AuditedImage {
  const { content } = slot;
  const text = content.kind === 'image' ? content.text : stream?.kind === 'resolved' ? stream.image : undefined;
  const why = content.kind === 'unresolved' && stream?.kind !== 'resolved' ? (stream?.why ?? content.why) : undefined;
  return {
    path: renderPath(slot.path),
    ...(text !== undefined && { image: shorten(maskUserinfo(text)) }),
    ...(stream && { stream: shorten(stream.stream) }),
    ...(why !== undefined && { why: shorten(why) }),
    ...(reference && { canonical: canonicalName(reference) }),
    action: slot.action,
    verdict,
    reason,
    ...(rule && { rule: auditRule(rule) }),
    ...(exemption && { exemption: { until: exemption.until, reason: exemption.reason, source: auditOrigin(exemption.origin) } }),
  };
}

function auditInjection({ path, secret, from }: Injection, images: readonly ImageDecision[]): AuditedInjection {
  const action = path.endsWith('.pushSecret') ? 'push' : 'pull';
  const asking = images.filter(({ slot }) => from === 'rule' && slot.action === action).flatMap(({ trustedBy }) => trustedBy);
  const rule = asking.find(({ pullSecrets, pushSecret }) => (action === 'push' ? pushSecret === secret : pullSecrets.includes(secret)));
  return { path, secret, from, ...(rule && { rule: auditRule(rule) }) };
}

/** An image name that parses is shorter; what does not parse may be anything. */
function shorten(text: string): string {
  return text.length > 4096 ? `${text.slice(0, 4096)}…` : text;
}

export function auditRule({ name, origin }: Rule): AuditedRule {
  return { name, source: auditOrigin(origin) };
}

export function auditOrigin({ source, line }: Origin): AuditedSource {
  const document = auditSource(source);
  return 'cluster' in document ? document : { ...document, line };
}

export function auditSource(source: RuleSource | ClusterObject): AuditedDocument | AuditedObject {
  switch (source.kind) {
    case 'file':
      return { file: source.file };
    case 'configMap':
      return { configMap: `${source.namespace}/${source.name}`, key: source.key };
    case 'cluster':
      return { cluster: source.object };
  }
}

function controllerOf(object: unknown): { kind: string; name: string } | undefined {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  const owner = Array.isArray(owners) ? owners.find((candidate) => isObject(candidate) && candidate.controller === true) : undefined;
  const kind = textAt(owner, ['kind']);
  const name = textAt(owner, ['name']);
  return kind !== undefined && name !== undefined ? { kind, name } : undefined;
}

/** The guard of the rules: a ConfigMap that would be refused at load is refused at admission, where a person sees why. */
import { isObject, type JsonObject, sameJson, valueAt } from '../object/json.ts';
import { shortenText } from '../object/text.ts';
import { closestSpelling } from '../rules/language/closest-spelling.ts';
import { configMapBundle, isDocumentKey, rulesLabel, whyNotBinary } from '../rules/language/config-map.ts';
import type { Problem } from '../rules/language/problem.ts';
import type { Bundle } from '../rules/store/rule-store.ts';
import { type AdmissionAnswer, allowed, denied, type Status, withWarnings } from './response.ts';
import type { ReviewRequest } from './review.ts';

export type RulesReviewSettings = {
  /** Where the cluster's rules are read. */
  readonly namespace: string;
  /** Whether namespaces may have rules of their own. */
  readonly namespaceRules: boolean;
};

/** What a request brings. Warnings and complaints are sentences for the person who made it. */
export type ReviewedConfigMap = { readonly warnings: readonly string[] } & (
  | { readonly kind: 'no-rules' }
  /** Never to be read, in a place where that can only be a mistake. */
  | { readonly kind: 'mistaken'; readonly complaint: string; readonly field: string }
  | {
      readonly kind: 'rules';
      readonly bundle: Bundle;
      /** The documents are those that were there before: whatever is wrong with them, this request did not bring it. */
      readonly unchanged: boolean;
    }
);

/** As much of a request as answers repeat. */
export type RulesReviewSubject = Pick<ReviewRequest, 'uid' | 'namespace' | 'name'>;

/** The result keeps nothing of the request but the texts of its documents. */
export function readReviewedConfigMap(request: ReviewRequest, settings: RulesReviewSettings): ReviewedConfigMap {
  const { operation, kind, group, oldObject } = request;
  if (isTooLong(request.name) || isTooLong(request.namespace)) return { kind: 'no-rules', warnings: [] };
  if ((operation !== 'CREATE' && operation !== 'UPDATE') || kind !== 'ConfigMap' || group !== '' || !isObject(request.object)) {
    return { kind: 'no-rules', warnings: [] };
  }
  const part = partOf(request.object, request, settings);
  const partBefore = operation === 'UPDATE' && oldObject ? partOf(oldObject, request, settings) : undefined;
  const { data: texts, binaryData } = request.object;
  const unchanged = partBefore?.label === part.label && sameJson(oldObject?.data, texts) && sameJson(oldObject?.binaryData, binaryData);
  const warnings = [...part.warnings, ...warnOfLoss(partBefore, part)];
  const mistake = part.complaint ?? (part.plays === 'none' ? undefined : (mistakeOf(binaryData) ?? excessOf(texts)));
  if (mistake) {
    // Somebody else's labels or finalizers are not held up by an old mistake.
    return unchanged ? { kind: 'no-rules', warnings: [...warnings, mistake.complaint] } : { kind: 'mistaken', warnings, ...mistake };
  }
  if (part.plays === 'none') return { kind: 'no-rules', warnings };

  const data = textsOf(request.object);
  if (!Object.keys(data).some(isDocumentKey)) {
    warnings.push('no key of this ConfigMap ends in .yaml, .yml or .json, so there are no rules in it');
  }
  const metadata = { name: request.name, namespace: request.namespace };
  return { kind: 'rules', bundle: configMapBundle({ metadata, data }, part.plays), unchanged, warnings };
}

/** What a ConfigMap is to us, by its label and its place. */
type Part = {
  readonly label: unknown;
  readonly plays: 'none' | 'cluster' | 'namespace';
  readonly warnings: readonly string[];
  readonly complaint?: Mistake;
};

type Mistake = { readonly complaint: string; readonly field: string };

function partOf(object: JsonObject, request: ReviewRequest, settings: RulesReviewSettings): Part {
  const label = valueAt(object, ['metadata', 'labels', rulesLabel]);
  const own = request.namespace === settings.namespace;
  const idle = (...warnings: readonly string[]): Part => ({ label, plays: 'none', warnings });
  if (label === undefined || label === 'snapshot') return idle();
  if (label === 'cluster') {
    if (own) return { label, plays: 'cluster', warnings: [] };
    return idle(`rules of the cluster are read in the namespace ${settings.namespace} alone: these will never be in force`);
  }
  if (label === 'namespace') {
    if (settings.namespaceRules) return { label, plays: 'namespace', warnings: [] };
    return idle('this cluster takes no rules of namespaces (regkeeper serves without --namespace-rules): these will not be in force');
  }
  const complaint = unknownLabel(String(label));
  // A slip of the pen in the own namespace would silently take the rules out.
  return own ? { label, plays: 'none', warnings: [], complaint: { complaint, field: `metadata.labels[${rulesLabel}]` } } : idle(complaint);
}

/** Rules that are there for everybody to see and would not be read, since kubectl and kustomize took the file for something else than text. */
function mistakeOf(binaryData: unknown): Mistake | undefined {
  const key = isObject(binaryData) ? Object.keys(binaryData).find(isDocumentKey) : undefined;
  return key === undefined ? undefined : { complaint: `${key} ${whyNotBinary}`, field: `binaryData[${key}]` };
}

/** No object has such a name (apimachinery util/validation, DNS1123SubdomainMaxLength). */
function isTooLong(name: string): boolean {
  return name.length > 253;
}

/** Characters of all texts. An API server accepts 1 MiB (k8s.io/api core/v1, MaxSecretSize), so more never comes from one. */
const longestData = 1_048_576;
/** Each takes memory and a step of the reading, however short it is. */
const mostDocuments = 1_000;

function excessOf(data: unknown): Mistake | undefined {
  if (!isObject(data)) return undefined;
  let characters = 0;
  let documents = 0;
  for (const key of Object.keys(data)) {
    const text = data[key];
    characters += key.length + (typeof text === 'string' ? text.length : 0);
    if (isDocumentKey(key)) documents += 1;
  }
  const limit = `the limit is ${mostDocuments} documents with ${longestData} characters`;
  if (characters <= longestData && documents <= mostDocuments) return undefined;
  return { complaint: `this ConfigMap has ${documents} documents, and ${characters} characters of data; ${limit}`, field: 'data' };
}

function unknownLabel(value: string): string {
  const meant = closestSpelling(value, ['cluster', 'namespace']);
  const fix = meant === undefined ? 'write "cluster" or "namespace", or take the label away' : `did you mean "${meant}"?`;
  return `the label ${rulesLabel} is ${JSON.stringify(value)}, which means nothing, so the ConfigMap would not be read; ${fix}`;
}

function warnOfLoss(before: Part | undefined, after: Part): string[] {
  if (!before || before.plays === 'none' || before.plays === after.plays) return [];
  const how = after.label === undefined ? `without the label ${rulesLabel}` : `with the label ${rulesLabel}: ${String(after.label)}`;
  const lasting = before.plays === 'cluster' ? '; if no other rules are left, the last ones stay until others are written' : '';
  return [`${how} the rules of this ConfigMap stop being in force${before.plays === 'cluster' ? ' for the cluster' : ''}${lasting}`];
}

/** The API server has checked the type already; nothing here depends on it. */
function textsOf(object: JsonObject): Record<string, string> {
  const { data } = object;
  if (!isObject(data)) return {};
  return Object.fromEntries(Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** What the rules of the request would come to. */
export type RulesReviewFindings = { readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/** More than a person works through at once; the rest is counted. */
const mostListed = 50;
/** In characters: two screens of text and some. */
const longestMessage = 16_384;

/** Refuses with one cause for each problem, or lets pass with warnings. */
export function renderRulesReview(request: RulesReviewSubject, guarded: ReviewedConfigMap, findings: RulesReviewFindings): AdmissionAnswer {
  const told = [...guarded.warnings, ...findings.warnings.map(renderProblem)];
  if (guarded.kind === 'mistaken') {
    const cause = { reason: 'FieldValueNotSupported', message: guarded.complaint, field: guarded.field };
    return renderRejection(request, [guarded.complaint], [cause], told);
  }
  const { problems } = findings;
  if (problems.length === 0) return warned(request, told);
  const lines = problems.map(renderProblem);
  if (guarded.kind === 'rules' && guarded.unchanged) return warned(request, [...told, ...lines]);
  const causes = problems.map((problem, index) => ({
    reason: problem.code,
    message: lines[index] ?? '',
    field: `data[${keyOf(problem)}]`,
  }));
  return renderRejection(request, lines, causes, told);
}

/** Nobody could say in time what the documents hold. */
export function renderTooSlow(request: RulesReviewSubject, seconds: number): AdmissionAnswer {
  const message = `reading the rules takes longer than ${seconds} s; split the document into several keys or ConfigMaps`;
  return renderRejection(request, [message], [{ reason: 'document-too-costly', message, field: 'data' }], []);
}

/** So much of one namespace is being reviewed, or was a moment ago, that these would not be read in time. */
export function renderBusy(request: RulesReviewSubject, namespace: string): AdmissionAnswer {
  const message = `so many rules of namespace ${namespace} are being reviewed, or were a moment ago, that these were not read; wait a few seconds, and write fewer and shorter ones at a time`;
  return renderRejection(request, [message], [{ reason: 'document-too-costly', message, field: 'data' }], []);
}

/** The rules are as they were, and could not be read in time. */
export function renderUnread(request: RulesReviewSubject, guarded: ReviewedConfigMap, why: string): AdmissionAnswer {
  return warned(request, [...guarded.warnings, why]);
}

function warned(request: RulesReviewSubject, messages: readonly string[]): AdmissionAnswer {
  const { response, ...review } = allowed(request.uid);
  return { ...review, response: { ...response, ...renderWarnings(messages) } };
}

type Causes = NonNullable<Status['details']>['causes'];

function renderRejection(
  request: RulesReviewSubject,
  problems: readonly string[],
  causes: Causes,
  warnings: readonly string[],
): AdmissionAnswer {
  const lines = problems.map(shortenText);
  const subject = `ConfigMap ${shortenText(request.namespace)}/${shortenText(request.name) || '(unnamed)'}`;
  const [only] = lines;
  const message = lines.length === 1 ? `${subject}: ${only}` : `${subject} has ${lines.length} problems:\n${listed(lines).join('\n')}`;
  const listedCauses = causes
    .slice(0, mostListed)
    .map(({ reason, message, field }) => ({ reason, message: shortenText(message), field: shortenText(field) }));
  const details = { ...(request.name !== '' && { name: shortenText(request.name) }), kind: 'configmaps', causes: listedCauses };
  return denied(request.uid, { status: 'Failure', code: 403, reason: 'Forbidden', message, details }, renderWarnings(warnings));
}

function listed(lines: readonly string[]): string[] {
  const shown: string[] = [];
  let room = longestMessage;
  for (const line of lines) {
    room -= line.length;
    if (shown.length === mostListed || room < 0) break;
    shown.push(`- ${line}`);
  }
  const more = lines.length - shown.length;
  return more === 0 ? shown : [...shown, `and ${more} more`];
}

function renderWarnings(messages: readonly string[]) {
  return withWarnings(messages.map((message) => `regkeeper: ${message}`));
}

/** `rules.yaml:3:5: sentence (code)`: as an editor jumps to it. The ConfigMap is named above. */
export function renderProblem(problem: Problem): string {
  const { line, column } = problem.origin;
  return `${keyOf(problem)}:${line}:${column}: ${problem.message} (${problem.code})`;
}

function keyOf({ origin: { source } }: Problem): string {
  switch (source.kind) {
    case 'configMap':
      return source.key;
    case 'file':
      return source.file;
    case 'cluster':
      return source.object;
  }
}

/** Reviews rules ConfigMaps at admission: rules that would be rejected when loaded are denied here, where the user sees why. */
import { countOf, formatCount } from '../image/wording.ts';
import { isObject, type JsonObject, sameJson, valueAt } from '../object/json.ts';
import { shortenText } from '../object/text.ts';
import { closestSpelling } from '../rules/closest-spelling.ts';
import { configMapBundle, isDocumentKey, rulesLabel, whyNotBinary } from '../rules/language/config-map.ts';
import type { Problem } from '../rules/language/problem.ts';
import type { Bundle } from '../rules/store/rule-store.ts';
import { type AdmissionAnswer, allowed, denied, type Status, withWarnings } from './response.ts';
import type { ReviewRequest } from './review.ts';

export type RulesReviewSettings = {
  /** The namespace from which the cluster's rules are read. */
  readonly namespace: string;
  /** Whether namespaces may have their own rules. */
  readonly namespaceRules: boolean;
};

/** What a request would change in the rules. Warnings and messages are sentences for the user who made the request. */
export type ReviewedConfigMap = { readonly warnings: readonly string[] } & (
  | { readonly kind: 'no-rules' }
  /** The ConfigMap would never be read, and in this namespace that can only be a mistake. */
  | { readonly kind: 'mistaken'; readonly message: string; readonly field: string }
  | {
      readonly kind: 'rules';
      readonly bundle: Bundle;
      /** The documents did not change, so this request did not introduce their problems. */
      readonly unchanged: boolean;
    }
);

/** The parts of a request that answers repeat. */
export type RulesReviewSubject = Pick<ReviewRequest, 'uid' | 'namespace' | 'name'>;

/** The result keeps only the texts of the documents, not the rest of the request. */
export function readReviewedConfigMap(request: ReviewRequest, settings: RulesReviewSettings): ReviewedConfigMap {
  const { operation, kind, group, oldObject } = request;
  if (isTooLong(request.name) || isTooLong(request.namespace)) return { kind: 'no-rules', warnings: [] };
  if ((operation !== 'CREATE' && operation !== 'UPDATE') || kind !== 'ConfigMap' || group !== '' || !isObject(request.object)) {
    return { kind: 'no-rules', warnings: [] };
  }
  const role = roleOf(request.object, request, settings);
  const roleBefore = operation === 'UPDATE' && oldObject ? roleOf(oldObject, request, settings) : undefined;
  const { data: texts, binaryData } = request.object;
  const unchanged = roleBefore?.label === role.label && sameJson(oldObject?.data, texts) && sameJson(oldObject?.binaryData, binaryData);
  const warnings = [...role.warnings, ...warnOfRemovedRules(roleBefore, role)];
  const wasRules = roleBefore !== undefined && roleBefore.scope === role.scope && hasTexts(oldObject?.data);
  const mistake =
    role.mistake ??
    (role.scope === 'none'
      ? undefined
      : (binaryDataMistake(binaryData) ?? sizeMistake(texts) ?? (wasRules ? removedDocumentsMistake(texts) : undefined)));
  if (mistake) {
    // An old mistake must not block a change of labels or finalizers.
    return unchanged ? { kind: 'no-rules', warnings: [...warnings, mistake.message] } : { kind: 'mistaken', warnings, ...mistake };
  }
  if (role.scope === 'none') return { kind: 'no-rules', warnings };

  const data = textsOf(request.object);
  if (!hasDocuments(data)) {
    const others =
      role.scope === 'cluster' ? ' If there are no others, the last valid version of the cluster rules remains in effect.' : '';
    warnings.push(
      `no key of this ConfigMap ends in .yaml, .yml or .json, so it contains no rules. Put the rules in a key such as rules.yaml.${others}`,
    );
  }
  const metadata = { name: request.name, namespace: request.namespace };
  return { kind: 'rules', bundle: configMapBundle({ metadata, data }, role.scope), unchanged, warnings };
}

/** How regkeeper uses a ConfigMap, by its label and namespace. */
type ConfigMapRole = {
  readonly label: unknown;
  readonly scope: 'none' | 'cluster' | 'namespace';
  readonly warnings: readonly string[];
  readonly mistake?: Mistake;
};

type Mistake = { readonly message: string; readonly field: string };

function roleOf(object: JsonObject, request: ReviewRequest, settings: RulesReviewSettings): ConfigMapRole {
  const label = valueAt(object, ['metadata', 'labels', rulesLabel]);
  const inRulesNamespace = request.namespace === settings.namespace;
  const withoutRules = (...warnings: readonly string[]): ConfigMapRole => ({ label, scope: 'none', warnings });
  if (label === undefined || label === 'snapshot') return withoutRules();
  if (label === 'cluster') {
    if (inRulesNamespace) return { label, scope: 'cluster', warnings: [] };
    const other = settings.namespaceRules ? `set the label ${rulesLabel} to "namespace"` : 'delete it';
    return withoutRules(
      `cluster rules are read only from namespace ${settings.namespace}, so the rules in this ConfigMap have no effect. Move the ConfigMap there, or ${other}.`,
    );
  }
  if (label === 'namespace') {
    if (settings.namespaceRules) return { label, scope: 'namespace', warnings: [] };
    return withoutRules(
      'namespace rules are disabled, so the rules in this ConfigMap have no effect. Ask an administrator to run regkeeper with --namespace-rules, or delete the ConfigMap.',
    );
  }
  const message = unknownLabelMessage(String(label));
  // A typing error in the label would silently remove the rules from force.
  return inRulesNamespace
    ? { label, scope: 'none', warnings: [], mistake: { message, field: `metadata.labels[${rulesLabel}]` } }
    : withoutRules(message);
}

/** Rules in `binaryData` are visible but never read. kubectl and kustomize put files there that are not UTF-8 text. */
function binaryDataMistake(binaryData: unknown): Mistake | undefined {
  const key = isObject(binaryData) ? Object.keys(binaryData).find(isDocumentKey) : undefined;
  return key === undefined ? undefined : { message: `${key} ${whyNotBinary}`, field: `binaryData[${key}]` };
}

function hasDocuments(data: unknown): boolean {
  return isObject(data) && Object.keys(data).some(isDocumentKey);
}

/** Whether a document has more than blank lines, comments and marks of YAML documents. */
function hasTexts(data: unknown): boolean {
  return isObject(data) && Object.keys(data).some((key) => isDocumentKey(key) && !isBlank(data[key]));
}

/** Line by line up to the first rule, since a list of a million lines would block other requests. */
function isBlank(text: unknown): boolean {
  if (typeof text !== 'string') return true;
  const blankLine = /(?:---|\.\.\.)?[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n?|\n|$)/y;
  while (blankLine.lastIndex < text.length) if (!blankLine.test(text)) return false;
  return true;
}

const howToRemoveAllRules = 'To remove all rules, use a document that contains "rules: []", or delete the ConfigMap.';

/**
 * A renamed key, or a file that became empty, would silently remove the rules. If they are the last ones, the running servers keep them,
 * which only the log shows.
 */
function removedDocumentsMistake(data: unknown): Mistake | undefined {
  if (hasTexts(data)) return undefined;
  if (hasDocuments(data)) {
    return {
      message: `every document of this ConfigMap is blank now, so its rules would be removed. ${howToRemoveAllRules}`,
      field: 'data',
    };
  }
  const renamed = isObject(data) ? Object.keys(data).find((key) => key.startsWith('rules')) : undefined;
  const fix = renamed === undefined ? howToRemoveAllRules : 'Did you mean "rules.yaml"?';
  return {
    message: `no key of this ConfigMap ends in .yaml, .yml or .json any more, so its rules would be removed. ${fix}`,
    field: 'data',
  };
}

/** No Kubernetes name is longer (apimachinery util/validation, DNS1123SubdomainMaxLength). */
function isTooLong(name: string): boolean {
  return name.length > 253;
}

/** All texts together, in characters. The API server accepts at most 1 MiB (k8s.io/api core/v1, MaxSecretSize). */
const maxDataCharacters = 1_048_576;
/** Each document costs memory and a parsing step, however short it is. */
const maxDocuments = 1_000;

function sizeMistake(data: unknown): Mistake | undefined {
  if (!isObject(data)) return undefined;
  let characters = 0;
  let documents = 0;
  for (const key of Object.keys(data)) {
    const text = data[key];
    characters += key.length + (typeof text === 'string' ? text.length : 0);
    if (isDocumentKey(key)) documents += 1;
  }
  const limit = `The maximum is ${formatCount(maxDocuments)} documents and ${formatCount(maxDataCharacters)} characters`;
  if (characters <= maxDataCharacters && documents <= maxDocuments) return undefined;
  return {
    message: `this ConfigMap has ${countOf(documents, 'document')} and ${formatCount(characters)} characters of data. ${limit}.`,
    field: 'data',
  };
}

function unknownLabelMessage(value: string): string {
  const meant = closestSpelling(value, ['cluster', 'namespace']);
  const fix = meant === undefined ? 'Use "cluster" or "namespace", or remove the label.' : `Did you mean "${meant}"?`;
  return `the label ${rulesLabel} has the unknown value ${JSON.stringify(value)}, so the ConfigMap would be ignored. ${fix}`;
}

function warnOfRemovedRules(before: ConfigMapRole | undefined, after: ConfigMapRole): string[] {
  if (!before || before.scope === 'none' || before.scope === after.scope) return [];
  const how = after.label === undefined ? `without the label ${rulesLabel}` : `with the label ${rulesLabel}: ${String(after.label)}`;
  const lasting =
    before.scope === 'cluster' ? '. Exception: if no other cluster rules exist, they remain in effect until new ones are created.' : '.';
  return [`${how}, the rules of this ConfigMap are no longer in effect${before.scope === 'cluster' ? ' for the cluster' : ''}${lasting}`];
}

/** The API server validates the types. Values of another type are skipped. */
function textsOf(object: JsonObject): Record<string, string> {
  const { data } = object;
  if (!isObject(data)) return {};
  return Object.fromEntries(Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Problems and warnings of the rules in the request. */
export type RulesReviewFindings = { readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/** More problems than a person fixes at once. The rest is counted. */
const maxListedProblems = 50;
/** In characters: a little more than two screens of text. */
const maxMessageLength = 16_384;

/** Denies the request with one cause for each problem, or allows it with warnings. */
export function renderRulesReview(
  request: RulesReviewSubject,
  reviewed: ReviewedConfigMap,
  findings: RulesReviewFindings,
): AdmissionAnswer {
  const warnings = [...reviewed.warnings, ...findings.warnings.map(renderProblem)];
  if (reviewed.kind === 'mistaken') {
    const cause = { reason: 'FieldValueNotSupported', message: reviewed.message, field: reviewed.field };
    return renderRejection(request, [reviewed.message], [cause], warnings);
  }
  const { problems } = findings;
  if (problems.length === 0) return allowedWithWarnings(request, warnings);
  const lines = problems.map(renderProblem);
  if (reviewed.kind === 'rules' && reviewed.unchanged) return allowedWithWarnings(request, [...warnings, ...lines]);
  const causes = problems.map((problem, index) => ({
    reason: problem.code,
    message: lines[index] ?? '',
    field: `data[${keyOf(problem)}]`,
  }));
  return renderRejection(request, lines, causes, warnings);
}

/** The documents could not be read within the time limit. */
export function renderTooSlow(request: RulesReviewSubject, seconds: number): AdmissionAnswer {
  const message = `reading the rules takes longer than ${seconds} s. Split the document into several keys or ConfigMaps.`;
  return renderRejection(request, [message], [{ reason: 'document-too-costly', message, field: 'data' }], []);
}

/** Too many rules of one namespace are being reviewed, or were a moment ago, so these would not be read in time. */
export function renderBusy(request: RulesReviewSubject, namespace: string): AdmissionAnswer {
  const message = `too many rules in namespace ${namespace} are being reviewed, so these were not read. Wait a few seconds, and apply fewer or shorter rules at a time.`;
  return renderRejection(request, [message], [{ reason: 'document-too-costly', message, field: 'data' }], []);
}

/** The rules did not change and could not be read in time. */
export function renderNotReviewed(request: RulesReviewSubject, reviewed: ReviewedConfigMap, why: string): AdmissionAnswer {
  return allowedWithWarnings(request, [...reviewed.warnings, why]);
}

function allowedWithWarnings(request: RulesReviewSubject, messages: readonly string[]): AdmissionAnswer {
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
    .slice(0, maxListedProblems)
    .map(({ reason, message, field }) => ({ reason, message: shortenText(message), field: shortenText(field) }));
  const details = { ...(request.name !== '' && { name: shortenText(request.name) }), kind: 'configmaps', causes: listedCauses };
  return denied(request.uid, { status: 'Failure', code: 403, reason: 'Forbidden', message, details }, renderWarnings(warnings));
}

function listed(lines: readonly string[]): string[] {
  const shown: string[] = [];
  let room = maxMessageLength;
  for (const line of lines) {
    room -= line.length;
    if (shown.length === maxListedProblems || room < 0) break;
    shown.push(`- ${line}`);
  }
  const more = lines.length - shown.length;
  return more === 0 ? shown : [...shown, `and ${more} more`];
}

function renderWarnings(messages: readonly string[]) {
  return withWarnings(messages.map((message) => `regkeeper: ${message}`));
}

/** `rules.yaml:3:5: sentence (code)`, the form that editors can jump to. The message names the ConfigMap once, above. */
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

/** Decodes an AdmissionReview of admission.k8s.io/v1 from parsed JSON into a typed request. */

import type { ChangeRequest } from '../decision/decision.ts';
import { listOf } from '../image/wording.ts';
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';

export type Webhook = 'mutate' | 'validate';

export type ReviewRequest = {
  readonly uid: string;
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly subresource: string;
  readonly namespace: string;
  /** Empty on CREATE with generateName. */
  readonly name: string;
  readonly user: string;
  readonly groups: readonly string[];
  readonly dryRun: boolean;
  readonly object: unknown;
  readonly oldObject: JsonObject | null;
};

export type DecodedReview =
  | { readonly ok: true; readonly request: ReviewRequest }
  /** `uid` is set if it could be read, so that the answer can carry it. */
  | { readonly ok: false; readonly uid: string | undefined; readonly message: string };

const apiVersion = 'admission.k8s.io/v1';

export function decodeReview(body: unknown): DecodedReview {
  const written = textAt(body, ['request', 'uid']);
  const uid = written && written.length > maxNameLength ? undefined : written;
  const reject = (message: string): DecodedReview => ({ ok: false, uid, message });

  if (!isObject(body)) return reject(`the body must be an AdmissionReview of ${apiVersion}`);
  const { kind: reviewKind } = body;
  if (reviewKind !== 'AdmissionReview') return reject(`kind must be AdmissionReview, but is ${show(reviewKind)}`);
  if (body.apiVersion !== apiVersion)
    return reject(`apiVersion must be ${apiVersion}, but is ${show(body.apiVersion)}. List only "v1" in admissionReviewVersions`);
  const { request } = body;
  if (!isObject(request)) return reject('the AdmissionReview has no request');
  if (uid === undefined) return reject('request.uid is missing');
  const long = apiServerFields.find((path) => (textAt(request, path)?.length ?? 0) > maxNameLength);
  if (long) return reject(`request.${long.join('.')} is longer than ${maxNameLength} characters`);

  const operation = operations.find((known) => known === request.operation);
  if (!operation) return reject(`request.operation must be one of ${listOf(operations, 'or')}, but is ${show(request.operation)}`);
  const kind = textAt(request, ['kind', 'kind']);
  if (kind === undefined) return reject('request.kind.kind is missing');

  const { object, oldObject } = request;
  const groups = valueAt(request, ['userInfo', 'groups']);
  return {
    ok: true,
    request: {
      uid,
      operation,
      group: textAt(request, ['kind', 'group']) ?? '',
      version: textAt(request, ['kind', 'version']) ?? '',
      kind,
      subresource: textAt(request, ['subResource']) ?? '',
      namespace: textAt(request, ['namespace']) ?? textAt(object, ['metadata', 'namespace']) ?? '',
      name: textAt(request, ['name']) ?? textAt(object, ['metadata', 'name']) ?? '',
      user: textAt(request, ['userInfo', 'username']) ?? '',
      groups: Array.isArray(groups) ? groups.filter((group): group is string => typeof group === 'string') : [],
      dryRun: request.dryRun === true,
      object,
      oldObject: isObject(oldObject) ? oldObject : null,
    },
  };
}

/** The change that the engine evaluates. Undefined for DELETE and CONNECT, which introduce no image. */
export function changeOf(
  request: ReviewRequest,
  { hideStreamContents = false }: Pick<ChangeRequest, 'hideStreamContents'> = {},
): ChangeRequest | undefined {
  const { operation } = request;
  if (operation !== 'CREATE' && operation !== 'UPDATE') return undefined;
  const { group, kind, subresource, namespace, name, user, object, oldObject } = request;
  return { operation, group, kind, subresource, namespace, name, user, object, oldObject, hideStreamContents };
}

/** In characters. No Kubernetes name is longer (apimachinery util/validation, DNS1123SubdomainMaxLength). */
const maxNameLength = 253;

/** Set by the API server, which never writes longer texts. Answers and records repeat them. */
const apiServerFields = [['kind', 'kind'], ['kind', 'group'], ['kind', 'version'], ['subResource'], ['namespace']];

const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'] as const;

/** Shortens the value, since it can be as large as the request body. */
function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  if (typeof value !== 'string') return String(value);
  return value.length > 80 ? `${JSON.stringify(value.slice(0, 80))}…` : JSON.stringify(value);
}

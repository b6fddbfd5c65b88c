/** What could not be read from the cluster. A result without it must not look complete. */
import { ApiError } from '../kube/api-client.ts';
import { describeRequiredRole } from '../kube/explain-api-error.ts';

export type NotRead = {
  /** The resource as kubectl names it: `deployments.apps`. */
  readonly resource: string;
  /** Absent for all namespaces. */
  readonly namespace?: string;
  readonly code: NotReadCode;
  /** One or two sentences with the reason and the fix, without the full stop at the end. */
  readonly message: string;
};

/** docs/tools.md explains each. */
export const notReadCodes = ['forbidden', 'unavailable', 'unknown-kind'] as const;
export type NotReadCode = (typeof notReadCodes)[number];

export type Place = {
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly path: string;
  readonly verb: 'get' | 'list';
};

/** @throws the error itself if nothing else can be read either */
export function describeNotRead(error: unknown, { resource, namespace, path, verb }: Place): NotRead {
  if (!(error instanceof ApiError) || isFatal(error)) throw error;
  const place = { resource, ...(namespace !== undefined && { namespace }) };
  if (error.status !== 403) return { ...place, code: 'unavailable', message: error.message };
  return { ...place, code: 'forbidden', message: `${error.message}. ${describeRequiredRole({ path, verbs: [verb] })}` };
}

/** The API server cannot be reached, or rejects the credential. */
function isFatal({ status, reason }: ApiError): boolean {
  return status === 401 || reason === 'Unreachable' || reason === 'NoCredential';
}

/** `deployments.apps in all namespaces` */
export function renderPlace({ resource, namespace }: Pick<NotRead, 'resource' | 'namespace'>): string {
  return `${resource} in ${namespace === undefined ? 'all namespaces' : `namespace ${namespace}`}`;
}

/** A resource that is read for two purposes is reported once. */
export function distinctNotRead(all: readonly NotRead[]): readonly NotRead[] {
  return [...new Map(all.map((each) => [`${each.code} ${renderPlace(each)}`, each])).values()];
}

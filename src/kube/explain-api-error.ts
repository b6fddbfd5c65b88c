/** Explains errors of the API server: the message, and what to do about it. */
import type { ApiError } from './api-client.ts';

const rejectedCredential = 'The API server rejected the credential. Check whether the token or certificate has expired or been revoked';

export type RequiredPermission = {
  /** A collection or an object, e.g. `/api/v1/namespaces/ns/secrets`. */
  readonly path: string;
  /** The name of the only object that is needed, where it is one. */
  readonly name?: string | undefined;
  readonly verbs: readonly string[];
};

export function describeRequiredRole({ path, name, verbs }: RequiredPermission): string {
  const [, group = '', namespace, resource = path, object] =
    /^\/(?:api\/[^/]+|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  const role = namespace ? `a Role in namespace ${namespace}` : 'a ClusterRole';
  const only = name || object ? `, resourceNames ["${name || object}"]` : '';
  const list = verbs.map((verb) => `"${verb}"`).join(', ');
  return `Grant these permissions with ${role}: apiGroups ["${group}"], resources ["${resource}"]${only}, verbs [${list}]`;
}

/** The message with what to do. `requiredRole` is the remedy for a 403. */
export function explainApiError({ status, message }: ApiError, requiredRole: string): string {
  if (status === 401) return `${message}. ${rejectedCredential}`;
  return status === 403 ? `${message}. ${requiredRole}` : message;
}

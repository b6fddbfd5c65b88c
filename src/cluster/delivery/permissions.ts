/**
 * The names of Secrets that the account may deliver, by a SelfSubjectRulesReview. So copies of a secret that the rules no longer name are found
 * and deleted, also after a restart, and names without permission cause no requests that fail.
 */
import { type ApiClient, ApiError } from '../../kube/api-client.ts';
import { isObject, valueAt } from '../../object/json.ts';

export type SecretPermissions = {
  /** Names for which every request of delivery is permitted. `all` if that is not limited to names. */
  readonly copies: ReadonlySet<string> | 'all';
  /** Names that may be read in regkeeper's namespace. */
  readonly sources: ReadonlySet<string> | 'all';
};

const copyVerbs = ['create', 'patch', 'delete', 'list', 'watch'];
const sourceVerbs = ['get', 'list', 'watch'];

/** @throws ApiError where there is no complete answer */
export async function reviewPermissions(client: ApiClient, namespace: string, signal: AbortSignal): Promise<SecretPermissions> {
  const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
  const answer = await client.request<unknown>({ method: 'POST', path, body, signal });
  const rules = valueAt(answer, ['status', 'resourceRules']);
  if (!Array.isArray(rules)) throw new ApiError(0, 'Unreadable', `POST ${path}: the response is not a review`);
  // Another authorizer may permit more. Names without permission are only reported, and are reviewed again.
  const ofSecrets = rules.filter((rule) => includes(rule, 'apiGroups', '') && includes(rule, 'resources', 'secrets'));
  return { copies: namesWith(ofSecrets, copyVerbs), sources: namesWith(ofSecrets, sourceVerbs) };
}

/** The names to which one rule or several together permit all verbs. */
function namesWith(rules: readonly unknown[], verbs: readonly string[]): ReadonlySet<string> | 'all' {
  const permitted = verbs.map((verb) => {
    const withVerb = rules.filter((rule) => includes(rule, 'verbs', verb));
    const names = withVerb.map((rule) => textsAt(rule, 'resourceNames'));
    return names.some((each) => each.length === 0) ? 'all' : new Set(names.flat());
  });
  const limited = permitted.filter((each) => each !== 'all');
  const [first, ...others] = limited;
  return first === undefined ? 'all' : new Set([...first].filter((name) => others.every((each) => each.has(name))));
}

function includes(rule: unknown, field: string, value: string): boolean {
  const values = textsAt(rule, field);
  return values.includes(value) || values.includes('*');
}

function textsAt(rule: unknown, field: string): readonly string[] {
  const values = isObject(rule) ? rule[field] : undefined;
  return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
}

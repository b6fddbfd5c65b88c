/**
 * The permissions of secret delivery that depend on the rules and the custom kinds: the names of copies and sources for RBAC, and the policy that
 * limits what RBAC cannot. RBAC limits `create` by name for a server-side apply, and nothing about type, label and namespace.
 */
import type { JsonObject } from '../object/json.ts';
import { copyType, deliveredLabel, fencePolicy, foreignRejection } from './names.ts';

export type DeliveryRightsOptions = {
  /** regkeeper's namespace, with the sources. */
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Namespaces that never get a copy, in addition to regkeeper's own and those of the platform. */
  readonly excludedNamespaces: readonly string[];
  /** Custom resources whose objects can need a secret. */
  readonly customKinds?: readonly { readonly group: string; readonly resource: string }[];
};

/** The objects to apply for these entries of `secrets`. */
export function deliveryRights(
  secrets: readonly { readonly name: string; readonly source: string }[],
  { namespace, serviceAccount, excludedNamespaces, customKinds = [] }: DeliveryRightsOptions,
): readonly JsonObject[] {
  const names = sorted(secrets.map(({ name }) => name));
  const sources = sorted(secrets.map(({ source }) => source));
  const subjects = [{ kind: 'ServiceAccount', name: serviceAccount, namespace }];
  const copyRules = [
    { apiGroups: [''], resources: ['secrets'], resourceNames: names, verbs: ['create', 'patch', 'delete', 'list', 'watch'] },
  ];
  const sourceRules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: sources, verbs: ['get', 'list', 'watch'] }];
  const kindRules = customKinds.map(({ group, resource }) => ({ apiGroups: [group], resources: [resource], verbs: ['list', 'watch'] }));
  const excluded = [...new Set([namespace, 'kube-system', 'kube-node-lease', ...excludedNamespaces])];
  return [
    ...role('ClusterRole', { name: 'regkeeper-delivered-secrets', labels }, copyRules, subjects),
    ...role('Role', { name: 'regkeeper-secret-sources', namespace, labels }, sourceRules, subjects),
    ...(kindRules.length > 0 ? role('ClusterRole', { name: 'regkeeper-deliver-custom-kinds', labels }, kindRules, subjects) : []),
    policy(names, excluded, `system:serviceaccount:${namespace}:${serviceAccount}`),
    binding(),
  ];
}

const labels = { 'app.kubernetes.io/name': 'regkeeper' };

function sorted(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}

function role(kind: 'ClusterRole' | 'Role', metadata: JsonObject, rules: unknown, subjects: unknown): readonly JsonObject[] {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: metadata.name };
  return [
    { apiVersion, kind, metadata, rules },
    { apiVersion, kind: `${kind}Binding`, metadata, roleRef, subjects },
  ];
}

function policy(names: readonly string[], excludedNamespaces: readonly string[], account: string): JsonObject {
  const isCopy = (secret: string) =>
    `${secret}.type == "${copyType}" && ${secret}.metadata.?labels[?"${deliveredLabel}"].orValue("") == "true"`;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: fencePolicy, labels },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['secrets'] }],
      },
      matchConditions: [{ name: 'delivery-account', expression: `request.userInfo.username == "${account}"` }],
      variables: [
        { name: 'names', expression: JSON.stringify(names) },
        { name: 'excludedNamespaces', expression: JSON.stringify(excludedNamespaces) },
      ],
      validations: [
        {
          expression:
            'request.namespace != "openshift" && !request.namespace.startsWith("openshift-") && !(request.namespace in variables.excludedNamespaces)',
          message: 'secret delivery never writes to this namespace',
          reason: 'Forbidden',
        },
        {
          expression: 'request.name in variables.names',
          message: 'the rules list no secret with this name for delivery. Run "regkeeper rbac --deliver" again when you change the rules',
          reason: 'Forbidden',
        },
        {
          expression: `request.operation == "DELETE" || (${isCopy('object')})`,
          message: `a delivered Secret must have the type ${copyType} and the label ${deliveredLabel}: "true"`,
          reason: 'Forbidden',
        },
        {
          expression: `request.operation == "CREATE" || (${isCopy('oldObject')})`,
          message: `${foreignRejection} ${copyType} with the label ${deliveredLabel}: "true"`,
          reason: 'Forbidden',
        },
      ],
    },
  };
}

function binding(): JsonObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: fencePolicy, labels },
    spec: { policyName: fencePolicy, validationActions: ['Deny'] },
  };
}

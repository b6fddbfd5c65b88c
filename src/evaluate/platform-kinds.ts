/**
 * The kinds that Kubernetes and OpenShift themselves serve, without those that a custom resource definition brings. Their groups are closed:
 * a kind that is not listed is mistyped, or newer than this list.
 */
import { closestSpelling, countTypingErrors } from '../rules/closest-spelling.ts';

/** Kinds by apiVersion. A kind that has several versions is listed once, under the one to write today. */
const kindsByApiVersion: Readonly<Record<string, string>> = {
  v1: `Binding ComponentStatus ConfigMap Endpoints Event LimitRange List Namespace Node PersistentVolume
    PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret SerializedReference Service ServiceAccount`,
  'admissionregistration.k8s.io/v1': `MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
    ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration`,
  'apiextensions.k8s.io/v1': 'CustomResourceDefinition',
  'apiregistration.k8s.io/v1': 'APIService',
  'apps/v1': 'ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet',
  'authentication.k8s.io/v1': 'SelfSubjectReview TokenRequest TokenReview',
  'authorization.k8s.io/v1': 'LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview',
  'autoscaling/v1': 'Scale',
  'autoscaling/v2': 'HorizontalPodAutoscaler',
  'batch/v1': 'CronJob Job',
  'certificates.k8s.io/v1': 'CertificateSigningRequest ClusterTrustBundle PodCertificateRequest',
  'coordination.k8s.io/v1': 'Lease LeaseCandidate',
  'discovery.k8s.io/v1': 'EndpointSlice',
  'events.k8s.io/v1': 'Event',
  'flowcontrol.apiserver.k8s.io/v1': 'FlowSchema PriorityLevelConfiguration',
  'internal.apiserver.k8s.io/v1alpha1': 'StorageVersion',
  'networking.k8s.io/v1': 'IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR',
  'node.k8s.io/v1': 'RuntimeClass',
  'policy/v1': 'Eviction PodDisruptionBudget PodSecurityPolicy',
  'rbac.authorization.k8s.io/v1': 'ClusterRole ClusterRoleBinding Role RoleBinding',
  'resource.k8s.io/v1': 'DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourcePoolStatusRequest ResourceSlice',
  'scheduling.k8s.io/v1': 'PodGroup PriorityClass Workload',
  'storage.k8s.io/v1': 'CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass',
  'storagemigration.k8s.io/v1beta1': 'StorageVersionMigration',
  'apps.openshift.io/v1': 'DeploymentConfig DeploymentConfigRollback DeploymentLog DeploymentRequest',
  'authorization.openshift.io/v1': `ClusterRole ClusterRoleBinding LocalResourceAccessReview LocalSubjectAccessReview ResourceAccessReview
    Role RoleBinding RoleBindingRestriction SelfSubjectRulesReview SubjectAccessReview SubjectRulesReview`,
  'build.openshift.io/v1': 'BinaryBuildRequestOptions Build BuildConfig BuildLog BuildRequest',
  'image.openshift.io/v1': `Image ImageSignature ImageStream ImageStreamImage ImageStreamImport ImageStreamLayers ImageStreamMapping
    ImageStreamTag ImageTag`,
  'oauth.openshift.io/v1': 'OAuthAccessToken OAuthAuthorizeToken OAuthClient OAuthClientAuthorization UserOAuthAccessToken',
  'project.openshift.io/v1': 'Project ProjectRequest',
  'quota.openshift.io/v1': 'AppliedClusterResourceQuota ClusterResourceQuota',
  'route.openshift.io/v1': 'Route',
  'security.openshift.io/v1': `PodSecurityPolicyReview PodSecurityPolicySelfSubjectReview PodSecurityPolicySubjectReview RangeAllocation
    SecurityContextConstraints`,
  'template.openshift.io/v1': 'BrokerTemplateInstance Template TemplateInstance',
  'user.openshift.io/v1': 'Group Identity User UserIdentityMapping',
};

type PlatformKind = { readonly apiVersion: string; readonly group: string; readonly kind: string };

const platformKinds: readonly PlatformKind[] = Object.entries(kindsByApiVersion).flatMap(([apiVersion, kinds]) =>
  kinds.split(/\s+/).flatMap((kind) => [kind, `${kind}List`].map((name) => ({ apiVersion, group: groupOf(apiVersion), kind: name }))),
);

const platformGroups: ReadonlySet<string> = new Set(platformKinds.map(({ group }) => group));

/** Whether the platform serves the kind in the group, in some version. Old files have OpenShift's kinds with `apiVersion: v1`. */
export function isPlatformKind(group: string, kind: string): boolean {
  return platformKinds.some(
    (each) => each.kind === kind && (each.group === group || (group === '' && each.group.endsWith('.openshift.io'))),
  );
}

/** Whether the group can have no custom resources: it is one of the platform, or has no dot, as the group of a custom resource must have. */
export function isPlatformGroup(group: string): boolean {
  return !group.includes('.') || platformGroups.has(group);
}

/**
 * The kind of the platform that was probably meant: of any group for a group of the platform, else of the group with the closest spelling.
 * Undefined if no name is similar. `x-k8s.io` is not a typing error: it is for custom resources of Kubernetes' own projects, such as
 * `scheduling.x-k8s.io`.
 */
export function closestPlatformKind(group: string, kind: string): PlatformKind | undefined {
  if (group.endsWith('.x-k8s.io')) return undefined;
  const searched = isPlatformGroup(group) ? group : closestSpelling(group, [...platformGroups]);
  const own = platformKinds.filter((each) => each.group === searched);
  const candidates = isPlatformGroup(group) ? [...own, ...platformKinds] : own;
  const closest = closestSpelling(
    kind,
    candidates.map((each) => each.kind),
  );
  return candidates.find((each) => each.kind === closest) ?? (isPlatformGroup(group) ? closestShortKind(kind, own) : undefined);
}

/** One typing error in a name that is too short for `closestSpelling`, such as `Pd`. The group can have no other kinds. */
function closestShortKind(kind: string, own: readonly PlatformKind[]): PlatformKind | undefined {
  if (kind.length !== 2) return undefined;
  return own.find((each) => countTypingErrors(kind.toLowerCase(), each.kind.toLowerCase(), 1) === 1);
}

export function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.lastIndexOf('/')) : '';
}

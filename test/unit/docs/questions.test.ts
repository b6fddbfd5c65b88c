/** Questions that users asked in public issues of comparable projects. Each is answered on the page that contains the words they searched for. */
import { expect, test } from 'vitest';
import { pages, readPage } from './pages.ts';

const questions: readonly (readonly [issue: string, words: readonly string[], page: string])[] = [
  ['titansoft-pte-ltd/imagepullsecret-patcher#10', ['ImagePullBackOff', 'ServiceAccount is patched'], 'docs/guides/migrate.md'],
  ['titansoft-pte-ltd/imagepullsecret-patcher#25', ['pull rate limit', 'toomanyrequests'], 'docs/troubleshooting.md'],
  ['open-policy-agent/gatekeeper#3674', ['Argo CD', 'OutOfSync', 'managedFieldsManagers'], 'docs/guides/gitops.md'],
  ['open-policy-agent/gatekeeper#817', ['caBundle', 'another controller'], 'docs/webhooks.md'],
  ['open-policy-agent/gatekeeper#2380', ['Autopilot', 'webhook rules with `*`'], 'docs/guides/platforms.md'],
  ['kyverno/kyverno#10371', ['context deadline exceeded', 'failed calling webhook'], 'docs/troubleshooting.md'],
  ['Azure/AKS#1771', ['admissions enforcer', 'control-plane', 'namespaceSelector'], 'docs/webhooks.md'],
  ['stackrox/stackrox#13109', ['GKE warns', 'kube-system', 'kube-node-lease'], 'docs/guides/platforms.md'],
  ['hashicorp/terraform-provider-kubernetes#2668', ['ignore_annotations', 'ignore_changes', 'template'], 'docs/guides/gitops.md'],
  ['open-policy-agent/gatekeeper#3529', ['istio-proxy', 'not in my manifest', 'sidecar'], 'docs/denied.md'],
  ['open-policy-agent/gatekeeper#3529', ['Istio', 'Linkerd', 'idecars'], 'docs/guides/roll-out.md'],
  ['cert-manager/cert-manager#2640', ['Service Unavailable', 'proxyconnect', 'NO_PROXY'], 'docs/troubleshooting.md'],
  ['cert-manager/cert-manager#4594', ['EOF', 'net/http: TLS handshake timeout'], 'docs/troubleshooting.md'],
  ['kyverno/kyverno#11122', ['nodes stay NotReady', 'aws-node', 'calico-system', 'tigera-operator'], 'docs/troubleshooting.md'],
  ['emberstack/kubernetes-reflector#282', ['reflector', 'new namespace', 'the kubelet retries'], 'docs/troubleshooting.md'],
  ['kyverno/policies#882', ['rewrites image names', 'replace a registry', 'mirror', 'pull-through cache'], 'docs/limits.md'],
  ['volcano-sh/kthena#717', ['Apply failed with 2 conflicts', 'UPGRADE FAILED', 'caBundle'], 'docs/troubleshooting.md'],
  ['kyverno/kyverno#6492', ['Gardener', 'HibernationPossible'], 'docs/guides/platforms.md'],
  ['sigstore/policy-controller#1388', ['Istio', 'gateway', '`image: auto`', 'placeholder'], 'docs/guides/roll-out.md'],
  ['sigstore/policy-controller#1863', ['never contacts a registry', 'egress'], 'docs/limits.md'],
  ['kyverno/policies#770', ['annotation on the namespace', 'ConfigMap', 'Label the namespaces'], 'docs/guides/migrate.md'],
  ['kyverno/policies#1210', ['`docker.io` is allowed, but `nginx` is denied'], 'docs/guides/migrate.md'],
  ['titansoft-pte-ltd/imagepullsecret-patcher#17', ['rotate a credential', 'need no restart'], 'docs/secret-delivery.md'],
  ['open-policy-agent/gatekeeper#1120', ['system-cluster-critical', 'ResourceQuota', 'GKE'], 'deploy/README.md'],
];

test.each(questions)('the docs contain the keywords of %s', (_issue, words, page) => {
  expect(pages).toContain(page);
  expect(words.filter((word) => !readPage(page).includes(word))).toEqual([]);
});

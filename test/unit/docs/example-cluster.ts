/** The cluster of the examples in docs/tools.md: the rules of deploy/examples, and a few workloads. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { desiredWebhooks } from '../../../src/cluster/registration/desired.ts';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { deployment, type LiveObject, liveApi, namespace, rulesConfigMap } from '../scan/live-api.ts';

const rules = readFileSync(join(resolve(import.meta.dirname, '../../..'), 'deploy/examples/rules/registries.yaml'), 'utf8');
const { validating } = desiredWebhooks({ namespace: 'regkeeper', service: 'regkeeper', caBundle: '', excludedNamespaces: [] });

const secret = (place: string, name: string): LiveObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: place },
  type: 'kubernetes.io/dockerconfigjson',
});

export function exampleCluster(): ApiClient {
  return liveApi([
    rulesConfigMap(rules),
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'regkeeper' },
      webhooks: validating,
    },
    ...['shop', 'billing', 'team-a'].map((name) => namespace(name)),
    secret('shop', 'external-registry'),
    secret('billing', 'external-registry'),
    secret('team-a', 'team-a-quay'),
    ...deployment({ name: 'web', image: 'external-registry.example.com:5000/shop/web:3.1', pods: 3, before: ['docker.io/acme/web:3.0'] }),
    ...deployment({ name: 'cache', image: 'docker.io/library/redis:8', pods: 1 }),
    ...deployment({ namespace: 'billing', name: 'api', image: 'external-registry.example.com:5000/billing/api:7', pods: 2 }),
    ...deployment({ namespace: 'billing', name: 'report', image: 'docker.io/acme/report:1.4', pods: 2 }),
    ...deployment({ namespace: 'team-a', name: 'tool', image: 'quay.io/team-a/tool:5', pods: 1 }),
    ...deployment({ namespace: 'kube-system', name: 'dns', image: 'registry.k8s.io/coredns/coredns:v1.12', pods: 2 }),
  ]).client;
}

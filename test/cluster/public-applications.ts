/**
 * The workloads of three public applications, with the kinds, containers and images of their published manifests, and without everything else.
 * The manifests are under the Apache License 2.0: kubernetes/examples (guestbook), GoogleCloudPlatform/microservices-demo (Online Boutique),
 * and argoproj/argo-cd (install.yaml).
 */
import { deployment, serviceAccount, workload } from './workloads.ts';

type Container = readonly [name: string, image: string];

function spec(containers: readonly Container[], init: readonly Container[] = [], account?: string): object {
  const listed = (each: readonly Container[]) => each.map(([name, image]) => ({ name, image }));
  return {
    containers: listed(containers),
    ...(init.length > 0 && { initContainers: listed(init) }),
    ...(account !== undefined && { serviceAccountName: account }),
  };
}

const guestbook = [
  deployment('redis-leader', spec([['leader', 'docker.io/redis:6.0.5']])),
  deployment('redis-follower', spec([['follower', 'us-docker.pkg.dev/google-samples/containers/gke/gb-redis-follower:v2']]), {
    replicas: 2,
  }),
  deployment('frontend', spec([['php-redis', 'us-docker.pkg.dev/google-samples/containers/gke/gb-frontend:v5']]), { replicas: 3 }),
];

const services = ['ad', 'cart', 'checkout', 'currency', 'email', 'payment', 'productcatalog', 'recommendation', 'shipping'];
const boutique = 'us-central1-docker.pkg.dev/google-samples/microservices-demo';
const onlineBoutique = [
  ...services.map((name) => deployment(`${name}service`, spec([['server', `${boutique}/${name}service:v0.10.3`]]))),
  deployment('frontend', spec([['server', `${boutique}/frontend:v0.10.3`]])),
  deployment('loadgenerator', spec([['main', `${boutique}/loadgenerator:v0.10.3`]], [['frontend-check', 'busybox:latest']])),
  deployment('redis-cart', spec([['redis', 'redis:alpine']])),
];

const argo = 'quay.io/argoproj/argocd:v3.2.0';
const copyUtil: Container = ['copyutil', argo];
const argoAccounts = [
  'application-controller',
  'applicationset-controller',
  'dex-server',
  'notifications-controller',
  'redis',
  'repo-server',
  'server',
];
const argoCd = [
  ...argoAccounts.map((name) => serviceAccount(`argocd-${name}`, [])),
  ...['applicationset-controller', 'notifications-controller', 'server'].map((name) =>
    deployment(`argocd-${name}`, spec([[`argocd-${name}`, argo]], [], `argocd-${name}`)),
  ),
  deployment('argocd-repo-server', spec([['argocd-repo-server', argo]], [copyUtil], 'argocd-repo-server')),
  deployment('argocd-dex-server', spec([['dex', 'ghcr.io/dexidp/dex:v2.43.0']], [copyUtil], 'argocd-dex-server')),
  deployment(
    'argocd-redis',
    spec([['redis', 'public.ecr.aws/docker/library/redis:8.2.2-alpine']], [['secret-init', argo]], 'argocd-redis'),
  ),
  workload(
    'apps/v1',
    'StatefulSet',
    'argocd-application-controller',
    spec([['argocd-application-controller', argo]], [], 'argocd-application-controller'),
    { serviceName: 'argocd-application-controller' },
  ),
];

export const publicApplications = { guestbook, 'online-boutique': onlineBoutique, 'argo-cd': argoCd } as const;

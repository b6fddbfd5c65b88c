/** The objects whose requests are captured: of usual sizes, with what real ones have. */

const image = (index: number) => `placeholder-${index}.example.com/image:v1`;

/** A service of two containers. Its Pods take about 6.6 KB as a request. */
export function webDeployment(name: string, replicas: number): object {
  return deployment(name, replicas, [container('app', 0, 0), sidecar('proxy', 1)]);
}

/** A platform service of five containers. An update takes about 55 KB as a request, since that has the object twice. */
export function largeDeployment(name: string): object {
  const containers = ['gateway', 'orders', 'payments', 'search', 'metrics'].map((each, index) => container(each, index + 2, 3));
  return deployment(name, 3, containers);
}

function deployment(name: string, replicas: number, containers: readonly object[]): object {
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'shop', 'app.kubernetes.io/version': '4.12.1' };
  const selector = { 'app.kubernetes.io/name': name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' }, annotations: { 'meta.helm.sh/release-name': name } },
    spec: {
      replicas,
      selector: { matchLabels: selector },
      template: {
        metadata: {
          labels: { ...labels, team: 'payments' },
          annotations: {
            'prometheus.io/scrape': 'true',
            'prometheus.io/port': '9090',
            'checksum/config': '5f0b3a6e9f1c7d2b8e4a0c6d3f9e1b7a5c8d2e6f0a4b8c1d5e9f3a7b0c4d8e2f',
          },
        },
        spec: {
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers,
          volumes: [
            { name: 'config', configMap: { name: `${name}-config` } },
            { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
          ],
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'topology.kubernetes.io/zone',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: selector },
            },
          ],
        },
      },
    },
  };
}

function container(name: string, index: number, variables: number): object {
  const port = 8080 + index;
  const probe = (path: string) => ({ httpGet: { path, port: 'http', scheme: 'HTTP' }, periodSeconds: 10, failureThreshold: 3 });
  return {
    name,
    image: image(index),
    imagePullPolicy: 'IfNotPresent',
    args: ['--config=/etc/shop/config.yaml', `--listen=:${port}`, '--log-format=json'],
    ports: [{ name: 'http', containerPort: port }],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'shop-database', key: 'password' } } },
      ...Array.from({ length: variables }, (_, at) => ({
        name: `SHOP_${name.toUpperCase()}_SETTING_${at}`,
        value: `https://internal-${at}.shop.svc.cluster.local:8443/v2/${name}`,
      })),
    ],
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
    livenessProbe: probe('/healthz'),
    readinessProbe: probe('/readyz'),
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
    volumeMounts: [
      { name: 'config', mountPath: '/etc/shop', readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
}

function sidecar(name: string, index: number): object {
  return {
    name,
    image: image(index),
    args: ['proxy', '--config=/etc/proxy.yaml'],
    resources: { requests: { cpu: '10m', memory: '64Mi' } },
  };
}

/** A source-to-image build as the templates of OpenShift have it. About 3 KB as a request. */
export function buildConfigManifest(name: string): object {
  return {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name, labels: { app: name }, annotations: { description: 'Defines how to build the application' } },
    spec: {
      source: {
        type: 'Git',
        git: { uri: 'https://git.example.com/shop/checkout.git', ref: 'main' },
        contextDir: 'services/checkout',
        dockerfile: `FROM ${image(0)} AS build\nWORKDIR /src\nCOPY . .\nRUN npm ci && npm run build\n\nFROM ${image(1)}\nCOPY --from=build /src/dist /app\nCOPY --from=${image(2)} /usr/bin/tini /usr/bin/tini\nUSER 1001\nENTRYPOINT ["/usr/bin/tini", "--", "node", "/app/main.js"]\n`,
      },
      strategy: {
        type: 'Docker',
        dockerStrategy: { from: { kind: 'DockerImage', name: image(3) }, env: [{ name: 'NPM_MIRROR', value: 'https://npm.example.com/' }] },
      },
      output: { to: { kind: 'DockerImage', name: image(4) } },
      triggers: [{ type: 'ConfigChange' }, { type: 'GitHub', github: { secretReference: { name: 'webhook' } } }],
      postCommit: { script: 'npm test' },
      runPolicy: 'Serial',
      nodeSelector: { 'node-role.kubernetes.io/build': '' },
    },
  };
}

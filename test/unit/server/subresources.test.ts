/** Requests to subresources as the API servers send them. The test cluster has OpenShift's kinds as custom resources, without subresources. */
import { afterAll, describe, expect, test } from 'vitest';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...life,
});
const rules = ruleSetOf('rules:\n- {registry: good.example.com, pullSecret: corp}');
const records: { subresource?: string; outcome: string }[] = [];
const server = createWebhookServer(
  {
    rules: () => rules,
    facts: () => unwatched,
    audit: (record) => records.push(record),
    reportBug: () => {},
    failed: () => {},
  },
  { tls },
);
afterAll(() => server.close());

type Asked = {
  readonly group: string;
  readonly kind: string;
  readonly resource: string;
  readonly subResource: string;
  readonly operation: 'CREATE' | 'UPDATE' | 'CONNECT';
  readonly object: object | null;
  readonly oldObject?: object;
};

const build = (resource: string, subResource: string, object: object): Asked => ({
  group: 'build.openshift.io',
  kind: 'BuildRequest',
  resource,
  subResource,
  operation: 'CREATE',
  object: {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildRequest',
    metadata: { name: 'web', creationTimestamp: null },
    triggeredBy: [{ message: 'Manually triggered' }],
    dockerStrategyOptions: {},
    sourceStrategyOptions: {},
    ...object,
  },
});
const from = (name: string) => ({ kind: 'DockerImage', name });
const pod = (...debug: string[]) => ({
  metadata: { name: 'web' },
  spec: {
    containers: [{ name: 'app', image: 'good.example.com/app' }],
    ephemeralContainers: debug.map((image, index) => ({ name: `debugger-${index}`, image, targetContainerName: 'app' })),
  },
});

describe('a request to', () => {
  test.each<{ name: string; asked: Asked; denied?: string }>([
    { name: 'buildconfigs/instantiate without an image', asked: build('buildconfigs', 'instantiate', { lastVersion: 3 }) },
    {
      name: 'buildconfigs/instantiate with a trusted image',
      asked: build('buildconfigs', 'instantiate', { triggeredByImage: from('good.example.com/base') }),
    },
    {
      name: 'buildconfigs/instantiate with an unknown image',
      asked: build('buildconfigs', 'instantiate', { triggeredByImage: from('evil.example.com/base') }),
      denied: 'BuildRequest shop/web: triggeredByImage: image "evil.example.com/base"',
    },
    {
      name: 'buildconfigs/instantiate with a stream, which the Build will contain',
      asked: build('buildconfigs', 'instantiate', { from: { kind: 'ImageStreamTag', name: 'base:1' } }),
    },
    {
      name: 'builds/clone with an unknown image',
      asked: build('builds', 'clone', { from: from('evil.example.com/base') }),
      denied: 'BuildRequest shop/web: from: image "evil.example.com/base"',
    },
    {
      name: 'buildconfigs/instantiatebinary, which contains none',
      asked: {
        group: 'build.openshift.io',
        kind: 'BinaryBuildRequestOptions',
        resource: 'buildconfigs',
        subResource: 'instantiatebinary',
        operation: 'CONNECT',
        object: {
          apiVersion: 'build.openshift.io/v1',
          kind: 'BinaryBuildRequestOptions',
          metadata: { name: 'web' },
          'revision.commit': 'abc',
        },
      },
    },
    {
      name: 'pods/ephemeralcontainers with an unknown image',
      asked: {
        group: '',
        kind: 'Pod',
        resource: 'pods',
        subResource: 'ephemeralcontainers',
        operation: 'UPDATE',
        object: pod('evil.example.com/debug'),
        oldObject: pod(),
      },
      denied: 'Pod shop/web: ephemeral container "debugger-0": image "evil.example.com/debug"',
    },
    {
      name: 'imagestreams/status with an unknown image',
      asked: {
        group: 'image.openshift.io',
        kind: 'ImageStream',
        resource: 'imagestreams',
        subResource: 'status',
        operation: 'UPDATE',
        object: { metadata: { name: 'web' }, status: { tags: [{ tag: '1', items: [{ dockerImageReference: 'evil.example.com/base' }] }] } },
        oldObject: { metadata: { name: 'web' }, status: {} },
      },
      denied: 'ImageStream shop/web: status.tags[0].items[0].dockerImageReference: image "evil.example.com/base"',
    },
  ])('$name', async ({ asked, denied }) => {
    const mutated = await ask('mutate', asked);
    const validated = await ask('validate', asked);
    expect(mutated).toMatchObject({ allowed: true });
    expect(mutated.patch).toBeUndefined();
    expect(validated.allowed).toBe(denied === undefined);
    if (denied !== undefined) expect(validated.status?.message).toContain(denied);
    expect(records.at(-1)).toMatchObject({ subresource: asked.subResource, outcome: denied === undefined ? 'allowed' : 'denied' });
  });
});

type Response = { readonly allowed: boolean; readonly patch?: string; readonly status?: { readonly message: string } };

async function ask(
  webhook: 'mutate' | 'validate',
  { group, kind, resource, subResource, operation, object, oldObject }: Asked,
): Promise<Response> {
  const version = 'v1';
  const payload = {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
      kind: { group, version, kind },
      resource: { group, version, resource },
      subResource,
      requestKind: { group, version, kind },
      requestResource: { group, version, resource },
      requestSubResource: subResource,
      name: 'web',
      namespace: 'shop',
      operation,
      userInfo: {
        username: 'alice',
        uid: '1',
        groups: ['system:authenticated:oauth', 'system:authenticated'],
        extra: { 'scopes.authorization.openshift.io': ['user:full'] },
      },
      object,
      oldObject: oldObject ?? null,
      dryRun: false,
      options: { kind: `${operation === 'UPDATE' ? 'Update' : 'Create'}Options`, apiVersion: 'meta.k8s.io/v1' },
    },
  };
  const { statusCode, body } = await server.inject({
    method: 'POST',
    url: `/${webhook}`,
    payload,
    headers: { 'content-type': 'application/json' },
  });
  expect(statusCode).toBe(200);
  return JSON.parse(body).response;
}

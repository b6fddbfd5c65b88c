/** AdmissionReviews for tests of the server. */
import type { AdmissionResponse } from '../../../src/admission/response.ts';

/** An AdmissionReview as the API server sends it. */
export function reviewOf(object: unknown, request: Record<string, unknown> = {}) {
  const {
    apiVersion = 'v1',
    kind = 'Pod',
    metadata = {},
  } = object as { apiVersion?: string; kind?: string; metadata?: Record<string, unknown> };
  const [version, group = ''] = apiVersion.split('/').reverse();
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
      kind: { group, version, kind },
      operation: 'CREATE',
      namespace: 'shop',
      name: metadata.name ?? '',
      userInfo: { username: 'alice', groups: ['system:authenticated'] },
      dryRun: false,
      object,
      oldObject: null,
      ...request,
    },
  };
}

export function pod(image: string, spec: Record<string, unknown> = {}) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers: [{ name: 'app', image }], ...spec } };
}

export function patchOf(response: AdmissionResponse): unknown {
  return response.patch === undefined ? undefined : JSON.parse(Buffer.from(response.patch, 'base64').toString('utf8'));
}

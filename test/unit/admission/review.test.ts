/** Tests the decoding of an AdmissionReview. */
import { describe, expect, test } from 'vitest';
import { changeOf, decodeReview } from '../../../src/admission/review.ts';

const request = {
  uid: 'u-1',
  kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
  resource: { group: 'apps', version: 'v1', resource: 'deployments' },
  operation: 'UPDATE',
  namespace: 'shop',
  name: 'web',
  userInfo: { username: 'alice', groups: ['dev', 7, 'ops'] },
  object: { metadata: { name: 'web' } },
  oldObject: { metadata: { name: 'web' } },
  dryRun: true,
};
const review = (changes: object = {}) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { ...request, ...changes },
});

test('a review is parsed field by field', () => {
  expect(decodeReview(review())).toEqual({
    ok: true,
    request: {
      uid: 'u-1',
      operation: 'UPDATE',
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
      subresource: '',
      namespace: 'shop',
      name: 'web',
      user: 'alice',
      groups: ['dev', 'ops'],
      dryRun: true,
      object: request.object,
      oldObject: request.oldObject,
    },
  });
});

describe('a body that is not a review is rejected', () => {
  test.each([
    { name: 'null', body: null, uid: undefined, message: 'the body must be an AdmissionReview of admission.k8s.io/v1' },
    { name: 'a list', body: [review()], uid: undefined, message: 'the body must be an AdmissionReview of admission.k8s.io/v1' },
    { name: 'text', body: 'x', uid: undefined, message: 'the body must be an AdmissionReview of admission.k8s.io/v1' },
    { name: 'another kind', body: { ...review(), kind: 'Pod' }, uid: 'u-1', message: 'kind must be AdmissionReview, but is "Pod"' },
    { name: 'no kind', body: {}, uid: undefined, message: 'kind must be AdmissionReview, but is missing' },
    {
      name: 'another version',
      body: { ...review(), apiVersion: 'admission.k8s.io/v1beta1' },
      uid: 'u-1',
      message: 'apiVersion must be admission.k8s.io/v1, but is "admission.k8s.io/v1beta1". List only "v1" in admissionReviewVersions',
    },
    { name: 'no request', body: { ...review(), request: null }, uid: undefined, message: 'the AdmissionReview has no request' },
    { name: 'no uid', body: review({ uid: '' }), uid: undefined, message: 'request.uid is missing' },
    { name: 'a uid that is not a string', body: review({ uid: 5 }), uid: undefined, message: 'request.uid is missing' },
    {
      name: 'an unknown operation',
      body: review({ operation: 'PATCH' }),
      uid: 'u-1',
      message: 'request.operation must be one of CREATE, UPDATE, DELETE or CONNECT, but is "PATCH"',
    },
    { name: 'without the kind of the object', body: review({ kind: {} }), uid: 'u-1', message: 'request.kind.kind is missing' },
  ])('$name', ({ body, uid, message }) => {
    expect(decodeReview(body)).toEqual({ ok: false, uid, message });
  });

  test.each([
    ['a long string', 'x'.repeat(100_000), `"${'x'.repeat(80)}"…`],
    ['a list', [[[]]], 'a list'],
    ['an object', { a: 1 }, 'an object'],
    ['a number', 7, '7'],
    ['null', null, 'null'],
  ])('and its message never quotes much of it: %s', (_name, kind, shown) => {
    expect(decodeReview({ ...review(), kind })).toMatchObject({ ok: false, message: `kind must be AdmissionReview, but is ${shown}` });
  });

  const long = 'x'.repeat(254);
  test.each([
    ['kind.kind', { kind: { kind: long } }],
    ['kind.group', { kind: { kind: 'Pod', group: long } }],
    ['kind.version', { kind: { kind: 'Pod', version: long } }],
    ['subResource', { subResource: long }],
    ['namespace', { namespace: long }],
  ])('and %s of a length that no API server sends', (field, changes) => {
    expect(decodeReview(review(changes))).toEqual({ ok: false, uid: 'u-1', message: `request.${field} is longer than 253 characters` });
  });

  test('and a uid of that length', () => {
    expect(decodeReview(review({ uid: long }))).toEqual({ ok: false, uid: undefined, message: 'request.uid is missing' });
    expect(decodeReview(review({ uid: 'x'.repeat(253) }))).toMatchObject({ ok: true });
  });
});

describe('absent fields', () => {
  test.each([
    { name: 'a name is taken from the object', changes: { name: undefined }, expected: { name: 'web' } },
    { name: 'a generated name is empty', changes: { name: '', object: { metadata: { generateName: 'web-' } } }, expected: { name: '' } },
    { name: 'the core group is empty', changes: { kind: { kind: 'Pod', version: 'v1' } }, expected: { group: '', kind: 'Pod' } },
    { name: 'a user is empty', changes: { userInfo: null }, expected: { user: '', groups: [] } },
    { name: 'an old object is null', changes: { oldObject: undefined }, expected: { oldObject: null } },
    { name: 'a subresource is named', changes: { subResource: 'ephemeralcontainers' }, expected: { subresource: 'ephemeralcontainers' } },
    { name: 'a request is not a dry run', changes: { dryRun: undefined }, expected: { dryRun: false } },
  ])('$name', ({ changes, expected }) => {
    expect(decodeReview(review(changes))).toMatchObject({ ok: true, request: expected });
  });
});

describe('which operations are evaluated', () => {
  test.each([
    { operation: 'CREATE', evaluated: true },
    { operation: 'UPDATE', evaluated: true },
    { operation: 'DELETE', evaluated: false },
    { operation: 'CONNECT', evaluated: false },
  ])('$operation: $evaluated', ({ operation, evaluated }) => {
    const decoded = decodeReview(review({ operation }));
    if (!decoded.ok) throw new Error(decoded.message);
    expect(changeOf(decoded.request)?.operation).toBe(evaluated ? operation : undefined);
  });
});

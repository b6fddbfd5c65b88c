/** The reasons why a request could not be evaluated, as labels of a metric. A test compares docs/metrics.md with them. */
export const failures = {
  overload: 'Too many concurrent requests or bytes: 503, the API server asks again.',
  'not-ready': 'Rules or cluster have not been read yet: 503, the API server asks again.',
  'stale-cache': 'A namespace or service account that was made a moment ago is not known here yet: 503, the API server asks again.',
  'too-slow': 'The body did not arrive within the timeout of the webhook: 408, the connection is closed.',
  unreadable: 'The request, or a field of its object, is not what it should be, or the object exceeds a limit: denied.',
  'unknown-kind': 'The webhook configurations ask about a kind that is not read: refused.',
  unauthenticated: 'The caller did not authenticate with a certificate of `--client-ca`: 401.',
  bug: 'regkeeper failed: refused, and the log has the error.',
} as const;

export type RequestFailure = keyof typeof failures;

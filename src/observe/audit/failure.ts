/** The reasons why a request could not be evaluated, as labels of a metric. A test compares docs/metrics.md with them. */
export const failures = {
  overload: 'Too many concurrent requests or bytes. Answered with 503, and the API server retries.',
  'not-ready': 'Rules or cluster facts have not been read yet. Answered with 503, and the API server retries.',
  'stale-cache': 'A new namespace or service account is not in the cache yet. Answered with 503, and the API server retries.',
  'too-slow': 'The body did not arrive within the timeout of the webhook. Answered with 408, and the connection is closed.',
  unreadable: 'The request is malformed, a field of its object has the wrong type, or the object exceeds a limit. Denied.',
  'unknown-kind': 'The webhook configurations match a kind that regkeeper does not know. Denied.',
  unauthenticated: 'The caller did not authenticate with a certificate issued by the CA in `--client-ca`. Answered with 401.',
  bug: 'A bug in regkeeper. Denied, and the error is in the log.',
} as const;

export type RequestFailure = keyof typeof failures;

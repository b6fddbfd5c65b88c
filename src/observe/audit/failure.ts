/** The reasons why a request could not be evaluated, as labels of a metric. A test compares docs/metrics.md with them. */
export const failures = {
  overload: 'Too many concurrent requests, or too many bytes in flight. regkeeper responds with 503, and the API server retries.',
  'not-ready': 'Rules or cluster facts have not been read yet. regkeeper responds with 503, and the API server retries.',
  'stale-cache': 'A new namespace or service account is not in the cache yet. regkeeper responds with 503, and the API server retries.',
  'too-slow': "The body did not arrive within the webhook's timeout. regkeeper responds with 408, and closes the connection.",
  unreadable: 'The request is malformed, a field of its object has the wrong type, or the object exceeds a limit. Denied.',
  'unknown-kind': 'The webhook configurations match a kind that regkeeper does not evaluate. Denied.',
  unauthenticated: 'The caller did not authenticate with a certificate issued by the CA in `--client-ca`. regkeeper responds with 401.',
  bug: 'A bug in regkeeper. Denied, and the error is in the regkeeper log.',
} as const;

export type RequestFailure = keyof typeof failures;

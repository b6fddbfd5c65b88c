/**
 * Lists the reason codes of all decisions about images and secrets, with their description for the docs. Messages, audit records and
 * docs/reasons.md use the same codes. A test compares them.
 */
export const reasons = {
  trusted: 'A rule trusts the registry.',
  'trust-ending': 'A rule trusts the registry, but its `until` date is approaching.',
  'trust-ended': 'A rule trusted the registry, but its `until` date has passed.',
  untrusted: 'A rule with `trust: false` matches the image.',
  unconfigured: 'No rule matches the image. The `unconfigured` setting determines the outcome.',
  invalid: 'The value is not a valid image name.',
  exempted: 'No rule trusts the image, but an exemption allows it until a specified date.',
  'short-name': 'The name does not specify a registry, and `shortNames: reject` denies short names.',
  'short-name-uncertain': 'The name does not specify a registry, and a node may resolve it to a different registry than the rules assume.',
  'registry-host': 'The name looks like a registry host without a repository, but is treated as a trusted Docker Hub image.',
  'secret-missing': 'The namespace has none of the secrets that the rule specifies.',
  'secret-pending': 'The namespace does not have the secret yet. `regkeeper deliver` creates it.',
  'needs-not-recorded': "The object's annotations have reached the size limit, so secrets are not delivered for it.",
  unresolved: 'The image is not known yet. It is evaluated once it is set.',
  'unresolved-in-pod': 'A Pod is being created without an image name.',
  'stream-too-large': 'A build references an image stream that is too large to be cached, so its image could not be evaluated.',
  'lookup-only': 'The request only queries the registry about the image, and stores nothing.',
  'not-introduced': 'The object already used the image before this update, so the update is not denied.',
  placeholder: 'An image trigger would set an image that the rules deny. The update that sets it will be denied.',
  'mirror-pod': 'A kubelet reports a static Pod that is already running on its node.',
  'pod-immutable': 'The pull secrets of an existing Pod cannot be changed.',
  'secrets-enforced': 'The service account allows only the secrets that it lists.',
  'registry-spelling': 'The image uses a non-canonical registry name, so credentials stored under the usual key will not be used.',
  'account-unknown': 'The service account is unknown, so its own secrets were not added.',
  'account-too-large': 'The service account lists too many pull secrets to be cached, so regkeeper does not copy them.',
  'labels-unknown': 'The result depends on namespace labels that are unknown, so the strictest result was assumed.',
  'dockerfile-unused': 'The build uses a file instead of its inline Dockerfile, so the images in that file cannot be evaluated.',
  'build-other-images': 'The build has one field for a pull secret, and the chosen secret does not cover all its images.',
  'build-internal-images': 'Images of the build may come from the internal registry. An explicit pull secret disables access to it.',
} as const;

export type ReasonCode = keyof typeof reasons;

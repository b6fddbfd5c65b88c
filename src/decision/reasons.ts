/**
 * Lists the reason codes of all decisions about images and secrets, with their description for the docs. Messages, audit records and
 * docs/reasons.md use the same codes. A test compares them.
 */
export const reasons = {
  trusted: 'A rule trusts the registry.',
  'trust-ending': 'A rule trusts the registry, but its trust ends soon (`until`).',
  'trust-ended': 'A rule trusted the registry until a date that has passed.',
  untrusted: 'A rule with `trust: false` matches the image.',
  unconfigured: 'No rule matches the image. `unconfigured` decides.',
  invalid: 'The value is not a valid image name.',
  exempted: 'No rule trusts the image, but an exemption allows it until a certain date.',
  'short-name': 'The name has no registry, and `shortNames: reject` denies such names.',
  'short-name-uncertain': 'The name has no registry, and a node may resolve it differently from the rules.',
  'registry-host': 'The name looks like a registry host without a repository, but is read as a trusted image of Docker Hub.',
  'secret-missing': 'The namespace has none of the secrets that the rule names.',
  'secret-pending': 'The namespace does not have the secret yet. `regkeeper deliver` creates it.',
  'needs-not-recorded': 'The annotations of the object are full, so secrets are not delivered for it.',
  unresolved: 'The image is not known yet. It is evaluated once it is set.',
  'unresolved-in-pod': 'A Pod is created without the name of an image.',
  'stream-too-large': 'A build names an image stream that is too large to be cached, so its image could not be evaluated.',
  'lookup-only': 'The request only queries the registry about the image, and stores nothing.',
  'not-introduced': 'The object had the image before this update, so the update is not denied.',
  placeholder: 'An image trigger would set an image that the rules deny. The update that sets it is denied.',
  'mirror-pod': 'A kubelet reports a static Pod that is already running on its node.',
  'pod-immutable': 'The pull secrets of an existing Pod cannot be changed.',
  'secrets-enforced': 'The service account allows only the secrets that it lists.',
  'registry-spelling': 'The image spells its registry in an unusual way, so credentials under the usual key do not apply.',
  'account-unknown': 'The service account is unknown, so its own secrets were not added.',
  'account-too-large': 'The service account lists too many pull secrets to be cached, so regkeeper does not copy them.',
  'labels-unknown': 'The result depends on namespace labels that are unknown, so the strictest result was assumed.',
  'dockerfile-unused': 'The build uses a file instead of its inline Dockerfile, so its images cannot be evaluated.',
  'build-other-images': 'The build has one field for a pull secret, and the chosen secret does not cover all its images.',
  'build-internal-images': 'Images of the build may come from the internal registry. An explicit pull secret disables access to it.',
} as const;

export type ReasonCode = keyof typeof reasons;

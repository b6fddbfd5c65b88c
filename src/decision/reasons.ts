/**
 * Lists the reason codes of all decisions about images and secrets, with their description for the docs. Messages, audit records and
 * docs/reasons.md use the same codes. A test compares them.
 */
export const reasons = {
  trusted: 'A rule trusts the registry.',
  untrusted: 'A rule with `trust: false` names the registry.',
  unconfigured: 'No rule names the registry; `unconfigured` says what happens then.',
  invalid: 'The image name is not one that a container runtime could read.',
  exempted: 'No rule trusts the registry, but an exemption lets the image in until its day.',
  'short-name': 'The name has no registry, and `shortNames: reject` lets no such name in.',
  'secret-missing': 'The namespace has none of the secrets that the rule names.',
  unresolved: 'What stands in the place becomes an image later, and is judged then.',
  'unresolved-in-pod': 'A pod is about to run, and one of its images is blank.',
  'stream-too-large': 'A build names an image stream that is too large to be held, so its image could not be evaluated.',
  'not-introduced': 'The image was in the object before this change, so the change is not refused for it.',
  placeholder: 'An image trigger would put in what the rules refuse; it is refused when it comes in.',
  'mirror-pod': 'A kubelet reports a static pod of its own node, which runs already.',
  'pod-immutable': 'The pull secrets of a pod cannot change once it exists.',
  'secrets-enforced': 'The service account only allows secrets that it lists itself.',
  'port-written': 'The image names the default port, and a credential is found only under the very name that is written.',
  'account-unknown': 'The service account could not be looked up, so its own secrets were not added.',
  'account-too-large': 'The service account lists more pull secrets than are held, so it is left to the API server to copy them.',
  'labels-unknown': 'Labels of the namespace would count and are not known, so the strictest was assumed.',
  'build-other-images': 'The build has one place for a pull secret, and the one that was chosen does not serve all its images.',
  'build-internal-images': 'Images of the build may come from the internal registry, whose access an explicit pull secret switches off.',
} as const;

export type ReasonCode = keyof typeof reasons;

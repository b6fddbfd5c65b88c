/** Recognizes the internal registry of OpenShift by the names that OpenShift gives it by default. */
import type { ImageReference } from './reference.ts';

/** A server on OpenShift detects its internal registry, and trusts it without a rule. Commands that read files do not see the cluster. */
export function isUsualInternalRegistry({ host, port }: Pick<ImageReference, 'host' | 'port'>): boolean {
  return port === 5000 && /^image-registry\.openshift-image-registry\.svc(?:\.cluster\.local)?$/.test(host);
}

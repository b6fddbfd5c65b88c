/** The labels, annotations and names with which secret delivery marks what it reads and writes. */

/** On each copy that regkeeper delivered. A Secret without this label is never changed and never deleted. */
export const deliveredLabel = 'regkeeper.io/delivered';
export { sourceLabel } from '../rules/language/config-map.ts';

/** On a copy: the version of the source and of the selected entries. It contains nothing of the content. */
export const sourceVersionAnnotation = 'regkeeper.io/source-version';
/** On a copy: hashes of the rules for which it was written. */
export const copyRulesAnnotation = 'regkeeper.io/copy-rules';
/** On a copy that no object needs: since when, in RFC 3339. */
export const unusedSinceAnnotation = 'regkeeper.io/unused-since';

export const deliveryFieldManager = 'regkeeper-deliver';
export const deliveryLease = 'regkeeper-deliver';
/** The name of the ValidatingAdmissionPolicy that limits what the account of secret delivery can write. */
export const fencePolicy = 'regkeeper-delivery';

/** How the policy begins its message about a Secret that is no copy. */
export const foreignRejection = 'secret delivery changes and deletes only Secrets of the type';

/** The type and the only key of every copy. */
export const copyType = 'kubernetes.io/dockerconfigjson';
export const copyKey = '.dockerconfigjson';

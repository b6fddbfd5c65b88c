/** Kubernetes' grammar of label keys and values, as the source of regular expressions: apimachinery pkg/api/validate/content. */

/** Kubernetes' limit for the names of namespaces (DNS labels) and for label values, in characters. */
export const maxLabelLength = 63;
/** A DNS label (RFC 1123), the grammar of namespace names. */
export const dnsLabel = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$';
/** A DNS subdomain (RFC 1123), the grammar of secret names. */
export const dnsSubdomain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
/** A name, optionally preceded by a DNS subdomain and a slash. */
export const labelKey = `^((?=[^/]{1,253}/)${dnsSubdomain}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`;
export const labelValue = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';

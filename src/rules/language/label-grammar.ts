/** Kubernetes' grammar of label keys and values, as texts of regular expressions: apimachinery pkg/api/validate/content. */

/** Kubernetes' limit for names of namespaces (DNS labels) and for values of labels. */
export const labelLength = 63;
/** A DNS subdomain (RFC 1123), the rule for names of secrets. */
export const dnsSubdomain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
/** A name, before it perhaps a DNS subdomain and a slash. */
export const labelKey = `^((?=[^/]{1,253}/)${dnsSubdomain}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`;
export const labelValue = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';

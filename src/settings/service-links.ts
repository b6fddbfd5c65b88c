/** Recognizes the variables that Kubernetes sets in a Pod for each Service of its namespace ("service links"). */

/**
 * A Service named regkeeper leads to REGKEEPER_PORT=tcp://10.0.0.1:443, which must not be read as a setting.
 * Source: kubernetes pkg/kubelet/envvars/envvars.go.
 */
export function isServiceLink(variable: string, value: string): boolean {
  return forms.some(([name, content]) => name.test(variable) && content.test(value));
}

const number = /^\d{1,5}$/;
const address = /^[\da-f.:]+$/i;
const url = /^(tcp|udp|sctp):\/\/\S+:\d+$/;

const forms: readonly (readonly [name: RegExp, content: RegExp])[] = [
  [/_SERVICE_HOST$/, address],
  [/_SERVICE_PORT(_\w+)?$/, number],
  [/_PORT$/, url],
  [/_PORT_\d+_(TCP|UDP|SCTP)$/, url],
  [/_PORT_\d+_(TCP|UDP|SCTP)_PROTO$/, /^(tcp|udp|sctp)$/],
  [/_PORT_\d+_(TCP|UDP|SCTP)_PORT$/, number],
  [/_PORT_\d+_(TCP|UDP|SCTP)_ADDR$/, address],
];

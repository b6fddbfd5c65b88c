/**
 * Reads keys of registry secrets as the kubelet does, which parses them as URLs (kubernetes pkg/credentialprovider/keyring.go, Go's
 * net/url). What Go accepts is accepted here, and what makes Go fail makes the kubelet skip the key.
 */

import { canonicalIpv6 } from '../image/address.ts';

export type KeyLocation = {
  /** Labels of the host, which may contain wildcards. An address in brackets with a port has none of its brackets. */
  readonly labels: readonly string[];
  /** As written, with leading zeros. Empty if there is none. */
  readonly port: string;
  /** Empty, or with a slash at the start. */
  readonly path: string;
};

/**
 * The name under which the kubelet stores a key: without scheme, and without the `/v1/` or `/v2/` of the registry API. A path `/v1` without
 * a slash after it stays. Undefined if the kubelet skips the key.
 */
export function keyringName(key: string): string | undefined {
  const url = parseUrl(key.replace(/^https?:\/\//, ''));
  if (!url) return undefined;
  const path = /^\/v[12]\//.test(url.path) ? url.path.slice('/v1'.length) : url.path;
  return path === '/' ? url.host : url.host + path;
}

/** Host, port and path of a name without a scheme. Undefined if Go cannot parse it. */
export function parseLocation(name: string): KeyLocation | undefined {
  const url = parseUrl(name);
  return url && { ...splitHostPort(url.host), path: url.path };
}

/** `host[:port]` and the unescaped path. */
type Url = { readonly host: string; readonly path: string };

function parseUrl(schemeless: string): Url | undefined {
  if (/\p{Cc}/u.test(schemeless)) return undefined;
  const [beforeFragment = '', ...fragment] = schemeless.split('#');
  if (decodeEscapes(fragment.join('#')) === undefined) return undefined;
  const [beforeQuery = ''] = beforeFragment.split('?', 1);
  const slash = beforeQuery.indexOf('/');
  const server = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
  const at = server.lastIndexOf('@');
  if (/[^A-Za-z0-9\-._:~!$&'()*+,;=%@]/.test(server.slice(0, Math.max(at, 0)))) return undefined;
  const host = server.slice(at + 1);
  const path = decodeEscapes(slash < 0 ? '' : beforeQuery.slice(slash));
  return path !== undefined && isHost(host) ? { host, path } : undefined;
}

/**
 * Since Go 1.26, with which Kubernetes 1.36 is built, brackets are for IPv6 addresses and a colon is for the port. Older kubelets read
 * `reg[0-9].example.com` as a class of characters. Percent-encoded hosts and embedded IPv4 addresses are not supported, since no image name
 * has one.
 */
function isHost(host: string): boolean {
  const [, address, name, port = ''] = /^(?:\[(.*)\]|([^[:]*))(:.*)?$/s.exec(host) ?? [];
  if (!/^(?::[0-9]*)?$/.test(port)) return false;
  if (address !== undefined) return canonicalIpv6(`[${address}]`) !== undefined;
  return name !== undefined && !/\p{ASCII}/u.test(name.replace(/[A-Za-z0-9\-._~!$&'()*+,;=\]<>"]/g, ''));
}

/** Undefined for a `%` without two hex digits after it. Bytes beyond ASCII stay encoded: no image name has them. */
function decodeEscapes(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/%([0-7][0-9A-Fa-f])/g, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** As Go's net.SplitHostPort. If that fails, which includes a host without a port, the kubelet takes the whole text for the host. */
function splitHostPort(text: string): { readonly labels: readonly string[]; readonly port: string } {
  const [, bracketed, plain, port = ''] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? { labels: text.split('.'), port: '' } : { labels: host.split('.'), port };
}

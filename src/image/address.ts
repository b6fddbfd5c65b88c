/** IP addresses as registry hosts: their one canonical spelling, so that a rule matches an address however it is spelled. */

/**
 * The canonical spelling of an IPv6 address in brackets (RFC 5952): `[2001:db8::1]` for `[2001:DB8:0::1]`. An IPv4-mapped address is the
 * IPv4 address, since it leads to the same server: `10.0.0.5` for `[::ffff:a00:5]`. Undefined if the text is not an address.
 */
export function canonicalIpv6(bracketed: string): string | undefined {
  const groups = /^\[[0-9a-f:]*\]$/i.test(bracketed) ? groupsOf(bracketed.slice(1, -1)) : undefined;
  if (!groups) return undefined;
  return isMappedIpv4(groups) ? groups.slice(6).flatMap(bytesOf).join('.') : `[${compress(groups)}]`;
}

/**
 * Whether a host name would be resolved as an IPv4 address, but is not in the form of four decimal numbers. The C library reads `10.5`,
 * `0x0a000005` and `012.0.0.5` as addresses, so such a name would reach the server of a denied address.
 */
export function isUnusualIpv4(host: string): boolean {
  const last = host.slice(host.lastIndexOf('.') + 1);
  return /^(?:\d+|0x[0-9a-f]*)$/i.test(last) && !/^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(withoutLeadingZeros(host));
}

/** A number with leading zeros is octal for the C library, so it is replaced by one that is not in an address. */
function withoutLeadingZeros(host: string): string {
  return host.replace(/(^|\.)0\d+/g, '$1256');
}

function groupsOf(address: string): readonly number[] | undefined {
  const halves = address.split('::');
  if (halves.length > 2) return undefined;
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const written = [...left, ...right];
  if (!written.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  // "::" replaces at least one group.
  const omitted = halves.length === 2 ? 8 - written.length : 0;
  if (written.length + omitted !== 8 || (halves.length === 2 && omitted < 1)) return undefined;
  return [...left, ...Array.from({ length: omitted }, () => '0'), ...right].map((group) => Number.parseInt(group, 16));
}

function isMappedIpv4(groups: readonly number[]): boolean {
  return groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
}

function bytesOf(group: number): readonly number[] {
  return [group >> 8, group & 0xff];
}

/** The first of the longest runs of zeros becomes `::`, if it is longer than one group. */
function compress(groups: readonly number[]): string {
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best && best[0].length >= run[0].length ? best : run),
    undefined,
  );
  if (!longest) return text;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

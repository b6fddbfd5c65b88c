/** Registry patterns: their grammar, their canonical form, and which image references they match. */
import { canonicalIpv6, isUnusualIpv4 } from '../../image/address.ts';
import { dockerHub, dockerHubHost, readsAsHost } from '../../image/docker-hub.ts';
import { maxHostLength } from '../../image/grammar.ts';
import { quote } from '../../image/problem.ts';
import { canonicalHost, type ImageReference } from '../../image/reference.ts';
import { findUnreplacedVariable, renderUnreplacedVariable } from '../../image/unreplaced-variable.ts';
import { formatCount } from '../../image/wording.ts';
import type { ProblemCode } from './problem.ts';

/**
 * A registry pattern, ready to match: `host[:port][/path]`, with the port resolved by the trust of its rule. It is compared with a parsed
 * reference, host with host and segment with segment, never as a text prefix.
 */
export type RegistryPattern = {
  /** The canonical spelling. For a given trust, two patterns have the same text exactly if they are the same pattern. */
  readonly text: string;
  readonly host: PatternHost;
  readonly port: PatternPort;
  /** Leading segments of the repository. `*` matches exactly one segment. Empty: every repository. */
  readonly path: readonly string[];
};

/**
 * One host (`reg.io`), every subdomain at any depth but not the domain itself (`*.example.com`, name `example.com`), or every host (`*`).
 */
export type PatternHost =
  | { readonly kind: 'exact'; readonly name: string }
  | { readonly kind: 'suffix'; readonly name: string }
  | { readonly kind: 'any' };

/** One port by number, the default port (443, written or not), or every port. */
export type PatternPort = number | 'default' | 'any';

/** A pattern as written. The meaning of an unwritten port depends on the rule. */
export type WrittenPattern = Omit<RegistryPattern, 'text' | 'port'> & { readonly port: PatternPort | 'unwritten' };

export type PatternResult =
  | { readonly ok: true; readonly pattern: WrittenPattern }
  | { readonly ok: false; readonly code: ProblemCode; readonly message: string };

/**
 * Parses `host[:port][/path]`. Hosts are normalized like those of image references: lower case, `docker.io` for `index.docker.io`, and
 * `:443` is the default port. An error's message is a sentence that says what is wrong and what to write. Paths are literal:
 * `docker.io/bitnami` is that organisation, `docker.io/library/nginx` the official image.
 */
export function parsePattern(text: string): PatternResult {
  const result = parseGrammar(text);
  // With an `@`, the text before it may be a password. A long text would make a long message.
  if (result.ok || text.includes('@') || result.code === 'pattern-too-long') return result;
  const variable = findUnreplacedVariable(text);
  if (variable === undefined) return result;
  const what = variable === text ? quote(text) : `${quote(text)} contains ${quote(variable)}, which`;
  return invalidPattern(result.code, `${what} looks like ${renderUnreplacedVariable('registry', variable)}.`);
}

function parseGrammar(text: string): PatternResult {
  const mistake = commonMistake(text);
  if (mistake) return mistake;

  const slash = text.indexOf('/');
  const hostPort = slash < 0 ? text : text.slice(0, slash);
  const segments = slash < 0 ? [] : text.slice(slash + 1).split('/');

  const { hostText, portText } = splitHostPort(hostPort);
  const port = parsePort(portText);
  if (port === undefined) return badPort(text, hostText, portText ?? '');
  const hostProblem = checkHost(text, hostText) ?? (port === 'unwritten' ? checkQualified(text, hostText) : undefined);
  if (hostProblem) return hostProblem;
  for (const segment of segments) {
    const problem = checkSegment(text, segment);
    if (problem) return problem;
  }
  return { ok: true, pattern: { host: readHost(hostText), port, path: segments } };
}

/**
 * Resolves an unwritten port. In a trusting rule it is the default port, since the author did not vouch for other services on that host. In
 * a denying rule it is every port, since a port number must not bypass a denial.
 */
export function resolvePattern({ host, port, path }: WrittenPattern, trust: boolean): RegistryPattern {
  const unwritten = trust ? 'default' : 'any';
  const resolved = port === 'unwritten' ? unwritten : port;
  // A host without a dot is a host only because of its port, so its port stays in the text.
  const omitPort = resolved === unwritten && isHostByItself(renderHost(host));
  const portText = omitPort ? '' : `:${resolved === 'any' ? '*' : resolved === 'default' ? 443 : resolved}`;
  return { text: [renderHost(host) + portText, ...path].join('/'), host, port: resolved, path };
}

/** Whether the pattern matches the reference. The rule index must agree with this definition. */
export function patternMatches(pattern: RegistryPattern, reference: Pick<ImageReference, 'host' | 'port' | 'path'>): boolean {
  return (
    hostMatches(pattern.host, reference.host) &&
    (pattern.port === 'any' || pattern.port === (reference.port ?? 'default')) &&
    pattern.path.length <= reference.path.length &&
    pattern.path.every((segment, index) => segment === '*' || segment === reference.path[index])
  );
}

/** Whether the pattern's host matches a host name in lower case without a port. */
export function hostMatches(host: PatternHost, name: string): boolean {
  if (host.kind === 'any') return true;
  return host.kind === 'exact' ? name === host.name : name.endsWith(`.${host.name}`);
}

/** As written in a pattern, without the port. */
export function renderHost(host: PatternHost): string {
  return host.kind === 'any' ? '*' : host.kind === 'suffix' ? `*.${host.name}` : host.name;
}

/** More than the longest host name, port and repository path together. */
const maxPatternLength = 600;

// Common mistakes are checked before the grammar, since its own error ("not a host name") would not help the author.
function commonMistake(text: string): PatternResult | undefined {
  if (text === '')
    return invalidPattern('empty-value', 'the registry pattern is empty. Use host[:port][/path], or "*" for every registry.');
  const at = text.lastIndexOf('@');
  if (at >= 0) return userOrDigest(text, at);
  if (text.length > maxPatternLength)
    return invalidPattern(
      'pattern-too-long',
      `${quote(text)} has ${formatCount(text.length)} characters. The maximum is ${formatCount(maxPatternLength)}.`,
    );
  if (/[\s\p{Cc}]/u.test(text))
    return invalidPattern('pattern-space', `${quote(text)} contains a space. Specify one registry without spaces, or a list.`);
  const separator = text.includes(',') ? 'comma' : text.includes(';') ? 'semicolon' : undefined;
  if (separator) return invalidPattern('pattern-host', `${quote(text)} contains a ${separator}. Use a list with one registry per entry.`);
  const straight = text.replace(/[\u2018\u2019\u201c-\u201e]/g, '');
  if (straight !== text)
    return invalidPattern('pattern-host', `${quote(text)} has typographic quotes. Use straight ones: ${quote(straight)}.`);
  const scheme = /^([a-z][a-z0-9+.-]*:|https?)\/\//i.exec(text)?.[0];
  if (scheme)
    return invalidPattern(
      'pattern-scheme',
      `${quote(text)} starts with a URL scheme. Use ${quote(registryInUrl(text.slice(scheme.length)))}.`,
    );
  if (text.startsWith('/') || text.endsWith('/')) {
    return invalidPattern(
      'pattern-slash',
      `${quote(text)} starts or ends with a slash. Use ${quote(registryInUrl(text))}, which matches everything below it.`,
    );
  }
  if (text.includes('//')) return invalidPattern('pattern-slash', `${quote(text)} has an empty path segment. Use single slashes.`);
  if (text.includes('**')) {
    return invalidPattern(
      'pattern-wildcard',
      `${quote(text)} contains **. Use a single *. The host *.example.com matches subdomains at any depth, and a pattern matches everything below its path.`,
    );
  }
  return undefined;
}

// The text before the `@` may be a password, which must not reach messages and logs. So this check comes before all others that quote the
// text.
function userOrDigest(text: string, at: number): PatternResult {
  const after = text.slice(at + 1);
  const isDigest = /^sha[0-9]+:/.test(after) && text.indexOf('@') === at;
  return isDigest
    ? invalidPattern(
        'pattern-digest',
        `${quote(text)} contains a digest, but rules match registries and repositories. Use ${quote(text.slice(0, at))}.`,
      )
    : invalidPattern(
        'pattern-user',
        `the registry pattern has a user name or password before ${quote(`@${after}`)}. Use ${quote(registryInUrl(after))}, and reference a Secret with the credentials in pullSecret.`,
      );
}

function splitHostPort(hostPort: string): { hostText: string; portText: string | undefined } {
  // An IPv6 address contains colons inside its brackets.
  const colon = hostPort.indexOf(':', hostPort.lastIndexOf(']') + 1);
  if (colon < 0) return { hostText: hostPort, portText: undefined };
  return { hostText: hostPort.slice(0, colon), portText: hostPort.slice(colon + 1) };
}

function parsePort(text: string | undefined): PatternPort | 'unwritten' | undefined {
  if (text === undefined) return 'unwritten';
  if (text === '*') return 'any';
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  if (port > 65_535) return undefined;
  return port === 443 ? 'default' : port;
}

function badPort(text: string, hostText: string, portText: string): PatternResult {
  if (/^[0-9]*$/.test(portText)) {
    return invalidPattern(
      'pattern-port',
      `${quote(text)} has the invalid port ${quote(portText)}. Use a number from 1 to 65535 without leading zeros, or * for every port.`,
    );
  }
  const meant = /\d/.test(portText) ? portText.replaceAll(/o/gi, '0').replaceAll(/[il]/gi, '1') : '';
  if (parsePort(meant) !== undefined) {
    const corrected = quote(text.replace(`:${portText}`, `:${meant}`));
    return invalidPattern(
      'pattern-port',
      `${quote(text)} has the invalid port ${quote(portText)}. A port is a number. Did you mean ${corrected}?`,
    );
  }
  if (portText.includes('*'))
    return invalidPattern('pattern-port', `${quote(text)} has a * as part of a port. Use one number, or only * for every port.`);
  const withTag = /^[1-9][0-9]{0,4}(?=:[\w.-]+$)/.exec(portText)?.[0];
  if (withTag !== undefined && hostText.includes('.') && text === `${hostText}:${portText}`) {
    return invalidPattern(
      'pattern-tag',
      `${quote(text)} contains a tag, but rules match registries and repositories. Use ${quote(`${hostText}:${withTag}`)}.`,
    );
  }
  if (portText.includes(':'))
    return invalidPattern(
      'pattern-host',
      `${quote(text)} has several colons. Put an IPv6 address in brackets, for example [2001:db8::1]:5000.`,
    );
  if (text.includes('/')) {
    const path = text.replace(':', '/');
    return invalidPattern('pattern-port', `${quote(text)} has ${quote(portText)} as a port. Use a slash: ${quote(path)}.`);
  }
  const image = isHostByItself(hostText) ? hostText : `docker.io/library/${hostText}`;
  return invalidPattern(
    'pattern-tag',
    `${quote(text)} has ${quote(portText)} as a port. If it is a tag, use ${quote(image)}, because rules match registries and repositories.`,
  );
}

function checkHost(text: string, hostText: string): PatternResult | undefined {
  if (hostText === '*') return undefined;
  const name = hostText.startsWith('*.') ? hostText.slice(2) : hostText;
  const wildcard = name !== hostText;
  if (/[\\^$()|+?]/.test(name)) {
    return invalidPattern(
      'pattern-host',
      `${quote(text)} looks like a regular expression. The only wildcard is *, which must be a whole label or path segment. Specify the registry without regular-expression syntax.`,
    );
  }
  if (/\.dkr\.ecr\..*\*.*\.amazonaws\.com/.test(name)) {
    return invalidPattern(
      'pattern-wildcard',
      `${quote(text)} has a * for the region. Use one pattern for each region that is in use. To list the regions: aws ec2 describe-regions --query "Regions[].RegionName" --output text`,
    );
  }
  if (name.includes('*')) {
    return invalidPattern(
      'pattern-wildcard',
      `${quote(text)} has a * inside its host. A * must be the whole first label, as in "*.example.com", or the whole host.`,
    );
  }
  if (name.startsWith('[') && !wildcard) {
    if (canonicalIpv6(name) !== undefined) return undefined;
    return invalidPattern(
      'pattern-host',
      `${quote(text)} has brackets without a valid IPv6 address. Use an address such as [2001:db8::1].`,
    );
  }
  if (name.length > maxHostLength)
    return invalidPattern(
      'pattern-host',
      `${quote(text)} has a host with ${formatCount(name.length)} characters. The maximum is ${maxHostLength}.`,
    );
  if (name.endsWith('.')) return invalidPattern('pattern-host', `${quote(text)} has a dot at the end of its host. Remove it.`);
  if (name.startsWith('.') && /^[a-z0-9.-]+$/i.test(name)) {
    return invalidPattern('pattern-host', `${quote(text)} starts with a dot. For all subdomains, use ${quote(`*${text}`)}.`);
  }
  if (name.includes('..')) return invalidPattern('pattern-host', `${quote(text)} has two dots in a row in its host. Remove one.`);
  if (!name.split('.').every((label) => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(label))) {
    return invalidPattern(
      'pattern-host',
      `${quote(text)} does not start with a valid host. A host contains letters, digits, "-" and dots. Put an IPv6 address in brackets.`,
    );
  }
  if (!wildcard && isUnusualIpv4(name)) {
    return invalidPattern(
      'pattern-host',
      `${quote(text)} has a host that ends in a number, but is not a valid IPv4 address. Use four decimal numbers, for example 10.0.0.5.`,
    );
  }
  if (wildcard && /^[0-9]+$/.test(name.slice(name.lastIndexOf('.') + 1))) {
    return invalidPattern(
      'pattern-wildcard',
      `${quote(text)} has a * before an IP address, but only host names have subdomains. List each address.`,
    );
  }
  return undefined;
}

function checkQualified(text: string, hostText: string): PatternResult | undefined {
  if (isHostByItself(hostText)) return undefined;
  const fix = text.includes('/')
    ? `Use ${quote(`docker.io/${text}`)}.`
    : `Use ${quote(`docker.io/library/${text}`)} for an official image, or ${quote(`docker.io/${text}`)} for an organization.`;
  return invalidPattern(
    'pattern-unqualified',
    `${quote(text)} does not start with a registry host. In an image name, ${quote(hostText)} is parsed as a Docker Hub name. ${fix} If it is a host, add the port: ${quote(`${hostText}:443`)}.`,
  );
}

/** Whether an image name can begin with this host without a port. */
function isHostByItself(hostText: string): boolean {
  return hostText === '*' || readsAsHost(hostText);
}

function checkSegment(text: string, segment: string): PatternResult | undefined {
  if (segment === '*' || /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$/.test(segment)) return undefined;
  const colon = segment.indexOf(':');
  if (colon >= 0) {
    return invalidPattern(
      'pattern-tag',
      `${quote(text)} contains a tag, but rules match registries and repositories. Use ${quote(text.slice(0, text.lastIndexOf(segment) + colon))}.`,
    );
  }
  if (segment.includes('*')) {
    return invalidPattern(
      'pattern-wildcard',
      `${quote(text)} has a * inside the path segment ${quote(segment)}. A * must be a whole segment. List the names instead.`,
    );
  }
  if (segment !== segment.toLowerCase()) {
    const slash = text.indexOf('/');
    return invalidPattern(
      'pattern-path',
      `${quote(text)} has upper-case letters in its path. Repository names must be lower case. Use ${quote(text.slice(0, slash) + text.slice(slash).toLowerCase())}.`,
    );
  }
  return invalidPattern(
    'pattern-path',
    `${quote(text)} has the invalid path segment ${quote(segment)}. Use lower-case letters and digits, separated by ".", "_", "__" or dashes.`,
  );
}

function readHost(hostText: string): PatternHost {
  if (hostText === '*') return { kind: 'any' };
  if (hostText.startsWith('*.')) return { kind: 'suffix', name: hostText.slice(2).toLowerCase() };
  return { kind: 'exact', name: canonicalHost(hostText) };
}

function invalidPattern(code: ProblemCode, message: string): PatternResult {
  return { ok: false, code, message };
}

/**
 * The pattern for a URL without its scheme, as keys of registry secrets are written: without the `/v1/` or `/v2/` of the registry API, which the
 * kubelet leaves out too, and `docker.io` for Docker Hub's other names and its web site.
 */
function registryInUrl(text: string): string {
  const [host = '', ...path] = trimSlashes(text).split('/');
  const segments = /^v[12]$/.test(path[0] ?? '') ? path.slice(1) : path;
  if (host.toLowerCase() === 'hub.docker.com') return [dockerHub, ...hubRepository(segments)].join('/');
  const registry = host.toLowerCase() === 'registry.hub.docker.com' ? dockerHub : dockerHubHost(host.toLowerCase());
  return [registry === dockerHub ? dockerHub : host, ...segments].join('/');
}

/** Pages of the web site are `/_/nginx` for official images and `/r/bitnami/redis` for others, also with `/tags` and a query. */
function hubRepository([kind, ...page]: readonly string[]): readonly string[] {
  const names = page.map((segment) => segment.replace(/[?#].*/s, ''));
  if (kind === '_') return ['library', ...names.slice(0, 1)];
  return kind === 'r' ? names.slice(0, 2) : [];
}

function trimSlashes(text: string): string {
  let start = 0;
  let end = text.length;
  while (text[start] === '/') start++;
  while (end > start && text[end - 1] === '/') end--;
  return text.slice(start, end);
}

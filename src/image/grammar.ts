/*
 * The grammar of image names: that of github.com/distribution/reference, read in one pass from left to right.
 *
 *   reference   = name [ ":" tag ] [ "@" digest ]
 *   name        = [ domain "/" ] path                 the first component is a domain wherever it has the form of one
 *   domain      = host [ ":" port ]
 *   host        = label *( "." label ) | "[" IPv6 "]"   at most 253 characters, as DNS has it
 *   label       = letter or digit, then letters, digits and "-", not ending in "-"
 *   IPv6        = an address of hex digits and ":", no zone, no embedded IPv4
 *   port        = 1 to 5 digits
 *   path        = segment *( "/" segment )            at most 255 characters: the remote name
 *   segment     = word *( separator word )
 *   word        = lower-case letters and digits
 *   separator   = "." | "_" | "__" | "-" *"-"
 *   tag         = letter, digit or "_", then up to 127 letters, digits, "_", "." and "-"
 *   digest      = algorithm ":" lower-case hex digits  as many as the algorithm gives
 *   algorithm   = "sha256" | "sha384" | "sha512"
 *
 * Everything is ASCII. Three rules are narrower than the original, so that a user sees the error at admission and not at the pull:
 * a port is 1 to 65535, the text in brackets is an IPv6 address, and the whole text has at most 4,096 characters. The grammar does not
 * decide which domains are registry hosts. Docker Hub's rules do: see docker-hub.ts.
 */

import { canonicalIpv6 } from './address.ts';
import { type ImageProblemCode, type InvalidImage, invalidImage, maskUserinfo, maxQuotedLength, quote, userinfoEnd } from './problem.ts';
import { findUnreplacedVariable, renderUnreplacedVariable } from './unreplaced-variable.ts';
import { countOf, formatCount } from './wording.ts';

/** The parts of an image name as they were written. */
export type ImageName = {
  /** `host` or `host:port`. */
  readonly domain?: string;
  /** Remote name: segments joined by `/`. */
  readonly path: string;
  readonly tag?: string;
  /** `algorithm:hex`. */
  readonly digest?: string;
};

export type ParsedName = ({ readonly ok: true } & ImageName) | InvalidImage;

/** Longest text that is parsed: ten times the longest useful name. It bounds the work for each image. */
const maxTextLength = 4096;

/** Longest repository name, without the domain, as in distribution/reference. */
const maxPathLength = 255;

/** Parses a text by the grammar above. Never throws. Runs in time linear in the length of the text. */
export function parseGrammar(text: string): ParsedName {
  const fault = textFault(text);
  if (fault) return explainFault(text, fault);

  const { name, tag, digest } = splitReference(text);
  const { domain, path, domainFault: badDomain } = separateDomain(name);
  const wrong = badDomain ?? pathFault(path) ?? tagFault(tag) ?? digestFault(digest);
  if (wrong?.code === 'upper-case') {
    return explainFault(text, { ...wrong, instead: name.toLowerCase() + text.slice(name.length) });
  }
  if (wrong) return explainFault(text, wrong);
  return {
    ok: true,
    ...(domain !== undefined && { domain }),
    path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** `host` and `port` of a domain, as written. IPv6 addresses keep their brackets. */
export function splitDomain(domain: string): { readonly host: string; readonly port?: string } {
  const colon = domain.indexOf(':', domain.lastIndexOf(']') + 1);
  return colon < 0 ? { host: domain } : { host: domain.slice(0, colon), port: domain.slice(colon + 1) };
}

/** What is wrong with one part of a text. */
export type Fault = {
  readonly code: ImageProblemCode;
  /** Continues the sentence after the quoted text. Further sentences may follow. Without the full stop at the end. */
  readonly what: string;
  /** The probable intention. It is recommended only if it parses. */
  readonly instead?: string;
};

/** A text with a variable gets that as its explanation: the fault of the grammar is then only a consequence. */
function explainFault(text: string, fault: Fault): InvalidImage {
  // A password must not be quoted, not even a part of it.
  const variable = fault.code === 'userinfo' || fault.code === 'too-long' ? undefined : findUnreplacedVariable(maskUserinfo(text));
  return variable === undefined ? invalidWithAdvice(text, fault) : invalidImage(text, 'variable', describeVariable(text, variable));
}

function describeVariable(text: string, variable: string): string {
  const what = text.trim() === variable ? 'looks like' : `contains ${quote(variable)}, which looks like`;
  return `${what} ${renderUnreplacedVariable('image name', variable)}`;
}

/** The limit on the length of a suggestion also limits how often a text is parsed again for one. */
function invalidWithAdvice(text: string, { code, what, instead }: Fault): InvalidImage {
  const advice = instead !== undefined && instead.length <= maxQuotedLength && parseGrammar(instead).ok ? `. Use ${quote(instead)}` : '';
  return invalidImage(text, code, what + advice);
}

/** Why the text as a whole cannot be an image name. Checked before the text is split. */
function textFault(text: string): Fault | undefined {
  if (text.length > maxTextLength)
    return { code: 'too-long', what: `is ${formatCount(text.length)} characters long. The maximum is ${formatCount(maxTextLength)}` };
  if (onlyUsualCharacters.test(text) && !text.includes('://')) return undefined;
  const trimmed = text.trim();
  if (trimmed === '') return { code: 'empty', what: 'is blank. Specify an image name' };
  if (trimmed !== text) return { code: 'whitespace', what: 'has leading or trailing white space', instead: trimmed };
  if (/\s/.test(text)) return { code: 'whitespace', what: 'contains white space' };
  const disallowed = text.search(/[^!-~]/);
  if (disallowed >= 0)
    return {
      code: 'character',
      what: `contains the character ${codePoint(text, disallowed)}. Only printable ASCII characters are allowed`,
    };
  const at = userinfoEnd(text);
  if (at >= 0) {
    const what = 'contains a user name or password. Put credentials in a pull secret';
    return { code: 'userinfo', what, instead: text.slice(at + 1) };
  }
  const scheme = text.indexOf('://');
  if (scheme >= 0) return { code: 'scheme', what: 'starts with a URL scheme', instead: text.slice(scheme + '://'.length) };
  return undefined;
}

/** Without the `@` of a digest or a password. Nearly all names are found to have no fault by this and the two expressions below. */
const onlyUsualCharacters = /^[\w./:-]+$/;

function codePoint(text: string, index: number): string {
  const hex = (text.codePointAt(index) ?? 0).toString(16).toUpperCase();
  return `U+${hex.padStart(4, '0')}`;
}

/** Splits a text into name, tag and digest. A colon before the last slash belongs to a port, a colon in brackets to an address. */
function splitReference(text: string): { name: string; tag: string | undefined; digest: string | undefined } {
  const at = text.indexOf('@');
  const tagged = at < 0 ? text : text.slice(0, at);
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const lastSlash = tagged.lastIndexOf('/');
  if (lastSlash < 0 && tagged.startsWith('[')) return { name: tagged, tag: undefined, digest };
  const colon = tagged.indexOf(':', lastSlash + 1);
  if (colon < 0) return { name: tagged, tag: undefined, digest };
  return { name: tagged.slice(0, colon), tag: tagged.slice(colon + 1), digest };
}

/**
 * The first component is a domain if it has the form of one, else a path segment if it has the form of one (`test_com/app`). Otherwise the
 * fault is that of the form it resembles more.
 */
function separateDomain(name: string): { domain?: string; path: string; domainFault?: Fault } {
  const slash = name.indexOf('/');
  if (slash < 0) return { path: name };
  const first = name.slice(0, slash);
  const fault = domainFault(first);
  if (!fault) return { domain: first, path: name.slice(slash + 1) };
  const resemblesHost = /[.:[]/.test(first);
  return resemblesHost && (segmentFault(first) || first.length > maxHostLength) ? { path: name, domainFault: fault } : { path: name };
}

/** Longest host name, as in DNS without the final dot (RFC 1035, 255 octets on the wire). */
export const maxHostLength = 253;

/** As many digits as 65535 has. More digits would not change where to connect, but would be copied into records and messages. */
const maxPortDigits = 5;

function domainFault(domain: string): Fault | undefined {
  const { host, port } = splitDomain(domain);
  if (host.length > maxHostLength)
    return { code: 'host', what: `has a registry host with ${formatCount(host.length)} characters. The maximum is ${maxHostLength}` };
  const what = host.startsWith('[') ? addressFault(host) : hostNameFault(host);
  if (what) return { code: 'host', what: `has an invalid registry host: ${quote(host)} ${what}` };
  return port === undefined ? undefined : portFault(port);
}

function addressFault(host: string): string | undefined {
  if (!host.endsWith(']')) return 'has unbalanced brackets';
  const address = host.slice(1, -1);
  if (address.includes('%')) return 'contains an IPv6 zone ID (the part after %). Remove it';
  return canonicalIpv6(host) === undefined ? 'is not a valid IPv6 address. Use an address such as [2001:db8::1]' : undefined;
}

const hostName = /^[0-9A-Za-z]+(?:-+[0-9A-Za-z]+)*(?:\.[0-9A-Za-z]+(?:-+[0-9A-Za-z]+)*)*$/;

function hostNameFault(host: string): string | undefined {
  if (hostName.test(host)) return undefined;
  if (host === '') return 'is empty';
  if (host.endsWith('.')) return 'ends with a dot. Remove the dot';
  for (const label of host.split('.')) {
    if (label === '') return 'has an empty label between two dots';
    if (/[^0-9A-Za-z-]/.test(label)) return 'may contain only letters, digits, "-" and "."';
    if (label.startsWith('-') || label.endsWith('-')) return 'has a label that starts or ends with "-"';
  }
  return undefined;
}

/** Leading zeros are accepted, as in the original, and do not change the number. The port may still not have more than five digits. */
function portFault(port: string): Fault | undefined {
  if (port.length > maxPortDigits && !/[^0-9]/.test(port))
    return { code: 'port', what: `has a port with ${formatCount(port.length)} digits. A port is a number from 1 to 65535` };
  const isPort = port !== '' && !/[^0-9]/.test(port) && Number(port) >= 1 && Number(port) <= 65535;
  return isPort ? undefined : { code: 'port', what: `has the port ${quote(port)}, which is not a number from 1 to 65535` };
}

function pathFault(path: string): Fault | undefined {
  if (path === '') return { code: 'no-repository', what: 'has no repository name' };
  if (path.startsWith('[') && !path.includes('/')) return { code: 'no-repository', what: 'is a registry host without a repository' };
  for (const segment of path.split('/')) {
    const fault = segmentFault(segment);
    if (fault) return fault;
  }
  return pathLengthFault(path);
}

/** Also called for the path after Docker Hub's rules have lengthened it. */
export function pathLengthFault(path: string): Fault | undefined {
  if (path.length <= maxPathLength) return undefined;
  return {
    code: 'name-too-long',
    what: `has a repository name with ${formatCount(path.length)} characters. The maximum is ${maxPathLength}`,
  };
}

const pathSegment = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;

function segmentFault(segment: string): Fault | undefined {
  if (pathSegment.test(segment)) return undefined;
  if (segment === '') return { code: 'path', what: 'has an empty path segment. Use single slashes, and none at the start or end' };
  if (/[A-Z]/.test(segment))
    return { code: 'upper-case', what: `has upper-case letters in ${quote(segment)}. Repository names must be lower case` };
  if (/[^a-z0-9._-]/.test(segment)) {
    return { code: 'path', what: `has an invalid path segment: ${quote(segment)} may contain only a-z, 0-9, ".", "_" and "-"` };
  }
  let position = 0;
  while (position < segment.length) {
    const wordEnd = endOfRun(segment, position, isWordCharacter);
    const separatorEnd = endOfRun(segment, wordEnd, isSeparatorCharacter);
    const wordMissing = wordEnd === position || (separatorEnd === segment.length && separatorEnd > wordEnd);
    if (wordMissing) {
      return { code: 'path', what: `has an invalid path segment: ${quote(segment)} must start and end with a letter or digit` };
    }
    const separator = segment.slice(wordEnd, separatorEnd);
    if (separator !== '' && !isSeparator(separator)) {
      return {
        code: 'path',
        what: `has an invalid path segment: in ${quote(segment)}, words may be joined only by ".", "_", "__" or dashes`,
      };
    }
    position = separatorEnd;
  }
  return undefined;
}

function endOfRun(text: string, start: number, belongs: (character: string) => boolean): number {
  let end = start;
  while (end < text.length && belongs(text.charAt(end))) end++;
  return end;
}

function isWordCharacter(character: string): boolean {
  return /[a-z0-9]/.test(character);
}

function isSeparatorCharacter(character: string): boolean {
  return /[._-]/.test(character);
}

function isSeparator(run: string): boolean {
  return run === '.' || run === '_' || run === '__' || !/[^-]/.test(run);
}

const maxTagLength = 128;

function tagFault(tag: string | undefined): Fault | undefined {
  if (tag === undefined) return undefined;
  if (tag === '') return { code: 'tag', what: 'has a colon without a tag' };
  if (tag.length > maxTagLength)
    return { code: 'tag', what: `has a tag with ${formatCount(tag.length)} characters. The maximum is ${maxTagLength}` };
  if (/[^\w.-]/.test(tag))
    return { code: 'tag', what: `has an invalid tag: ${quote(tag)} may contain only letters, digits, "_", "." and "-"` };
  if (/[.-]/.test(tag.charAt(0)))
    return { code: 'tag', what: `has an invalid tag: ${quote(tag)} must start with a letter, a digit or "_"` };
  return undefined;
}

/**
 * Number of hex digits by algorithm: those of the OCI image specification, and sha384, which the kubelet and container tools also accept.
 */
export const digestAlgorithms: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

function digestFault(digest: string | undefined): Fault | undefined {
  if (digest === undefined) return undefined;
  const colon = digest.indexOf(':');
  if (colon < 0) return { code: 'digest', what: `has ${quote(digest)} after the "@", which is not a digest such as sha256:...` };
  const algorithm = digest.slice(0, colon);
  const hex = digest.slice(colon + 1);
  const length = digestAlgorithms.get(algorithm);
  if (length === undefined) {
    return { code: 'digest', what: `has the digest algorithm ${quote(algorithm)}, which is not sha256, sha384 or sha512` };
  }
  if (hex.length !== length)
    return {
      code: 'digest',
      what: `has a ${algorithm} digest with ${countOf(hex.length, 'character')}. It must have ${length}`,
    };
  if (/[^0-9a-f]/.test(hex)) return { code: 'digest', what: `has a ${algorithm} digest with characters other than lower-case hex digits` };
  return undefined;
}

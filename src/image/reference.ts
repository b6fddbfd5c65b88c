/** Parses image references as container tools do, and renders them in canonical form. */
import { ownText, RecentValues } from '../cache/recent-values.ts';
import { canonicalIpv6, isUnusualIpv4 } from './address.ts';
import { dockerHub, dockerHubHost, dockerHubPath, isImageId, readsAsHost } from './docker-hub.ts';
import { type ImageName, parseGrammar, pathLengthFault, splitDomain } from './grammar.ts';
import { type InvalidImage, invalidImage, quote } from './problem.ts';

export type { ImageProblem, ImageProblemCode } from './problem.ts';

/** An image name as the container tools understand it: github.com/distribution/reference, with Docker Hub's customs applied. */
export type ImageReference = {
  /** The text as written in the object. */
  readonly written: string;
  /** Registry host used for matching: lower case, no port, `docker.io` for every name of Docker Hub. IPv6 addresses keep their brackets. */
  readonly host: string;
  /** Registry port. Absent if none was written, or if it is the default, 443. */
  readonly port?: number;
  /** Repository path segments, at least one. `nginx` on Docker Hub is `['library', 'nginx']`. */
  readonly path: readonly string[];
  readonly tag?: string;
  /** `algorithm:hex`. */
  readonly digest?: string;
  /** Whether the text names a registry host. If not, the default applies. */
  readonly qualified: boolean;
};

export type ParsedImage = { readonly ok: true; readonly reference: ImageReference } | InvalidImage;

/**
 * Parses the text of an `image:` field. Never throws. Runs in time linear in the length of the text. White space around the name, a scheme
 * and a password are errors and not repaired, since the kubelet would not repair them either.
 */
export function parseImage(text: string): ParsedImage {
  const known = recent.get(text);
  if (known) return known;
  // It may be a word of a long Dockerfile.
  const own = text.length > longestKept ? text : ownText(text);
  const parsed = parseUncached(own);
  recent.set(own, parsed);
  return parsed;
}

/** In characters. Most image names are far shorter. */
const longestKept = 512;

/** One request parses a name up to five times, both webhooks parse it, and a cluster uses few names. */
const recent = new RecentValues<ParsedImage>({ entries: 1_000, size: 200_000, largest: longestKept });

/** What {@link parseImage} remembers. */
export function parseUncached(text: string): ParsedImage {
  const name = parseGrammar(text);
  if (!name.ok) return name;
  if (isImageId(name)) return invalidImage(text, 'image-id', 'is an image ID, not an image name. Use REGISTRY/REPOSITORY@sha256:DIGEST');
  const { domain, path } = applyDockerHubRules(name);
  if (domain === undefined && readsAsHost(firstSegment(path)) && path.includes('/')) return invalidHost(text, firstSegment(path));

  const writtenHost = domain === undefined ? '' : splitDomain(domain).host;
  if (isUnusualIpv4(writtenHost)) return unusualIpv4(text, writtenHost);

  const { host, port } = domain === undefined ? { host: dockerHub } : normalizeDomain(domain);
  const repository = host === dockerHub && port === undefined ? dockerHubPath(path) : path;
  const tooLong = pathLengthFault(repository);
  if (tooLong) return invalidImage(text, tooLong.code, tooLong.what);
  return {
    ok: true,
    reference: {
      written: text,
      host,
      ...(port !== undefined && { port }),
      path: repository.split('/'),
      ...(name.tag !== undefined && { tag: name.tag }),
      ...(name.digest !== undefined && { digest: name.digest }),
      qualified: domain !== undefined,
    },
  };
}

/**
 * `host[:port]/path/segments`, without tag and digest. It parses back to the same host and path. A host such as `registry`, which Docker's
 * rules would read as a path on Docker Hub, keeps its default port (`registry:443/app`).
 */
export function canonicalName({ host, port, path }: ImageReference): string {
  const shownPort = port ?? (readsAsHost(host) ? undefined : defaultPort);
  const domain = shownPort === undefined ? host : `${host}:${shownPort}`;
  return [domain, ...path].join('/');
}

/**
 * The canonical name, with `:tag` and `@digest` if the reference has them. It parses to the same reference except for `written` and
 * `qualified`.
 */
export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return canonicalName(reference) + tag + digest;
}

const defaultPort = 443;

/**
 * `host[:port]/path` with the host and port as they were written, since credentials are looked up by this text. Only names without a registry
 * and `index.docker.io` get another host, as in distribution/reference, which the kubelet and OpenShift's builder use.
 */
export function repositoryAsWritten({ written, path, qualified }: ImageReference): string {
  const name = parseGrammar(written);
  if (!qualified || !name.ok || name.domain === undefined) return [dockerHub, ...path].join('/');
  const isHub = name.domain === dockerHub || name.domain === 'index.docker.io';
  return isHub ? `${dockerHub}/${dockerHubPath(name.path)}` : `${name.domain}/${name.path}`;
}

/**
 * What to write instead of a name that is only a registry host, such as `registry.example.com:5000`, or undefined if it does not look like
 * one. The grammar reads such a name as an official image of Docker Hub, and the port as its tag. No official image has a dot in its name.
 */
export function completeRegistryHost({ written, tag, digest, qualified }: ImageReference): string | undefined {
  if (qualified || digest !== undefined || written.includes('/')) return undefined;
  const name = tag === undefined ? written : written.slice(0, -tag.length - 1);
  if (!(name === 'localhost' || /\.[a-z]{2,}$/.test(name) || /^\d+(?:\.\d+){3}$/.test(name))) return undefined;
  const isPort = tag !== undefined && /^[1-9]\d{1,4}$/.test(tag);
  return isPort || tag === undefined ? `${written}/REPOSITORY` : `${name}/REPOSITORY:${tag}`;
}

/**
 * The first component of a name that is a registry host only because of its upper-case letters, and the name in lower case, which is one of
 * Docker Hub. Undefined for other names.
 */
export function upperCaseHost({ written }: ImageReference): { readonly host: string; readonly lowerCase: string } | undefined {
  const slash = written.indexOf('/');
  const host = written.slice(0, Math.max(slash, 0));
  const lowered = host.toLowerCase();
  return lowered === host || readsAsHost(lowered) ? undefined : { host, lowerCase: lowered + written.slice(slash) };
}

/** A first component that the grammar reads as a domain is a path segment on Docker Hub unless it also reads as a host. */
function applyDockerHubRules({ domain, path }: ImageName): { readonly domain?: string; readonly path: string } {
  if (domain === undefined) return { path };
  return readsAsHost(domain) ? { domain, path } : { path: `${domain}/${path}` };
}

/**
 * `foo_bar.com/app` is a host by Docker Hub's rules and a path by the grammar: distribution/reference returns a name without a domain. It
 * is unclear where a runtime would pull it from, so it must not count as a repository on Docker Hub.
 */
function invalidHost(text: string, host: string): InvalidImage {
  return invalidImage(text, 'host', `has an invalid registry host: ${quote(host)} may contain only letters, digits, "-" and "."`);
}

/** A rule for an address must not be bypassed by another spelling of it, and names of DNS do not end with a number. */
function unusualIpv4(text: string, host: string): InvalidImage {
  const what = `has an invalid registry host: ${quote(host)} ends in a number, but is not a valid IPv4 address. Use four decimal numbers, for example 10.0.0.5`;
  return invalidImage(text, 'host', what);
}

function firstSegment(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? path : path.slice(0, slash);
}

/**
 * The host used for matching: lower case, one spelling of each IPv6 address, and `docker.io` for every name of Docker Hub. Expects a host that
 * the grammar accepts.
 */
export function canonicalHost(written: string): string {
  return dockerHubHost(canonicalIpv6(written) ?? written.toLowerCase());
}

/** Host names are case-insensitive, and a registry on port 443 is the same registry with and without the port. */
function normalizeDomain(domain: string): { readonly host: string; readonly port?: number } {
  const { host: written, port } = splitDomain(domain);
  const host = canonicalHost(written);
  return port === undefined || Number(port) === defaultPort ? { host } : { host, port: Number(port) };
}

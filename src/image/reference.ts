import { dockerHub, dockerHubHost, dockerHubPath, isImageId, readsAsHost } from './docker-hub.ts';
import { type ImageName, parseGrammar, pathLengthFault, splitDomain } from './grammar.ts';
import { type InvalidImage, invalidImage, quote } from './problem.ts';

export type { ImageProblem, ImageProblemCode } from './problem.ts';

/** An image name as the container tools understand it: github.com/distribution/reference, with Docker Hub's customs applied. */
export type ImageReference = {
  /** The text as it stood in the object. */
  readonly written: string;
  /** Registry host for matching: lower case, no port, `docker.io` for all of Docker Hub's names; IPv6 keeps its brackets. */
  readonly host: string;
  /** Registry port; absent when none was written or when it is the default, 443. */
  readonly port?: number;
  /** Repository path segments, at least one; `nginx` on Docker Hub is `['library', 'nginx']`. */
  readonly path: readonly string[];
  readonly tag?: string;
  /** `algorithm:hex`. */
  readonly digest?: string;
  /** Whether the author wrote a registry host, or left it to the default. */
  readonly qualified: boolean;
};

export type ParsedImage = { readonly ok: true; readonly reference: ImageReference } | InvalidImage;

/**
 * Reads the text of an `image:` field. Never throws; the time it takes is linear in the text. What has white space around it, a scheme
 * or a password is refused rather than repaired, since the kubelet would not repair it either.
 */
export function parseImage(text: string): ParsedImage {
  const name = parseGrammar(text);
  if (!name.ok) return name;
  if (isImageId(name))
    return invalidImage(text, 'image-id', 'is an image id, not an image name; write it as REGISTRY/REPOSITORY@sha256:DIGEST');
  const { domain, path } = applyHostCustom(name);
  if (domain === undefined && readsAsHost(firstSegment(path)) && path.includes('/')) return refuseHost(text, firstSegment(path));

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
 * `host[:port]/path/segments`, without tag and digest. It reads back as the same host and path: a host such as `registry`, which Docker's
 * customs would take for a path on Docker Hub, keeps its default port (`registry:443/app`).
 */
export function canonicalName({ host, port, path }: ImageReference): string {
  const shownPort = port ?? (readsAsHost(host) ? undefined : defaultPort);
  const domain = shownPort === undefined ? host : `${host}:${shownPort}`;
  return [domain, ...path].join('/');
}

/** The canonical name with `:tag` and `@digest` where the reference has them. It parses to the same reference but for `written` and `qualified`. */
export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return canonicalName(reference) + tag + digest;
}

const defaultPort = 443;

/** Whether the default port stands in the text: the same registry, but not the same name to whoever looks up a credential. */
export function writesDefaultPort({ written, port }: ImageReference): boolean {
  return port === undefined && /^[^/]*:\d+\//.test(written);
}

/** What the grammar took for a domain is a path segment on Docker Hub unless it reads as a host. */
function applyHostCustom({ domain, path }: ImageName): { readonly domain?: string; readonly path: string } {
  if (domain === undefined) return { path };
  return readsAsHost(domain) ? { domain, path } : { path: `${domain}/${path}` };
}

/**
 * `foo_bar.com/app` is a host by the customs and a path by the grammar: distribution/reference answers with a name that has no domain at
 * all. Where a runtime would pull it from is anybody's guess, so it must not pass for a repository on Docker Hub.
 */
function refuseHost(text: string, host: string): InvalidImage {
  return invalidImage(text, 'host', `has the registry host ${quote(host)}, which may have only letters, digits, "-" and "."`);
}

function firstSegment(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? path : path.slice(0, slash);
}

/** Host names know no case, and a registry on 443 is the same registry with and without its port. */
function normalizeDomain(domain: string): { readonly host: string; readonly port?: number } {
  const { host: written, port } = splitDomain(domain);
  const host = dockerHubHost(written.toLowerCase());
  return port === undefined || Number(port) === defaultPort ? { host } : { host, port: Number(port) };
}

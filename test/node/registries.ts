/**
 * The registries of the node: one HTTP server on port 80 that behaves differently for each host name, and records every request. It serves
 * an image of every repository and tag, so a scenario needs no push. Each repository has its own image, so a node that has pulled one has not
 * pulled another.
 */

import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Blob, type Image, makeImage, sleepingImage } from './images.ts';

/** Hosts with their behaviour. Each resolves to loopback on the node. */
export const registries = {
  /** Requires Basic credentials for everything. */
  'private.test': { challenge: 'basic' },
  'second.test': { challenge: 'basic' },
  /** For scenarios that change a rule or a secret. */
  'edited.test': { challenge: 'basic' },
  /** Basic, and repositories below `public/` without credentials. */
  'mixed.test': { challenge: 'basic', publicFolder: true },
  /** A token service, as Docker Hub, Quay and GHCR have. Repositories below `public/` need an anonymous token. */
  'token.test': { challenge: 'bearer', publicFolder: true },
  /** Everything without credentials. */
  'open.test': { challenge: 'none' },
  'untrusted.test': { challenge: 'none' },
  /** A mirror that accepts the credentials of other registries. */
  'mirror.test': { challenge: 'basic' },
  /** The server for every other host. Rejects every request, so the node tries all credentials it has. */
  'nothing.test': { challenge: 'basic', rejectsAll: true },
} as const satisfies Record<string, Registry>;

interface Registry {
  readonly challenge: 'none' | 'basic' | 'bearer';
  readonly publicFolder?: boolean;
  readonly rejectsAll?: boolean;
}

export type RegistryHost = keyof typeof registries;

export const password = 'correct horse';

/** One request to a registry. */
export interface RegistryRequest {
  /** Epoch milliseconds. */
  readonly at: number;
  /** The server's name. */
  readonly host: string;
  /** The host as written in the image, where the server is a mirror for it. */
  readonly written?: string;
  readonly method: string;
  readonly path: string;
  /** User name of Basic credentials, `token` for a bearer token, or empty. */
  readonly user: string;
  readonly status: number;
}

export interface Registries {
  close(): Promise<void>;
}

export interface RegistriesOptions {
  /** Gets one JSON line for each request. */
  readonly logFile: string;
  /** The layer of every image. */
  readonly layer: Blob;
  readonly port: number;
  readonly address: string;
}

/** What containerd reads about a host in `hosts.toml`: its images come from `server` without TLS. */
export function hostsToml(host: string, server: string): string {
  const own = host === server.replace(/:.*$/, '') ? `server = "http://${server}"\n` : '';
  return `${own}[host."http://${server}"]\ncapabilities = ["pull", "resolve"]\n`;
}

export async function startRegistries({ logFile, layer, port, address }: RegistriesOptions): Promise<Registries> {
  const blobs = new Map<string, Blob>();
  const imageOf = (repository: string, tag: string): Image => {
    const image = makeImage([layer], { ...sleepingImage, Labels: { repository, tag } });
    for (const each of [image.manifest, image.config, ...image.layers]) blobs.set(each.digest, each);
    return image;
  };
  const server = createServer((request, response) => {
    const { host, url } = addressOf(request);
    const registry: Registry = registries[host as RegistryHost] ?? registries['nothing.test'];
    const answer = authenticate(registry, url, request.headers.authorization) ?? serve(url, imageOf, blobs);
    const written = url.searchParams.get('ns') ?? undefined;
    const line: RegistryRequest = {
      at: Date.now(),
      host,
      ...(written !== undefined && { written }),
      method: request.method ?? '',
      path: url.pathname,
      user: userOf(request.headers.authorization),
      status: answer.status,
    };
    appendFileSync(logFile, `${JSON.stringify(line)}\n`);
    send(request, response, answer);
  });
  await new Promise<void>((settle, reject) => server.once('error', reject).listen(port, address, settle));
  return {
    close: async () => {
      server.closeAllConnections();
      await new Promise((settle) => server.close(settle));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** `host` is without the port, which is not the same everywhere. */
function addressOf({ headers, url: path = '/' }: IncomingMessage): { host: string; url: URL } {
  const url = new URL(path, `http://${headers.host ?? 'nothing.test'}`);
  return { host: url.hostname, url };
}

/** The answer to a request without the necessary credentials, or from the token service. Undefined where the request may pass. */
function authenticate(registry: Registry, url: URL, authorization: string | undefined): Answer | undefined {
  const { challenge, publicFolder = false, rejectsAll = false } = registry;
  if (challenge === 'none') return undefined;
  const isPublic = publicFolder && url.pathname.startsWith('/v2/public/');
  const login = loginOf(authorization);
  if (url.pathname === '/token') {
    if (login === 'wrong') return json(401, { details: 'incorrect username or password' });
    return json(200, { token: login === 'right' ? 'full' : 'anonymous', expires_in: 300 });
  }
  if (challenge === 'bearer') {
    const scope = /^\/v2\/(.+)\/(manifests|blobs)\//.exec(url.pathname)?.[1];
    const asked = scope === undefined ? '' : `,scope="repository:${scope}:pull"`;
    const allowed = authorization === 'Bearer full' || (isPublic && authorization === 'Bearer anonymous');
    return allowed ? undefined : unauthorized(`Bearer realm="${url.origin}/token",service="${url.hostname}"${asked}`);
  }
  const allowed = !rejectsAll && (login === 'right' || (isPublic && login === 'none'));
  return allowed ? undefined : unauthorized(`Basic realm="${url.hostname}"`);
}

/** Any user has the same password. */
function loginOf(authorization: string | undefined): 'none' | 'right' | 'wrong' {
  const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return 'none';
  return Buffer.from(encoded, 'base64').toString().endsWith(`:${password}`) ? 'right' : 'wrong';
}

function userOf(authorization: string | undefined): string {
  if (authorization === undefined) return '';
  const encoded = /^Basic (.+)$/i.exec(authorization)?.[1];
  return encoded === undefined ? 'token' : (Buffer.from(encoded, 'base64').toString().split(':')[0] ?? '');
}

function serve(url: URL, imageOf: (repository: string, tag: string) => Image, blobs: ReadonlyMap<string, Blob>): Answer {
  const [, repository = '', kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? [];
  if (kind === undefined) return json(url.pathname === '/v2/' ? 200 : 404, {});
  const isTag = kind === 'manifests' && !reference.startsWith('sha256:');
  const found = isTag ? imageOf(repository, reference).manifest : blobs.get(reference);
  if (found === undefined) return json(404, { errors: [{ code: 'MANIFEST_UNKNOWN' }] });
  return { status: 200, headers: { 'content-type': found.mediaType, 'docker-content-digest': found.digest }, body: found.content };
}

function unauthorized(challenge: string): Answer {
  const answer = json(401, { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] });
  return { ...answer, headers: { ...answer.headers, 'www-authenticate': challenge } };
}

function json(status: number, value: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value)) };
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  request.resume();
  response.writeHead(status, { ...headers, 'content-length': String(body.length) });
  response.end(request.method === 'HEAD' ? undefined : body);
}

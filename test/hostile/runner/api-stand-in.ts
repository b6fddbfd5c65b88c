/**
 * A simulated API server that only serves collections: paginated lists, watches that stay open, WatchList, and discovery. It allows every
 * access review. That is enough for regkeeper to read a cluster. Nothing can be written.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Collections = Readonly<Record<string, readonly object[]>>;

export type ApiStandIn = { readonly url: string; close(): Promise<void> };

type Stored = { readonly metadata?: { readonly namespace?: string; readonly name?: string; readonly labels?: Record<string, string> } };

export async function startApiStandIn(collections: Collections): Promise<ApiStandIn> {
  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => answer(request, response, collections, open));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const response of open) response.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const version = '1000';

function answer(request: IncomingMessage, response: ServerResponse, collections: Collections, open: Set<ServerResponse>): void {
  request.resume();
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const metadataOnly = request.headers.accept?.includes('PartialObjectMetadata') ?? false;
  const { status, body } = replyTo(request.method ?? 'GET', pathname, { query: searchParams, metadataOnly, collections });
  if (status === 200 && searchParams.get('watch') === 'true') {
    watch(response, body.items ?? [], searchParams, open);
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

type Asked = { readonly query: URLSearchParams; readonly metadataOnly: boolean; readonly collections: Collections };
type Reply = { readonly status: number; readonly body: { readonly items?: readonly object[]; readonly [field: string]: unknown } };

function replyTo(method: string, path: string, { query, metadataOnly, collections }: Asked): Reply {
  if (method === 'POST' && path.includes('accessreviews')) return { status: 201, body: { status: { allowed: true } } };
  if (method !== 'GET') return errorReply(405, 'MethodNotAllowed');
  if (/^\/(?:api\/v1|apis\/[^/]+\/[^/]+)$/.test(path)) {
    const names = Object.keys(collections).flatMap((each) => (each.startsWith(`${path}/`) ? [each.slice(path.length + 1)] : []));
    if (names.length === 0 && path !== '/api/v1') return errorReply(404, 'NotFound');
    return { status: 200, body: { kind: 'APIResourceList', resources: names.map((name) => ({ name })) } };
  }
  const items = itemsAt(path, query, collections);
  if (!items) return errorReply(404, 'NotFound');
  const shown = metadataOnly ? items.map(({ metadata }) => ({ metadata })) : items;
  if (items.length === 1 && !(path in collections) && isName(path, items[0])) return { status: 200, body: { ...shown[0] } };
  const offset = Number(query.get('continue') ?? 0);
  const limit = Number(query.get('limit') ?? 0) || shown.length;
  const next = offset + limit < shown.length ? String(offset + limit) : undefined;
  const metadata = { resourceVersion: version, ...(next !== undefined && { continue: next }) };
  return { status: 200, body: { apiVersion: 'v1', kind: 'List', metadata, items: shown.slice(offset, offset + limit) } };
}

function errorReply(status: number, reason: string): Reply {
  return { status, body: { kind: 'Status', status: 'Failure', reason, code: status, message: 'this is a stand-in' } };
}

function isName(path: string, { metadata }: Stored = {}): boolean {
  return metadata?.name !== undefined && path.endsWith(`/${metadata.name}`);
}

/** The objects of a collection, of one namespace in it, or a single object. Undefined where the path matches nothing. */
function itemsAt(path: string, query: URLSearchParams, collections: Collections): readonly Stored[] | undefined {
  const whole = collections[path];
  const selector = query.get('labelSelector');
  const selected = (items: readonly object[]) => (items as readonly Stored[]).filter((item) => matches(item, selector));
  if (whole) return selected(whole);
  const [, root, namespace, resource, name] = /^(.*)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  const items = collections[`${root}/${resource}`];
  if (!items) return undefined;
  const own = selected(items).filter(({ metadata }) => metadata?.namespace === namespace);
  if (name === undefined) return own;
  const found = own.filter(({ metadata }) => metadata?.name === name);
  return found.length > 0 ? found : undefined;
}

/** Understands `key` and `key=value`, joined by commas. Other requirements match everything. */
function matches({ metadata }: Stored, selector: string | null): boolean {
  return (selector ?? '').split(',').every((requirement) => {
    const [, key, value] = /^([\w./-]+)(?:==?([\w.-]+))?$/.exec(requirement) ?? [];
    if (key === undefined) return true;
    const label = metadata?.labels?.[key];
    return label !== undefined && (value === undefined || label === value);
  });
}

function watch(response: ServerResponse, items: readonly object[], query: URLSearchParams, open: Set<ServerResponse>): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  open.add(response);
  response.once('close', () => open.delete(response));
  if (query.get('sendInitialEvents') !== 'true') return;
  for (const object of items) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
  const metadata = { resourceVersion: version, annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
}

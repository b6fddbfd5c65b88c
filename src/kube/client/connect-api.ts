/** The client of the Kubernetes API over HTTP. */
import type { KubeConfig } from '@kubernetes/client-node';
import type { ApiClient, ApiRequest, KubeObject, Query, ReadOptions } from '../api-client.ts';
import { type Connection, type Exchange, openConnection, withApiErrors } from './connection.ts';
import { findResources } from './discovery.ts';
import { listInPages, maxPageBytes, type ResponseLimits } from './list.ts';
import { eventOf, maxResponseBytes, parseJson, readText, reportContact, splitLines, statusError } from './response.ts';

export type ConnectOptions = Pick<ApiClient, 'streamsInitialState'>;

/** A client of one API server, with the credentials of the KubeConfig's current context, which are read for each request. */
export function connectApi(kubeConfig: KubeConfig, { streamsInitialState = false }: ConnectOptions = {}): ApiClient {
  return createClient({ connection: openConnection(kubeConfig), streamsInitialState, watchedCollections: new Set() });
}

type Shared = Required<Pick<ApiClient, 'streamsInitialState' | 'watchedCollections'>> & { readonly connection: Connection };

/** Requests end when `scope` is aborted. */
function createClient(shared: Shared, scope?: AbortSignal): ApiClient {
  const { connection } = shared;

  async function request<T>(request: ApiRequest): Promise<T> {
    return (await exchangeJson<T>(request, { maxBytes: maxResponseBytes })).value;
  }

  async function exchangeJson<T>(request: ApiRequest, { maxBytes, onContact }: ResponseLimits): Promise<{ value: T; bytes: number }> {
    const timeout = AbortSignal.timeout(request.timeoutMilliseconds ?? 30_000);
    const callerSignal = anyOf(request.signal, scope);
    const signal = callerSignal ? AbortSignal.any([callerSignal, timeout]) : timeout;
    const exchange: Exchange = { ...request, what: `${request.method} ${request.path}`, callerSignal, timeout, signal };
    return withApiErrors(exchange, async () => {
      const response = await connection.send(exchange);
      const { text, bytes } = await readText(exchange.what, response, maxBytes);
      if (response.statusCode >= 300) throw statusError(exchange.what, response, text);
      onContact?.();
      return { value: text === '' ? (undefined as T) : parseJson<T>(exchange.what, text), bytes };
    });
  }

  async function* watch<T extends KubeObject>(path: string, query: Query, ending: AbortSignal, options: ReadOptions = {}) {
    const signal = scope ? AbortSignal.any([ending, scope]) : ending;
    const exchange: Exchange = {
      ...options,
      method: 'GET',
      path,
      query: { ...query, watch: true },
      what: `watch of ${path}`,
      callerSignal: signal,
      signal,
      headersTimeout: options.timeoutMilliseconds ?? 30_000,
    };
    const response = await withApiErrors(exchange, async () => {
      const answer = await connection.send(exchange);
      if (answer.statusCode >= 300) throw statusError(exchange.what, answer, (await readText(exchange.what, answer, maxPageBytes)).text);
      return answer;
    });
    options.onContact?.();
    const lines = splitLines(exchange.what, reportContact(response.body, options.onContact));
    try {
      while (true) {
        const { done, value: line } = await withApiErrors(exchange, () => lines.next());
        if (done) return;
        yield eventOf<T>(exchange.what, line);
      }
    } finally {
      await lines.return(undefined).catch(() => undefined);
      response.body.on('error', () => undefined).destroy();
    }
  }

  return {
    request: (whole) => request(whole),
    get: (path, query) => request({ method: 'GET', path, query }),
    list: (path, query, options) => listInPages(exchangeJson, path, query, options),
    create: (path, body, query) => request({ method: 'POST', path, query, body }),
    replace: (path, body, query) => request({ method: 'PUT', path, query, body }),
    patchApply: (path, body, query) => request({ method: 'PATCH', path, query, body, contentType: 'application/apply-patch+yaml' }),
    delete: async (path, body) => void (await request({ method: 'DELETE', path, body })),
    watch,
    resourcesOf: (groupVersion, options) => findResources(request, groupVersion, options),
    hasResource: async (groupVersion, plural) => (await findResources(request, groupVersion, { timeoutMilliseconds: 5_000 })).has(plural),
    until: (signal) => createClient(shared, anyOf(signal, scope)),
    serverTime: connection.serverTime,
    server: connection.server,
    watchedCollections: shared.watchedCollections,
    streamsInitialState: shared.streamsInitialState,
    close: () => connection.close(),
  };
}

function anyOf(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one && other ? AbortSignal.any([one, other]) : (one ?? other);
}

/** Connections to one API server: credentials, dispatchers, and one error type for everything that fails. */
import type { AgentOptions, RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';
import { explainConnectionError } from '../../errors/connection-error.ts';
import { ApiError, type ApiRequest, type Query } from '../api-client.ts';
import { oneLine } from './response.ts';

/** One request as it is sent, and what an error message about it needs. */
export type Exchange = Omit<ApiRequest, 'signal'> & {
  readonly what: string;
  /** The caller's signal and the timeout combined. */
  readonly signal: AbortSignal;
  readonly callerSignal: AbortSignal | undefined;
  readonly timeout?: AbortSignal;
  /** Milliseconds until the response begins. */
  readonly headersTimeout?: number;
};

/** Turns every failure into an ApiError, except for the reason of the caller's own signal. */
export async function withApiErrors<T>({ what, callerSignal, timeout }: Exchange, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (callerSignal?.aborted) throw callerSignal.reason;
    if (error instanceof ApiError) throw error;
    if (timeout?.aborted) throw new ApiError(0, 'Timeout', `${what}: timed out`, { cause: error });
    throw new ApiError(0, 'Unreachable', `${what}: ${causeOf(error)}`, { cause: error });
  }
}

/** undici wraps the error of the socket. A connection error for several addresses is an AggregateError without a message. */
function causeOf(error: unknown): string {
  const explanation = explainConnectionError(error);
  if (explanation !== undefined) return explanation;
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown };
  return oneLine([message || code, cause instanceof Error ? causeOf(cause) : ''].filter(Boolean).join(': ') || String(error));
}

type Credentials = { readonly headers: Readonly<Record<string, string>>; readonly dispatcher: Dispatcher };
export type Connection = {
  readonly server: string;
  send(exchange: Exchange): Promise<Dispatcher.ResponseData>;
  serverTime(): number | undefined;
  close(): Promise<void>;
};

/**
 * Sends requests with client-node's credentials but our own connections. client-node creates a dispatcher for each call, so it never
 * reuses a connection.
 */
export function openConnection(initial: KubeConfig): Connection {
  const server = initial.getCurrentCluster()?.server.replace(/\/+$/, '');
  if (server === undefined) throw new Error('the KubeConfig has no current cluster');
  const open = new Set<Dispatcher>();
  let kubeConfig = initial;
  let current: { readonly identity: string; readonly dispatcher: Dispatcher } | undefined;
  let renewal: Promise<Credentials> | undefined;
  let closed = false;
  /** In milliseconds. The local clock may jump, so the time since the response is monotonic. */
  let serverDate: { readonly serverTime: number; readonly monotonic: number } | undefined;

  async function authorize(): Promise<Credentials> {
    const undici = await import('undici');
    const applied: RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(applied);
    const identity = [applied.ca, applied.cert, applied.key].map(String).join('\n');
    if (closed) throw new Error('the client is closed');
    // Client certificates belong to a connection, so other certificates need other connections. Requests on the old connections may finish.
    if (current?.identity !== identity) {
      if (current) retire(current.dispatcher);
      current = { identity, dispatcher: createDispatcher(undici, kubeConfig, applied) };
      open.add(current.dispatcher);
    }
    return { headers: authorizationHeaders(applied), dispatcher: current.dispatcher };
  }

  function retire(dispatcher: Dispatcher): void {
    dispatcher.close().then(
      () => open.delete(dispatcher),
      () => open.delete(dispatcher),
    );
  }

  /**
   * Credentials from their source, without client-node's caches. It caches the content of a token file for a minute, and the output of an
   * exec plugin until it expires, if ever. The caches are part of the KubeConfig, so a copy has none.
   */
  async function renew(rejected: Credentials): Promise<Credentials> {
    const present = await authorize();
    if (!sameCredentials(present, rejected)) return present;
    renewal ??= (async () => {
      const copy = new (kubeConfig.constructor as new () => KubeConfig)();
      const { clusters, users, contexts, currentContext } = kubeConfig;
      copy.loadFromOptions({ clusters, users, contexts, currentContext });
      kubeConfig = copy;
      return authorize();
    })().finally(() => {
      renewal = undefined;
    });
    return renewal;
  }

  async function credentialsFor(exchange: Exchange, get: () => Promise<Credentials>): Promise<Credentials> {
    try {
      return await get();
    } catch (cause) {
      throw new ApiError(0, 'NoCredential', `${exchange.what}: ${causeOf(cause)}`, { cause });
    }
  }

  async function exchangeWith(exchange: Exchange, { headers, dispatcher }: Credentials): Promise<Dispatcher.ResponseData> {
    const { request } = await import('undici');
    const response = await request(server + exchange.path + queryText(exchange.query), {
      dispatcher,
      method: exchange.method,
      headers: {
        'user-agent': 'regkeeper',
        accept: exchange.accept ?? 'application/json',
        ...(exchange.body === undefined ? {} : { 'content-type': exchange.contentType ?? 'application/json' }),
        ...headers,
      },
      body: exchange.body === undefined ? null : JSON.stringify(exchange.body),
      signal: exchange.signal,
      headersTimeout: exchange.headersTimeout ?? 0,
      // A quiet watch is not an error. The informer limits how long a watch may be idle.
      bodyTimeout: 0,
    });
    const serverTime = Date.parse(String(response.headers.date));
    if (!Number.isNaN(serverTime)) serverDate = { serverTime, monotonic: performance.now() };
    return response;
  }

  return {
    async send(exchange) {
      const credentials = await credentialsFor(exchange, authorize);
      const response = await exchangeWith(exchange, credentials);
      if (response.statusCode !== 401) return response;
      const renewed = await renew(credentials).catch(() => credentials);
      if (sameCredentials(renewed, credentials)) return response;
      await response.body.dump();
      return exchangeWith(exchange, renewed);
    },
    server,
    serverTime: () => serverDate && serverDate.serverTime + performance.now() - serverDate.monotonic,
    async close() {
      closed = true;
      await Promise.all([...open].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function sameCredentials(one: Credentials, other: Credentials): boolean {
  return one.dispatcher === other.dispatcher && one.headers.Authorization === other.headers.Authorization;
}

function authorizationHeaders({ auth, headers }: RequestOptions): Record<string, string> {
  const basic = auth ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  // A token file that was written by hand ends in a newline, which is not allowed in a header.
  const others = Object.entries(headers ?? {}).map(([name, value]) => [name, String(value).trim()]);
  return { ...basic, ...Object.fromEntries(others) };
}

/**
 * An API server whose machine loses power does not close its connections. TCP keep-alive probes start after this idle time, and then
 * repeat every second.
 */
const liveness = { keepAliveInitialDelay: 15_000 };

/**
 * HTTP/1.1 only. Every watch has its own connection, so a watch that hangs does not affect others. The API server's limit of streams per
 * connection does not apply, however many watches run.
 */
function createDispatcher(undici: typeof import('undici'), kubeConfig: KubeConfig, applied: RequestOptions): Dispatcher {
  const options = kubeConfig.createDispatcherOptions(kubeConfig.getCurrentCluster(), applied as AgentOptions);
  switch (options.type) {
    case 'proxy':
      return new undici.ProxyAgent({
        uri: options.uri,
        requestTls: options.requestTls as object,
        connect: options.connect as object,
        allowH2: false,
      });
    case 'socks':
      return new undici.Socks5ProxyAgent(options.uri, { requestTls: options.requestTls as object, allowH2: false });
    case 'agent':
      return new undici.Agent({ connect: { ...(options.connect as object), ...liveness }, allowH2: false });
    case 'none':
      return new undici.Agent({ connect: liveness, allowH2: false });
  }
}

function queryText(query: Query = {}): string {
  const written = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return written.length === 0 ? '' : `?${new URLSearchParams(written)}`;
}

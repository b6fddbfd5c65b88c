/** A client of the Kubernetes API: typed requests, paged lists, watches, discovery, and one error type for everything that fails. */
import type { AgentOptions, RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';

/** The fields that every Kubernetes object has. The rest depends on its kind. */
export type KubeObject = {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    /** RFC 3339. */
    creationTimestamp?: string;
  };
};

/** One line of a watch. The object of a BOOKMARK has only a resourceVersion. ERROR lines are thrown, not yielded. */
export type WatchEvent<T> = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T };

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type ApiRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the API server, with a leading `/` and without a query. */
  readonly path: string;
  readonly query?: Query | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** The media type of the body, `application/json` by default. */
  readonly contentType?: string | undefined;
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For the whole exchange, 30 s by default. */
  readonly timeoutMilliseconds?: number | undefined;
};

export type ReadOptions = {
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMilliseconds?: number | undefined;
  /** Called for each successful response, and for each chunk of a watch. */
  readonly onContact?: (() => void) | undefined;
};

export type ListOptions<T = unknown> = ReadOptions & {
  /**
   * Objects in the first page, 50 by default. Pages grow while they stay under 1 MiB, up to 500 objects. A page that exceeds 8 MiB is
   * aborted and requested again with half as many objects.
   */
  readonly pageSize?: number | undefined;
  /**
   * What to keep of each object. Nothing is kept where it returns undefined. It is applied page by page, so large objects are never all in
   * memory.
   */
  readonly keep?: ((object: T) => T | undefined) | undefined;
  /** Called before the first page, and again whenever the list starts over. What was kept until then is void. */
  readonly onBegin?: (() => void) | undefined;
};

export type WatchedCollection = {
  readonly path: string;
  /** Epoch milliseconds. */
  lastContact(): number;
};

export type ApiClient = {
  /**
   * The JSON of the response, or undefined where the response is empty.
   * @throws ApiError, or the signal's own reason when the signal was aborted
   */
  request<T>(request: ApiRequest): Promise<T>;
  get<T>(path: string, query?: Query): Promise<T>;
  /**
   * What was kept of all objects, page by page, each with apiVersion and kind. Starts over, at most twice, when the continue token has
   * expired (410).
   * A page of more than 8 MiB is requested again at half its size.
   * @throws ApiError with reason TooLarge if a page of one object exceeds 16 MiB, and with reason Timeout if the pages expired three times
   */
  list<T extends KubeObject>(path: string, query?: Query, options?: ListOptions<T>): Promise<{ items: T[]; resourceVersion: string }>;
  create<T>(path: string, body: T, query?: Query): Promise<T>;
  replace<T>(path: string, body: T, query?: Query): Promise<T>;
  /** Server-side apply. `force` takes over fields that another manager owns. */
  patchApply<T>(path: string, body: unknown, options: { fieldManager: string; force: boolean; dryRun?: 'All' }): Promise<T>;
  delete(path: string, body?: unknown): Promise<void>;
  /**
   * Events as they arrive, until the server ends the stream or the signal aborts it.
   * @throws ApiError, also for an ERROR event and for a stream that is cut inside a line, or the signal's reason when aborted
   */
  watch<T extends KubeObject>(path: string, query: Query, signal: AbortSignal, options?: ReadOptions): AsyncIterable<WatchEvent<T>>;
  /**
   * Names of the resources of this API (`v1` is the core group), including subresources such as `builds/clone`. Empty where the API does
   * not exist.
   * @throws ApiError where that is unknown: for an aggregated API whose server is unavailable, the API server answers 503, or late
   */
  resourcesOf(groupVersion: string, options?: { readonly timeoutMilliseconds?: number }): Promise<ReadonlySet<string>>;
  /**
   * Whether the server has this API, e.g. `('build.openshift.io/v1', 'buildconfigs')`. @throws ApiError like `resourcesOf`, after 5 s at
   * most
   */
  hasResource(groupVersion: string, plural: string): Promise<boolean>;
  /**
   * Epoch milliseconds by the API server's clock: the date of its last response plus the time since. Undefined before the first response.
   */
  serverTime(): number | undefined;
  /** The address of the API server, e.g. `https://10.0.0.1:443`, for messages. Tests may omit it. */
  readonly server?: string;
  /** The collections that are watched at present, for metrics. Each informer adds and removes its own. Tests may omit it. */
  readonly watchedCollections?: Set<WatchedCollection>;
  /**
   * Whether watches may request the initial state as a stream (WatchList). Where a server rejects that, they list in pages. False by
   * default.
   */
  readonly streamsInitialState?: boolean;
  /** Aborts every pending request. The client is unusable afterwards. */
  close(): Promise<void>;
};

export type ConnectOptions = Pick<ApiClient, 'streamsInitialState'>;

/** The API server answered with an error, or could not be reached. The message begins with method and path. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** The HTTP status, also of an ERROR event. 0 where there was no usable response. */
  readonly status: number;
  /**
   * Kubernetes' reason (`NotFound`, `Conflict`, …). With status 0: `Unreachable`, `Timeout`, `NoCredential`, `Unreadable` or `TooLarge`.
   */
  readonly reason: string;
  readonly retryAfterSeconds?: number;

  constructor(status: number, reason: string, message: string, options: { retryAfterSeconds?: number | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.reason = reason;
    if (options.retryAfterSeconds !== undefined) this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** A client of one API server, with the credentials of the KubeConfig's current context, which are read for each request. */
export function connectApi(kubeConfig: KubeConfig, { streamsInitialState = false }: ConnectOptions = {}): ApiClient {
  const connection = openConnection(kubeConfig);

  async function request<T>(request: ApiRequest): Promise<T> {
    return (await exchangeJson<T>(request, { maxBytes: maxResponseBytes })).value;
  }

  async function exchangeJson<T>(request: ApiRequest, { maxBytes, onContact }: ResponseLimits): Promise<{ value: T; bytes: number }> {
    const timeout = AbortSignal.timeout(request.timeoutMilliseconds ?? 30_000);
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
    const exchange: Exchange = { ...request, what: `${request.method} ${request.path}`, callerSignal: request.signal, timeout, signal };
    return withApiErrors(exchange, async () => {
      const response = await connection.send(exchange);
      const { text, bytes } = await readText(exchange.what, response, maxBytes);
      if (response.statusCode >= 300) throw statusError(exchange.what, response, text);
      onContact?.();
      return { value: text === '' ? (undefined as T) : parseJson<T>(exchange.what, text), bytes };
    });
  }

  async function* listPages<T extends KubeObject>(path: string, query: Query, firstLimit: number, options: ListOptions<T>) {
    const { accept, signal, onContact, timeoutMilliseconds = 60_000 } = options;
    let limit = firstLimit;
    let next: string | undefined;
    while (true) {
      const single = limit === 1;
      const request: ApiRequest = { method: 'GET', path, query: { ...query, limit, continue: next }, accept, signal, timeoutMilliseconds };
      let answer: { value: Page<T>; bytes: number };
      try {
        answer = await exchangeJson<Page<T>>(request, { maxBytes: single ? maxResponseBytes : maxPageBytes, onContact });
      } catch (error) {
        if (single || !isTooLarge(error)) throw error;
        limit = Math.floor(limit / 2);
        continue;
      }
      const { value: page, bytes } = answer;
      if (!Array.isArray(page?.items) && page?.items !== null) throw new ApiError(0, 'Unreadable', `GET ${path}: the answer is no list`);
      yield page;
      if (bytes < smallPageBytes) limit = Math.min(2 * limit, maxPerPage);
      next = page.metadata?.continue || undefined;
      if (next === undefined) return;
    }
  }

  async function listOnce<T extends KubeObject>(path: string, query: Query, limit: number, options: ListOptions<T>) {
    const { keep = (object: T) => object, onBegin } = options;
    const items: T[] = [];
    let resourceVersion = '';
    onBegin?.();
    for await (const page of listPages<T>(path, query, limit, options)) {
      for (const item of page.items ?? []) {
        const kept = keep(withKindOfList(item, page));
        if (kept !== undefined) items.push(kept);
      }
      resourceVersion = page.metadata?.resourceVersion ?? '';
    }
    return { items, resourceVersion };
  }

  async function list<T extends KubeObject>(path: string, query: Query = {}, options: ListOptions<T> = {}) {
    const { pageSize = 50 } = options;
    // A continue token is valid for about five minutes, until etcd is compacted. The token that comes with a 410 continues with newer
    // objects, so changes in earlier pages would be missed. Therefore the list starts over, the last time with the largest pages.
    let expired: ApiError | undefined;
    for (const limit of [pageSize, pageSize, Math.max(pageSize, maxPerPage)]) {
      try {
        return await listOnce<T>(path, query, limit, options);
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 410)) throw error;
        expired = error;
      }
    }
    // Not a 410, which is routine for a watch and is not logged.
    throw new ApiError(0, 'Timeout', `GET ${path}: the list expired three times before its last page was read`, { cause: expired });
  }

  async function* watch<T extends KubeObject>(path: string, query: Query, signal: AbortSignal, options: ReadOptions = {}) {
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

  async function resourcesOf(groupVersion: string, { timeoutMilliseconds }: { timeoutMilliseconds?: number } = {}) {
    const [group = '', version] = groupVersion.split('/');
    const path = version === undefined ? `/api/${groupVersion}` : `/apis/${groupVersion}`;
    try {
      // Go writes an empty slice as null.
      const answer = await request<{ resources?: { name: string }[] | null } | null | undefined>({
        method: 'GET',
        path,
        timeoutMilliseconds,
      });
      return new Set((answer?.resources ?? []).map(({ name }) => name));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // The server behind an aggregated API may also answer 404 while it starts. The list of versions comes from the API server itself.
      if (version !== undefined && (await isVersionListed(group, groupVersion, timeoutMilliseconds))) {
        throw new ApiError(
          503,
          'ServiceUnavailable',
          `GET ${path}: this API is registered, but the server behind it does not know it (404)`,
        );
      }
      return new Set<string>();
    }
  }

  async function isVersionListed(group: string, groupVersion: string, timeoutMilliseconds: number | undefined): Promise<boolean> {
    try {
      const path = `/apis/${group}`;
      const answer = await request<{ versions?: { groupVersion: string }[] | null } | null>({ method: 'GET', path, timeoutMilliseconds });
      return (answer?.versions ?? []).some((each) => each.groupVersion === groupVersion);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async function hasResource(groupVersion: string, plural: string): Promise<boolean> {
    return (await resourcesOf(groupVersion, { timeoutMilliseconds: 5_000 })).has(plural);
  }

  return {
    request: (whole) => request(whole),
    get: (path, query) => request({ method: 'GET', path, query }),
    list,
    create: (path, body, query) => request({ method: 'POST', path, query, body }),
    replace: (path, body, query) => request({ method: 'PUT', path, query, body }),
    patchApply: (path, body, query) => request({ method: 'PATCH', path, query, body, contentType: 'application/apply-patch+yaml' }),
    delete: async (path, body) => void (await request({ method: 'DELETE', path, body })),
    watch,
    resourcesOf,
    hasResource,
    serverTime: connection.serverTime,
    server: connection.server,
    watchedCollections: new Set(),
    streamsInitialState,
    close: () => connection.close(),
  };
}

/** Whether the API server answered 404: the object, or its collection, does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** In bytes. */
type ResponseLimits = { readonly maxBytes: number; readonly onContact?: (() => void) | undefined };

/**
 * The most that is parsed as a whole. Parsed JSON needs several times the size of its text (60,000 names of 17 bytes need five times). So
 * this is at most about 80 MiB of the 453 MiB of heap that Node gets with the shipped memory limit.
 */
const maxResponseBytes = 16 * 1024 * 1024;
/** For a page of several objects. A single object has at most 1.5 MiB in etcd, unless etcd is configured otherwise. */
const maxPageBytes = 8 * 1024 * 1024;
const smallPageBytes = 1024 * 1024;
const maxPerPage = 500;

function isTooLarge(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'TooLarge';
}

/** @throws ApiError with reason TooLarge as soon as more than `maxBytes` arrive. The connection is then closed. */
async function readText(what: string, { body }: Dispatcher.ResponseData, maxBytes: number): Promise<{ text: string; bytes: number }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new ApiError(0, 'TooLarge', `${what}: the response was aborted: it is larger than ${maxBytes / 1024 / 1024} MiB`);
    chunks.push(chunk);
  }
  return { text: Buffer.concat(chunks).toString('utf8'), bytes };
}

type Page<T> = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: T[] | null;
};

/** The API server omits apiVersion and kind from the items of a list. */
function withKindOfList<T extends KubeObject>(item: T, { apiVersion, kind }: Page<T>): T {
  if (item.kind !== undefined || apiVersion === undefined || !kind?.endsWith('List')) return item;
  return { ...item, apiVersion, kind: kind.slice(0, -'List'.length) };
}

type Status = { reason?: string; message?: string; code?: number; details?: { retryAfterSeconds?: number } | null };

function eventOf<T extends KubeObject>(what: string, line: string): WatchEvent<T> {
  const event = parseJson<{ type?: string; object?: unknown } | null>(what, line);
  switch (event?.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return event as WatchEvent<T>;
    case 'ERROR': {
      const { code = 500, reason = 'Unknown', message = '', details } = (event.object ?? {}) as Status;
      const text = `${what}: the stream reports ${reason} (${code}): ${oneLine(message)}`;
      throw new ApiError(code, reason, text, { retryAfterSeconds: details?.retryAfterSeconds });
    }
    default:
      throw new ApiError(0, 'Unreadable', `${what}: unknown event ${oneLine(line)}`);
  }
}

function statusError(what: string, { statusCode, headers }: Dispatcher.ResponseData, text: string): ApiError {
  const { reason = 'Unknown', message, details } = readStatus(text);
  const retryAfterSeconds = details?.retryAfterSeconds ?? secondsOf(headers['retry-after']);
  return new ApiError(statusCode, reason, `${what}: ${reason} (${statusCode}): ${oneLine(message ?? text)}`, { retryAfterSeconds });
}

/** Proxies and load balancers answer with other bodies than a Status. */
function readStatus(text: string): Status {
  try {
    const status: unknown = JSON.parse(text);
    return typeof status === 'object' && status !== null ? status : {};
  } catch {
    return {};
  }
}

/** Kubernetes sends Retry-After in seconds only. A date, which HTTP also allows, is ignored. */
function secondsOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
}

function parseJson<T>(what: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new ApiError(0, 'Unreadable', `${what}: the answer is not JSON: ${oneLine(text)}`, { cause });
  }
}

function oneLine(text: string): string {
  return text.slice(0, 500).replaceAll(/\s+/g, ' ').trim();
}

/** An event is one object, and etcd limits a value to 1.5 MiB unless it is configured otherwise. */
const maxLineBytes = maxResponseBytes;

/**
 * The lines of a byte stream without their ends. Bytes are joined before they are decoded. The newline byte is not part of any other UTF-8
 * character, so it does not matter where the network cuts. Messages begin with `what`.
 * @throws ApiError with reason Unreadable for a line over the limit (in bytes), with reason Unreachable for a stream that ends inside a
 * line
 */
export async function* splitLines(
  what: string,
  chunks: AsyncIterable<Uint8Array>,
  limit: number = maxLineBytes,
): AsyncGenerator<string, void, undefined> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      pieces.push(chunk.subarray(start, end));
      start = end + 1;
      length = 0;
      const line = Buffer.concat(pieces).toString('utf8');
      pieces = [];
      if (line.trim() !== '') yield line;
    }
    pieces.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > limit) throw new ApiError(0, 'Unreadable', `${what}: a line of the stream is longer than ${limit} bytes`);
  }
  if (length > 0) throw new ApiError(0, 'Unreachable', `${what}: the stream ended inside a line`);
}

async function* reportContact(chunks: AsyncIterable<Uint8Array>, onContact: (() => void) | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    onContact?.();
    yield chunk;
  }
}

/** One request as it is sent, and what an error message about it needs. */
type Exchange = Omit<ApiRequest, 'signal'> & {
  readonly what: string;
  /** The caller's signal and the timeout combined. */
  readonly signal: AbortSignal;
  readonly callerSignal: AbortSignal | undefined;
  readonly timeout?: AbortSignal;
  /** Milliseconds until the response begins. */
  readonly headersTimeout?: number;
};

async function withApiErrors<T>({ what, callerSignal, timeout }: Exchange, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (callerSignal?.aborted) throw callerSignal.reason;
    if (error instanceof ApiError) throw error;
    if (timeout?.aborted) throw new ApiError(0, 'Timeout', `${what}: no answer in time`, { cause: error });
    throw new ApiError(0, 'Unreachable', `${what}: ${causeOf(error)}`, { cause: error });
  }
}

/** undici wraps the error of the socket. A connection error for several addresses is an AggregateError without a message. */
function causeOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown };
  return oneLine([message || code, cause instanceof Error ? causeOf(cause) : ''].filter(Boolean).join(': ') || String(error));
}

type Credentials = { readonly headers: Readonly<Record<string, string>>; readonly dispatcher: Dispatcher };
type Connection = {
  readonly server: string;
  send(exchange: Exchange): Promise<Dispatcher.ResponseData>;
  serverTime(): number | undefined;
  close(): Promise<void>;
};

/**
 * Sends requests with client-node's credentials but our own connections. client-node creates a dispatcher for each call, so it never
 * reuses a connection.
 */
function openConnection(initial: KubeConfig): Connection {
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

/** The contract of a client of the Kubernetes API: typed requests, paged lists, watches, discovery, and one error type for all failures. */

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
  /** Called after each page. `remaining` is the number of objects that follow, as far as the server knows it. */
  readonly onPage?: ((page: { readonly objects: number; readonly remaining: number | undefined }) => void) | undefined;
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
  /** The same client, whose requests also end when the signal is aborted, and then reject with its reason. Tests may omit it. */
  until?(signal: AbortSignal): ApiClient;
  /** Aborts every pending request. The client is unusable afterwards. */
  close(): Promise<void>;
};

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

/** The client bound to the signal, where it can be. */
export function boundTo(signal: AbortSignal, client: ApiClient): ApiClient {
  return client.until?.(signal) ?? client;
}

/** Whether the API server answered 404: the object, or its collection, does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

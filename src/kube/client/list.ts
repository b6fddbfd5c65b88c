/** Lists a collection page by page, with pages whose size follows that of the objects. */
import { ApiError, type ApiRequest, type KubeObject, type ListOptions, type Query } from '../api-client.ts';
import { maxResponseBytes } from './response.ts';

/** In bytes. */
export type ResponseLimits = { readonly maxBytes: number; readonly onContact?: (() => void) | undefined };

/** Sends one request, and parses the response within the limit. */
export type ExchangeJson = <T>(request: ApiRequest, limits: ResponseLimits) => Promise<{ readonly value: T; readonly bytes: number }>;

/** For a page of several objects. A single object has at most 1.5 MiB in etcd, unless etcd is configured otherwise. */
export const maxPageBytes = 8 * 1024 * 1024;
const smallPageBytes = 1024 * 1024;
const maxPerPage = 500;

type Page<T> = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string; readonly remainingItemCount?: number };
  readonly items?: T[] | null;
};

/** As {@link ApiClient.list}. */
export async function listInPages<T extends KubeObject>(
  exchange: ExchangeJson,
  path: string,
  query: Query = {},
  options: ListOptions<T> = {},
) {
  const { pageSize = 50 } = options;
  // A continue token is valid for about five minutes, until etcd is compacted. The token that comes with a 410 continues with newer
  // objects, so changes in earlier pages would be missed. Therefore the list starts over, the last time with the largest pages.
  let expired: ApiError | undefined;
  for (const limit of [pageSize, pageSize, Math.max(pageSize, maxPerPage)]) {
    try {
      return await listOnce<T>(exchange, path, query, limit, options);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 410)) throw error;
      expired = error;
    }
  }
  // Not a 410, which is routine for a watch and is not logged.
  throw new ApiError(0, 'Timeout', `GET ${path}: the list expired three times before its last page was read`, { cause: expired });
}

async function listOnce<T extends KubeObject>(exchange: ExchangeJson, path: string, query: Query, limit: number, options: ListOptions<T>) {
  const { keep = (object: T) => object, onBegin, onPage } = options;
  const items: T[] = [];
  let resourceVersion = '';
  onBegin?.();
  for await (const page of listPages<T>(exchange, path, query, limit, options)) {
    for (const item of page.items ?? []) {
      const kept = keep(withKindOfList(item, page));
      if (kept !== undefined) items.push(kept);
    }
    resourceVersion = page.metadata?.resourceVersion ?? '';
    // With selectors the server does not count.
    const remaining = page.metadata?.continue ? page.metadata.remainingItemCount : 0;
    onPage?.({ objects: page.items?.length ?? 0, remaining });
  }
  return { items, resourceVersion };
}

async function* listPages<T extends KubeObject>(
  exchange: ExchangeJson,
  path: string,
  query: Query,
  firstLimit: number,
  options: ListOptions<T>,
) {
  const { accept, signal, onContact, timeoutMilliseconds = 60_000 } = options;
  let limit = firstLimit;
  let next: string | undefined;
  while (true) {
    const single = limit === 1;
    const request: ApiRequest = { method: 'GET', path, query: { ...query, limit, continue: next }, accept, signal, timeoutMilliseconds };
    let answer: { value: Page<T>; bytes: number };
    try {
      answer = await exchange<Page<T>>(request, { maxBytes: single ? maxResponseBytes : maxPageBytes, onContact });
    } catch (error) {
      if (single || !isTooLarge(error)) throw error;
      limit = Math.floor(limit / 2);
      continue;
    }
    const { value: page, bytes } = answer;
    if (!Array.isArray(page?.items) && page?.items !== null) throw new ApiError(0, 'Unreadable', `GET ${path}: the response is not a list`);
    yield page;
    if (bytes < smallPageBytes) limit = Math.min(2 * limit, maxPerPage);
    next = page.metadata?.continue || undefined;
    if (next === undefined) return;
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'TooLarge';
}

/** The API server omits apiVersion and kind from the items of a list. */
function withKindOfList<T extends KubeObject>(item: T, { apiVersion, kind }: Page<T>): T {
  if (item.kind !== undefined || apiVersion === undefined || !kind?.endsWith('List')) return item;
  return { ...item, apiVersion, kind: kind.slice(0, -'List'.length) };
}

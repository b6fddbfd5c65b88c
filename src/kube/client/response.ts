/** Reads responses of the API server within limits: JSON, the lines of a watch, and errors. */
import type { Dispatcher } from 'undici';
import { ApiError, type KubeObject, type WatchEvent } from '../api-client.ts';

/**
 * The most that is parsed as a whole. Parsed JSON needs several times the size of its text (60,000 names of 17 bytes need five times). So
 * this is at most about 80 MiB of the 453 MiB of heap that Node gets with the shipped memory limit.
 */
export const maxResponseBytes = 16 * 1024 * 1024;

/** @throws ApiError with reason TooLarge as soon as more than `maxBytes` arrive. The connection is then closed. */
export async function readText(
  what: string,
  { body }: Dispatcher.ResponseData,
  maxBytes: number,
): Promise<{ text: string; bytes: number }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new ApiError(0, 'TooLarge', `${what}: the response was aborted because it is larger than ${maxBytes / 1024 / 1024} MiB`);
    chunks.push(chunk);
  }
  return { text: Buffer.concat(chunks).toString('utf8'), bytes };
}

type Status = { reason?: string; message?: string; code?: number; details?: { retryAfterSeconds?: number } | null };

export function eventOf<T extends KubeObject>(what: string, line: string): WatchEvent<T> {
  const event = parseJson<{ type?: string; object?: unknown } | null>(what, line);
  switch (event?.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return event as WatchEvent<T>;
    case 'ERROR': {
      const { code = 500, reason = 'Unknown', message = '', details } = (event.object ?? {}) as Status;
      const text = `${what}: the stream ended with ${reason} (${code}): ${oneLine(message)}`;
      throw new ApiError(code, reason, text, { retryAfterSeconds: details?.retryAfterSeconds });
    }
    default:
      throw new ApiError(0, 'Unreadable', `${what}: unknown event ${oneLine(line)}`);
  }
}

export function statusError(what: string, { statusCode, headers }: Dispatcher.ResponseData, text: string): ApiError {
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

export function parseJson<T>(what: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new ApiError(0, 'Unreadable', `${what}: the response is not JSON: ${oneLine(text)}`, { cause });
  }
}

export function oneLine(text: string): string {
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
    if (length > limit)
      throw new ApiError(0, 'Unreadable', `${what}: a line of the stream is longer than ${limit.toLocaleString('en-US')} bytes`);
  }
  if (length > 0) throw new ApiError(0, 'Unreachable', `${what}: the stream ended in the middle of a line`);
}

export async function* reportContact(chunks: AsyncIterable<Uint8Array>, onContact: (() => void) | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    onContact?.();
    yield chunk;
  }
}

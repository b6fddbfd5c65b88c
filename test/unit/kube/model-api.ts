/** A model of an API server with one collection, and the faults that tests can inject. */
import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import { type Answer, configMap, errorEvent, json, line, type Received, scriptedApi, statusResponse } from './scripted-api.ts';

/** The purpose of a request: the first page of a list, a further page, or a watch. */
export type Moment = 'list' | 'page' | 'watch';

type Past = { readonly version: number; readonly event: { readonly type: string; readonly object: KubeObject } };

/**
 * An API server of one collection: versions, a history that can be forgotten, pages that expire with it, and streams. It works correctly
 * unless a fault is injected.
 */
export async function modelApi(names: readonly string[]) {
  const held = new Map<string, KubeObject>();
  const past: Past[] = [];
  const pages = new Map<string, KubeObject[]>();
  const streams = new Set<ServerResponse>();
  const stalled = new Set<ServerResponse>();
  const faults: { moment: Moment; answer: Answer }[] = [];
  let version = 100;
  let forgotten = 0;

  const answer: Answer = (response, request) => {
    const moment = momentOf(request);
    const index = faults.findIndex((each) => each.moment === moment);
    const [fault] = index === -1 ? [] : faults.splice(index, 1);
    if (fault) return fault.answer(response, request);
    if (request.query.sendInitialEvents) stream(response);
    else if (moment === 'watch') watch(response, Number(request.query.resourceVersion));
    else list(response, request);
  };
  const list = (response: ServerResponse, request: Received) => {
    const token = request.query.continue ?? `${version}:0`;
    const [at = 0, offset = 0] = token.split(':').map(Number);
    if (request.query.continue && at < forgotten) return statusResponse(410, 'Expired')(response, request);
    const all = pages.get(String(at)) ?? [...held.values()];
    pages.set(String(at), all);
    const end = offset + Number(request.query.limit ?? all.length);
    const next = end < all.length ? `${at}:${end}` : '';
    const body = { kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: String(at), continue: next } };
    json({ ...body, items: all.slice(offset, end) })(response, request);
  };
  const watch = (response: ServerResponse, from: number) => {
    if (from < forgotten) return json({ kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }, 410)(response, {} as Received);
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    for (const { version, event } of past) if (version > from) response.write(line(event));
    streams.add(response);
    response.on('close', () => streams.delete(response));
  };
  /** The initial state, and its end a little later. Changes meanwhile come between the two. */
  const stream = (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    for (const object of held.values()) response.write(line({ type: 'ADDED', object: { apiVersion: 'v1', kind: 'ConfigMap', ...object } }));
    streams.add(response);
    response.on('close', () => streams.delete(response));
    setImmediate(() => {
      const metadata = { resourceVersion: String(version), annotations: { 'k8s.io/initial-events-end': 'true' } };
      if (streams.has(response)) response.write(line({ type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1', metadata } }));
    });
  };
  const happen = (type: string, object: KubeObject) => {
    const event = { type, object: { apiVersion: 'v1', kind: 'ConfigMap', ...object } };
    past.push({ version, event });
    for (const stream of streams) stream.write(line(event));
  };
  const put = (name: string) => {
    version += 1;
    const known = held.get(name);
    const { metadata } = configMap(name, String(version));
    const object = { metadata: { ...metadata, uid: known?.metadata.uid ?? `uid-${name}-${version}` } };
    held.set(name, object);
    happen(known ? 'MODIFIED' : 'ADDED', object);
  };

  for (const name of names) put(name);
  const api = await scriptedApi([], answer);
  return {
    ...api,
    put,
    remove(name: string) {
      const known = held.get(name);
      if (!known) return;
      version += 1;
      held.delete(name);
      happen('DELETED', { metadata: { ...known.metadata, resourceVersion: String(version) } });
    },
    /** From now on, older versions cannot be resumed, and pages of older lists have expired. */
    forget() {
      forgotten = version + 1;
      version += 1;
    },
    bookmark() {
      version += 1;
      const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: String(version) } };
      for (const stream of streams) stream.write(line({ type: 'BOOKMARK', object }));
    },
    /** The next request of this kind gets this answer. */
    failNext: (moment: Moment, answer: Answer) => void faults.push({ moment, answer }),
    faultsToCome: () => faults.length,
    /** Applies the fault to all open streams, which then get no more events. */
    breakStreams(how: StreamFault) {
      for (const stream of [...streams]) {
        streams.delete(stream);
        how(stream);
      }
    },
    /** All open streams stay open and send nothing more. Only the idle timeout of the informer ends them. */
    stall() {
      for (const stream of streams) {
        stalled.add(stream);
        stream.on('close', () => stalled.delete(stream));
      }
      streams.clear();
    },
    isStalled: () => stalled.size > 0,
    streams: () => streams.size,
    state: () => stateOf(held.values()),
  };
}

/** Comparable: each object with its version and identity, by name. */
export function stateOf(objects: Iterable<KubeObject>): string[] {
  return [...objects].map(({ metadata: { name, resourceVersion, uid } }) => `${name}@${resourceVersion} ${uid}`).sort();
}

function momentOf({ query }: Received): Moment {
  if (query.watch) return 'watch';
  return query.continue ? 'page' : 'list';
}

export type StreamFault = (stream: ServerResponse) => void;

const half = line({ type: 'ADDED', object: configMap('half', '1') }).slice(0, 40);

export const streamFaults = {
  'ends normally': (stream) => stream.end(),
  'is reset between two lines': (stream) => stream.socket?.resetAndDestroy(),
  'is reset inside a line': (stream) => stream.write(half, () => stream.socket?.resetAndDestroy()),
  'ends inside a line': (stream) => stream.end(half),
  'reports 410': (stream) => stream.end(line(errorEvent(410, 'Expired'))),
  'reports 500': (stream) => stream.end(line(errorEvent(500, 'InternalError'))),
  'reports 429 with a back-off': (stream) =>
    stream.end(line({ type: 'ERROR', object: { code: 429, reason: 'TooManyRequests', message: '', details: { retryAfterSeconds: 2 } } })),
  'sends what is not JSON': (stream) => stream.write('<html>\n'),
  'sends an event without an object': (stream) => stream.write(line({ type: 'MODIFIED', object: null })),
  'sends an event of an unknown type': (stream) => stream.write(line({ type: 'RENAMED', object: configMap('a', '1') })),
} satisfies Record<string, StreamFault>;

export const requestFaults = {
  'HTTP 500': statusResponse(500, 'InternalError'),
  'HTTP 503 with the page of a load balancer': (response) =>
    response.writeHead(503, { 'content-type': 'text/html' }).end('<html>no backend'),
  'HTTP 429 with Retry-After': statusResponse(429, 'TooManyRequests', 'slow down', { 'retry-after': '2' }),
  'HTTP 401': statusResponse(401, 'Unauthorized'),
  'HTTP 403': statusResponse(403, 'Forbidden'),
  'HTTP 404': statusResponse(404, 'NotFound'),
  'HTTP 410': statusResponse(410, 'Expired'),
  'HTTP 504 for a resource version that is too large': statusResponse(504, 'Timeout', 'Too large resource version'),
  'a redirect': (response) => response.writeHead(302, { location: 'https://login.example.com/' }).end(),
  'a reset before the response': (response) => response.socket?.resetAndDestroy(),
  'a reset inside the response': (response) => response.writeHead(200).write('{"kind":', () => response.socket?.resetAndDestroy()),
  'a truncated response': (response) => response.writeHead(200).end('{"kind":'),
  'a response that is not JSON': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>\n'),
  'other JSON': (response) => response.writeHead(200).end('{"hello":"world"}\n'),
} satisfies Record<string, Answer>;

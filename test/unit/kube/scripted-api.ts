/** A scripted API server on a loopback port, and the answers for its scripts. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import { onTestFinished } from 'vitest';
import type { Log } from '../../../src/contracts/log.ts';
import type { KubeObject } from '../../../src/kube/api-client.ts';

/** One request, and the client's port. Requests with the same port used the same connection. */
export type Received = {
  port: number | undefined;
  method: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingHttpHeaders;
  body: string;
};

/** The answer to one request. A response that is not ended stays open, like a watch. */
export type Answer = (response: ServerResponse, request: Received) => void;

/**
 * An API server on a loopback port that answers requests in the order of a script. Further requests get `beyond`, by default a watch that
 * stays open.
 */
export async function scriptedApi(script: Answer[], beyond: Answer = watching()) {
  const received: Received[] = [];
  const open: ServerResponse[] = [];
  const server = createServer(async (message, response) => {
    const url = new URL(message.url ?? '', 'http://api');
    const request = {
      port: message.socket.remotePort,
      method: message.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: message.headers,
      body: await text(message),
    };
    const answer = script[received.length] ?? beyond;
    received.push(request);
    open.push(response);
    answer(response, request);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    /** Writes to the response of the latest request. */
    send: (chunk: string | Uint8Array) => void open.at(-1)?.write(chunk),
    connections: () => new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count))),
    kubeConfig: (user: object = {}) => {
      const kubeConfig = new KubeConfig();
      kubeConfig.loadFromOptions({
        clusters: [{ name: 'scripted', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
        users: [{ name: 'somebody', ...user }],
        contexts: [{ name: 'here', cluster: 'scripted', user: 'somebody' }],
        currentContext: 'here',
      });
      return kubeConfig;
    },
  };
}

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

export const statusResponse = (code: number, reason: string, message = 'as scripted', headers: Record<string, string> = {}): Answer =>
  json({ kind: 'Status', code, reason, message }, code, headers);

export const listing = (resourceVersion: string, items: KubeObject[], next = ''): Answer =>
  json({ kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion, continue: next }, items });

/** A watch that sends these lines and stays open. */
export const watching =
  (...events: object[]): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    for (const event of events) response.write(line(event));
  };

/** A watch that sends these lines and ends as the API server ends one. */
export const watched =
  (...events: object[]): Answer =>
  (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(events.map(line).join(''));

export const line = (event: object): string => `${JSON.stringify(event)}\n`;

export const configMap = (name: string, resourceVersion: string, labels?: Record<string, string>): KubeObject => ({
  metadata: { namespace: 'regkeeper', name, uid: `uid-${name}`, resourceVersion, ...(labels && { labels }) },
});

export const bookmark = (resourceVersion: string) => ({ type: 'BOOKMARK', object: { kind: 'ConfigMap', metadata: { resourceVersion } } });

export const errorEvent = (code: number, reason: string) => ({
  type: 'ERROR',
  object: { kind: 'Status', code, reason, message: 'as scripted' },
});

export function recordingLog(): Log & { lines: { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = [];
  const at = (level: string) => (_fields: object, message: string) => void lines.push({ level, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

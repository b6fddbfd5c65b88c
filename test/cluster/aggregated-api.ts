/**
 * An aggregated API: an APIService whose requests the API server forwards to a server in the test process. It simulates OpenShift's APIs, which
 * run in Pods and may be slow or unavailable while the rest of the cluster works. Custom resources cannot simulate that: they never answer 503.
 */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';
import { type Target, waitFor } from './target.ts';

export type AggregatedApi = {
  /** From now on requests are answered. Resolves when the API server forwards them. */
  answer(): Promise<void>;
  /** From now on connections are accepted and requests are not answered. */
  beSlow(): Promise<void>;
  /** From now on the Service has no server. Resolves when the API server answers 503. */
  beUnavailable(): Promise<void>;
  /** From now on every answer is 404, like that of a server that has not installed its APIs yet. */
  knowNothing(): Promise<void>;
  /** How many requests for the list of resources have been forwarded so far. */
  discoveries(): number;
  /** Deletes the APIService and stops the server. */
  remove(): Promise<void>;
};

export type AggregatedApiOptions = {
  readonly cluster: Target;
  readonly group: string;
  readonly version: string;
  readonly resources: readonly { readonly name: string; readonly kind: string }[];
};

/** Nothing else may serve the API. It starts unavailable. Call `remove` at the end. */
export async function startAggregatedApi({ cluster, group, version, resources }: AggregatedApiOptions): Promise<AggregatedApi> {
  const { kubectl } = cluster;
  const namespace = await cluster.namespace();
  const host = `aggregated.${namespace}.svc`;
  const sockets = new Set<Socket>();
  let mode: 'answer' | 'slow' | 'nothing' = 'answer';
  let discoveries = 0;

  const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)];
  const ca = issueCa({ commonName: 'aggregated API', notBefore, notAfter });
  const leaf = issueServerCertificate({ ca, commonName: host, dnsNames: [host], ipAddresses: [], notBefore, notAfter });
  const server = createServer({ key: leaf.key, cert: leaf.certificate }, (incoming, response) => {
    const { pathname } = new URL(incoming.url ?? '/', 'https://aggregated');
    if (pathname === `/apis/${group}/${version}`) discoveries += 1;
    if (mode === 'slow') return;
    send(response, mode === 'answer' ? contentOf(pathname, { group, version, resources }) : undefined);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = { namespace, service: 'aggregated', port: 443 };
  const { port } = server.address() as AddressInfo;

  const metadata = { name: 'aggregated', namespace };
  await apply({ apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 443 }] } });
  // An APIService only becomes available when its Service has an endpoint. Its address does not matter: the egress proxy routes connections.
  await apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'aggregated' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.250.1'], conditions: { ready: true } }],
    ports: [{ name: '', port: 443, protocol: 'TCP' }],
  });
  await apply({
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: `${version}.${group}` },
    spec: {
      group,
      version,
      service: { namespace, name: 'aggregated', port: 443 },
      caBundle: Buffer.from(ca.certificate).toString('base64'),
      groupPriorityMinimum: 1_000,
      versionPriority: 15,
    },
  });

  const client = await kubectl.api();
  /** The error of the API server. Undefined when it forwards a list of resources. */
  const ask = async (): Promise<string | undefined> => {
    try {
      await client.request({ method: 'GET', path: `/apis/${group}/${version}`, timeoutMilliseconds: 2_000 });
      return undefined;
    } catch (error) {
      return String(error);
    }
  };
  const set = async (to: typeof mode, routed: boolean, reached: (error: string | undefined) => boolean, deadlineSeconds = 60) => {
    mode = to;
    if (routed) await cluster.routeService(address, port);
    else await cluster.unrouteService(address);
    // Open connections would bypass the new route.
    for (const socket of sockets) socket.destroy();
    await waitFor(async () => reached(await ask()), {
      deadlineSeconds,
      what: `the aggregated API to be seen as "${to}", ${routed ? 'routed' : 'not routed'}`,
    });
  };
  const answer = () => set('answer', true, (said) => said === undefined);
  const knowNothing = () => set('nothing', true, (said) => /NotFound|not find/i.test(said ?? ''), 3);
  const api: AggregatedApi = {
    answer,
    beSlow: () => set('slow', true, (error) => error !== undefined),
    beUnavailable: () => set('answer', false, (error) => /unable to handle|ServiceUnavailable|unavailable/i.test(error ?? '')),
    // The API server probes an aggregated server now and then. While a probe has failed it forwards no request, and a 404 fails a probe.
    knowNothing: async () => {
      for (let tries = 1; tries < 10; tries += 1) {
        await answer();
        if (
          await knowNothing().then(
            () => true,
            () => false,
          )
        )
          return;
      }
      await knowNothing();
    },
    discoveries: () => discoveries,
    async remove() {
      await kubectl(['delete', 'apiservice', `${version}.${group}`, '--ignore-not-found']);
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  await api.beUnavailable();
  return api;

  async function apply(manifest: object): Promise<void> {
    await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(manifest) });
  }
}

function contentOf(path: string, { group, version, resources }: Omit<AggregatedApiOptions, 'cluster'>): object | undefined {
  const groupVersion = `${group}/${version}`;
  const versions = [{ groupVersion, version }];
  if (path === '/apis')
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: [{ name: group, versions, preferredVersion: versions[0] }] };
  if (path === `/apis/${group}`) return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions, preferredVersion: versions[0] };
  if (path !== `/apis/${groupVersion}`) return undefined;
  const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: resources.map(({ name, kind }) => ({ name, kind, namespaced: true, singularName: '', verbs })),
  };
}

function send(response: ServerResponse, content: object | undefined): void {
  response.statusCode = content ? 200 : 404;
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify(content ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: 'not found' }),
  );
}

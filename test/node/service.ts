/** Brings the API server's connections for a Service to its Pods on the node, as kube-proxy would. */

import { createConnection, createServer } from 'node:net';
import type { ApiClient, KubeObject } from '../../src/kube/api-client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { joinConnections, type ServiceAddress } from '../cluster/egress.ts';

type EndpointSlice = KubeObject & {
  readonly endpoints?: readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready?: boolean } }[] | null;
  readonly ports?: readonly { readonly name?: string; readonly port: number }[] | null;
};

export interface ServiceOnNode {
  /** A port of 127.0.0.1 whose connections go to the ready endpoints in turn. Without one they are closed. */
  readonly port: number;
  close(): Promise<void>;
}

export async function followService(client: ApiClient, { namespace, service }: ServiceAddress): Promise<ServiceOnNode> {
  let endpoints: readonly { host: string; port: number }[] = [];
  let turn = 0;
  const slices = createInformer<EndpointSlice>({
    client,
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    labelSelector: `kubernetes.io/service-name=${service}`,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onChange({ items }) {
      endpoints = [...items].flatMap(({ endpoints: all, ports }) => {
        const port = ports?.[0]?.port ?? 0;
        const ready = (all ?? []).filter(({ conditions }) => conditions.ready);
        return ready.flatMap(({ addresses }) => addresses.map((host) => ({ host, port })));
      });
    },
  });
  slices.start();
  const server = createServer({ noDelay: true }, (socket) => {
    const endpoint = endpoints[turn++ % endpoints.length];
    if (endpoint === undefined) socket.destroy();
    else joinConnections(socket, createConnection({ ...endpoint, noDelay: true }));
  });
  await new Promise<void>((settle, reject) => server.once('error', reject).listen(0, '127.0.0.1', settle));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close() {
      server.close();
      await slices.stop();
    },
  };
}

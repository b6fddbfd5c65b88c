/** Clients in memory whose requests can be ended by a signal, as those of the real client. */
import type { ApiClient } from '../../../src/kube/api-client.ts';

const methods = ['request', 'get', 'list', 'create', 'replace', 'patchApply', 'delete', 'resourcesOf', 'hasResource'] as const;

export function abortable(client: ApiClient): ApiClient {
  return {
    ...client,
    until: (signal) => ({ ...client, ...Object.fromEntries(methods.map((name) => [name, racing(client, name, signal)])) }),
  };
}

function racing(client: ApiClient, name: (typeof methods)[number], signal: AbortSignal) {
  const method = client[name] as (...input: unknown[]) => Promise<unknown>;
  return (...input: unknown[]) => {
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    if (signal.aborted) reject(signal.reason);
    return Promise.race([method(...input), promise]);
  };
}

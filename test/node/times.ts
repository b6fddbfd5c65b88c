/** Measures how long Pods take, from the request to Running. */

import type { ApiClient, KubeObject } from '../../src/kube/api-client.ts';
import { createInformer } from '../../src/kube/informer.ts';

export interface PodTimes {
  /** Creates the Pod. Returns the milliseconds from the request to the first status Running, as a watch reports it. */
  untilRunning(pod: { readonly metadata: { readonly name: string } }): Promise<number>;
  stop(): Promise<void>;
}

export function measurePods(client: ApiClient, namespace: string): PodTimes {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const waiting = new Map<string, () => void>();
  const pods = createInformer<KubeObject & { readonly status?: { readonly phase?: string } }>({
    client,
    path,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onChange({ items }) {
      for (const { metadata, status } of items) if (status?.phase === 'Running') waiting.get(metadata.name)?.();
    },
  });
  pods.start();
  return {
    async untilRunning(pod) {
      const started = performance.now();
      const running = new Promise<void>((settle) => waiting.set(pod.metadata.name, settle));
      await client.create(path, pod);
      await running;
      return performance.now() - started;
    },
    stop: () => pods.stop(),
  };
}

export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** `median 12 ms, worst 30 ms` */
export function describeTimes(values: readonly number[]): string {
  return `median ${median(values).toFixed(1)} ms, worst ${Math.max(...values).toFixed(1)} ms`;
}

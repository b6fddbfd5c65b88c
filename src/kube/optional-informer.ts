/** Collections of APIs that a cluster may have or not, come later, or lose. */
import type { KubeObject } from './api-client.ts';
import { errorMessage } from './explain-api-error.ts';
import { createInformer, type Informer, type InformerOptions } from './informer.ts';
import { createReconcileLoop, type ReconcileLoop } from './reconcile-loop.ts';

export type OptionalInformerOptions<T extends KubeObject> = Omit<InformerOptions<T>, 'path'> & {
  /** `group/version`. */
  readonly groupVersion: string;
  readonly plural: string;
  /** Within it, where only one namespace matters. */
  readonly namespace?: string | undefined;
  /** The API is there, or is not any more; also told by `onChange`, but for an API without objects. */
  readonly onServed?: ((served: boolean) => void) | undefined;
};

export type OptionalInformer<T extends KubeObject> = {
  /** `asking`: nobody knows yet whether the API is there. `unread`: it is, and its first list is not complete. */
  state(): 'asking' | 'absent' | 'unread' | 'read';
  get(namespace: string | undefined, name: string): T | undefined;
  /** Reads everything again, where there is something to read. */
  reload(): void;
  start(): void;
  stop(): Promise<void>;
};

/**
 * Follows a collection where the API server serves it, and asks again each minute whether it does: an operator may install the API later.
 * Where it is gone, so are its objects; where only the server behind it does not answer (an aggregated API), what was read last holds.
 */
export function createOptionalInformer<T extends KubeObject>(options: OptionalInformerOptions<T>): OptionalInformer<T> {
  const { client, log, groupVersion, plural, namespace, store, onServed, clock } = options;
  const path = `/apis/${groupVersion}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}`;
  let served: boolean | undefined;
  let informer: Informer<T> | undefined;
  let lastFailure: string | undefined;
  let stopped = false;

  const reconcileLoop: ReconcileLoop = createReconcileLoop({
    reconcile: async () => {
      const now = await client.hasResource(groupVersion, plural);
      lastFailure = undefined;
      if (stopped || now === served) return;
      served = now;
      if (now) {
        informer = createInformer({ ...options, path });
        informer.start();
      } else await stopInformer();
      onServed?.(now);
    },
    onFailure: (err) => {
      const message = errorMessage(err);
      if (message !== lastFailure) log.warn({ err }, `whether the cluster has ${plural} of ${groupVersion} cannot be told: ${message}`);
      lastFailure = message;
    },
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 500,
    clock,
  });

  async function stopInformer(): Promise<void> {
    const ended = informer;
    informer = undefined;
    await ended?.stop();
    // The store would keep the objects that were read last, and count them.
    if (ended && store) store.adopt(store.create());
  }

  return {
    state() {
      if (served === undefined) return 'asking';
      if (!informer) return 'absent';
      return informer.synced ? 'read' : 'unread';
    },
    get: (inNamespace, name) => informer?.get(inNamespace, name),
    reload: () => informer?.reload(),
    start() {
      reconcileLoop.requeue();
      reconcileLoop.start();
    },
    async stop() {
      stopped = true;
      reconcileLoop.stop();
      await stopInformer();
    },
  };
}

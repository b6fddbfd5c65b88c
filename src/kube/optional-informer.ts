/** Informers of APIs that a cluster may not have, such as CRDs and aggregated APIs, and which may be installed or removed later. */

import { errorMessage } from '../errors/error-message.ts';
import { boundTo, type KubeObject } from './api-client.ts';
import { createInformer, type Informer, type InformerOptions } from './informer.ts';
import { createReconcileLoop, type ReconcileLoop } from './reconcile-loop.ts';

export type OptionalInformerOptions<T extends KubeObject> = Omit<InformerOptions<T>, 'path'> & {
  /** `group/version`. */
  readonly groupVersion: string;
  readonly plural: string;
  /** Limits the informer to one namespace. */
  readonly namespace?: string | undefined;
  /** Called when the API has appeared or disappeared. `onChange` reports this too, except for an API without objects. */
  readonly onServed?: ((served: boolean) => void) | undefined;
};

export type OptionalInformer<T extends KubeObject> = {
  /** `unknown`: it is not yet known whether the API exists. `syncing`: it exists, and its first list is not complete. */
  state(): 'unknown' | 'absent' | 'syncing' | 'synced';
  get(namespace: string | undefined, name: string): T | undefined;
  /** Lists everything again, if the API exists. */
  reload(): void;
  start(): void;
  stop(): Promise<void>;
};

/**
 * Watches a collection if the API server serves it, and checks once a minute whether it does, because an operator may install the API
 * later. When the API is removed, its objects are removed too. When only the server behind an aggregated API does not answer, the last
 * state is kept.
 */
export function createOptionalInformer<T extends KubeObject>(options: OptionalInformerOptions<T>): OptionalInformer<T> {
  const { client, log, groupVersion, plural, namespace, store, onServed, clock } = options;
  const path = `/apis/${groupVersion}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}`;
  let served: boolean | undefined;
  let informer: Informer<T> | undefined;
  let lastFailure: string | undefined;
  let stopped = false;

  const reconcileLoop: ReconcileLoop = createReconcileLoop({
    reconcile: async (signal) => {
      const now = await boundTo(signal, client).hasResource(groupVersion, plural);
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
      if (message !== lastFailure)
        log.warn({ err }, `cannot determine whether the API server serves ${plural} (${groupVersion}): ${message}. Retrying`);
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
    // Otherwise the store would keep the last objects, and count them.
    if (ended && store) store.adopt(store.create());
  }

  return {
    state() {
      if (served === undefined) return 'unknown';
      if (!informer) return 'absent';
      return informer.synced ? 'synced' : 'syncing';
    },
    get: (inNamespace, name) => informer?.get(inNamespace, name),
    reload: () => informer?.reload(),
    start() {
      reconcileLoop.requeue();
      reconcileLoop.start();
    },
    async stop() {
      stopped = true;
      await reconcileLoop.stop();
      await stopInformer();
    },
  };
}

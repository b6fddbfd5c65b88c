/** OpenShift's image streams as facts: the images that their tags resolve to. */

import type { Log } from '../../contracts/log.ts';
import type { ImageStreamFacts } from '../../decision/facts.ts';
import { readImageStreamFacts, sizeOfStream } from '../../decision/read-stream-facts.ts';
import { type ApiClient, boundTo, type KubeObject } from '../../kube/api-client.ts';
import { identityOf, identitySize } from '../../kube/object-identity.ts';
import { createOptionalInformer, type OptionalInformer } from '../../kube/optional-informer.ts';
import type { JsonObject } from '../../object/json.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { NamespaceBudget } from './namespace-budget.ts';
import { measureList } from './service-accounts.ts';

export type WatchedStreams = {
  /** `unknown` on a cluster without image streams, and until they have been read. */
  get(namespace: string, name: string): ImageStreamFacts;
  /** False on a cluster that has no image streams. Until that is known, they count as served. */
  served(): boolean;
  /** Whether requests should wait for the first list. */
  waiting(): boolean;
  start(): void;
  stop(): Promise<void>;
};

/**
 * How long the start waits for image streams, in milliseconds. OpenShift serves their API from Pods, which may start later than regkeeper
 * or be unavailable. Without streams nothing is allowed for good that would otherwise be denied, because their images are evaluated in the
 * Build or Pod that results. So a cold start of the cluster does not have to wait.
 */
const maxWait = 20_000;

type KeptStream = KubeObject & { readonly facts: ImageStreamFacts };

export type StreamOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly budget: NamespaceBudget;
  readonly clock?: Clock | undefined;
};

export function createImageStreamFacts({ client, log, budget, clock = systemClock }: StreamOptions): WatchedStreams {
  const store = budget.store<KeptStream>({
    sizeOf,
    measure: (namespace, maxBytes, signal) =>
      streams.state() === 'absent'
        ? Promise.resolve(0)
        : measureList(
            boundTo(signal, client),
            `/apis/image.openshift.io/v1/namespaces/${namespace}/imagestreams`,
            (object) => sizeOf(keep(object)),
            maxBytes,
          ),
    reload: () => streams.reload(),
  });
  const streams: OptionalInformer<KeptStream> = createOptionalInformer<KeptStream>({
    client,
    groupVersion: 'image.openshift.io/v1',
    plural: 'imagestreams',
    keep,
    store,
    log,
    clock,
  });
  let waitsForList = true;
  const isUnread = () => streams.state() === 'unknown' || streams.state() === 'syncing';
  let cancel = () => {};
  const endWait = () => {
    waitsForList = false;
    if (isUnread())
      log.warn({}, 'image streams have not been read yet. Until then, their images are evaluated only in the resulting Build or Pod');
  };
  return {
    get(namespace, name) {
      if (streams.state() !== 'synced') return { kind: 'unknown' };
      const stream = streams.get(namespace, name);
      if (stream) return stream.facts;
      return store.isOmitted(namespace) ? { kind: 'too-large', why: 'its namespace is over its memory budget' } : { kind: 'absent' };
    },
    served: () => streams.state() !== 'absent',
    waiting: () => waitsForList && isUnread(),
    start() {
      streams.start();
      cancel = clock.schedule(endWait, maxWait);
    },
    async stop() {
      cancel();
      await streams.stop();
    },
  };
}

function keep(object: KubeObject): KeptStream {
  return { metadata: identityOf(object), facts: readImageStreamFacts(object as unknown as JsonObject) };
}

/** Measured: 2,000 tags of 20,000 images need 6.0 MiB, and `sizeOfStream` counts 5.8. */
function sizeOf({ metadata, facts }: KeptStream): number {
  return 360 + identitySize(metadata) + (facts.kind === 'known' ? sizeOfStream(facts) : 0);
}

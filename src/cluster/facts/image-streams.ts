/** OpenShift's image streams as facts: which image each stands for. */
import type { ImageStreamFacts } from '../../decision/facts.ts';
import { readImageStreamFacts, sizeOfStream } from '../../decision/image-stream.ts';
import type { ApiClient, KubeObject, Log } from '../../kube/api-client.ts';
import { identityOf, identitySize } from '../../kube/informer.ts';
import { createOptionalInformer, type OptionalInformer } from '../../kube/optional-informer.ts';
import type { JsonObject } from '../../object/json.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { NamespaceBudget } from './namespace-budget.ts';
import { measureList } from './service-accounts.ts';

export type WatchedStreams = {
  /** `unknown` on a cluster without image streams, and as long as they could not be read. */
  get(namespace: string, name: string): ImageStreamFacts;
  /** Whether requests should wait for the first list. */
  waiting(): boolean;
  start(): void;
  stop(): Promise<void>;
};

/**
 * How long the start waits for them, in milliseconds. The API of image streams is not the API server's own: OpenShift runs it in Pods, which
 * may come later than us, or be away. Without streams nothing is let in that would be refused for good, since what a stream stands for is
 * judged where it becomes a Build or a Pod; so a cluster that starts from nothing need not wait for them.
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
    measure: (namespace, maxBytes) =>
      streams.state() === 'absent'
        ? Promise.resolve(0)
        : measureList(
            client,
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
  const isUnread = () => streams.state() === 'asking' || streams.state() === 'unread';
  let cancel = () => {};
  const endWait = () => {
    waitsForList = false;
    if (isUnread())
      log.warn({}, 'the image streams of the cluster could not be read yet; what they hold is judged where it becomes a Build or a Pod');
  };
  return {
    get(namespace, name) {
      if (streams.state() !== 'read') return { kind: 'unknown' };
      const stream = streams.get(namespace, name);
      if (stream) return stream.facts;
      return store.isOmitted(namespace) ? { kind: 'too-large', why: 'its namespace is over its memory budget' } : { kind: 'absent' };
    },
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

/** Measured: 2,000 tags of 20,000 images take 6.0 MiB, for which `sizeOfStream` counts 5.8. */
function sizeOf({ metadata, facts }: KeptStream): number {
  return 360 + identitySize(metadata) + (facts.kind === 'known' ? sizeOfStream(facts) : 0);
}

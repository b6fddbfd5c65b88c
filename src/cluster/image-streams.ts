/** OpenShift's image streams as facts: which image each stands for. */
import type { ImageStreamFacts } from '../decision/facts.ts';
import { readImageStream } from '../decision/image-stream.ts';
import type { JsonObject } from '../object/json.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import { onTimer, type Schedule } from './checks.ts';
import { identityOf } from './reflector.ts';
import { watchWhereServed } from './where-served.ts';

export type WatchedStreams = {
  /** `unknown` on a cluster without image streams, and as long as they could not be read. */
  get(namespace: string, name: string): ImageStreamFacts;
  /** Whether requests should wait for the first list. */
  waiting(): boolean;
  close(): Promise<void>;
};

/**
 * How long the start waits for them, in milliseconds. The API of image streams is not the API server's own: OpenShift runs it in Pods, which
 * may come later than us, or be away. Without streams nothing is let in that would be refused for good, since what a stream stands for is
 * judged where it becomes a Build or a Pod; so a cluster that starts from nothing need not wait for them.
 */
const patience = 20_000;

type KeptStream = KubeObject & { readonly facts: ImageStreamFacts };

export type StreamOptions = { readonly client: ApiClient; readonly log: Log; readonly schedule?: Schedule | undefined };

export function watchImageStreams({ client, log, schedule = onTimer }: StreamOptions): WatchedStreams {
  const streams = watchWhereServed<KeptStream>({
    client,
    groupVersion: 'image.openshift.io/v1',
    plural: 'imagestreams',
    // Each can be a hundred kilobytes; what is kept of it is small.
    pageSize: 100,
    keep: (object) => ({ metadata: identityOf(object), facts: readImageStream(object as unknown as JsonObject) }),
    log,
    schedule,
  });
  let patient = true;
  const isUnread = () => streams.state() === 'asking' || streams.state() === 'unread';
  const cancel = schedule(() => {
    patient = false;
    if (isUnread())
      log.warn({}, 'the image streams of the cluster could not be read yet; what they hold is judged where it becomes a Build or a Pod');
  }, patience);
  return {
    get(namespace, name) {
      if (streams.state() !== 'read') return { kind: 'unknown' };
      return streams.get(namespace, name)?.facts ?? { kind: 'absent' };
    },
    waiting: () => patient && isUnread(),
    async close() {
      cancel();
      await streams.close();
    },
  };
}

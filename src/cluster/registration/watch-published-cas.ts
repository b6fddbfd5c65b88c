/** Watches the CA bundles in the live webhook configurations. */
import type { PublishedCas } from '../../certificates/rotation/wait-for-published-ca.ts';
import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import type { Clock } from '../../time/clock.ts';
import { bundleOf, callsUs, configurationPaths, type LiveConfiguration, ourName } from './live-configuration.ts';

export type PublishedCasOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly watchTimings?: Partial<InformerTimings> | undefined;
};

/** The CAs with which the API server verifies regkeeper, in every entry of both live webhook configurations. */
export function createPublishedCas({ client, log, clock, watchTimings: timings }: PublishedCasOptions): PublishedCas & ImmediateComponent {
  const listeners = new Set<() => void>();
  const informers = configurationPaths.map((path) =>
    createInformer<LiveConfiguration>({
      client,
      path,
      fieldSelector: `metadata.name=${ourName}`,
      log,
      onChange: () => listeners.forEach((listener) => void listener()),
      clock,
      timings,
    }),
  );
  return {
    name: 'published CAs',
    current() {
      if (!informers.every(({ synced }) => synced)) return undefined;
      const entries = informers.flatMap((watch) => watch.get(undefined, ourName)?.webhooks ?? []);
      return [...new Set(entries.filter(callsUs).map(bundleOf))];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    start: () => informers.forEach((watch) => void watch.start()),
    async stop() {
      listeners.clear();
      await Promise.all(informers.map((watch) => watch.stop()));
    },
  };
}

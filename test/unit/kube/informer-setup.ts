/** An informer of ConfigMaps on an API server of the test, whose backoff takes no time. */
import { onTestFinished } from 'vitest';
import type { ApiClient, KubeObject } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { createInformer, type InformerOptions } from '../../../src/kube/informer.ts';
import type { Clock } from '../../../src/time/clock.ts';
import { recordingLog, type scriptedApi } from './scripted-api.ts';

export const configMapsPath = '/api/v1/namespaces/regkeeper/configmaps';
export const stallAfter = 1_000_000;
/** Between the longest backoff and the shortest idle timeout. */
const longestPause = 300_000;

export type Connection = Pick<ApiClient, 'streamsInitialState'> & { readonly user?: object | undefined };

/** Starts the informer. Pauses end at once and are recorded. The idle timeout ends when the test calls `passTime`. */
export function startInformer(
  server: Pick<Awaited<ReturnType<typeof scriptedApi>>, 'kubeConfig'>,
  options: Partial<InformerOptions<KubeObject>>,
  { user, streamsInitialState = false }: Connection = {},
) {
  const client = connectApi(server.kubeConfig(user), { streamsInitialState });
  const log = recordingLog();
  const pauses: number[] = [];
  let time = 0;
  let endIdleWait = () => {};
  const clock: Clock = {
    now: () => time,
    monotonic: () => time,
    schedule(work, milliseconds) {
      if (milliseconds > longestPause) endIdleWait = work;
      else {
        pauses.push(milliseconds);
        globalThis.setImmediate(work);
      }
      return () => undefined;
    },
  };
  const informer = createInformer<KubeObject>({
    client,
    path: configMapsPath,
    log,
    clock,
    timings: { random: () => 0, stallAfter },
    ...options,
  });
  informer.start();
  const close = async () => {
    await informer.stop();
    await client.close();
  };
  onTestFinished(close);
  return {
    client,
    informer,
    log,
    pauses,
    passTime: (milliseconds: number) => {
      time += milliseconds;
      endIdleWait();
    },
    close,
  };
}

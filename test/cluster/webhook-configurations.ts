/** Reads and breaks regkeeper's webhook configurations in scenarios, and counts the Pods that are admitted until they are repaired. */
import { setTimeout as pause } from 'node:timers/promises';
import { configurationPaths } from '../../src/cluster/registration/live-configuration.ts';
import { type ApiClient, ApiError } from '../../src/kube/api-client.ts';
import type { WebhookConfiguration } from './other-writers.ts';

const [mutatingPath = '', validatingPath = ''] = configurationPaths.map((path) => `${path}/regkeeper`);
export const paths = { mutating: mutatingPath, validating: validatingPath };

export function entriesOf(admin: ApiClient, path: string): Promise<NonNullable<WebhookConfiguration['webhooks']>> {
  return admin.get<WebhookConfiguration>(path).then(({ webhooks }) => webhooks ?? []);
}

export async function generationsOf(admin: ApiClient): Promise<number> {
  const live = await Promise.all(Object.values(paths).map((path) => admin.get<WebhookConfiguration>(path)));
  return live.reduce((sum, { metadata }) => sum + (metadata.generation ?? 0), 0);
}

/** Changes the configuration with PUT, like `kubectl edit` or a tool that replaces objects. Retries conflicts. */
export async function changeConfiguration(
  admin: ApiClient,
  path: string,
  change: (live: WebhookConfiguration) => void,
  fieldManager = 'somebody',
): Promise<void> {
  for (let round = 1; ; round += 1) {
    const live = await admin.get<WebhookConfiguration>(path);
    change(live);
    try {
      await admin.replace(path, live, { fieldManager });
      return;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409) || round >= 10) throw error;
    }
  }
}

export type Repair = {
  /** Time from the change to the first read that shows the repair. Infinite where there was none within 30 s. */
  readonly milliseconds: number;
  /** How many Pods with an untrusted image were admitted in that time, and in the second after it. */
  readonly admitted: number;
  /** How many were tried. */
  readonly tried: number;
  /** The longest request of these, in milliseconds: how busy the machine was. */
  readonly slowest: number;
};

/** Immediately means within three seconds. On a machine so busy that single requests take longer than that, within a few of them. */
export function repairedAtOnce({ milliseconds, slowest }: Repair): boolean {
  return milliseconds < 3_000 + 3 * slowest;
}

/** Breaks something and then reads continuously until it is repaired, while it tries untrusted Pods one after another. */
export async function timeRepair({
  breakIt,
  isRepaired,
  tryPod,
}: {
  breakIt: () => Promise<void>;
  isRepaired: () => Promise<boolean>;
  tryPod: () => Promise<boolean>;
}): Promise<Repair> {
  let admitted = 0;
  let tried = 0;
  let slowest = 0;
  let over = false;
  const trying = (async () => {
    while (!over) {
      const sent = performance.now();
      if (await tryPod()) admitted += 1;
      tried += 1;
      slowest = Math.max(slowest, Math.round(performance.now() - sent));
    }
  })();
  await breakIt();
  const since = performance.now();
  while (!(await isRepaired())) {
    if (performance.now() - since > 30_000) {
      over = true;
      await trying;
      return { milliseconds: Number.POSITIVE_INFINITY, admitted, tried, slowest };
    }
    await pause(5);
  }
  const milliseconds = Math.round(performance.now() - since);
  // The API server learns of the repaired configuration through its own informer, which lags slightly.
  await pause(1_000);
  over = true;
  await trying;
  return { milliseconds, admitted, tried, slowest };
}

/** Whether a Pod with this image is admitted, with a dry run. */
export async function admits(admin: ApiClient, namespace: string, image: string): Promise<boolean> {
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'tried-' },
    spec: { containers: [{ name: 'x', image }] },
  };
  try {
    await admin.create<object>(`/api/v1/namespaces/${namespace}/pods`, body, { dryRun: 'All' });
    return true;
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
}

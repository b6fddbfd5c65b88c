/**
 * Honest requests during a hostile one: creates Pods in another namespace at a steady rate through the API server while a scenario does
 * something expensive. The result shows how many requests failed and how long they took.
 *
 *     const honest = await startHonestRequests({ kubeconfig: cluster.kubeconfig, namespace, image: 'good.example.com/app' });
 *     await somethingHostile();
 *     await honest.atLeast(200);
 *     expect(await honest.stop()).toMatchObject({ failed: [] });
 */
import { onTestFinished } from 'vitest';
import { connectApi } from '../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import { waitFor } from './wait-for.ts';

export type HonestRequestsOptions = {
  /** An administrator's. The API server never queues its requests (flow schema `exempt`), so the times are those of admission. */
  readonly kubeconfig: string;
  readonly namespace: string;
  /** An image that the rules in force trust. */
  readonly image: string;
  /** An image that the rules deny. If set, every second request has it and must be denied by regkeeper itself. */
  readonly deniedImage?: string;
  /** If set, the secret that must be in `imagePullSecrets` of the answer. */
  readonly pullSecret?: string;
  /** Requests per second, by default 10 (two busy cores answer about 50). They are sent on time, even while earlier ones are unanswered. */
  readonly perSecond?: number;
  /** By default `All`: Pods are admitted, but not stored. With `none` each Pod is stored and then deleted. */
  readonly dryRun?: 'All' | 'none';
};

export type HonestRequests = {
  /** How many requests have been answered so far, including failed ones. */
  answered(): number;
  /** Waits until so many requests have been answered since the start. */
  atLeast(count: number, options?: { readonly deadlineSeconds?: number }): Promise<void>;
  /** Stops sending, waits for the outstanding answers, and returns the result of all requests. */
  stop(): Promise<HonestResult>;
};

export type HonestResult = {
  readonly answered: number;
  readonly failed: readonly HonestFailure[];
  /** Milliseconds from the time a request was due to its answer, including failed requests. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** The result as one line, for printing. */
  readonly summary: string;
};

export type HonestFailure = {
  /** When the request was due, in milliseconds since the start. */
  readonly at: number;
  /** Time until its answer. */
  readonly milliseconds: number;
  readonly message: string;
};

/** Returns when a first request of each image has succeeded, so that connections are open. @throws Error after 30 s */
export async function startHonestRequests(options: HonestRequestsOptions): Promise<HonestRequests> {
  const { kubeconfig, perSecond = 10, deniedImage } = options;
  const client = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
  const ask = (turn: number) =>
    problemWith(
      client,
      options,
      deniedImage !== undefined && turn % 2 === 1 ? { image: deniedImage, denied: true } : { image: options.image },
    );

  for (const turn of [0, 1]) {
    await waitFor(
      async () => {
        const problem = await ask(turn);
        if (problem !== undefined) throw new Error(problem);
        return true;
      },
      { deadlineSeconds: 60, what: 'a first honest request to be answered well' },
    );
  }

  const began = performance.now();
  const durations: number[] = [];
  const failed: HonestFailure[] = [];
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  const send = async (turn: number) => {
    const due = (turn * 1000) / perSecond;
    const problem = await ask(turn);
    const milliseconds = performance.now() - began - due;
    durations.push(milliseconds);
    if (problem !== undefined) failed.push({ at: due, milliseconds, message: problem });
  };
  // Where this process is delayed, all due requests are sent at once, and their time counts from when they were due.
  const timer = setInterval(() => {
    for (; (sent * 1000) / perSecond <= performance.now() - began; sent += 1) {
      const request = send(sent).finally(() => underWay.delete(request));
      underWay.add(request);
    }
  }, 1000 / perSecond);

  let stopped: Promise<void> | undefined;
  const stop = () => {
    clearInterval(timer);
    stopped ??= Promise.all(underWay).then(() => client.close());
    return stopped;
  };
  // Stops sending after a failed test too.
  onTestFinished(stop);

  return {
    answered: () => durations.length,
    atLeast: async (count, { deadlineSeconds = 60 } = {}) => {
      await waitFor(() => durations.length >= count, { deadlineSeconds, what: `${count} honest requests to be answered` });
    },
    stop: async () => {
      await stop();
      return resultOf(durations, failed);
    },
  };
}

type Question = { readonly image: string; readonly denied?: boolean };

/** Describes how the answer to one Pod differs from the expected one. Undefined where it does not. */
async function problemWith(
  client: ReturnType<typeof connectApi>,
  { namespace, pullSecret, dryRun = 'All' }: HonestRequestsOptions,
  { image, denied = false }: Question,
): Promise<string | undefined> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  type Pod = { metadata: { name: string }; spec: { imagePullSecrets?: { name: string }[] } };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'honest-', name: '' },
    spec: { containers: [{ name: 'app', image }] },
  };
  try {
    const created = await client.create<Pod>(pods, pod as never, dryRun === 'All' ? { dryRun } : {});
    if (dryRun === 'none') await client.delete(`${pods}/${created.metadata.name}`, { gracePeriodSeconds: 0 });
    if (denied) return `a Pod with the image ${image} was allowed`;
    if (pullSecret === undefined || created.spec.imagePullSecrets?.some(({ name }) => name === pullSecret)) return undefined;
    return `the Pod was allowed without the secret ${pullSecret}: ${JSON.stringify(created.spec.imagePullSecrets)}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return denied && deniedByUs.test(message) ? undefined : message;
  }
}

/** Does not match the API server's own error for a webhook that does not answer: "failed calling webhook". */
const deniedByUs = /admission webhook "[a-z.]+\.regkeeper\.io" denied the request: /;

function resultOf(durations: readonly number[], failed: readonly HonestFailure[]): HonestResult {
  const sorted = durations.toSorted((one, other) => one - other);
  // Nearest-rank percentiles: of 200 values, p99 is the 198th.
  const rank = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
  const [p50, p99, max] = [rank(0.5), rank(0.99), rank(1)];
  const summary = `${sorted.length} honest requests: ${failed.length} failed, p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms`;
  return { answered: sorted.length, failed: failed.toSorted((one, other) => one.at - other.at), p50, p99, max, summary };
}

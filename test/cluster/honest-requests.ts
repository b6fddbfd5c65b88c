/**
 * Honest requests beside a hostile one: Pods of another namespace, created at a steady rate through the API server while a scenario does
 * something expensive. The result says how many of them failed and how long they took.
 *
 *     const honest = await startHonestRequests({ kubeconfig: cluster.kubeconfig, namespace, image: 'good.example.com/app' });
 *     await somethingHostile();
 *     await honest.atLeast(200);
 *     expect(await honest.stop()).toMatchObject({ failed: [] });
 */
import { onTestFinished } from 'vitest';
import { connectApi } from '../../src/kube/api-client.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import { waitFor } from './wait-for.ts';

export type HonestRequestsOptions = {
  /** An administrator's: the API server never queues its requests (flow schema `exempt`), so what is measured is the admission. */
  readonly kubeconfig: string;
  readonly namespace: string;
  /** An image that the rules in force trust. */
  readonly image: string;
  /** An image that they deny: every second request has it and must be denied by regkeeper itself. */
  readonly deniedImage?: string;
  /** The secret that must be in `imagePullSecrets` of the answer. Not checked unless given. */
  readonly pullSecret?: string;
  /** Requests a second; 10 unless given: two busy cores answer some 50. They are sent on time, whether or not the ones before have been answered. */
  readonly perSecond?: number;
  /** `All` unless given: admitted, but not stored. With `none` each Pod is stored, then deleted. */
  readonly dryRun?: 'All' | 'none';
};

export type HonestRequests = {
  /** How many were answered so far, well or not. */
  answered(): number;
  /** Waits until so many have been answered since the start. */
  atLeast(count: number, options?: { readonly deadlineSeconds?: number }): Promise<void>;
  /** Sends no more, waits for the answers under way, and returns what came of all of them. */
  stop(): Promise<HonestResult>;
};

export type HonestResult = {
  readonly asked: number;
  readonly failed: readonly HonestFailure[];
  /** Milliseconds from the time a request was due to its answer, failed ones included. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** All of it on one line, to print. */
  readonly summary: string;
};

export type HonestFailure = {
  /** When it was due, in milliseconds since the start. */
  readonly at: number;
  /** Until its answer. */
  readonly milliseconds: number;
  readonly message: string;
};

/** Returns once the first request was answered well, so that connections are open. Throws when that takes more than 30 s. */
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
      { deadlineSeconds: 30, what: 'a first honest request to be answered well' },
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
  // Whatever holds this process up, the ones that are due are sent, and their time counts from when they were due.
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
  // A test that failed must not go on asking.
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

/** What is wrong with the answer to one Pod; undefined when it is as it has to be. */
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

/** Not one that the API server makes up where the webhook does not answer: "failed calling webhook". */
const deniedByUs = /admission webhook "[a-z.]+\.regkeeper\.io" denied the request: /;

function resultOf(durations: readonly number[], failed: readonly HonestFailure[]): HonestResult {
  const sorted = durations.toSorted((one, other) => one - other);
  // The nearest rank: of 200, p99 is the 198th.
  const rank = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
  const [p50, p99, max] = [rank(0.5), rank(0.99), rank(1)];
  const summary = `${sorted.length} honest requests: ${failed.length} failed, p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms`;
  return { asked: sorted.length, failed: failed.toSorted((one, other) => one.at - other.at), p50, p99, max, summary };
}

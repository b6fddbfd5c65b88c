/**
 * Proves the fence: the ValidatingAdmissionPolicy that limits what this account can write. RBAC limits only the names. So before any write, dry
 * runs of writes that must not be possible have to be rejected by the policy, and again every five minutes.
 */
import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { copyKey, deliveredLabel, deliveryFieldManager, fencePolicy } from '../../delivery/names.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, boundTo } from '../../kube/api-client.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import type { Clock } from '../../time/clock.ts';
import { copyObject, isRejectedByFence } from './copy-writer.ts';

export type Fence = ImmediateComponent & {
  /** What is missing for the proof. Undefined if the fence is proven. */
  missing(): string | undefined;
  /** Whether there is nothing to prove, because nothing is delivered. */
  idle(): boolean;
  /** Proves it again, because other names may be written now. */
  check(): void;
};

export type FenceOptions = {
  readonly client: ApiClient;
  /** A name that may be written, and namespaces for the dry runs. Undefined if there is nothing to deliver yet. */
  readonly subject: () => FenceSubject | undefined;
  /** Called when the proof succeeds or fails, after a change. */
  readonly onChange: () => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

export type FenceSubject = {
  readonly name: string;
  /** A namespace where copies are possible, and that has no Secret of this name. Undefined if there is none at present. */
  readonly allowedNamespace: string | undefined;
  /** Existing namespaces that are excluded from delivery. At least one. */
  readonly excludedNamespaces: readonly string[];
};

const policy = `the ValidatingAdmissionPolicy ${fencePolicy}`;

/** Milliseconds between two proofs. */
const interval = 300_000;
/** Without a proof, the check is repeated soon, because an administrator may have just applied the policy. */
const retryInterval = 30_000;
/** How long a proof is valid if the next one is not possible, for instance while the API server is unavailable. */
const validity = 2 * interval;

export function createFence({ client, subject, onChange, log, clock }: FenceOptions): Fence {
  const monotonic = clock?.monotonic ?? (() => performance.now());
  let provenAt = Number.NEGATIVE_INFINITY;
  let failure: string | undefined = `${policy} has not been verified yet`;
  let reported: string | undefined;
  let requested = true;
  let idle = false;

  const loop = createReconcileLoop({
    async reconcile(signal) {
      if (!requested && failure === undefined && monotonic() - provenAt < interval) return undefined;
      requested = false;
      const current = subject();
      idle = current === undefined;
      if (!current) {
        reported = undefined;
        failure = 'nothing is delivered';
        return undefined;
      }
      const problem = await findGap(boundTo(signal, client), current);
      if (problem === undefined) provenAt = monotonic();
      conclude(problem);
      return problem === undefined ? undefined : 'requeue';
    },
    onFailure(error) {
      // A proof that is not possible now does not end the last one at once.
      if (monotonic() - provenAt >= validity) conclude(errorMessage(error));
    },
    resyncMilliseconds: retryInterval,
    minIntervalMilliseconds: 1_000,
    clock,
  });

  function conclude(problem: string | undefined): void {
    const changed = failure !== problem;
    failure = problem;
    if (problem !== undefined && problem !== reported) log.error({}, `secrets are not delivered: ${problem}`);
    if (problem === undefined && reported !== undefined) log.info({}, `verified that ${policy} is in effect. Delivering secrets`);
    reported = problem;
    if (changed) onChange();
  }

  return {
    name: 'fence',
    missing: () => failure ?? (monotonic() - provenAt < validity ? undefined : `the last successful check of ${policy} is too old`),
    idle: () => idle,
    check() {
      requested = true;
      loop.reconcileNow();
    },
    start() {
      loop.requeue();
      loop.start();
    },
    stop: loop.stop,
  };
}

/**
 * What the policy does not reject, in words. Undefined if it rejects everything that it must.
 *
 * @throws ApiError where the answer comes from something else, such as a missing permission or another admission plugin
 */
async function findGap(client: ApiClient, { name, allowedNamespace, excludedNamespaces }: FenceSubject): Promise<string | undefined> {
  const copy = copyObject(name, { version: 'probe', rules: 'probe' }, { [copyKey]: btoa('{"auths":{}}') });
  const withoutLabel = { ...copy, metadata: { ...copy.metadata, labels: {} } };
  const opaque = { ...copy, type: 'Opaque' };
  const probes = [
    ...excludedNamespaces.map((namespace) => ({ what: `a copy in the excluded namespace ${namespace}`, namespace, body: copy })),
    ...(allowedNamespace === undefined
      ? []
      : [
          { what: `a Secret without the label ${deliveredLabel}`, namespace: allowedNamespace, body: withoutLabel },
          { what: 'a Secret of another type', namespace: allowedNamespace, body: opaque },
        ]),
  ];
  for (const { what, namespace, body } of probes) {
    if (!(await isRejected(client, namespace, name, body))) {
      return `in a dry run, the API server accepted ${what} from this account, although the policy should reject it. Apply the ValidatingAdmissionPolicy ${fencePolicy} and its binding`;
    }
  }
  return undefined;
}

async function isRejected(client: ApiClient, namespace: string, name: string, body: object): Promise<boolean> {
  const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
  try {
    await client.patchApply(path, body, { fieldManager: deliveryFieldManager, force: true, dryRun: 'All' });
    return false;
  } catch (error) {
    if (isRejectedByFence(error)) return true;
    throw error;
  }
}

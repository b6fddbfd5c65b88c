/** Writes a webhook configuration when a write is due: compare with the desired state, wait for the backoff, apply, log. */

import { errorMessage } from '../../errors/error-message.ts';
import type { ApiError } from '../../kube/api-client.ts';
import { systemClock } from '../../time/clock.ts';
import { aboutChosenCondition, applyConfiguration, isDeleted } from './apply.ts';
import { type BundleToPublish, lacksCa } from './bundle-to-publish.ts';
import { type DesiredConfiguration, type Difference, differenceOf, fieldManagersOf } from './configuration-difference.ts';
import type { WebhookEntry } from './desired.ts';
import { type Configuration, type LiveConfiguration, ourName } from './live-configuration.ts';
import type { Namespace, Observed, Present } from './observed.ts';
import type { RegistrationOptions } from './options.ts';
import { createRepairBackoff } from './repair-backoff.ts';
import { createRepairLog } from './repair-log.ts';

export type Writer = {
  /** Logs a failure, and returns `failed` if the write must be retried. */
  writeIfDue(present: Present): Promise<'failed' | undefined>;
  /** Kinds of the configurations whose next repair is delayed. */
  delayed(): readonly string[];
  /** Forgets what was written and cancels delayed repairs, because another replica may have written since. */
  forget(): void;
  stop(): void;
};

export type WriterCollaborators = {
  readonly observed: Pick<Observed, 'ownNamespace'>;
  readonly bundle: BundleToPublish;
  readonly entries: (configuration: Configuration, caBundle: string) => readonly WebhookEntry[];
  /** Called when a delayed repair is due. */
  readonly onDue: () => void;
  /** Ends the requests of the client. A write that ends so is no failure. */
  readonly signal: AbortSignal;
};

export function createWriter(options: RegistrationOptions, { observed, bundle, entries, onDue, signal }: WriterCollaborators): Writer {
  const { client, namespace, log, clock = systemClock } = options;
  const backoff = createRepairBackoff(clock.monotonic);
  const repairLog = createRepairLog(log, clock.monotonic);
  /** By kind of configuration, what was written last. If that has to be written again, another writer changed it. */
  const written = new Map<string, string>();
  /** By kind of configuration, what was written over which version. Until the informer shows the result, it is not written again. */
  const done = new Map<string, string>();
  /** By kind of configuration, cancels the delayed repair. */
  const paused = new Map<string, () => void>();

  async function write(configuration: Configuration, live: LiveConfiguration): Promise<void> {
    const { kind } = configuration;
    const own = await observed.ownNamespace();
    if (!own) return;
    // The Pods end before the namespace is deleted and its configurations with it, if that ever completes. In between no one would answer.
    const leaving = own.metadata.deletionTimestamp !== undefined;
    const owner = ownerReference(own);
    const desired = (caBundle = bundle.desired()): DesiredConfiguration => ({
      webhooks: leaving ? [] : entriesWith(configuration, caBundle),
      owner: owner.uid,
      enforcer: leaving ? 'tolerate' : (options.enforcer ?? 'tolerate'),
    });
    if (!isDue(kind, differenceOf(live, desired()))) return;
    // A replica that was disconnected for a while may have obsolete CAs, and must not publish them over the present ones. What this
    // replica, still the leader, wrote last is only repeated, so a missing webhook does not wait for the Secret.
    const repeats = written.get(kind) === JSON.stringify(desired());
    const wanted = (repeats && options.leadership) || (await bundle.refresh()) ? desired() : desired(bundle.published());
    const difference = differenceOf(live, wanted);
    if (!difference) return;
    // The leader may have changed during the proof and the read.
    if (!leaving && !mayWrite(options, [live])) return;

    const text = JSON.stringify(wanted);
    const step = `${live.metadata.uid} ${live.metadata.resourceVersion} ${text}`;
    if (done.get(kind) === step) return;
    let managers = written.get(kind) === text ? fieldManagersOf(live, difference) : undefined;
    const onConflict = (conflict: ApiError) => {
      managers = managers?.length ? managers : namesIn(conflict.message);
    };
    await applyConfiguration({ client, log, configuration, live, wanted, owner, isRepair: managers !== undefined, onConflict });
    written.set(kind, text);
    done.set(kind, step);
    if (managers) reportRepair(kind, difference, managers);
    else if (leaving) {
      log.warn(
        { kind },
        `namespace ${namespace} is being deleted: removed all webhooks from the ${kind} ${ourName}. Requests are no longer being evaluated`,
      );
    } else log.info({ kind, webhooks: wanted.webhooks.map(({ name }) => name) }, `registered the webhooks in the ${kind} ${ourName}`);
  }

  function entriesWith(configuration: Configuration, caBundle: string | undefined): readonly WebhookEntry[] {
    if (caBundle === undefined) throw new Error('the certificate source provides no CA bundle, which the API server needs');
    return entries(configuration, caBundle);
  }

  function isDue(kind: string, difference: Difference | undefined): boolean {
    cancelPaused(kind);
    if (!difference) return false;
    const pause = backoff.pauseBefore(kind, difference.severity);
    if (pause > 0) paused.set(kind, clock.schedule(onDue, pause));
    return pause === 0;
  }

  function cancelPaused(kind: string): void {
    paused.get(kind)?.();
    paused.delete(kind);
  }

  function cancelAll(): void {
    for (const kind of paused.keys()) cancelPaused(kind);
  }

  function reportRepair(kind: string, difference: Difference, managers: readonly string[]): void {
    backoff.repaired(kind, difference.severity);
    options.onRepair?.(difference.severity);
    repairLog.repaired({ kind, difference, managers, pause: backoff.pauseBefore(kind, difference.severity) });
  }

  return {
    async writeIfDue({ configuration, live }) {
      try {
        await write(configuration, live);
        return undefined;
      } catch (err) {
        if (signal.aborted || isDeleted(err)) return undefined;
        const { kind } = configuration;
        log.error(
          { err, kind },
          `cannot register the webhooks in the ${kind} ${ourName}: ${aboutChosenCondition(err) ?? errorMessage(err)}`,
        );
        return 'failed';
      }
    },
    delayed: () => [...paused.keys()],
    forget() {
      written.clear();
      cancelAll();
    },
    stop: cancelAll,
  };
}

/** Publishing a CA cannot wait for the leader. All replicas write the same. */
export function mayWrite(
  { leadership, certificates }: Pick<RegistrationOptions, 'leadership' | 'certificates'>,
  live: readonly LiveConfiguration[],
): boolean {
  return (leadership?.leads() ?? true) || live.some((each) => lacksCa(each, certificates));
}

/**
 * The webhook configurations are deleted with the namespace. Otherwise, after the deletion of the namespace, the API server would call
 * webhooks that no one answers.
 */
function ownerReference({ metadata: { name, uid } }: Namespace) {
  if (uid === undefined) throw new Error(`the namespace ${name} has no uid`);
  return { apiVersion: 'v1', kind: 'Namespace', name, uid };
}

/** The managers in the API server's message about conflicting fields. */
function namesIn(message: string): string[] {
  return [...new Set([...message.matchAll(/conflicts? with "([^"]+)"/g)].map(([, name = '']) => name))];
}

/** Reports what secret delivery writes and finds: in the log, in audit records, in metrics and in Events. */
import type { Log } from '../../contracts/log.ts';
import { deliveredLabel } from '../../delivery/names.ts';
import type { CopyFinding } from '../../delivery/plan-copy.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { quote } from '../../image/problem.ts';
import { countOf } from '../../image/wording.ts';
import { ApiError } from '../../kube/api-client.ts';
import { buildDeliveryRecord } from '../../observe/audit/delivery-record.ts';
import type { DeliveryMetrics } from '../../observe/delivery-metrics.ts';
import type { AuditLog } from '../../observe/logger.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { ControllerObserver, WriteAction } from './controller.ts';
import type { SecretEvents } from './events.ts';
import type { PlannedCopy } from './plans.ts';

export type DeliveryReporterOptions = {
  readonly rules: () => RuleSet | undefined;
  readonly auditLog: AuditLog;
  readonly metrics: Pick<DeliveryMetrics, 'wrote' | 'failed' | 'rotated'>;
  readonly events: SecretEvents;
  /** The uid of a Secret that exists. */
  readonly uidOf: (namespace: string, name: string) => string | undefined;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

/** Lines of the log for findings and failures in a minute. Tenants can cause one in each of their namespaces. */
const linesPerMinute = 60;

export function createDeliveryReporter(options: DeliveryReporterOptions): ControllerObserver {
  const { rules, auditLog, metrics, events, uidOf, log, clock = systemClock } = options;
  const budget = createLineBudget(log, clock);
  return {
    written({ namespace, name, action, planned, secret }) {
      metrics.wrote(action.do);
      auditLog.write(
        buildDeliveryRecord({
          namespace,
          name,
          action,
          secret: planned.secret,
          content: planned.content,
          rulesRevision: rules()?.revision ?? '',
          written: secret,
        }),
      );
      if (action.do === 'update' && action.because === 'tampered') {
        budget.warn({ namespace, secret: name }, `restored the copy ${namespace}/${name}, which another writer had changed`);
      }
    },
    failed({ namespace, name, action, error }) {
      metrics.failed(action.do);
      const { status, reason } = error instanceof ApiError ? error : { status: 0, reason: '' };
      const fix = status === 403 ? '. Apply the output of "regkeeper rbac --deliver"' : '';
      budget.warn(
        { err: error, namespace, secret: name, status, reason },
        `cannot ${attempts[action.do]}: ${errorMessage(error)}${fix}. Retrying`,
      );
    },
    found({ namespace, name, finding, planned, repeated }) {
      const message = messageOf(finding, namespace, name, planned);
      if (!repeated) budget.warn({ namespace, secret: name, finding }, message);
      if (finding === 'foreign' || finding === 'label-removed' || finding === 'stuck-deletion') {
        events.warn({ namespace, name, uid: uidOf(namespace, name) }, eventReasons[finding], message);
      }
    },
    rotated({ source, copies, seconds }) {
      metrics.rotated(source, seconds);
      log.info({ source, copies, seconds }, `all copies of the source ${source} are up to date`);
    },
  };
}

const attempts: Readonly<Record<WriteAction['do'], string>> = {
  create: 'create a copy',
  update: 'update a copy',
  replace: 'replace a copy',
  delete: 'delete a copy',
  'mark-unused': 'mark a copy as unused',
  'unmark-unused': 'mark a copy as used',
};

const eventReasons = {
  foreign: 'SecretNotDelivered',
  'label-removed': 'DeliveredLabelRemoved',
  'stuck-deletion': 'SecretStuckInDeletion',
} as const;

/** What is wrong, and the fix. */
export function messageOf(finding: CopyFinding, namespace: string, name: string, { source, content }: PlannedCopy): string {
  const secret = `Secret ${namespace}/${name}`;
  switch (finding) {
    case 'foreign':
      return `${secret} already exists and was not created by regkeeper, so it is not changed. Delete it to get the copy, or use a different name in the rules`;
    case 'label-removed':
      return `${secret} was delivered, but its label ${deliveredLabel}: "true" was removed. It is no longer updated. Add the label, or delete the Secret`;
    case 'excluded-copy':
      return `${secret} is a copy in a namespace that is excluded from delivery. Delete it`;
    case 'stuck-deletion':
      return `${secret} is needed but is being deleted, and a finalizer blocks the deletion. Remove the finalizer`;
    case 'content-unavailable':
      return `cannot deliver ${namespace}/${name}: ${whyUnavailable(source, content)}`;
  }
}

function whyUnavailable(source: PlannedCopy['source'], content: PlannedCopy['content']): string {
  if (source?.state === 'unusable') return source.message;
  if (content?.tooLarge) {
    const entries = countOf(content.entries, 'entry that its rules need exceeds', 'entries that its rules need exceed');
    return `${entries} the 1 MiB limit for a Secret. Remove entries from the source, or use several secrets`;
  }
  const [omitted, ...others] = content?.omitted ?? [];
  if (omitted) {
    const more =
      others.length > 0 ? ` ${countOf(others.length, 'other entry', 'other entries')} for its rules cannot be copied either.` : '';
    return `the source has an entry for its rules, but the entry cannot be copied. ${omitted.cause}${more} Correct the source`;
  }
  const names = content?.rulesWithout.map((rule) => quote(rule.name)).join(', ');
  return `the source has no entry for any rule that references the secret in this namespace (${names}). Add entries for the registries of these rules`;
}

/** Logs warnings up to a number per minute, and then how many were left out. */
function createLineBudget(log: Log, { monotonic }: Pick<Clock, 'monotonic'>) {
  let since = monotonic();
  let lines = 0;
  return {
    warn(fields: object, message: string) {
      if (monotonic() - since >= 60_000) {
        if (lines > linesPerMinute) log.warn({ omitted: lines - linesPerMinute }, 'more warnings about copies were not logged');
        since = monotonic();
        lines = 0;
      }
      lines += 1;
      if (lines <= linesPerMinute) log.warn(fields, message);
      else log.debug(fields, message);
    },
  };
}

/** Writes the audit record, the metrics and the Event of each request. */
import type { AuditLog } from '../../observe/logger.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { RulesReviewer } from '../../server/rules-reviewer.ts';
import type { WebhookCollaborators } from '../../server/webhook-collaborators.ts';
import type { Events } from './events.ts';
import type { Logger } from './outputs.ts';

export type RequestObservers = {
  readonly log: Logger;
  readonly auditLog: AuditLog;
  readonly metrics: Metrics;
  /** Undefined if rules do not come from ConfigMaps. */
  readonly review: RulesReviewer | undefined;
  /** Undefined if no Events are written. */
  readonly events: Pick<Events, 'answered'> | undefined;
};

export function observeRequests({
  log,
  auditLog,
  metrics,
  review,
  events,
}: RequestObservers): Omit<WebhookCollaborators, 'rules' | 'facts'> {
  return {
    audit(record, counted) {
      auditLog.write(record);
      metrics.decided(record, counted);
    },
    reportBug(err, uid) {
      log.error({ err, uid }, 'internal error while serving a request. This is a bug');
      metrics.failed('bug');
    },
    failed: metrics.failed,
    answered(answered) {
      try {
        events?.answered(answered);
      } catch (err) {
        // The request is answered nevertheless.
        log.error({ err, uid: answered.request.uid }, 'internal error while preparing an Event. This is a bug');
      }
    },
    rulesReview: review && {
      review,
      audit(record) {
        auditLog.write(record);
        metrics.reviewed(record);
      },
    },
  };
}

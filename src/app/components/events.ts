/** Events on the owners of denied and warned objects, and on rules ConfigMaps. They are written in the background. */
import type { AnsweredRequest } from '../../admission/response.ts';
import { ownerEventOf } from '../../cluster/events/owner-event.ts';
import { createEventRecorder } from '../../cluster/events/recorder.ts';
import { createRuleEvents } from '../../cluster/events/rule-events.ts';
import { createTopOwners } from '../../cluster/events/top-owner.ts';
import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { RuleStore } from '../../rules/store/rule-store.ts';
import type { RulesInForce } from '../../rules/store/rules-in-force.ts';
import type { Clock } from '../../time/clock.ts';
import type { Settings } from '../settings.ts';
import type { RuleSource } from './rule-source.ts';

export type Events = {
  /** Offers the Event of this request, if it has one. */
  answered(answered: AnsweredRequest): void;
  readonly recorder: ImmediateComponent;
  readonly ofRules: ImmediateComponent;
};

export type EventsOptions = {
  readonly settings: Pick<Settings, 'events'>;
  readonly client: ApiClient | undefined;
  readonly rules: RulesInForce;
  readonly store: Pick<RuleStore, 'rejected'>;
  readonly ruleSource: Pick<RuleSource, 'versionOf'>;
  readonly metrics: Pick<Metrics, 'eventWritten' | 'eventDropped'>;
  readonly log: Pick<Log, 'warn'>;
  readonly clock: Clock;
};

/** Undefined without a cluster, and where Events are turned off. */
export function createEvents({ settings, client, rules, store, ruleSource, metrics, log, clock }: EventsOptions): Events | undefined {
  if (!client || !settings.events) return undefined;
  const recorder = createEventRecorder({
    client,
    log,
    clock,
    onWritten: metrics.eventWritten,
    onDropped: metrics.eventDropped,
  });
  const owners = createTopOwners(client);
  return {
    answered(answered) {
      const event = ownerEventOf(answered, owners);
      if (event) recorder.offer(event);
    },
    recorder,
    ofRules: createRuleEvents({ rules, store, versionOf: ruleSource.versionOf ?? (() => undefined), recorder, clock }),
  };
}

/** Events on rules ConfigMaps: accepted, rejected, and what ends soon. */
import type { ImmediateComponent } from '../../contracts/component.ts';
import { type ClusterObject, type Origin, type Problem, type RuleSource, renderOrigin } from '../../rules/language/problem.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import type { RuleStore } from '../../rules/store/rule-store.ts';
import { type ChangeInForce, clusterDocumentChanges, type RulesInForce } from '../../rules/store/rules-in-force.ts';
import { dayOf, trustPhase, usualWarnFrom } from '../../rules/trust-end.ts';
import { type Clock, repeat } from '../../time/clock.ts';
import type { EventText } from './event.ts';
import { renderNote } from './note.ts';
import type { EventRecorder } from './recorder.ts';

/** A rules ConfigMap as it is stored now. */
export type ConfigMapVersion = { readonly uid: string; readonly resourceVersion: string };

export type RuleEventsOptions = {
  readonly rules: Pick<RulesInForce, 'onChange' | 'current'>;
  readonly store: Pick<RuleStore, 'rejected'>;
  /** Undefined if it does not exist. */
  readonly versionOf: (namespace: string, name: string) => ConfigMapVersion | undefined;
  readonly recorder: Pick<EventRecorder, 'offer'>;
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
};

/** API servers keep Events for an hour by default (`--event-ttl`). What is still true is written again in time. In milliseconds. */
const refreshInterval = 1_800_000;

/** Every replica reports the same Events, and the API server stores each once. */
export function createRuleEvents({ rules, store, versionOf, recorder, clock }: RuleEventsOptions): ImmediateComponent {
  let unsubscribe = () => {};
  let stopRepeating = () => {};

  function report(source: RuleSource | ClusterObject | undefined, text: EventText, how: 'result' | 'repeated result' | 'reminder'): void {
    const version = source?.kind === 'configMap' ? versionOf(source.namespace, source.name) : undefined;
    if (source?.kind !== 'configMap' || !version) return;
    const { namespace, name } = source;
    const regarding = { apiVersion: 'v1', kind: 'ConfigMap', name, uid: version.uid };
    const isResult = how !== 'reminder';
    recorder.offer({
      ...text,
      namespace,
      // A newer result for the same ConfigMap replaces one that still waits.
      key: `${isResult ? 'result' : text.reason} ${name}`,
      ...(isResult && { version: version.resourceVersion }),
      ifExists: how === 'result' ? 'keep' : 'refresh',
      regarding: async () => regarding,
    });
  }

  function reportChange({ sources: [source], before, after, problems, warnings }: ChangeInForce): void {
    if (problems.length > 0) report(source, rejection(problems), 'result');
    // The first rules that a replica reads are no change.
    else if (before && after) report(source, acceptance(after, warnings), 'result');
  }

  function reportStillRejected(): void {
    for (const { problems } of store.rejected()) report(problems[0]?.origin.source, rejection(problems), 'repeated result');
  }

  function remindOfEnds(): void {
    const current = rules.current();
    const ends = current ? endsSoon(current, dayOf(clock.now())) : [];
    for (const [first, ...others] of Map.groupBy(ends, keyOfEnd).values())
      if (first) report(first.origin.source, reminder([first, ...others]), 'reminder');
  }

  return {
    name: 'events about rules',
    start() {
      unsubscribe = rules.onChange((event) => {
        if (event.cause === 'documents') for (const change of event.changes) reportChange(change);
        if (clusterDocumentChanges(event).length > 0) remindOfEnds();
      });
      stopRepeating = repeat(
        clock,
        () => {
          reportStillRejected();
          remindOfEnds();
        },
        refreshInterval,
      );
    },
    stop() {
      unsubscribe();
      stopRepeating();
    },
  };
}

function acceptance({ revision }: RuleSet, warnings: readonly Problem[]): EventText {
  const statements = [{ message: `The rules are in effect as revision ${revision}.` }, ...warnings.map(statementOf)];
  return { type: 'Normal', reason: 'RulesAccepted', note: renderNote({ statements, noun: 'warning', endings: [''] }) };
}

function rejection(problems: readonly Problem[]): EventText {
  const note = renderNote({
    statements: problems.map(statementOf),
    noun: 'problem',
    endings: ['These rules were rejected. The last valid version, if any, remains in effect.'],
  });
  return { type: 'Warning', reason: 'RulesRejected', note };
}

/** As in audit records. */
function statementOf({ origin, message }: Problem) {
  return { message: `${renderOrigin(origin)}: ${message}` };
}

type End = {
  readonly reason: 'TrustEnding' | 'ExemptionEnding';
  readonly pattern: string;
  readonly until: string;
  readonly origin: Origin;
};

/** The earliest first. The notice of a rule begins with its `warnFrom`, that of an exemption as early as usual. */
function endsSoon({ rules, namespaceRules, exemptions }: RuleSet, today: string): readonly End[] {
  const ends: End[] = [];
  for (const { pattern, until, warnFrom, origin } of [...rules, ...[...namespaceRules.values()].flat()])
    if (until !== undefined && trustPhase({ until, ...(warnFrom !== undefined && { warnFrom }) }, today) === 'ending')
      ends.push({ reason: 'TrustEnding', pattern: pattern.text, until, origin });
  for (const { pattern, until, origin } of exemptions)
    if (today >= usualWarnFrom(until) && today <= until) ends.push({ reason: 'ExemptionEnding', pattern: pattern.text, until, origin });
  return ends.sort((one, other) => (one.until < other.until ? -1 : 1));
}

/** One Event for each ConfigMap and reason. */
function keyOfEnd({ reason, origin: { source } }: End): string {
  return JSON.stringify([reason, source.kind === 'configMap' ? [source.namespace, source.name] : source]);
}

/** Without the number of days, so that the Event is the same until the last day. */
function reminder(ends: readonly [End, ...End[]]): EventText {
  const [{ reason }] = ends;
  const what = reason === 'TrustEnding' ? 'trusted' : 'exempted';
  const statements = ends.map(({ pattern, until, origin }) => ({
    message: `${pattern} is ${what} until ${until} (${renderOrigin(origin)}).`,
    brief: `${pattern} is ${what} until ${until}.`,
  }));
  const endings: [string] = ['After that, these images will be denied. Replace images that are still in use, or set a later date.'];
  return { type: 'Warning', reason, note: renderNote({ statements, noun: 'date', endings }) };
}

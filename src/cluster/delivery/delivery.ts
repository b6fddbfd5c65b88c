/** Assembles secret delivery: what is watched, the plans, the fence, and the controller that writes. */
import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { forbiddenSource, type SourceState } from '../../delivery/source.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { InformerTimings } from '../../kube/informer.ts';
import type { Leadership } from '../../kube/leader-election.ts';
import type { KindRow } from '../../object/kinds.ts';
import type { NamespaceContext } from '../../rules/rule-set.ts';
import type { RulesInForce } from '../../rules/store/rules-in-force.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { createContents } from './contents.ts';
import { type ControllerObserver, createDeliveryController, type DeliveryController } from './controller.ts';
import { type Copies, createCopies } from './copies.ts';
import { createCopyWriter } from './copy-writer.ts';
import { createFence, type FenceSubject } from './fence.ts';
import { createDeliveryNamespaces } from './namespaces.ts';
import { createNeeds } from './needs.ts';
import { createPlans } from './plans.ts';
import { createDeliveryScope } from './scope.ts';
import { createSourceReport } from './source-report.ts';
import { createSources, type Sources } from './sources.ts';
import type { WriteLimits } from './write-queue.ts';

export type Delivery = {
  /** Started in this order. */
  readonly components: readonly Component[];
  /** What has not been read yet. Undefined if everything has. A secret whose copies or source are not read yet only delays itself. */
  missing(): string | undefined;
  /** Why nothing may be written. Undefined if the fence is proven, or if nothing is delivered. */
  unfenced(): string | undefined;
  /** Call it when `rules.current` may return something else without a change of the rules. */
  rulesMayHaveChanged(): void;
  /** Whether this replica could write as the leader. */
  able(): boolean;
  /** The names of the copies that are watched. */
  names(): Iterable<string>;
  readonly copies: Pick<Copies, 'count' | 'get'>;
  readonly sources: Pick<Sources, 'get' | 'changedAt'>;
  /** The sources in the rules. */
  sourceNames(): Iterable<string>;
  readonly controller: Pick<DeliveryController, 'findings' | 'waiting'>;
  /** Names in the rules that this account may not deliver. */
  notPermitted(): readonly string[];
};

export type DeliveryOptions = {
  readonly client: ApiClient;
  /** regkeeper's namespace, with the sources. */
  readonly namespace: string;
  readonly rules: RulesInForce;
  readonly kinds: readonly KindRow[];
  /** Whether nothing is ever written to a namespace, nor deleted there. */
  readonly isExcluded: (context: NamespaceContext) => boolean;
  /** Whether the webhooks select the namespace by its labels. Where they do not, no rule applies, and copies are deleted. */
  readonly isSelected: (context: NamespaceContext) => boolean;
  /** For the dry runs of the fence. The first one exists and is excluded in every cluster. */
  readonly excludedNamespaces: readonly [string, ...string[]];
  readonly leadership: Leadership;
  readonly hash: (text: string) => string;
  readonly observer: ControllerObserver;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly limits?: Partial<WriteLimits> | undefined;
  readonly timings?: Partial<InformerTimings> | undefined;
};

/** A list of excluded namespaces is copied as a whole, so that a few of them show whether the policy has it. */
const mostExcluded = 10;

export function createDelivery(options: DeliveryOptions): Delivery {
  const { client, namespace, rules, kinds, isExcluded, isSelected, excludedNamespaces, leadership, hash, observer, log, limits, timings } =
    options;
  const { clock = systemClock } = options;
  const watching = { client, log, clock, timings };
  const onChange = (changed: string) => controller.changed(changed);
  const namespaces = createDeliveryNamespaces({ ...watching, onChange });
  const needs = createNeeds({ ...watching, kinds, onChange });
  const followed = followRules(rules, () => {
    scope.rulesChanged();
    reportSources();
    controller.allChanged();
  });
  const report = createSourceReport(log);
  const reportSources = () => {
    const ruleSet = rules.current();
    if (ruleSet) report.update(ruleSet, sourceOf);
  };
  const onRead = () => {
    fence.check();
    reportSources();
    controller.allChanged();
  };
  const copies = createCopies({ ...watching, onChange, onRead });
  const sources = createSources({
    ...watching,
    namespace,
    onChange(source) {
      reportSources();
      controller.sourceChanged(source);
    },
    onRead,
  });
  const scope = createDeliveryScope({
    client,
    namespace,
    rules: rules.current,
    onChange(next) {
      copies.follow(next.copies);
      sources.follow(next.sources);
      needs.follow(next.needed);
      onRead();
    },
    log,
    clock,
  });
  const plans = createPlans({
    rules: rules.current,
    namespaces,
    needs,
    copies,
    sourceOf,
    contents: createContents(hash),
    isExcluded,
    isSelected,
    now: () => client.serverTime() ?? clock.now(),
    monotonic: clock.monotonic,
  });
  const fence = createFence({ client, subject: fenceSubject, onChange: () => controller.allChanged(), log, clock });
  const able = () => missing() === undefined && fence.missing() === undefined;
  const mayWrite = () => leadership.leads() && able();
  const writer = createCopyWriter({ client, isNeededNow: needs.hasNow });
  const controller = createDeliveryController({ plans, writer, copies, namespaces, mayWrite, observer, log, clock, limits });

  function sourceOf(name: string): SourceState | undefined {
    const current = scope.current();
    return current && (current.mayReadSource(name) ? sources.get(name) : forbiddenSource(name));
  }

  /** Prefers a namespace without a Secret of that name, since the API server validates a change of the type before it calls the policy. */
  function fenceSubject(): FenceSubject | undefined {
    const [always, ...others] = excludedNamespaces;
    const existing = others.filter((candidate) => candidate !== always && namespaces.get(candidate)?.terminating === false);
    const excluded = [always, ...existing].slice(0, mostExcluded);
    for (const name of copies.names()) {
      if (!copies.isRead(name)) continue;
      for (const candidate of namespaces.names()) {
        const found = namespaces.get(candidate);
        if (!found || found.terminating || copies.get(candidate, name) || isExcluded({ namespace: candidate, labels: found.labels }))
          continue;
        return { name, allowedNamespace: candidate, excludedNamespaces: excluded };
      }
    }
    const [name] = copies.names();
    return name === undefined ? undefined : { name, allowedNamespace: undefined, excludedNamespaces: excluded };
  }

  function missing(): string | undefined {
    const current = scope.current();
    if (!current) return 'the rules or the permissions have not been read yet';
    const unread = [...(namespaces.synced ? [] : ['namespaces']), ...needs.unread()];
    return unread.length === 0 ? undefined : `not read from the cluster yet: ${unread.join(', ')}`;
  }

  return {
    components: [namespaces, scope, needs, copies, sources, fence, followed, controller, onLeading()],
    missing,
    unfenced: () => (fence.idle() ? undefined : fence.missing()),
    able,
    rulesMayHaveChanged: followed.update,
    names: copies.names,
    copies,
    sources,
    sourceNames: () => scope.current()?.sources ?? [],
    controller,
    notPermitted: scope.notPermitted,
  };

  function onLeading(): Component {
    let unsubscribe = () => {};
    return {
      name: 'start of delivery',
      start() {
        unsubscribe = leadership.onChange(() => controller.allChanged());
      },
      stop: () => unsubscribe(),
    };
  }
}

/** Calls `onChange` when other rules are in effect. Rules of namespaces do not matter, and a tenant may change its rules at any rate. */
function followRules(rules: Pick<RulesInForce, 'onChange' | 'current'>, onChange: () => void): Component & { update(): void } {
  let unsubscribe = () => {};
  let before: string | undefined;
  const update = () => {
    const current = rules.current()?.revision;
    if (current === before) return;
    before = current;
    onChange();
  };
  return {
    name: 'rules of delivery',
    update,
    start() {
      unsubscribe = rules.onChange(update);
    },
    stop: () => unsubscribe(),
  };
}

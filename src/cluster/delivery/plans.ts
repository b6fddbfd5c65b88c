/** Makes the plan for one copy from everything that is watched at this moment. */

import type { CopyContent } from '../../delivery/content.ts';
import { type ContentState, type CopyPlan, isObsolete, planCopy } from '../../delivery/plan-copy.ts';
import type { SourceState } from '../../delivery/source.ts';
import { deliveredSecret, isEntitled, rulesNaming } from '../../rules/match/entitlement.ts';
import type { DeliveredSecret, NamespaceContext, RuleSet } from '../../rules/rule-set.ts';
import type { Contents } from './contents.ts';
import type { Copies } from './copies.ts';
import type { DeliveryNamespace, DeliveryNamespaces } from './namespaces.ts';
import type { Needs } from './needs.ts';

export type Plans = {
  /**
   * Undefined if something that the plan depends on has not been read yet. With `live`, the namespace is as it was just read, whatever the watch
   * has reported.
   */
  of(namespace: string, name: string, live?: LiveNamespace): PlannedCopy | undefined;
};

/** Undefined inside if the namespace does not exist. */
export type LiveNamespace = { readonly namespace: DeliveryNamespace | undefined };

export type PlannedCopy = CopyPlan & {
  readonly secret: DeliveredSecret | undefined;
  readonly source: SourceState | undefined;
  /** Undefined if the plan does not depend on it, or the source is unusable. */
  readonly content: CopyContent | undefined;
};

export type PlansOptions = {
  readonly rules: () => RuleSet | undefined;
  readonly namespaces: Pick<DeliveryNamespaces, 'get'>;
  readonly needs: Pick<Needs, 'has'>;
  readonly copies: Pick<Copies, 'get' | 'isRead'>;
  /** Undefined while it has not been read. */
  readonly sourceOf: (name: string) => SourceState | undefined;
  readonly contents: Contents;
  readonly isExcluded: (context: NamespaceContext) => boolean;
  readonly isSelected: (context: NamespaceContext) => boolean;
  /** Epoch milliseconds by the API server's clock. */
  readonly now: () => number;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
};

export function createPlans(options: PlansOptions): Plans {
  const { rules, namespaces, needs, copies, sourceOf, contents, isExcluded, isSelected, now, monotonic } = options;
  /** Since when a copy is not entitled or obsolete, and since when it is not needed, by the monotonic clock. */
  const notEntitled = createStopwatch(monotonic);
  const notNeeded = createStopwatch(monotonic);

  function contentFor(ruleSet: RuleSet, secret: DeliveredSecret, context: NamespaceContext) {
    const source = sourceOf(secret.source);
    if (!source) return undefined;
    if (source.state === 'unusable') return { source, content: undefined, state: { state: 'unavailable', code: source.code } as const };
    const content = contents.get(source, rulesNaming(ruleSet, secret.name, context));
    return { source, content, state: stateOf(content) };
  }

  return {
    of(namespace, name, live) {
      const ruleSet = rules();
      if (!ruleSet || !copies.isRead(name)) return undefined;
      const key = `${namespace}/${name}`;
      const existing = copies.get(namespace, name);
      const secret = deliveredSecret(ruleSet, name);
      const needed = needs.has(namespace, name);
      // Most namespaces need most secrets not, and nothing else matters for them.
      if (!existing && !needed && secret?.deliver !== 'always') {
        notEntitled.measure(key, false);
        notNeeded.measure(key, false);
        return { ...absent, secret, source: undefined, content: undefined };
      }
      const known = live ? live.namespace : namespaces.get(namespace);
      const context = { namespace, labels: known?.labels };
      const excluded = isExcluded(context);
      const entitled = known?.labels !== undefined && isEntitled(ruleSet, name, { ...context, excluded: excluded || !isSelected(context) });
      const made = secret && entitled ? contentFor(ruleSet, secret, context) : noContent;
      if (!made) return undefined;
      const plan = planCopy({
        secret,
        namespace: !known ? 'absent' : known.terminating ? 'terminating' : 'active',
        excluded,
        entitled,
        notEntitledFor: notEntitled.measure(key, existing !== undefined && (!entitled || isObsolete(made.state, existing))),
        needed,
        notNeededFor: notNeeded.measure(key, existing !== undefined && !needed),
        content: made.state,
        existing,
        now: now(),
      });
      return { ...plan, secret, source: made.source, content: made.content };
    },
  };
}

/** Measures how long something has been so, by key. */
function createStopwatch(monotonic: () => number): { measure(key: string, isSo: boolean): number } {
  const since = new Map<string, number>();
  return {
    measure(key, isSo) {
      if (!isSo) {
        since.delete(key);
        return 0;
      }
      const start = since.get(key) ?? monotonic();
      since.set(key, start);
      return monotonic() - start;
    },
  };
}

const absent: CopyPlan = { action: { do: 'leave', because: 'absent' } };
/** The plan does not depend on the content. */
const noContent = { source: undefined, content: undefined, state: { state: 'unavailable', code: 'source-missing' } } as const;

function stateOf({ data, version, tooLarge, omitted, ruleIds }: CopyContent): ContentState {
  if (data !== undefined) return { state: 'ready', version };
  const code = tooLarge ? 'copy-too-large' : omitted.length > 0 ? 'entry-unusable' : 'source-without-entry';
  return { state: 'unavailable', code, rules: ruleIds };
}

/** The review of rules ConfigMaps before they are stored. It has its own parsers, so that reviews do not delay rules that are loaded. */

import type { Component } from '../../contracts/component.ts';
import { createDocumentParser, namespaceLimits } from '../../loading/document-parser.ts';
import type { Problem } from '../../rules/language/problem.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import type { RuleStore } from '../../rules/store/rule-store.ts';
import type { RulesInForce } from '../../rules/store/rules-in-force.ts';
import { createRulesReviewer, type RulesReviewer } from '../../server/rules-reviewer.ts';
import type { Clock } from '../../time/clock.ts';
import type { Settings } from '../settings.ts';

export type RulesReviewOptions = {
  readonly settings: Settings;
  readonly store: RuleStore;
  readonly rules: RulesInForce;
  readonly lint: (rules: RuleSet) => readonly Problem[];
  readonly clock: Clock;
};

/** Undefined if rules do not come from ConfigMaps. */
export function createRulesReview({
  settings,
  ...options
}: RulesReviewOptions): (Component & { readonly review: RulesReviewer }) | undefined {
  const { store, rules, lint, clock } = options;
  if (settings.cluster === undefined || settings.rulePaths.length > 0) return undefined;
  const parsers = {
    cluster: createDocumentParser({ milliseconds: 3_500 }, undefined, clock),
    namespaces: createDocumentParser({ ...namespaceLimits, idleMilliseconds: 60_000 }, undefined, clock),
  };
  const reviewed = { namespace: settings.cluster.namespace, namespaceRules: settings.namespaceRules };
  return {
    name: 'rules review',
    review: createRulesReviewer({ settings: reviewed, store, parsers, rules, lint, clock }),
    async stop() {
      await Promise.all([parsers.cluster.stop(), parsers.namespaces.stop()]);
    },
  };
}

/** Applies the cluster's own registries and short names to the rules, while both may change. */

import type { RuleSet } from '../rule-set.ts';
import { type Platform, type PlatformRules, withPlatform } from './platform.ts';

export type RulesOnPlatform = {
  /** The rule set in force on this cluster for the written one. */
  apply(written: RuleSet): PlatformRules;
  /** Sets the current platform. Returns false if it is unchanged. */
  change(platform: Platform): boolean;
};

/** Adds nothing until `change` is called. `hash` is as in `compileRuleSet`. The result for each rule set is computed once per platform. */
export function createRulesOnPlatform(hash: (text: string) => string): RulesOnPlatform {
  let platform: Platform = { internalRegistries: [] };
  let appliedRules = new WeakMap<RuleSet, PlatformRules>();
  return {
    apply(written) {
      const known = appliedRules.get(written);
      if (known) return known;
      const applied = withPlatform(written, platform, hash);
      appliedRules.set(written, applied);
      return applied;
    },
    change(next) {
      if (JSON.stringify(next) === JSON.stringify(platform)) return false;
      platform = next;
      appliedRules = new WeakMap();
      return true;
    },
  };
}

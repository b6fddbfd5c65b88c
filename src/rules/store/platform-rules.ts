/** The rules as they hold on this cluster, while rules and cluster change. */

import type { RuleSet } from '../rule-set.ts';
import { type Platform, type PlatformRules, withPlatform } from './platform.ts';

export type RulesOnPlatform = {
  /** What holds where these rules are written. */
  apply(written: RuleSet): PlatformRules;
  /** What the cluster says from now on; false where it said that before. */
  change(platform: Platform): boolean;
};

/** At first nothing is added. `hash` as in `compileRuleSet`. Each rule set is united with what the cluster says once. */
export function createRulesOnPlatform(hash: (text: string) => string): RulesOnPlatform {
  let platform: Platform = { internalRegistries: [] };
  let united = new WeakMap<RuleSet, PlatformRules>();
  return {
    apply(written) {
      const known = united.get(written);
      if (known) return known;
      const made = withPlatform(written, platform, hash);
      united.set(written, made);
      return made;
    },
    change(next) {
      if (JSON.stringify(next) === JSON.stringify(platform)) return false;
      platform = next;
      united = new WeakMap();
      return true;
    },
  };
}

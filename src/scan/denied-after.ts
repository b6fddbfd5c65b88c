/** What will be denied after the last days that a change of the rules sets, and is not denied yet. */

import type { RuleChange } from '../rules/store/compare-rule-sets.ts';
import { dayOf, millisecondsPerDay } from '../rules/trust-end.ts';

/** The days `YYYY-MM-DD` that new or changed `until` fields have, from `now` on, in ascending order. */
export function newLastDays(changes: readonly RuleChange[], now: number): readonly string[] {
  const days = changes.flatMap(({ before, after }) => {
    const until = after?.fields.until;
    return typeof until === 'string' && until !== before?.fields.until ? [until] : [];
  });
  return [...new Set(days)].filter((day) => day >= dayOf(now)).sort();
}

/**
 * The first of the days after which the object is denied, if its denial begins on the next day. Undefined for a denial that begins on another
 * day, because of a rule that ends without this change. `isDeniedAt` gets milliseconds since 1970. The object must not be denied now.
 *
 * Time only ends trust and exemptions, so an object that is denied once remains denied. For most objects, this needs one evaluation.
 */
export function findDeniedAfter(days: readonly string[], isDeniedAt: (now: number) => boolean): string | undefined {
  const isDeniedAfter = (day: string) => isDeniedAt(noonOf(day) + millisecondsPerDay);
  const last = days.at(-1);
  if (last === undefined || !isDeniedAfter(last)) return undefined;
  let [from, to] = [0, days.length - 1];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (isDeniedAfter(days[middle] as string)) to = middle;
    else from = middle + 1;
  }
  const first = days[from] as string;
  return isDeniedAt(noonOf(first)) ? undefined : first;
}

function noonOf(day: string): number {
  return Date.parse(`${day}T12:00:00Z`);
}

/** The end of a rule's trust: from which day it warns, and after which day it denies. */
import type { Rule } from './rule-set.ts';

/** `ending`: still trusted, but with a warning. `ended`: denied. */
export type TrustPhase = 'lasting' | 'ending' | 'ended';

/** How many days before its end a rule warns, unless `warnFrom` says otherwise. Lint announces the end as early. */
export const usualNoticeDays = 30;

export const millisecondsPerDay = 86_400_000;

/** The day from which a rule warns if its author writes no `warnFrom`. */
export function usualWarnFrom(until: string): string {
  return dayOf(Date.parse(until) - usualNoticeDays * millisecondsPerDay);
}

/** The day in UTC, as in an exemption: `2027-03-31`. */
export function dayOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}

/** The days from one day to another. */
export function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / millisecondsPerDay;
}

/** The end of the last day in UTC, in epoch seconds. */
export function endOf(until: string): number {
  return (Date.parse(until) + millisecondsPerDay) / 1000;
}

/** What follows a result that has a last day. Empty without one. */
export function renderLastDay(until: string | undefined, ended: boolean): string {
  if (until === undefined) return '';
  return ended ? `: trust ended ${until}` : `, ends ${until}`;
}

/** The phase on a day in UTC. Both days are inclusive. */
export function trustPhase({ until, warnFrom }: Pick<Rule, 'until' | 'warnFrom'>, today: string): TrustPhase {
  if (until === undefined) return 'lasting';
  if (today > until) return 'ended';
  return warnFrom !== undefined && today >= warnFrom ? 'ending' : 'lasting';
}

/** The one whose trust ends first. Undefined if neither ends. */
export function firstToEnd<Entry extends Pick<Rule, 'until'>>(one: Entry | undefined, other: Entry | undefined): Entry | undefined {
  if (one?.until === undefined) return other?.until === undefined ? undefined : other;
  return other?.until !== undefined && other.until < one.until ? other : one;
}

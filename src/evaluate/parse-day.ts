/** Parses a day for options and tests that evaluate exemptions. */
import { isCalendarDay } from '../rules/language/calendar-day.ts';

/** Noon in UTC of a day `YYYY-MM-DD`, in milliseconds since 1970. Undefined if there is no such day. */
export function parseDay(text: string): number | undefined {
  return isCalendarDay(text) ? Date.parse(`${text}T12:00:00Z`) : undefined;
}

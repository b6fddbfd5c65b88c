import { isCalendarDay } from '../rules/language/calendar-day.ts';

/** Noon of a day `YYYY-MM-DD` in UTC, in milliseconds since 1970; undefined where there is no such day. */
export function parseDay(text: string): number | undefined {
  return isCalendarDay(text) ? Date.parse(`${text}T12:00:00Z`) : undefined;
}

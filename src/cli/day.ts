/** Noon of a day `YYYY-MM-DD` in UTC, in milliseconds since 1970; undefined where there is no such day. */
export function parseDay(text: string): number | undefined {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T12:00:00Z`) : Number.NaN;
  // A day that no calendar has, such as 2027-02-30, is read as one of the next month.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text) ? time : undefined;
}

/** Durations in rules documents, such as `24h`. */

/** A whole number with a unit, as a regular expression for the schema. */
export const durationText = '^[0-9]{1,9}[smhd]$';

/** The longest duration that a document may contain, in seconds: 30 days. */
export const maxDuration = 30 * 86_400;

const secondsPerUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** The seconds of a text that matches {@link durationText}. */
export function parseDuration(text: string): number {
  return Number(text.slice(0, -1)) * (secondsPerUnit[text.slice(-1)] ?? 0);
}

/** The seconds as text, in the largest unit that has no remainder. */
export function renderDuration(seconds: number): string {
  const unit = (['d', 'h', 'm'] as const).find((each) => seconds > 0 && seconds % (secondsPerUnit[each] ?? 1) === 0) ?? 's';
  return `${seconds / (secondsPerUnit[unit] ?? 1)}${unit}`;
}

/** The option --date of several commands. */
import { InvalidArgumentError, Option } from 'commander';
import { parseDay } from '../../evaluate/parse-day.ts';

/** The day for which exemptions are evaluated. Its value is noon in UTC, in milliseconds since 1970. */
export function dateOption(): Option {
  return new Option('--date <day>', 'judge exemptions as of this day, YYYY-MM-DD in UTC (default: today)').argParser((text) => {
    const time = parseDay(text);
    if (time === undefined) throw new InvalidArgumentError('a day is written YYYY-MM-DD, as 2027-03-31.');
    return time;
  });
}

/** With TEST_LONG=1 scenarios repeat as often as their figures in the docs were measured. By default fewer repetitions show the same. */
const isLong = process.env.TEST_LONG === '1';

export function times(usual: number, long: number): number {
  return isLong ? long : usual;
}

/** Output for programs: the same data as JSON or YAML. */
import { Option } from 'commander';
import { stringify } from 'yaml';

export type MachineFormat = 'json' | 'yaml';

/** The option `-o`, with a table for people unless told. */
export function outputOption(...more: readonly string[]): Option {
  return new Option('-o, --output <format>', 'how the result is printed').choices(['table', 'json', 'yaml', ...more]).default('table');
}

export function renderMachine(value: unknown, format: MachineFormat): string {
  if (format === 'json') return `${JSON.stringify(value, null, 2)}\n`;
  // Many readers still take YAML 1.1, where a plain `no` is false; anchors and folded lines would be needless riddles.
  return stringify(value, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 });
}

/** Output for programs: the same data as JSON or YAML. */
import { Option } from 'commander';
import { printYaml } from '../../yaml/print-yaml.ts';

export type MachineFormat = 'json' | 'yaml';

/** The option -o. The default is a table for people. */
export function outputOption(...more: readonly string[]): Option {
  return new Option('-o, --output <format>', 'set the output format').choices(['table', 'json', 'yaml', ...more]).default('table');
}

export function renderMachine(value: unknown, format: MachineFormat): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : printYaml(value);
}

import type { Option } from 'commander';

/** Whether the option is written like this: `-f`, `--filename`. */
export function hasName({ short, long }: Option, name: string): boolean {
  return name === short || name === long;
}

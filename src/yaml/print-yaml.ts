/** Prints plain data as one YAML document. */
import { stringify } from 'yaml';

/**
 * Uses YAML 1.1, whose parsers are still common and read a plain `no` as false, so that such text is quoted. Anchors and folded lines are
 * easy to misread, so there are none.
 */
export function printYaml(value: unknown): string {
  return stringify(value, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 });
}

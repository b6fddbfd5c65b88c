/** Plain data as one YAML document. */
import { stringify } from 'yaml';

/** Readers of YAML 1.1 are still common, and for them a plain `no` is false. Without anchors and folded lines, which people misread. */
export function printYaml(value: unknown): string {
  return stringify(value, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 });
}

/** Makes the content of a copy from its source: the entries that the rules of one namespace need, and no others. */
import type { JsonObject } from '../object/json.ts';
import { copyKey } from './names.ts';
import { type NamingRule, type SelectedEntries, selectEntries } from './select-entries.ts';
import type { UsableSource } from './source.ts';

export type CopyContent = {
  /** Equal for equal sources and selections. It contains no credential and no hash of one. */
  readonly version: string;
  /** The number of entries. */
  readonly entries: number;
  /** The `data` of the Secret. Undefined if the source has no entry for any of the rules. An empty copy would look like a delivered one. */
  readonly data: { readonly [copyKey]: string } | undefined;
} & Pick<SelectedEntries<unknown>, 'rulesWithout' | 'wider'>;

/** Changed when the same source and rules give other data, so that existing copies are written again. */
const format = 1;

/** `hash` returns a short text for a longer one. */
export function createContent(source: UsableSource, rules: readonly NamingRule[], hash: (text: string) => string): CopyContent {
  const { entries, rulesWithout, wider } = selectEntries(source.credentials, rules);
  const version = hash(JSON.stringify([format, source.version, entries.map(({ key }) => key)]));
  if (entries.length === 0) return { version, entries: 0, data: undefined, rulesWithout, wider };
  const auths = Object.fromEntries(entries.map(({ key, content }) => [key, onlyTexts(content)]));
  return { version, entries: entries.length, data: { [copyKey]: btoa(asciiJson({ auths })) }, rulesWithout, wider };
}

/** Every field that kubelets and builders read is a string. Another type in a field that only one of them reads would break the other. */
function onlyTexts(content: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(content).filter(([, value]) => typeof value === 'string'));
}

/** `btoa` accepts no characters above U+00FF, and UTF-8 and Latin-1 differ above U+007F. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^\0-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

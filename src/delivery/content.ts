/** Makes the content of a copy from its source: the entries that the rules of one namespace need, and no others. */

import type { RegistryCredential } from '../credentials/registry-secret.ts';
import type { JsonObject } from '../object/json.ts';
import { copyKey } from './names.ts';
import { createOmittedEntries, type OmittedEntries } from './omitted-entries.ts';
import { ruleIds, ruleIdsText } from './rule-ids.ts';
import { createSelector, type NamingRule, type SelectedEntries, type Selector } from './select-entries.ts';
import type { SourceProblem, UsableSource } from './source.ts';

export type CopyContent = {
  /** Equal for equal sources and selections. It contains no credential and no hash of one. */
  readonly version: string;
  /** The number of entries. */
  readonly entries: number;
  /**
   * The `data` of the Secret. Undefined if the source has no entry for any of the rules, since an empty copy would look like a delivered one, and
   * if it is too large.
   */
  readonly data: { readonly [copyKey]: string } | undefined;
  /** Whether the entries are more than a Secret can contain. */
  readonly tooLarge: boolean;
  /** Without entries: those of the source that exist for the rules, but cannot be copied. */
  readonly omitted: readonly SourceProblem[];
  /** The rules, as they are recorded on the copy. */
  readonly rules: string;
  /** Without data: all that copies written for these rules, or for some of them, may have recorded. */
  readonly ruleIds: ReadonlySet<string>;
} & Pick<SelectedEntries<unknown>, 'rulesWithout' | 'wider'>;

/** Changed when the same source and rules give other data, so that existing copies are written again. */
const format = 2;

/**
 * In bytes. The API server accepts no larger Secret. A copy can be larger than its source, for instance because of letters beyond ASCII.
 */
const maxSecretBytes = 1024 * 1024;

/** `hash` returns a short text for a longer one. `select` and `omittedFor` are for many copies of one source. */
export function createContent(
  source: UsableSource,
  rules: readonly NamingRule[],
  hash: (text: string) => string,
  select: Selector<RegistryCredential> = createSelector(source.credentials),
  omittedFor: OmittedEntries = createOmittedEntries(source),
): CopyContent {
  const { entries, rulesWithout, wider } = select(rules);
  const version = hash(JSON.stringify([format, source.version, entries.map(({ key }) => key)]));
  const made = { version, entries: entries.length, rulesWithout, wider, rules: ruleIdsText(rules, hash) };
  if (entries.length === 0) {
    return { ...made, data: undefined, tooLarge: false, omitted: omittedFor(rules), ruleIds: ruleIds(rules, hash) };
  }
  const auths = Object.fromEntries(entries.map(({ key, content }) => [key, onlyTexts(content)]));
  const text = asciiJson({ auths });
  const tooLarge = text.length > maxSecretBytes;
  if (tooLarge) return { ...made, data: undefined, tooLarge, omitted: [], ruleIds: ruleIds(rules, hash) };
  return { ...made, data: { [copyKey]: btoa(text) }, tooLarge, omitted: [], ruleIds: none };
}

const none: ReadonlySet<string> = new Set();

/** Every field that kubelets and builders read is a string. Another type in a field that only one of them reads would break the other. */
function onlyTexts(content: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(content).filter(([, value]) => typeof value === 'string'));
}

/** `btoa` accepts no characters above U+00FF, and UTF-8 and Latin-1 differ above U+007F. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^\0-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

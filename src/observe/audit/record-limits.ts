/** Limits the size of audit records: all their names, groups, images and texts come from tenants, users or strangers. */
import { shortenText } from '../../object/text.ts';

const KiB = 1024;

/**
 * Maximum bytes of the record of any request as one line, checked by test/unit/observe/audit/record-limits.property.test.ts. The lists that
 * one webhook records need at most 188 KiB together. In addition a decision has eleven texts of at most 1,024 code units, which JSON writes with
 * at most 6 bytes each: 66 KiB. 2 KiB are left for the names of fields.
 */
export const maxBytes = 256 * KiB;

export type ListBudget = { readonly count: number; readonly bytes: number };

export const budgets = {
  groups: { count: 100, bytes: 24 * KiB },
  images: { count: 200, bytes: 104 * KiB },
  inject: { count: 100, bytes: 28 * KiB },
  messages: { count: 50, bytes: 24 * KiB },
  /** Names of secrets with delivery: those that the object needs, and those that the namespace lacks. */
  neededSecrets: { count: 50, bytes: 4 * KiB },
  awaitedSecrets: { count: 50, bytes: 4 * KiB },
  /** Of the validating webhook, which injects nothing. */
  namespaceLabels: { count: 50, bytes: 8 * KiB },
  secrets: { count: 50, bytes: 4 * KiB },
  suppliedSecrets: { count: 50, bytes: 4 * KiB },
  shortNames: { count: 10, bytes: 2 * KiB },
  /** Of a review, or of a change of the rules. */
  problems: { count: 100, bytes: 80 * KiB },
  warnings: { count: 100, bytes: 40 * KiB },
  sources: { count: 100, bytes: 24 * KiB },
  namespaceRules: { count: 200, bytes: 96 * KiB },
} as const satisfies Record<string, ListBudget>;

/** Cuts the texts and lists of one record, and remembers whether anything was cut. */
export class Cutter {
  /** Whether anything was cut or left out. */
  cut = false;

  text(text: string): string {
    const short = shortenText(text);
    if (short !== text) this.cut = true;
    return short;
  }

  /** As many items from the front as fit into the budget. The bytes are those of the JSON, including commas. */
  list<Item>(items: readonly Item[], { count, bytes }: ListBudget): readonly Item[] {
    let shown = 0;
    let room = bytes;
    // The upper bound is cheap and suffices for nearly every record. JSON is only written if the items might not fit.
    const all = items.length <= count && items.reduce((sum, item) => sum + maxBytesOf(item), 0) <= bytes;
    if (all) return items;
    for (const item of items) {
      if (shown === count) break;
      room -= Buffer.byteLength(JSON.stringify(item)) + 1;
      if (room < 0) break;
      shown += 1;
    }
    if (shown === items.length) return items;
    this.cut = true;
    return items.slice(0, shown);
  }

  texts(texts: readonly string[], budget: ListBudget): readonly string[] {
    const candidates = texts.slice(0, budget.count).map((text) => this.text(text));
    if (texts.length > budget.count) this.cut = true;
    return this.list(candidates, budget);
  }
}

/** An upper bound of the bytes of its JSON with a comma. A control character is written as six bytes. */
export function maxBytesOf(value: unknown): number {
  if (typeof value === 'string') return value.length * 6 + 3;
  if (typeof value !== 'object' || value === null) return 25;
  let sum = 3;
  // A loop over the keys of a list would make a text of each index.
  if (Array.isArray(value)) {
    for (const item of value) sum += maxBytesOf(item);
    return sum;
  }
  for (const key in value) {
    sum += key.length * 6 + 4 + maxBytesOf((value as Record<string, unknown>)[key]);
  }
  return sum;
}

/** `{groupsOmitted: 5}` if five are not shown, and otherwise nothing. */
export function omitted<Name extends string>(name: Name, all: readonly unknown[], shown: readonly unknown[]): { [key in Name]?: number } {
  return all.length > shown.length ? ({ [name]: all.length - shown.length } as { [key in Name]: number }) : {};
}

/** Keeps the results of a pure function for the inputs that were used lately. */

export type RecentLimits<Value> = {
  /** Entries of one generation. There are two. */
  readonly entries: number;
  /** Size of all entries of one generation. */
  readonly size: number;
  /** Size of one entry. A larger one is not kept. */
  readonly largest: number;
  /** The size of an entry. By default the length of the key. */
  sizeOf?(key: string, value: Value): number;
};

type Entry<Value> = { readonly key: string; readonly value: Value };

/**
 * When one generation is full it becomes the old one, and the old one before it is dropped. An entry that is used moves to the young one. So
 * a lookup costs one or two Map lookups, and entries that are used all the time stay.
 *
 * Keys and values that are set must not contain parts of a larger text, because V8 keeps that text as long as the part. See {@link ownText}.
 * The key of a lookup may: an entry keeps the key with which it was set.
 */
export class RecentValues<Value extends NonNullable<unknown>> {
  private readonly limits: RecentLimits<Value>;
  private young = new Map<string, Entry<Value>>();
  private old = new Map<string, Entry<Value>>();
  /** Of the young generation. */
  private size = 0;

  constructor(limits: RecentLimits<Value>) {
    this.limits = limits;
  }

  get(key: string): Value | undefined {
    const young = this.young.get(key);
    if (young !== undefined) return young.value;
    const older = this.old.get(key);
    if (older !== undefined) this.add(older);
    return older?.value;
  }

  /** Replaces the value of the key. */
  set(key: string, value: Value): void {
    this.add({ key, value });
  }

  private add(entry: Entry<Value>): void {
    const { entries, size, largest, sizeOf = lengthOfKey } = this.limits;
    const added = sizeOf(entry.key, entry.value);
    if (added > largest) return;
    if (this.young.size >= entries || this.size + added > size) {
      this.old = this.young;
      this.young = new Map();
      this.size = 0;
    }
    this.young.set(entry.key, entry);
    this.size += added;
  }

  /** The number of entries. An entry that has moved counts twice. */
  get count(): number {
    return this.young.size + this.old.size;
  }
}

function lengthOfKey(key: string): number {
  return key.length;
}

/** A copy of the text that keeps no larger text in memory, if the text was cut out of one. */
export function ownText(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

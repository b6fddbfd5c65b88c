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

/**
 * When one generation is full it becomes the old one, and the old one before it is dropped. An entry that is used moves to the young one. So
 * a lookup costs one or two Map lookups, and entries that are used all the time stay.
 *
 * Keys and values must not contain parts of a larger text, because V8 keeps that text as long as the part. See {@link ownText}.
 */
export class RecentValues<Value extends NonNullable<unknown>> {
  private readonly limits: RecentLimits<Value>;
  private young = new Map<string, Value>();
  private old = new Map<string, Value>();
  /** Of the young generation. */
  private size = 0;

  constructor(limits: RecentLimits<Value>) {
    this.limits = limits;
  }

  get(key: string): Value | undefined {
    const value = this.young.get(key);
    if (value !== undefined) return value;
    const older = this.old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  /** Replaces the value of the key. */
  set(key: string, value: Value): void {
    const { entries, size, largest, sizeOf = lengthOfKey } = this.limits;
    const added = sizeOf(key, value);
    if (added > largest) return;
    if (this.young.size >= entries || this.size + added > size) {
      this.old = this.young;
      this.young = new Map();
      this.size = 0;
    }
    this.young.set(key, value);
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

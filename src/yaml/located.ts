/** Finds values of a document by JSON pointer, for documents whose text is searched only if a position is needed. */
import { fieldsOfPointer } from './json-pointer.ts';

/** Where a value is, and its field name if it has one: offsets in a text, or indexes of events. */
export type Located = { readonly value: number; readonly field?: number };

export class Locator {
  private readonly root: number;
  private readonly childrenOf: (value: number) => ReadonlyMap<string, Located>;
  /** The values of each list and object that was searched. */
  private readonly known = new Map<number, ReadonlyMap<string, Located>>();

  /** `childrenOf` returns the fields or items of a value. Empty if it has none. */
  constructor(root: number, childrenOf: (value: number) => ReadonlyMap<string, Located>) {
    this.root = root;
    this.childrenOf = childrenOf;
  }

  /** @throws Error without a value at the pointer */
  at(pointer: string): Located {
    let located: Located = { value: this.root };
    for (const name of fieldsOfPointer(pointer)) {
      const child = this.childrenAt(located.value).get(name);
      if (!child) throw new Error(`no value at ${pointer}`);
      located = child;
    }
    return located;
  }

  private childrenAt(value: number): ReadonlyMap<string, Located> {
    const children = this.known.get(value) ?? this.childrenOf(value);
    this.known.set(value, children);
    return children;
  }
}

/** One composed YAML document as plain data, with the place of each value and all errors. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { escapePointer, fieldsOfPointer } from './json-pointer.ts';
import { coreTag, readKubectlScalar } from './kubectl-scalar.ts';
import type { Lines, TextStart } from './lines.ts';
import type { ScalarValue } from './plain-scalar.ts';
import { type Position, syntaxError, type YamlError, type YamlTrouble } from './yaml-error.ts';

export type YamlDocument = {
  /**
   * Objects, arrays, strings, numbers, booleans and null, as JSON.parse makes them; with kubectl's scalars, integers beyond 2^53 are bigints.
   * Null where nothing is written, and where an error leaves no value. Each use of an anchor is a value of its own.
   */
  readonly value: unknown;
  /** Errors of syntax first, then those of values, in the order in which they are read. */
  readonly errors: readonly YamlError[];
  /** Where the value at a JSON pointer is written, or the field in which an empty value was left; `''` is where the document begins. */
  locate(pointer: string): Position;
  /** Where the field of the value is written; for a list's entry, the entry. */
  locateField(pointer: string): Position;
  /** Where the text of a scalar begins, so that what is read from it can be located in the file. */
  startOfText(pointer: string): TextStart;
  /** A scalar as it is written, before YAML makes a number of it; empty for anything else. */
  spelling(pointer: string): string;
  /** Pointers of values that are not what was written, since their alias or tag is refused. */
  lost(): ReadonlySet<string>;
};

export type DocumentOptions = {
  readonly text: string;
  readonly lines: Lines;
  readonly scalars: 'yaml-1.2' | 'kubectl';
  readonly aliases: 'resolved' | 'refused';
  readonly limits: { readonly mostAliased: number };
};

export function readDocument(document: Document.Parsed, options: DocumentOptions): YamlDocument {
  return new DocumentReader(document, options);
}

type Place = { readonly node: unknown; readonly field?: number };

class DocumentReader implements YamlDocument {
  readonly value: unknown;
  readonly errors: YamlError[];
  private readonly root: unknown;
  private readonly lines: Lines;
  private readonly refusesAliases: boolean;
  private readonly kubectl: boolean;
  private readonly mostAliased: number;
  private aliased = 0;
  private readonly refused = new Set<unknown>();
  // Made when they are asked for: most documents have no alias, and few places are ever located.
  private targets: ReadonlyMap<Alias, Node> | undefined;
  private readonly fields = new Map<YAMLMap, Map<string, Pair>>();

  constructor({ contents, errors }: Document.Parsed, { text, lines, scalars, aliases, limits }: DocumentOptions) {
    this.root = contents;
    this.lines = lines;
    this.refusesAliases = aliases === 'refused';
    this.kubectl = scalars === 'kubectl';
    this.mostAliased = limits.mostAliased;
    this.errors = errors.map(({ code, message, pos }) => ({
      ...syntaxError(code, message, text.slice(pos[0], pos[1])),
      position: lines.at(pos[0]),
    }));
    this.value = this.read(contents, []);
  }

  locate(pointer: string): Position {
    const { node, field } = this.placeAt(pointer);
    const leftOut = node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '');
    return this.lines.at((leftOut ? field : undefined) ?? offsetOf(node) ?? field ?? 0);
  }

  locateField(pointer: string): Position {
    const { node, field } = this.placeAt(pointer);
    return this.lines.at(field ?? offsetOf(node) ?? 0);
  }

  startOfText(pointer: string): TextStart {
    const { node: written, field } = this.placeAt(pointer);
    const node = this.follow(written);
    const offset = offsetOf(node) ?? field ?? 0;
    if (isScalar(node) && node.type === 'BLOCK_LITERAL') return this.lines.startOfBlock(offset, node.source ?? '');
    return { ...this.lines.at(offset), whole: true };
  }

  spelling(pointer: string): string {
    const { node } = this.placeAt(pointer);
    return isScalar(node) ? (node.source ?? '') : '';
  }

  lost(): ReadonlySet<string> {
    const pointers = new Set<string>();
    const visit = (node: unknown, pointer: string): void => {
      if (isAlias(node) || tagOf(node) !== undefined) pointers.add(pointer);
      if (isSeq(node)) for (const [index, item] of node.items.entries()) visit(item, `${pointer}/${index}`);
      if (isMap(node)) for (const [name, { value }] of this.fieldsOf(node)) visit(value, `${pointer}/${escapePointer(name)}`);
    };
    if (this.refusesAliases && this.errors.length > 0) visit(this.root, '');
    return pointers;
  }

  private placeAt(pointer: string): Place {
    let place: Place = { node: this.root };
    for (const name of fieldsOfPointer(pointer)) {
      const container = this.follow(place.node);
      const pair = isMap(container) ? this.fieldsOf(container).get(name) : undefined;
      if (pair) place = { node: pair.value, field: offsetOf(pair.key) ?? offsetOf(container) ?? 0 };
      else if (isSeq(container) && name in container.items) place = { node: container.items[Number(name)] };
      else throw new Error(`no value at ${pointer}`);
    }
    return place;
  }

  /** The fields that a mapping has in the data, by the rules of `readMap`. */
  private fieldsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.fields.get(map);
    if (known) return known;
    const fields = new Map<string, Pair>();
    // Before its fields are found: a merge may lead back here.
    this.fields.set(map, fields);
    const own = new Set<string>();
    for (const pair of map.items) {
      if (this.isMerge(pair)) {
        for (const source of this.mergedBy(pair) ?? []) {
          for (const [name, merged] of this.fieldsOf(this.follow(source) as YAMLMap)) fields.set(name, merged);
        }
        continue;
      }
      const name = this.nameOf(pair.key);
      if (typeof name !== 'string' || own.has(name)) continue;
      own.add(name);
      fields.set(name, pair);
    }
    return fields;
  }

  /** `open` are the aliased nodes that are being read. */
  private read(node: unknown, open: readonly Node[]): unknown {
    if (open.length > 0 && ++this.aliased > this.mostAliased) {
      if (this.aliased === this.mostAliased + 1) this.refuse(open[0], { code: 'too-many-aliased', most: this.mostAliased });
      return null;
    }
    if (isAlias(node)) return this.readAlias(node, open);
    if (this.refusesAliases) this.refuseProperties(node);
    if (isMap(node)) return this.readMap(node, open);
    if (isSeq(node)) return node.items.map((item) => this.read(item, open));
    return isScalar(node) ? this.readScalar(node) : null;
  }

  private readAlias(alias: Alias, open: readonly Node[]): unknown {
    const name = alias.source;
    if (this.refusesAliases) return this.refuse(alias, { code: 'alias', name });
    const target = this.targetOf(alias);
    if (!target) return this.refuse(alias, { code: 'unknown-anchor', name });
    if (open.includes(target)) return this.refuse(alias, { code: 'recursive-anchor', name });
    return this.read(target, [...open, target]);
  }

  private readMap(map: YAMLMap, open: readonly Node[]): object {
    const fields: Record<string, unknown> = {};
    /** Fields that are written here and not merged. */
    const own = new Map<string, Pair>();
    for (const pair of map.items) {
      if (this.isMerge(pair)) {
        this.readMerge(pair, open, fields);
        continue;
      }
      const name = this.nameOf(pair.key);
      const first = typeof name === 'string' ? own.get(name) : undefined;
      if (typeof name !== 'string') this.refuse(pair.key, name);
      else if (first) this.refuse(pair.key, { code: 'duplicate-field', name, firstLine: this.lines.at(offsetOf(first.key) ?? 0).line });
      if (this.refusesAliases && isScalar(pair.key)) this.refuseProperties(pair.key);
      if (typeof name !== 'string' || first) continue;
      own.set(name, pair);
      setField(fields, name, this.read(pair.value, open));
    }
    return fields;
  }

  private isMerge({ key }: Pair): boolean {
    if (this.refusesAliases || !isScalar(key) || key.source !== '<<') return false;
    return key.tag === undefined ? key.type === 'PLAIN' : key.tag === `${coreTag}merge`;
  }

  /** What is merged later wins over what is written before it: so go-yaml v2 has it, whatever the specification says. */
  private readMerge(pair: Pair, open: readonly Node[], fields: Record<string, unknown>): void {
    const sources = this.mergedBy(pair);
    if (!sources) this.refuse(pair.value, { code: 'bad-merge' });
    for (const source of sources ?? []) {
      for (const [name, value] of Object.entries(this.read(source, open) ?? {})) setField(fields, name, value);
    }
  }

  /** The mappings that are merged, or aliases of them, the one that wins last. */
  private mergedBy({ value }: Pair): readonly unknown[] | undefined {
    const isMapping = (node: unknown) => isMap(this.follow(node));
    if (isMapping(value)) return [value];
    // Of several the first has the last word.
    return isSeq(value) && value.items.length > 0 && value.items.every(isMapping) ? value.items.toReversed() : undefined;
  }

  private nameOf(key: unknown): string | YamlTrouble {
    if (this.refusesAliases && isAlias(key)) return { code: 'alias', name: key.source };
    const node = this.follow(key);
    if (!isScalar(node)) return { code: 'field-name-not-scalar' };
    if (!this.kubectl) return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    const value = kubectlScalar(node);
    if (value === null) return { code: 'field-name-null' };
    return typeof value === 'object' ? value : String(value);
  }

  private readScalar(node: Scalar): unknown {
    if (this.kubectl) {
      const value = kubectlScalar(node);
      return typeof value === 'object' && value !== null ? this.refuse(node, value) : value;
    }
    // Tags such as !!binary and !!timestamp make objects of them.
    return typeof node.value === 'object' && node.value !== null ? node.source : node.value;
  }

  private refuseProperties(node: unknown): void {
    const { anchor, tag } = (node ?? {}) as { anchor?: string; tag?: string };
    if (anchor !== undefined) this.refuse(node, { code: 'anchor', name: anchor });
    if (tag !== undefined) this.refuse(node, { code: 'tag', tag });
  }

  private refuse(node: unknown, trouble: YamlTrouble): null {
    // What is wrong with a value that many aliases mean is reported once.
    if (!this.refusesAliases && this.refused.has(node)) return null;
    this.refused.add(node);
    this.errors.push({ ...trouble, position: this.lines.at(offsetOf(node) ?? 0) });
    return null;
  }

  private follow(node: unknown): unknown {
    return isAlias(node) && !this.refusesAliases ? this.targetOf(node) : node;
  }

  private targetOf(alias: Alias): Node | undefined {
    this.targets ??= targetsIn(this.root);
    return this.targets.get(alias);
  }
}

/** An alias means the last anchor of its name that is written before it. */
function targetsIn(root: unknown): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  function walk(node: unknown): void {
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target) targets.set(node, target);
    } else if (isNode(node)) {
      const { anchor } = node as Scalar | YAMLMap | YAMLSeq;
      if (anchor !== undefined) anchors.set(anchor, node);
      if (isMap(node)) {
        for (const { key, value } of node.items) {
          walk(key);
          walk(value);
        }
      } else if (isSeq(node)) node.items.forEach(walk);
    }
  }
  walk(root);
  return targets;
}

function kubectlScalar({ source = '', type, tag }: Scalar): ScalarValue | YamlTrouble {
  return readKubectlScalar({ text: source, plain: type === 'PLAIN' || type === undefined, tag });
}

/** A field `__proto__` is data like any other. */
function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') fields[name] = value;
  else Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true });
}

function tagOf(node: unknown): string | undefined {
  return (node as { tag?: string } | null)?.tag;
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0];
}

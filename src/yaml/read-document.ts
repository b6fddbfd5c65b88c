/** Reads one composed YAML document into plain data, with the position of each value and all errors. */
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
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { escapePointer, fieldsOfPointer } from './json-pointer.ts';
import { coreTag, readKubectlScalar } from './kubectl-scalar.ts';
import type { Lines, TextStart } from './lines.ts';
import type { ScalarValue } from './plain-scalar.ts';
import { setField } from './set-field.ts';
import { type Position, syntaxError, type YamlError, type YamlTrouble } from './yaml-error.ts';

export type YamlDocument = {
  /**
   * Objects, arrays, strings, numbers, booleans and null, as from JSON.parse. With kubectl's scalars, integers beyond 2^53 are bigints.
   * Null if the value is empty, or if an error leaves no value. Each use of an anchor is a separate copy.
   */
  readonly value: unknown;
  /** Syntax errors first, then errors in values, each in the order of the text. */
  readonly errors: readonly YamlError[];
  /**
   * Position of the value at a JSON pointer, or of its field if the value is empty. `''` is the start of the document. Throws if there is
   * no value.
   */
  locate(pointer: string): Position;
  /** Position of the value's field name, or of the value itself if it is an entry of a list. Throws if there is no value. */
  locateField(pointer: string): Position;
  /** Where the text of a scalar begins, so that a document inside it can be located in the file. */
  startOfText(pointer: string): TextStart;
  /** The comment after an empty value, without the `#`. */
  commentAt(pointer: string): string | undefined;
  /** The source text of a scalar, such as `0x1F`. Empty for anything else. */
  spelling(pointer: string): string;
  /** JSON pointers of the values that were read wrongly, because their alias or tag is rejected. */
  rejectedValues(): ReadonlySet<string>;
};

export type DocumentOptions = {
  readonly text: string;
  readonly lines: Lines;
  readonly scalars: 'yaml-1.2' | 'kubectl';
  readonly aliases: 'resolved' | 'rejected';
  readonly limits: { readonly maxAliased: number };
};

export function readDocument(document: Document.Parsed, options: DocumentOptions): YamlDocument {
  return new DocumentReader(document, options);
}

/** `field` is the offset of the field name, if the node is the value of a mapping. */
type Located = { readonly node: unknown; readonly field?: number };

class DocumentReader implements YamlDocument {
  readonly value: unknown;
  readonly errors: YamlError[];
  private readonly root: unknown;
  private readonly text: string;
  private readonly lines: Lines;
  private readonly rejectsAliases: boolean;
  private readonly kubectl: boolean;
  private readonly maxAliased: number;
  private aliased = 0;
  /** Nodes that have an error. */
  private readonly rejected = new Set<unknown>();
  // Computed on first use, because most documents have no alias, and few values are ever located.
  private targets: ReadonlyMap<Alias, Node> | undefined;
  private readonly fields = new Map<YAMLMap, Map<string, Pair>>();

  constructor({ contents, errors }: Document.Parsed, { text, lines, scalars, aliases, limits }: DocumentOptions) {
    this.root = contents;
    this.text = text;
    this.lines = lines;
    this.rejectsAliases = aliases === 'rejected';
    this.kubectl = scalars === 'kubectl';
    this.maxAliased = limits.maxAliased;
    let starts: Starts | undefined;
    this.errors = errors.map(({ code, message, pos }) => {
      const unclosed = describeUnclosed(message);
      if (unclosed) starts ??= startsByEnd(contents);
      const opening = unclosed && starts?.[unclosed.kind].get(pos[0]);
      if (unclosed && opening !== undefined) return { ...syntaxError(unclosed.cause, unclosed.reason, ''), position: lines.at(opening) };
      return { ...syntaxError(code, message, text.slice(pos[0], pos[1])), position: lines.at(pos[0]) };
    });
    this.value = this.read(contents, []);
  }

  locate(pointer: string): Position {
    const { node, field } = this.locatedAt(pointer);
    const isEmpty = node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '');
    return this.lines.at((isEmpty ? field : undefined) ?? offsetOf(node) ?? field ?? 0);
  }

  locateField(pointer: string): Position {
    const { node, field } = this.locatedAt(pointer);
    return this.lines.at(field ?? offsetOf(node) ?? 0);
  }

  startOfText(pointer: string): TextStart {
    const { node: written, field } = this.locatedAt(pointer);
    const node = this.follow(written);
    const offset = offsetOf(node) ?? field ?? 0;
    if (isScalar(node) && node.type === 'BLOCK_LITERAL') return this.lines.startOfBlock(offset, node.source ?? '');
    return { ...this.lines.at(offset), startOnly: true };
  }

  spelling(pointer: string): string {
    const { node } = this.locatedAt(pointer);
    return isScalar(node) ? (node.source ?? '') : '';
  }

  commentAt(pointer: string): string | undefined {
    const { node } = this.locatedAt(pointer);
    return isScalar(node) ? (node.comment ?? undefined) : undefined;
  }

  rejectedValues(): ReadonlySet<string> {
    const pointers = new Set<string>();
    const visit = (node: unknown, pointer: string): void => {
      if (isAlias(node) || tagOf(node) !== undefined) pointers.add(pointer);
      if (isSeq(node)) for (const [index, item] of node.items.entries()) visit(item, `${pointer}/${index}`);
      if (isMap(node)) for (const [name, { value }] of this.fieldsOf(node)) visit(value, `${pointer}/${escapePointer(name)}`);
    };
    if (this.rejectsAliases && this.errors.length > 0) visit(this.root, '');
    return pointers;
  }

  private locatedAt(pointer: string): Located {
    let located: Located = { node: this.root };
    for (const name of fieldsOfPointer(pointer)) {
      const container = this.follow(located.node);
      const pair = isMap(container) ? this.fieldsOf(container).get(name) : undefined;
      if (pair) located = { node: pair.value, field: offsetOf(pair.key) ?? offsetOf(container) ?? 0 };
      else if (isSeq(container) && name in container.items) located = { node: container.items[Number(name)] };
      else throw new Error(`no value at ${pointer}`);
    }
    return located;
  }

  /** The fields of a mapping as in the data, by the rules of `readMap`. */
  private fieldsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.fields.get(map);
    if (known) return known;
    const fields = new Map<string, Pair>();
    // Set before the fields are known, because a merge may lead back to this mapping.
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

  /** `open`: the targets of the aliases that are being resolved. */
  private read(node: unknown, open: readonly Node[]): unknown {
    if (open.length > 0 && ++this.aliased > this.maxAliased) {
      if (this.aliased === this.maxAliased + 1) this.reject(open[0], { code: 'too-many-aliased', max: this.maxAliased });
      return null;
    }
    if (isAlias(node)) return this.readAlias(node, open);
    if (this.rejectsAliases) this.rejectProperties(node);
    if (isMap(node)) return this.readMap(node, open);
    if (isSeq(node)) return node.items.map((item) => this.read(item, open));
    return isScalar(node) ? this.readScalar(node) : null;
  }

  private readAlias(alias: Alias, open: readonly Node[]): unknown {
    const name = alias.source;
    if (this.rejectsAliases) return this.reject(alias, { code: 'alias', name });
    const target = this.targetOf(alias);
    if (!target) return this.reject(alias, { code: 'unknown-anchor', name });
    if (open.includes(target)) return this.reject(alias, { code: 'recursive-anchor', name });
    return this.read(target, [...open, target]);
  }

  private readMap(map: YAMLMap, open: readonly Node[]): object {
    const fields: Record<string, unknown> = {};
    /** Fields that are written in this mapping, not merged into it. */
    const own = new Map<string, Pair>();
    for (const pair of map.items) {
      if (this.isMerge(pair)) {
        this.readMerge(pair, open, fields);
        continue;
      }
      const name = this.nameOf(pair.key);
      const first = typeof name === 'string' ? own.get(name) : undefined;
      if (this.kubectl && map.flow && this.isFolded(pair.key)) this.reject(pair.key, { code: 'folded-field-name' });
      else if (typeof name !== 'string') this.reject(pair.key, name);
      else if (first) this.reject(pair.key, { code: 'duplicate-field', name, firstLine: this.lines.at(offsetOf(first.key) ?? 0).line });
      if (this.rejectsAliases && isScalar(pair.key)) this.rejectProperties(pair.key);
      if (typeof name !== 'string' || first) continue;
      own.set(name, pair);
      setField(fields, name, this.read(pair.value, open));
    }
    return fields;
  }

  private isMerge({ key }: Pair): boolean {
    if (this.rejectsAliases || !isScalar(key) || key.source !== '<<') return false;
    return key.tag === undefined ? key.type === 'PLAIN' : key.tag === `${coreTag}merge`;
  }

  /** A merge overrides the fields written before it. This is how go-yaml v2 works, although the specification says otherwise. */
  private readMerge(pair: Pair, open: readonly Node[], fields: Record<string, unknown>): void {
    const sources = this.mergedBy(pair);
    if (!sources) this.reject(pair.value, { code: 'bad-merge' });
    for (const source of sources ?? []) {
      for (const [name, value] of Object.entries(this.read(source, open) ?? {})) setField(fields, name, value);
    }
  }

  /** The mappings that are merged, or their aliases, in ascending precedence. Undefined if the merge is invalid. */
  private mergedBy({ value }: Pair): readonly unknown[] | undefined {
    const isMapping = (node: unknown) => isMap(this.follow(node));
    if (isMapping(value)) return [value];
    // In a list of mappings the first one takes precedence.
    return isSeq(value) && value.items.length > 0 && value.items.every(isMapping) ? value.items.toReversed() : undefined;
  }

  private nameOf(key: unknown): string | YamlTrouble {
    if (this.rejectsAliases && isAlias(key)) return { code: 'alias', name: key.source };
    const node = this.follow(key);
    if (!isScalar(node)) return { code: 'field-name-not-scalar' };
    if (!this.kubectl) return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    const value = kubectlScalar(node);
    if (value === null) return { code: 'field-name-null' };
    return typeof value === 'object' ? value : String(value);
  }

  /**
   * go-yaml rejects a field name in braces that continues on the next line. The specification allows it, so a comment of the form `// …` in JSON
   * would become a part of the next name, and the field would go unnoticed.
   */
  private isFolded(key: unknown): boolean {
    const range = isScalar(key) ? key.range : undefined;
    return range ? this.text.slice(range[0], range[1]).includes('\n') : false;
  }

  private readScalar(node: Scalar): unknown {
    if (this.kubectl) {
      const value = kubectlScalar(node);
      return typeof value === 'object' && value !== null ? this.reject(node, value) : value;
    }
    // The library turns scalars with tags such as !!binary and !!timestamp into objects.
    return typeof node.value === 'object' && node.value !== null ? node.source : node.value;
  }

  private rejectProperties(node: unknown): void {
    const { anchor, tag } = (node ?? {}) as { anchor?: string; tag?: string };
    if (anchor !== undefined) this.reject(node, { code: 'anchor', name: anchor });
    if (tag !== undefined) this.reject(node, { code: 'tag', tag });
  }

  private reject(node: unknown, trouble: YamlTrouble): null {
    // If several aliases refer to a value, its error is reported once.
    if (!this.rejectsAliases && this.rejected.has(node)) return null;
    this.rejected.add(node);
    this.errors.push({ ...trouble, position: this.lines.at(offsetOf(node) ?? 0) });
    return null;
  }

  private follow(node: unknown): unknown {
    return isAlias(node) && !this.rejectsAliases ? this.targetOf(node) : node;
  }

  private targetOf(alias: Alias): Node | undefined {
    this.targets ??= targetsIn(this.root);
    return this.targets.get(alias);
  }
}

/** The offsets of quoted strings, and of values in brackets, by the offset of their ends. The outermost, if several have the same end. */
type Starts = { readonly quotes: ReadonlyMap<number, number>; readonly brackets: ReadonlyMap<number, number> };
type Unclosed = { readonly kind: keyof Starts; readonly cause: string; readonly reason: string };

/** Undefined for all errors but a missing quote or bracket, which the library reports at the end of the value. */
function describeUnclosed(message: string): Unclosed | undefined {
  if (/closing ["']quote/.test(message)) return { kind: 'quotes', cause: 'UNCLOSED_QUOTE', reason: 'a quoted string is not closed' };
  const [, name] = /^Flow (sequence|map) .*end with a/.exec(message) ?? [];
  if (name === undefined) return undefined;
  const what = name === 'map' ? 'mapping in braces' : 'list in brackets';
  return { kind: 'brackets', cause: 'UNCLOSED_BRACKET', reason: `a ${what} is not closed` };
}

function startsByEnd(root: unknown): Starts {
  const starts = { quotes: new Map<number, number>(), brackets: new Map<number, number>() };
  const collect = (_: unknown, node: unknown) => {
    const { type, flow, range } = node as { type?: string; flow?: boolean; range?: readonly [number, number, number] | null };
    const isQuoted = type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE';
    const found = isQuoted ? starts.quotes : flow === true ? starts.brackets : undefined;
    if (range && found && !found.has(range[1])) found.set(range[1], range[0]);
  };
  if (isNode(root)) visit(root, { Node: collect });
  return starts;
}

/** An alias refers to the last anchor of its name before it. */
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

function tagOf(node: unknown): string | undefined {
  return (node as { tag?: string } | null)?.tag;
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0];
}

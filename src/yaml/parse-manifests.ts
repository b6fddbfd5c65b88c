import {
  type Alias,
  Composer,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { isObject, type JsonObject, textAt } from '../object/json.ts';
import { splitJsonStream } from './json-stream.ts';
import { readPlainScalar, type ScalarValue } from './plain-scalar.ts';

/** One Kubernetes object, and where in the text it begins. */
export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  /** Plain data as JSON has it, but for integers beyond 2^53, which are bigints. */
  readonly object: JsonObject;
  readonly file: string;
  /** 1-based. */
  readonly line: number;
};

/** Why a file, or a part of it, is no Kubernetes object. */
export type ManifestProblem = {
  readonly file: string;
  /** 1-based, columns in UTF-16 code units; absent where the file itself cannot be read. */
  readonly position?: Position;
  /** A sentence that names what is wrong and the fix. */
  readonly message: string;
};

type Position = { readonly line: number; readonly column: number };

export type ParsedManifests = { readonly manifests: readonly Manifest[]; readonly problems: readonly ManifestProblem[] };

/**
 * Objects of one file: YAML of any number of documents, JSON, or JSON objects one after the other. Lists are flattened. Values are those that
 * kubectl would send; a field that is written twice is a problem, although kubectl takes the last. Never throws, whatever the text.
 */
export function parseManifests(text: string, file: string): ParsedManifests {
  const manifests: Manifest[] = [];
  const problems: ManifestProblem[] = [];
  for (const part of splitJsonStream(text)) {
    const reader = new PartReader(part.text, file, part.line);
    for (const document of reader.documents()) manifests.push(...reader.objectsOf(document));
    problems.push(...reader.problems);
  }
  return { manifests, problems };
}

/** A problem like this one: `deploy/web.yaml:3:5: …`. */
export function renderManifestProblem({ file, position, message }: ManifestProblem): string {
  const place = file === '-' ? 'standard input' : file;
  return position ? `${place}:${position.line}:${position.column}: ${message}` : `${place}: ${message}`;
}

/** YAML's parser pushes up to three entries a level. The schemas in custom resource definitions are nested some sixty levels deep. */
const deepestStack = 600;
/** go-yaml's own limit of values that come from aliases (alias_ratio_range_low). */
const mostAliased = 400_000;

class Unreadable extends Error {
  readonly node: unknown;
  constructor(node: unknown, message: string) {
    super(message);
    this.node = node;
  }
}

class PartReader {
  readonly problems: ManifestProblem[] = [];
  private readonly text: string;
  private readonly file: string;
  private readonly linesBefore: number;
  private readonly lines = new LineCounter();
  private targets: ReadonlyMap<Alias, Node> = new Map();
  private aliased = 0;

  constructor(text: string, file: string, firstLine: number) {
    this.text = text.startsWith('\ufeff') ? text.slice(1) : text;
    this.file = file;
    this.linesBefore = firstLine - 1;
  }

  /** Up to the first that is not valid YAML: what follows it may be anything. */
  *documents(): Generator<Document.Parsed> {
    const tokens = this.tokens();
    if (!tokens) return;
    const composer = new Composer({ version: '1.2', schema: 'failsafe', uniqueKeys: false, prettyErrors: false });
    for (const document of composer.compose(tokens)) {
      const [error] = document.errors;
      if (error) {
        this.refuse(error.pos[0], syntaxSentence(error.code, error.message, this.text));
        return;
      }
      if (document.contents !== null) yield document as Document.Parsed;
    }
  }

  // Token by token, since composing a tree that is nested without bound would overflow the stack.
  private tokens() {
    this.lines.addNewLine(0);
    const parser = new Parser(this.lines.addNewLine);
    const tokens = [];
    for (const lexeme of new Lexer().lex(this.text)) {
      for (const token of parser.next(lexeme)) tokens.push(token);
      if (parser.stack.length > deepestStack) {
        this.refuse(parser.offset, 'nested deeper than any Kubernetes object; look for stray brackets or dashes');
        return undefined;
      }
    }
    for (const token of parser.end()) tokens.push(token);
    // The composer forgets those that stand before any document.
    const error = tokens.find((token) => token.type === 'error');
    if (error?.type !== 'error') return tokens;
    this.refuse(error.offset, syntaxSentence('', error.message, this.text));
    return undefined;
  }

  objectsOf(document: Document.Parsed): readonly Manifest[] {
    try {
      this.targets = targetsOf(document);
      this.aliased = 0;
      const root = document.contents;
      const value = this.read(root, []);
      return value === null ? [] : this.flatten(value, root, undefined);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      this.refuse(error.node, error.message);
      return [];
    }
  }

  /** `list` is the list that the object is an entry of. */
  private flatten(value: unknown, node: unknown, list: { apiVersion: string; kind: string } | undefined): readonly Manifest[] {
    const object = isObject(value) ? typed(value, list) : value;
    const problem = complaint(object, this.file);
    if (problem !== undefined || !isObject(object)) {
      this.refuse(node, problem ?? '');
      return [];
    }
    const apiVersion = textAt(object, ['apiVersion']) ?? '';
    const kind = textAt(object, ['kind']) ?? '';
    const { items } = object;
    if (!kind.endsWith('List') || !Array.isArray(items))
      return [{ apiVersion, kind, object, file: this.file, line: this.positionOf(node).line }];
    const nodes = this.itemNodes(node);
    return items.flatMap((item: unknown, index) => this.flatten(item, nodes[index] ?? node, { apiVersion, kind }));
  }

  private itemNodes(node: unknown): readonly unknown[] {
    const list = this.follow(node);
    const pair = isMap(list) ? list.items.find(({ key }) => isScalar(key) && key.value === 'items') : undefined;
    const items = this.follow(pair?.value);
    return isSeq(items) ? items.items : [];
  }

  private follow(node: unknown): unknown {
    return isAlias(node) ? this.targets.get(node) : node;
  }

  /** `open` are the aliased nodes that are being read. Each use of an anchor is a value of its own, so that a patch changes one place. */
  private read(node: unknown, open: readonly Node[]): unknown {
    if (open.length > 0 && ++this.aliased > mostAliased) {
      throw new Unreadable(open[0], `aliases make more than ${mostAliased} values of this; write out what is meant`);
    }
    if (isAlias(node)) {
      const target = this.targets.get(node);
      if (!target) throw new Unreadable(node, `there is no anchor &${node.source} before this alias; quote the value if it is text`);
      if (open.includes(target)) throw new Unreadable(node, `the anchor &${node.source} contains itself`);
      return this.read(target, [...open, target]);
    }
    if (isMap(node)) return Object.fromEntries(this.readMap(node, open));
    if (isSeq(node)) return node.items.map((item) => this.read(item, open));
    return isScalar(node) ? readScalar(node) : null;
  }

  private readMap(map: YAMLMap, open: readonly Node[]): Map<string, unknown> {
    const fields = new Map<string, unknown>();
    const written = new Map<string, Pair>();
    for (const pair of map.items) {
      if (isMergeKey(pair.key)) {
        // What is merged later wins over what stands before it: so go-yaml v2 has it, whatever the specification says.
        for (const [name, value] of this.readMerged(pair.value, open)) fields.set(name, value);
        continue;
      }
      const name = this.fieldName(pair.key);
      const first = written.get(name);
      if (first) {
        const { line } = this.positionOf(first.key);
        throw new Unreadable(
          pair.key,
          `the field "${name}" is already written in line ${line}, and kubectl would forget that one; keep one of the two`,
        );
      }
      written.set(name, pair);
      fields.set(name, this.read(pair.value, open));
    }
    return fields;
  }

  private readMerged(node: unknown, open: readonly Node[]): Map<string, unknown> {
    const target = this.follow(node);
    if (isMap(target)) return new Map(Object.entries(this.read(node, open) as JsonObject));
    const sources = isSeq(target) && !isAlias(node) ? target.items : [];
    if (sources.length === 0 || !sources.every((source) => isMap(this.follow(source)))) {
      throw new Unreadable(node, 'the merge key << takes a mapping, an alias of one, or a list of such');
    }
    // Of several the first has the last word.
    return new Map(sources.reverse().flatMap((source) => Object.entries(this.read(source, open) as JsonObject)));
  }

  private fieldName(key: unknown): string {
    const node = this.follow(key);
    const value = isScalar(node) ? readScalar(node) : undefined;
    if (value === undefined) throw new Unreadable(key, 'a field has a list or a mapping for its name; write a plain name');
    if (value === null) throw new Unreadable(key, 'a field has no name; put the name in quotes if it is meant to be "" or "null"');
    return String(value);
  }

  private refuse(place: unknown, message: string): void {
    this.problems.push({ file: this.file, position: this.positionOf(place), message });
  }

  private positionOf(place: unknown): Position {
    const offset = typeof place === 'number' ? place : ((place as { range?: readonly number[] | null } | null)?.range?.[0] ?? 0);
    const { line, col } = this.lines.linePos(offset);
    return { line: line + this.linesBefore, column: col };
  }
}

/** An alias means the last anchor of its name that stands before it. */
function targetsOf(document: Document.Parsed): ReadonlyMap<Alias, Node> {
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
  walk(document.contents);
  return targets;
}

function isMergeKey(key: unknown): boolean {
  if (!isScalar(key) || key.source !== '<<') return false;
  return key.tag === undefined ? key.type === 'PLAIN' : key.tag === `${coreTag}merge`;
}

const coreTag = 'tag:yaml.org,2002:';

function readScalar(node: Scalar): ScalarValue {
  const text = node.source ?? '';
  const value =
    node.tag === undefined ? (node.type === 'PLAIN' || node.type === undefined ? readPlainScalar(text) : text) : readTagged(node, text);
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new Unreadable(node, `${text} is no number that JSON has; put it in quotes if it is text`);
  return value;
}

/** A tag that is none of YAML's own means nothing: the scalar is text. */
function readTagged(node: Scalar, text: string): ScalarValue {
  const value = readPlainScalar(text);
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const fits = {
    bool: typeof value === 'boolean',
    int: typeof value === 'bigint' || Number.isInteger(value),
    float: isNumber,
    null: value === null,
  }[(node.tag ?? '').slice(coreTag.length)];
  if (node.tag?.startsWith(coreTag) === true) {
    if (node.tag === `${coreTag}binary`) return readBinary(node, text);
    if (fits === false) throw new Unreadable(node, `"${text}" is not what its tag ${node.tag.replace(coreTag, '!!')} says; remove the tag`);
    if (fits === true) return value;
  }
  return text;
}

function readBinary(node: Scalar, text: string): string {
  const bytes = Buffer.from(text, 'base64');
  const base64 = text.replace(/\s/g, '');
  if (bytes.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, ''))
    throw new Unreadable(node, 'the tag !!binary takes base64');
  return bytes.toString('utf8');
}

/** Entries of a list that the API server wrote need not repeat what the list's own kind says. */
function typed(object: JsonObject, list: { apiVersion: string; kind: string } | undefined): JsonObject {
  if (list === undefined || list.kind === 'List' || object.apiVersion !== undefined || object.kind !== undefined) return object;
  return { apiVersion: list.apiVersion, kind: list.kind.slice(0, -'List'.length), ...object };
}

/** Why this is no object that could be applied. */
function complaint(object: unknown, file: string): string | undefined {
  if (!isObject(object))
    return `holds ${Array.isArray(object) ? 'a list' : 'a plain value'} where a Kubernetes object should stand, with apiVersion and kind`;
  const missing = ['apiVersion', 'kind'].filter((field) => textAt(object, [field]) === undefined);
  if (missing.length > 0) return `a Kubernetes object has apiVersion and kind; missing: ${missing.join(', ')}${whatElse(object, file)}`;
  if (object.kind === 'Template' && /^(template\.openshift\.io\/)?v1$/.test(String(object.apiVersion))) {
    return `a Template holds no objects before it is processed: run "oc process --local -f ${file} -o yaml" first, and give what it prints`;
  }
  return undefined;
}

function whatElse(object: JsonObject, file: string): string {
  if (rulesFields.some((field) => Object.hasOwn(object, field))) return '. This looks like registry rules: give them with --rules';
  const name = file.slice(file.lastIndexOf('/') + 1);
  if (/^kustomization\.ya?ml$/.test(name)) return '. Run "kubectl kustomize" on its folder first, and give what it prints';
  if (/^(Chart|values.*)\.ya?ml$/.test(name)) return '. Run "helm template" on the chart first, and give what it prints';
  return '';
}

const rulesFields = ['rules', 'unconfigured', 'internalRegistries', 'exemptions', 'overrides', 'delegate'];

function syntaxSentence(code: string, message: string, text: string): string {
  if (/\{\{/.test(text)) return 'not valid YAML; it looks like a template of Helm or the like: render it first, and give what that prints';
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line; YAML takes spaces only';
  const printable = message.replace(/[^ -~]/g, '?').slice(0, 160);
  return `not valid YAML: ${printable.charAt(0).toLowerCase()}${printable.slice(1)}; check quotes, brackets and indents here and just before`;
}

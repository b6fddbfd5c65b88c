/** Rules ConfigMaps as they lie in a repository: among other Kubernetes objects, in YAML or JSON, one or many in a file. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  type Scalar,
  visit,
} from 'yaml';
import { closestSpelling } from '../rules/language/closest-spelling.ts';
import { isDocumentKey, rulesLabel, whyNotBinary } from '../rules/language/config-map.ts';
import type { RuleScope } from '../rules/language/parse.ts';
import type { DocumentStart, Origin, Position, Problem, ProblemCode, RuleSource } from '../rules/language/problem.ts';
import { fieldsOfLevel } from '../rules/language/schema.ts';

/** What a file of Kubernetes objects has to say about rules. */
export type RulesManifest = {
  readonly configMaps: readonly ConfigMapInFile[];
  /** Kind and name of everything else, in order. */
  readonly others: readonly string[];
  /** What keeps rules of this file from being read. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
};

export type ConfigMapInFile = {
  readonly name: string;
  /** Empty where the manifest leaves it to whoever applies it. */
  readonly namespace: string;
  readonly scope: RuleScope;
  readonly origin: Origin;
  /** Its keys that hold rules, in the order of names as the server takes them. */
  readonly documents: readonly { readonly source: RuleSource; readonly text: string; readonly start: DocumentStart }[];
};

/** Reads a file of Kubernetes objects; undefined where it is none: then it is a rules document. Never throws, whatever the text. */
export function readRulesManifest(text: string, file: string): RulesManifest | undefined {
  if (!mentionsObjects(text)) return undefined;
  const lines = new LineCounter();
  const documents = compose(text, lines);
  if (documents === undefined) return undefined;
  const roots = documents.map((document) => resolve(document.contents, document));
  if (!roots.some((root, index) => isObject(root, documents[index] as Document))) return undefined;

  const reader = new ManifestReader(text, lines, { kind: 'file', file });
  for (const document of documents) reader.readDocument(document);
  return reader.manifest;
}

/** Cheap and generous: it spares the composing of large rules documents, nothing else. */
function mentionsObjects(text: string): boolean {
  return /(?:^|[{,])[ \t]*["']?(?:apiVersion|kind)["']?[ \t]*:/m.test(text);
}

function compose(text: string, lineCounter: LineCounter): readonly Document.Parsed[] | undefined {
  try {
    const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false });
    return 'empty' in documents ? [] : documents;
  } catch (error) {
    // Nested without bound. The reader of rules has a limit for that, and says so.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

class ManifestReader {
  readonly manifest = {
    configMaps: [] as ConfigMapInFile[],
    others: [] as string[],
    problems: [] as Problem[],
    warnings: [] as Problem[],
  };
  private readonly text: string;
  private readonly lines: LineCounter;
  private readonly source: RuleSource;

  constructor(text: string, lines: LineCounter, source: RuleSource) {
    this.text = text;
    this.lines = lines;
    this.source = source;
  }

  readDocument(document: Document.Parsed): void {
    const [error] = document.errors;
    if (error) {
      const code = error.code === 'DUPLICATE_KEY' ? 'duplicate-field' : 'yaml-syntax';
      const words = error.code === 'TAB_AS_INDENT' ? 'a tab indents this line; YAML takes spaces only' : printable(error.message);
      this.refuse(code, this.at(error.pos[0]), `the file of Kubernetes objects is not valid YAML: ${words}`);
      return;
    }
    const lost = aliasToNothing(document);
    if (lost) {
      this.refuse('yaml-alias', this.positionOf(lost), `nothing above is called ${JSON.stringify(`&${lost.source}`)}; write the value out`);
      return;
    }
    const root = resolve(document.contents, document);
    if (root === null || (isScalar(root) && root.value === null)) return;
    this.readObject(root, document);
  }

  private readObject(node: unknown, document: Document): void {
    const kind = textField(node, ['kind'], document);
    const items = kind?.endsWith('List') ? field(node, 'items', document) : undefined;
    if (isSeq(items)) {
      for (const item of items.items) this.readObject(resolve(item, document), document);
      return;
    }
    const label = textField(node, ['metadata', 'labels', rulesLabel], document);
    const name = textField(node, ['metadata', 'name'], document) ?? '';
    if (kind === 'ConfigMap' && label !== undefined && label !== 'snapshot') {
      this.readConfigMap(node, document, name, label);
      return;
    }
    if (kind === 'Template') this.checkTemplate(node, document, name);
    if (kind === undefined) this.checkForeign(node);
    this.manifest.others.push(`${kind ?? 'something without kind'} ${name}`.trim());
  }

  private readConfigMap(node: unknown, document: Document, name: string, label: string): void {
    const namespace = textField(node, ['metadata', 'namespace'], document) ?? '';
    const called = `ConfigMap ${namespace === '' ? '' : `${namespace}/`}${name}`;
    const position = this.positionOf(node);
    const scope = this.scopeOf(label, namespace, called, this.positionOf(nodeAt(node, ['metadata', 'labels', rulesLabel], document)));
    if (!scope) return;
    if (this.hasBinary(field(node, 'binaryData', document), called)) return;
    const documents = this.readData(field(node, 'data', document), document, called, position);
    if (documents) this.manifest.configMaps.push({ name, namespace, scope, origin: { source: this.source, ...position }, documents });
  }

  private scopeOf(label: string, namespace: string, called: string, position: Position): RuleScope | undefined {
    if (label === 'cluster') return { kind: 'cluster' };
    if (label === 'namespace' && namespace !== '') return { kind: 'namespace', namespace };
    if (label === 'namespace') {
      const message = `${called} has no metadata.namespace, so nobody can say whose rules these are; write the namespace into the manifest`;
      return this.refuse('bad-manifest', position, message);
    }
    const near = closestSpelling(label, ['cluster', 'namespace']);
    const fix = near ? `did you mean "${near}"?` : 'write cluster or namespace';
    return this.refuse('bad-manifest', position, `the label ${rulesLabel} of ${called} is ${JSON.stringify(label)}; ${fix}`);
  }

  private readData(data: unknown, document: Document, called: string, position: Position): ConfigMapInFile['documents'] | undefined {
    if (!isMap(data) && data !== undefined && !(isScalar(data) && data.value === null)) {
      return this.refuse(
        'bad-manifest',
        this.positionOf(data),
        `data of ${called} is no mapping; write a key such as "rules.yaml: |" below it`,
      );
    }
    const pairs = isMap(data) ? (data.items as Pair[]).filter(({ key }) => isDocumentKey(keyText(key))) : [];
    if (pairs.length === 0) {
      const message = `${called} has no key that ends in .yaml, .yml or .json, so it contributes no rules; put them under "rules.yaml: |"`;
      this.manifest.warnings.push({ code: 'blank-document', message, origin: { source: this.source, ...position } });
    }
    const documents = pairs
      .toSorted((one, other) => (keyText(one.key) < keyText(other.key) ? -1 : 1))
      .map(({ key, value }) => this.readText(keyText(key), resolve(value, document), called));
    return documents.every((text) => text !== undefined) ? documents : undefined;
  }

  private hasBinary(data: unknown, called: string): boolean {
    const keys = (isMap(data) ? (data.items as Pair[]) : []).map(({ key }) => key).filter((key) => isDocumentKey(keyText(key)));
    for (const key of keys) this.refuse('bad-manifest', this.positionOf(key), `${keyText(key)} of ${called} ${whyNotBinary}`);
    return keys.length > 0;
  }

  private readText(key: string, value: unknown, called: string): ConfigMapInFile['documents'][number] | undefined {
    if (value === null || (isScalar(value) && value.value === null)) {
      return { source: this.source, text: '', start: { ...this.positionOf(value), whole: true } };
    }
    if (!isScalar(value) || typeof value.value !== 'string') {
      const what = isMap(value) ? 'a mapping' : isSeq(value) ? 'a list' : 'no text';
      const message = `${key} of ${called} is ${what}, and the data of a ConfigMap is text; write "${key}: |" and the rules indented below it`;
      return this.refuse('bad-manifest', this.positionOf(value), message);
    }
    return { source: this.source, text: value.value, start: this.startOf(value, value.value) };
  }

  /** In a literal block (`|`) each line is a line of the text behind one indent. Elsewhere YAML folds and escapes: there the beginning must do. */
  private startOf(scalar: Scalar, value: string): DocumentStart {
    const position = this.positionOf(scalar);
    if (scalar.type !== 'BLOCK_LITERAL') return { ...position, whole: true };
    const texts = value.split('\n');
    const filled = Math.max(
      0,
      texts.findIndex((line) => line.trim() !== ''),
    );
    const line = position.line + 1;
    const written = this.lineAt(line + filled);
    return { line, column: 1 + written.length - (texts[filled] ?? '').length };
  }

  private lineAt(line: number): string {
    const start = this.lines.lineStarts[line - 1] ?? this.text.length;
    const end = this.lines.lineStarts[line] ?? this.text.length + 1;
    return this.text.slice(start, end - 1).replace(/\r$/, '');
  }

  /** What a template makes is not known before it is processed, and rules must not be lost over that. */
  private checkTemplate(node: unknown, document: Document, name: string): void {
    const objects = field(node, 'objects', document);
    const labelled =
      isSeq(objects) && objects.items.some((item) => nodeAt(resolve(item, document), ['metadata', 'labels', rulesLabel], document));
    if (!labelled) return;
    const message = `Template ${name} holds a rules ConfigMap and has not been processed; give what "oc process --local -f FILE -o yaml" prints`;
    this.refuse('bad-manifest', this.positionOf(node), message);
  }

  private checkForeign(node: unknown): void {
    if (!isMap(node) || !(node.items as Pair[]).some(({ key }) => fieldsOfLevel.document.includes(keyText(key)))) return;
    const message = 'a rules document stands among Kubernetes objects; put it into a file of its own, or into a ConfigMap';
    this.refuse('yaml-several-documents', this.positionOf(node), message);
  }

  private refuse(code: ProblemCode, position: Position, message: string): undefined {
    this.manifest.problems.push({ code, message, origin: { source: this.source, ...position } });
    return undefined;
  }

  private positionOf(node: unknown): Position {
    return this.at((node as { range?: readonly number[] | null } | null)?.range?.[0] ?? 0);
  }

  private at(offset: number): Position {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function isObject(node: unknown, document: Document): boolean {
  return textField(node, ['apiVersion'], document) !== undefined && textField(node, ['kind'], document) !== undefined;
}

function textField(node: unknown, path: readonly string[], document: Document): string | undefined {
  const found = nodeAt(node, path, document);
  return isScalar(found) && typeof found.value === 'string' ? found.value : undefined;
}

function nodeAt(node: unknown, path: readonly string[], document: Document): unknown {
  return path.reduce((at: unknown, name) => field(at, name, document), node);
}

/** A field of a mapping, by its own key or by a merge (`<<`); `deep` ends merges that lead to themselves. */
function field(node: unknown, name: string, document: Document, deep = 0): unknown {
  if (!isMap(node) || deep > 10) return undefined;
  const pairs = node.items as Pair[];
  const own = pairs.find(({ key }) => keyText(key) === name);
  if (own) return resolve(own.value, document);
  for (const { key, value } of pairs) {
    if (keyText(key) !== '<<') continue;
    const merged = resolve(value, document);
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const found = field(resolve(source, document), name, document, deep + 1);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function aliasToNothing(document: Document): Alias | undefined {
  const anchors = new Set<string>();
  let lost: Alias | undefined;
  visit(document, (_key, node) => {
    if (isNode(node) && 'anchor' in node && node.anchor !== undefined) anchors.add(node.anchor);
    if (!isAlias(node) || anchors.has(node.source)) return undefined;
    lost = node;
    return visit.BREAK;
  });
  return lost;
}

function resolve(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function printable(message: string): string {
  return message.replace(/[^ -~]/g, '?').slice(0, 160);
}

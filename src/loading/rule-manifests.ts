/** Rules ConfigMaps as they lie in a repository: among other Kubernetes objects, in YAML or JSON, one or many in a file. */
import { isAbsent, isObject, type Path, valueAt } from '../object/json.ts';
import { closestSpelling } from '../rules/language/closest-spelling.ts';
import { isDocumentKey, rulesLabel, whyNotBinary } from '../rules/language/config-map.ts';
import type { RuleScope } from '../rules/language/parse.ts';
import type { Origin, Problem, ProblemCode, RuleSource } from '../rules/language/problem.ts';
import { fieldsOfLevel } from '../rules/language/schema.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import type { TextStart } from '../yaml/lines.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError, type Position, type YamlError } from '../yaml/yaml-error.ts';

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
  readonly documents: readonly { readonly source: RuleSource; readonly text: string; readonly start: TextStart }[];
};

/** Reads a file of Kubernetes objects; undefined where it is none: then it is a rules document. Never throws, whatever the text. */
export function readRulesManifest(text: string, file: string): RulesManifest | undefined {
  if (!mentionsObjects(text)) return undefined;
  const { documents } = readYaml(text);
  if (!documents.some(({ value }) => textIn(value, ['apiVersion']) !== undefined && textIn(value, ['kind']) !== undefined))
    return undefined;

  const reader = new ManifestReader({ kind: 'file', file });
  for (const document of documents) reader.readDocument(document);
  return reader.manifest;
}

/** Cheap and generous: it spares the composing of large rules documents, nothing else. */
function mentionsObjects(text: string): boolean {
  return /(?:^|[{,])[ \t]*["']?(?:apiVersion|kind)["']?[ \t]*:/m.test(text);
}

class ManifestReader {
  readonly manifest = {
    configMaps: [] as ConfigMapInFile[],
    others: [] as string[],
    problems: [] as Problem[],
    warnings: [] as Problem[],
  };
  private readonly source: RuleSource;

  constructor(source: RuleSource) {
    this.source = source;
  }

  readDocument(document: YamlDocument): void {
    const error = document.errors.find(({ code }) => keepsFromReading.has(code));
    if (error) this.refuseError(error);
    else if (document.value !== null) this.readObject({ document, pointer: '', value: document.value });
  }

  private readObject(object: Located): void {
    const { value } = object;
    const kind = textIn(value, ['kind']);
    const items = kind?.endsWith('List') && isObject(value) ? value.items : undefined;
    if (Array.isArray(items)) {
      for (const index of items.keys()) this.readObject(below(object, ['items', index]));
      return;
    }
    const label = textIn(value, ['metadata', 'labels', rulesLabel]);
    const name = textIn(value, ['metadata', 'name']) ?? '';
    if (kind === 'ConfigMap' && label !== undefined && label !== 'snapshot') {
      this.readConfigMap(object, name, label);
      return;
    }
    if (kind === 'Template') this.checkTemplate(object, name);
    if (kind === undefined) this.checkForeign(object);
    this.manifest.others.push(`${kind ?? 'something without kind'} ${name}`.trim());
  }

  private readConfigMap(object: Located, name: string, label: string): void {
    // What an error leaves out could be a rule.
    const [error] = object.document.errors;
    if (error) {
      this.refuseError(error);
      return;
    }
    const namespace = textIn(object.value, ['metadata', 'namespace']) ?? '';
    const called = `ConfigMap ${namespace === '' ? '' : `${namespace}/`}${name}`;
    const position = positionOf(object);
    const scope = this.scopeOf(label, namespace, called, positionOf(below(object, ['metadata', 'labels', rulesLabel])));
    if (!scope) return;
    if (this.hasBinary(below(object, ['binaryData']), called)) return;
    const documents = this.readData(below(object, ['data']), called, position);
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

  private readData(data: Located, called: string, position: Position): ConfigMapInFile['documents'] | undefined {
    if (!isAbsent(data.value) && !isObject(data.value)) {
      const message = `data of ${called} is no mapping; write a key such as "rules.yaml: |" below it`;
      return this.refuse('bad-manifest', positionOf(data), message);
    }
    const keys = documentKeys(data.value);
    if (keys.length === 0) {
      const message = `${called} has no key that ends in .yaml, .yml or .json, so it contributes no rules; put them under "rules.yaml: |"`;
      this.manifest.warnings.push({ code: 'blank-document', message, origin: { source: this.source, ...position } });
    }
    const documents = keys.toSorted().map((key) => this.readText(key, below(data, [key]), called));
    return documents.every((text) => text !== undefined) ? documents : undefined;
  }

  private hasBinary(data: Located, called: string): boolean {
    const keys = documentKeys(data.value);
    for (const key of keys) {
      const position = data.document.locateField(below(data, [key]).pointer);
      this.refuse('bad-manifest', position, `${key} of ${called} ${whyNotBinary}`);
    }
    return keys.length > 0;
  }

  private readText(key: string, written: Located, called: string): ConfigMapInFile['documents'][number] | undefined {
    const { document, pointer, value } = written;
    if (value === null || typeof value === 'string') {
      return { source: this.source, text: value ?? '', start: document.startOfText(pointer) };
    }
    const what = isObject(value) ? 'a mapping' : Array.isArray(value) ? 'a list' : 'no text';
    const message = `${key} of ${called} is ${what}, and the data of a ConfigMap is text; write "${key}: |" and the rules indented below it`;
    return this.refuse('bad-manifest', positionOf(written), message);
  }

  /** What a template makes is not known before it is processed, and rules must not be lost over that. */
  private checkTemplate(template: Located, name: string): void {
    const objects = valueAt(template.value, ['objects']);
    const labelled = Array.isArray(objects) && objects.some((object) => valueAt(object, ['metadata', 'labels', rulesLabel]) !== undefined);
    if (!labelled) return;
    const message = `Template ${name} holds a rules ConfigMap and has not been processed; give what "oc process --local -f FILE -o yaml" prints`;
    this.refuse('bad-manifest', positionOf(template), message);
  }

  private checkForeign(object: Located): void {
    if (!isObject(object.value) || !Object.keys(object.value).some((field) => fieldsOfLevel.document.includes(field))) return;
    const message = 'a rules document stands among Kubernetes objects; put it into a file of its own, or into a ConfigMap';
    this.refuse('yaml-several-documents', positionOf(object), message);
  }

  private refuseError(error: YamlError): void {
    if (error.code === 'unknown-anchor') {
      const message = `nothing above is called ${JSON.stringify(`&${error.name}`)}; write the value out`;
      this.refuse('yaml-alias', error.position, message);
      return;
    }
    const code = error.code === 'duplicate-field' ? 'duplicate-field' : 'yaml-syntax';
    const isTab = error.code === 'syntax' && error.cause === 'TAB_AS_INDENT';
    const reason = isTab ? 'a tab indents this line; YAML takes spaces only' : describeYamlError(error).slice(0, 160);
    this.refuse(code, error.position, `the file of Kubernetes objects is not valid YAML: ${reason}`);
  }

  private refuse(code: ProblemCode, position: Position, message: string): undefined {
    this.manifest.problems.push({ code, message, origin: { source: this.source, ...position } });
    return undefined;
  }
}

/** Of other errors the rest of a document can be read. */
const keepsFromReading: ReadonlySet<YamlError['code']> = new Set<YamlError['code']>(['syntax', 'duplicate-field', 'unknown-anchor']);

type Located = { readonly document: YamlDocument; readonly pointer: string; readonly value: unknown };

function below({ document, pointer, value }: Located, path: Path): Located {
  return { document, pointer: pointer + pointerTo(...path), value: valueAt(value, path) };
}

function positionOf({ document, pointer }: Located): Position {
  return document.locate(pointer);
}

function textIn(value: unknown, path: Path): string | undefined {
  const found = valueAt(value, path);
  return typeof found === 'string' ? found : undefined;
}

function documentKeys(data: unknown): readonly string[] {
  return isObject(data) ? Object.keys(data).filter(isDocumentKey) : [];
}

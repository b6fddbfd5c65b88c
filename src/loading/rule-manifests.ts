/** Reads rules ConfigMaps from files of Kubernetes objects in YAML or JSON, as they are kept in a repository. */
import { isAbsent, isObject, type JsonObject, type Path, valueAt } from '../object/json.ts';
import { closestSpelling } from '../rules/closest-spelling.ts';
import { isDocumentKey, rulesLabel, sourceLabel, whyNotBinary } from '../rules/language/config-map.ts';
import type { RuleScope } from '../rules/language/parse.ts';
import type { Origin, Problem, ProblemCode, RuleSource } from '../rules/language/problem.ts';
import { fieldsOfLevel } from '../rules/language/schema.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import type { TextStart } from '../yaml/lines.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError, type Position, type YamlError } from '../yaml/yaml-error.ts';

/** The content of a file of Kubernetes objects, as far as it concerns rules. */
export type RulesManifest = {
  readonly configMaps: readonly ConfigMapInFile[];
  /** Secrets with the label of a source of secret delivery. */
  readonly sources: readonly SourceInFile[];
  /** Kind and name of every other object, in order. */
  readonly others: readonly string[];
  /** Those of them that would be rules with the label: ConfigMaps with a key for a rules document. */
  readonly unlabelled: readonly string[];
  /** Why rules of this file cannot be read. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
};

export type SourceInFile = { readonly object: JsonObject; readonly origin: Origin };

export type ConfigMapInFile = {
  readonly name: string;
  /** Empty if the manifest has none, so that the namespace depends on how it is applied. */
  readonly namespace: string;
  readonly scope: RuleScope;
  /** Set if the manifest has no label, but the ConfigMap in the cluster has one. If that is removed, `documents` is empty. */
  readonly labelInCluster?: LabelAfterApply;
  readonly origin: Origin;
  /** The keys that contain rules, sorted by name, as the server reads them. */
  readonly documents: readonly { readonly source: RuleSource; readonly text: string; readonly start: TextStart }[];
};

/** What an apply does to a label that the manifest does not have: it keeps that of another field manager, and removes its own. */
export type LabelAfterApply = 'kept' | 'removed';

/**
 * The label of a ConfigMap in the cluster to which the files will be applied. Undefined if it has none. `namespace` is empty if the manifest
 * has none.
 */
export type LabelInCluster = (
  name: string,
  namespace: string,
) => { readonly scope: RuleScope['kind']; readonly afterApply: LabelAfterApply } | undefined;

/**
 * Reads a file of Kubernetes objects. Returns undefined if it contains none, so that it is a rules document. Never throws, whatever the
 * text.
 */
export function readRulesManifest(text: string, file: string, labelInCluster?: LabelInCluster): RulesManifest | undefined {
  if (!mentionsObjects(text)) return undefined;
  const { documents } = readYaml(text);
  if (!documents.some(({ value }) => textIn(value, ['apiVersion']) !== undefined && textIn(value, ['kind']) !== undefined))
    return undefined;

  const reader = new ManifestReader({ kind: 'file', file }, labelInCluster);
  for (const document of documents) reader.readDocument(document);
  return reader.manifest;
}

/** A cheap check with false positives. It only avoids parsing large rules documents twice. */
function mentionsObjects(text: string): boolean {
  return /(?:^|[{,])[ \t]*["']?(?:apiVersion|kind)["']?[ \t]*:/m.test(text);
}

class ManifestReader {
  readonly manifest = {
    configMaps: [] as ConfigMapInFile[],
    sources: [] as SourceInFile[],
    others: [] as string[],
    unlabelled: [] as string[],
    problems: [] as Problem[],
    warnings: [] as Problem[],
  };
  private readonly source: RuleSource & { readonly kind: 'file' };
  private readonly labelInCluster: LabelInCluster;

  constructor(source: RuleSource & { readonly kind: 'file' }, labelInCluster: LabelInCluster = () => undefined) {
    this.source = source;
    this.labelInCluster = labelInCluster;
  }

  readDocument(document: YamlDocument): void {
    const error = document.errors.find(({ code }) => fatalErrors.has(code));
    if (error) this.reportYamlError(error);
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
    const inCluster =
      kind === 'ConfigMap' && label === undefined ? this.labelInCluster(name, textIn(value, ['metadata', 'namespace']) ?? '') : undefined;
    if (inCluster) {
      this.readConfigMap(object, name, inCluster.scope, { labelInCluster: inCluster.afterApply });
      return;
    }
    if (label !== undefined && kind !== undefined && kind !== 'ConfigMap' && closestSpelling(kind, ['ConfigMap'])) {
      this.report('bad-manifest', positionOf(below(object, ['kind'])), `${JSON.stringify(kind)} is not a kind. Did you mean "ConfigMap"?`);
      return;
    }
    if (kind === 'Template') this.checkTemplate(object, name);
    if (kind === 'Secret' && isObject(value) && textIn(value, ['metadata', 'labels', sourceLabel]) === 'true')
      this.manifest.sources.push({ object: value, origin: { source: this.source, ...positionOf(object) } });
    if (kind === undefined) this.checkRulesDocument(object);
    const title = `${kind ?? 'an object without a kind'} ${name}`.trim();
    this.manifest.others.push(title);
    if (kind === 'ConfigMap' && label === undefined && documentKeys(valueAt(value, ['data'])).length > 0)
      this.manifest.unlabelled.push(title);
  }

  private readConfigMap(object: Located, name: string, label: string, fromCluster: Pick<ConfigMapInFile, 'labelInCluster'> = {}): void {
    // A value that is missing because of an error could be a rule.
    const [error] = object.document.errors;
    if (error) {
      this.reportYamlError(error);
      return;
    }
    const namespace = textIn(object.value, ['metadata', 'namespace']) ?? '';
    const description = `ConfigMap ${namespace === '' ? '' : `${namespace}/`}${name}`;
    const position = positionOf(object);
    const labelled = fromCluster.labelInCluster ? object : below(object, ['metadata', 'labels', rulesLabel]);
    const scope = this.scopeOf(label, namespace, description, positionOf(labelled));
    if (!scope) return;
    const read = { name, namespace, scope, ...fromCluster, origin: { source: this.source, ...position } };
    if (read.labelInCluster === 'removed') {
      this.manifest.configMaps.push({ ...read, documents: [] });
      return;
    }
    if (this.hasBinary(below(object, ['binaryData']), description)) return;
    const documents = this.readData(below(object, ['data']), description, position);
    if (documents) this.manifest.configMaps.push({ ...read, documents });
  }

  private scopeOf(label: string, namespace: string, description: string, position: Position): RuleScope | undefined {
    if (label === 'cluster') return { kind: 'cluster' };
    if (label === 'namespace' && namespace !== '') return { kind: 'namespace', namespace };
    if (label === 'namespace') {
      const message = `${description} has no metadata.namespace, so the namespace of its rules is unknown. Add it to the manifest.`;
      return this.report('bad-manifest', position, message);
    }
    const nearest = closestSpelling(label, ['cluster', 'namespace']);
    const fix = nearest ? `Did you mean "${nearest}"?` : 'Use cluster or namespace.';
    return this.report('bad-manifest', position, `the label ${rulesLabel} of ${description} is ${JSON.stringify(label)}. ${fix}`);
  }

  private readData(data: Located, description: string, position: Position): ConfigMapInFile['documents'] | undefined {
    if (!isAbsent(data.value) && !isObject(data.value)) {
      const message = `data of ${description} is not a mapping. Add a key such as "rules.yaml: |" below it.`;
      return this.report('bad-manifest', positionOf(data), message);
    }
    const keys = documentKeys(data.value);
    if (keys.length === 0) {
      const message = `${description} has no key that ends in .yaml, .yml or .json, so it contributes no rules. Put them under "rules.yaml: |".`;
      this.manifest.warnings.push({ code: 'blank-document', message, origin: { source: this.source, ...position } });
    }
    const documents = keys.toSorted().map((key) => this.readText(key, below(data, [key]), description));
    return documents.every((text) => text !== undefined) ? documents : undefined;
  }

  private hasBinary(data: Located, description: string): boolean {
    const keys = documentKeys(data.value);
    for (const key of keys) {
      const position = data.document.locateField(below(data, [key]).pointer);
      this.report('bad-manifest', position, `${key} of ${description} ${whyNotBinary}`);
    }
    return keys.length > 0;
  }

  private readText(key: string, located: Located, description: string): ConfigMapInFile['documents'][number] | undefined {
    const { document, pointer, value } = located;
    if (value === null || typeof value === 'string') {
      const start = document.startOfText(pointer);
      const within = { object: description, key, ...(!start.startOnly && { firstLine: start.line }) };
      return { source: { ...this.source, within }, text: value ?? '', start };
    }
    const actual = isObject(value) ? 'a mapping' : Array.isArray(value) ? 'a list' : 'not a string';
    const message = `${key} of ${description} is ${actual}, but the data of a ConfigMap must be strings. Use "${key}: |" and indent the rules below it.`;
    return this.report('bad-manifest', positionOf(located), message);
  }

  /** The objects of an OpenShift Template are unknown until it is processed. Without a problem its rules would be skipped silently. */
  private checkTemplate(template: Located, name: string): void {
    const objects = valueAt(template.value, ['objects']);
    const labelled = Array.isArray(objects) && objects.some((object) => valueAt(object, ['metadata', 'labels', rulesLabel]) !== undefined);
    if (!labelled) return;
    const message = `Template ${name} contains a rules ConfigMap but has not been processed. Use the output of "oc process --local -f FILE -o yaml".`;
    this.report('bad-manifest', positionOf(template), message);
  }

  /** Reports a rules document among Kubernetes objects, which would otherwise be ignored. */
  private checkRulesDocument(object: Located): void {
    if (!isObject(object.value) || !Object.keys(object.value).some((field) => fieldsOfLevel.document.includes(field))) return;
    const message = 'a rules document must not be mixed with Kubernetes objects. Move it to a separate file or into a ConfigMap.';
    this.report('yaml-several-documents', positionOf(object), message);
  }

  private reportYamlError(error: YamlError): void {
    if (error.code === 'unknown-anchor') {
      const message = `no anchor ${JSON.stringify(`&${error.name}`)} is defined above. Use the value itself.`;
      this.report('yaml-alias', error.position, message);
      return;
    }
    const code = error.code === 'duplicate-field' ? 'duplicate-field' : 'yaml-syntax';
    const isTab = error.code === 'syntax' && error.cause === 'TAB_AS_INDENT';
    const reason = isTab ? 'this line is indented with a tab. YAML allows only spaces.' : describeYamlError(error).slice(0, 160);
    this.report(code, error.position, `the file of Kubernetes objects is not valid YAML: ${reason}`);
  }

  /** Reports a problem. Returns undefined, so that callers can return it as their result. */
  private report(code: ProblemCode, position: Position, message: string): undefined {
    this.manifest.problems.push({ code, message, origin: { source: this.source, ...position } });
    return undefined;
  }
}

/** Errors after which nothing of the document is read. */
const fatalErrors: ReadonlySet<YamlError['code']> = new Set<YamlError['code']>(['syntax', 'duplicate-field', 'unknown-anchor']);

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

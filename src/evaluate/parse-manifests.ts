/** Parses the Kubernetes objects in the text of one file. */
import { isObject, type JsonObject, textAt } from '../object/json.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import { splitJsonStream } from '../yaml/json-stream.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError, type Position, type YamlError } from '../yaml/yaml-error.ts';

/** One Kubernetes object and the position where it begins. */
export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  /** JSON data, except that integers beyond 2^53 are bigints. */
  readonly object: JsonObject;
  readonly file: string;
  /** 1-based line of the file. */
  readonly line: number;
};

/** Why a file, or a part of it, is not a Kubernetes object. */
export type ManifestProblem = {
  readonly file: string;
  /** Absent if the file itself cannot be read. */
  readonly position?: Position;
  /** One sentence with the error and the fix. */
  readonly message: string;
};

export type ParsedManifests = { readonly manifests: readonly Manifest[]; readonly problems: readonly ManifestProblem[] };

/**
 * Accepts YAML with any number of documents, JSON, and concatenated JSON objects. Lists are flattened. Values are the ones that kubectl would
 * send. A duplicate field is a problem, although kubectl uses the last one. Never throws, whatever the text.
 */
export function parseManifests(text: string, file: string): ParsedManifests {
  const reader = new ManifestReader(file);
  for (const part of splitJsonStream(text)) {
    const { documents, error } = readYaml(part.text, { scalars: 'kubectl', start: { line: part.line, column: 1 } });
    if (error) reader.report(error.position, describe(error, part.text));
    else reader.readDocuments(documents, part.text);
  }
  return reader.parsed;
}

/** Renders a problem as `deploy/web.yaml:3:5: …`. */
export function renderManifestProblem({ file, position, message }: ManifestProblem): string {
  const place = file === '-' ? 'standard input' : file;
  return position ? `${place}:${position.line}:${position.column}: ${message}` : `${place}: ${message}`;
}

class ManifestReader {
  readonly parsed = { manifests: [] as Manifest[], problems: [] as ManifestProblem[] };
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** Stops after the first syntax error, because what follows it cannot be read reliably. */
  readDocuments(documents: readonly YamlDocument[], text: string): void {
    for (const document of documents) {
      const [error] = document.errors;
      if (error) this.report(error.position, describe(error, text));
      else if (document.value !== null) this.readObject(document.value, { document, pointer: '' });
      if (error?.code === 'syntax') return;
    }
  }

  report(position: Position, message: string): void {
    this.parsed.problems.push({ file: this.file, position, message });
  }

  /** `list` is the list object that contains this one. */
  private readObject(value: unknown, { document, pointer }: Location, list?: ListType): void {
    const position = document.locate(pointer);
    const object = isObject(value) ? withListType(value, list) : value;
    const problem = problemOf(object, this.file);
    if (problem !== undefined || !isObject(object)) {
      this.report(position, problem ?? '');
      return;
    }
    const apiVersion = textAt(object, ['apiVersion']) ?? '';
    const kind = textAt(object, ['kind']) ?? '';
    const { items } = object;
    if (!kind.endsWith('List') || !Array.isArray(items)) {
      this.parsed.manifests.push({ apiVersion, kind, object, file: this.file, line: position.line });
      return;
    }
    for (const [index, item] of items.entries()) {
      this.readObject(item, { document, pointer: pointer + pointerTo('items', index) }, { apiVersion, kind });
    }
  }
}

type Location = { readonly document: YamlDocument; readonly pointer: string };
type ListType = { readonly apiVersion: string; readonly kind: string };

function describe(error: YamlError, text: string): string {
  if (error.code === 'syntax') return syntaxSentence(error.cause, error.reason, text);
  if (error.code !== 'duplicate-field') return describeYamlError(error);
  const { name, firstLine } = error;
  return `the field "${name}" is already written in line ${firstLine}, and kubectl would forget that one; keep one of the two`;
}

function syntaxSentence(cause: string, reason: string, text: string): string {
  if (/\{\{/.test(text)) return 'not valid YAML; it looks like a template of Helm or the like: render it first, and give what that prints';
  if (cause === 'TAB_AS_INDENT') return 'a tab indents this line; YAML takes spaces only';
  const short = reason.slice(0, 160);
  return `not valid YAML: ${short.charAt(0).toLowerCase()}${short.slice(1)}; check quotes, brackets and indents here and just before`;
}

/** Adds apiVersion and kind to an entry of a typed list, such as a PodList, because the API server leaves them out there. */
function withListType(object: JsonObject, list: ListType | undefined): JsonObject {
  if (list === undefined || list.kind === 'List' || object.apiVersion !== undefined || object.kind !== undefined) return object;
  return { apiVersion: list.apiVersion, kind: list.kind.slice(0, -'List'.length), ...object };
}

/** Why this object could not be applied. Undefined if it could. */
function problemOf(object: unknown, file: string): string | undefined {
  if (!isObject(object))
    return `holds ${Array.isArray(object) ? 'a list' : 'a plain value'} where a Kubernetes object should stand, with apiVersion and kind`;
  const missing = ['apiVersion', 'kind'].filter((field) => textAt(object, [field]) === undefined);
  if (missing.length > 0) return `a Kubernetes object has apiVersion and kind; missing: ${missing.join(', ')}${hintFor(object, file)}`;
  if (object.kind === 'Template' && /^(template\.openshift\.io\/)?v1$/.test(String(object.apiVersion))) {
    return `a Template holds no objects before it is processed: run "oc process --local -f ${file} -o yaml" first, and give what it prints`;
  }
  return undefined;
}

/** What the file probably is instead, with the next step. */
function hintFor(object: JsonObject, file: string): string {
  if (rulesFields.some((field) => Object.hasOwn(object, field))) return '. This looks like registry rules: give them with --rules';
  const name = file.slice(file.lastIndexOf('/') + 1);
  if (/^kustomization\.ya?ml$/.test(name)) return '. Run "kubectl kustomize" on its folder first, and give what it prints';
  if (/^(Chart|values.*)\.ya?ml$/.test(name)) return '. Run "helm template" on the chart first, and give what it prints';
  return '';
}

const rulesFields = ['rules', 'unconfigured', 'internalRegistries', 'exemptions', 'overrides', 'delegate'];

/** Kubernetes objects out of the text of one file. */
import { isObject, type JsonObject, textAt } from '../object/json.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import { splitJsonStream } from '../yaml/json-stream.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError, type Position, type YamlError } from '../yaml/yaml-error.ts';

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

export type ParsedManifests = { readonly manifests: readonly Manifest[]; readonly problems: readonly ManifestProblem[] };

/**
 * Objects of one file: YAML of any number of documents, JSON, or JSON objects one after the other. Lists are flattened. Values are those that
 * kubectl would send; a field that is written twice is a problem, although kubectl takes the last. Never throws, whatever the text.
 */
export function parseManifests(text: string, file: string): ParsedManifests {
  const reader = new ManifestReader(file);
  for (const part of splitJsonStream(text)) {
    const { documents, error } = readYaml(part.text, { scalars: 'kubectl', start: { line: part.line, column: 1 } });
    if (error) reader.refuse(error.position, describe(error, part.text));
    else reader.readDocuments(documents, part.text);
  }
  return reader.parsed;
}

/** A problem like this one: `deploy/web.yaml:3:5: …`. */
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

  /** Up to the first that is not valid YAML: what follows it may be anything. */
  readDocuments(documents: readonly YamlDocument[], text: string): void {
    for (const document of documents) {
      const [error] = document.errors;
      if (error) this.refuse(error.position, describe(error, text));
      else if (document.value !== null) this.readObject(document.value, { document, pointer: '' });
      if (error?.code === 'syntax') return;
    }
  }

  refuse(position: Position, message: string): void {
    this.parsed.problems.push({ file: this.file, position, message });
  }

  /** `list` is the list that the object is an entry of. */
  private readObject(value: unknown, { document, pointer }: Place, list?: ListType): void {
    const position = document.locate(pointer);
    const object = isObject(value) ? typed(value, list) : value;
    const problem = complaint(object, this.file);
    if (problem !== undefined || !isObject(object)) {
      this.refuse(position, problem ?? '');
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

type Place = { readonly document: YamlDocument; readonly pointer: string };
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

/** Entries of a list that the API server wrote need not repeat what the list's own kind says. */
function typed(object: JsonObject, list: ListType | undefined): JsonObject {
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

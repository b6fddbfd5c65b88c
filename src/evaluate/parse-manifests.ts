/** Parses the Kubernetes objects in the text of one file. */
import { isObject, type JsonObject, type Path, textAt, valueAt } from '../object/json.ts';
import { withApiDefaults } from '../object/openshift/api-defaults.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import { splitJsonStream, type TextPart } from '../yaml/json-stream.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import { readJson } from '../yaml/read-json.ts';
import { readEachYamlDocument, readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError, type Position, type YamlError } from '../yaml/yaml-error.ts';
import type { NotEvaluated } from './not-evaluated.ts';
import { groupOf } from './platform-kinds.ts';

/** One Kubernetes object, with the defaults of the API that decide which images it has, and the position where it begins. */
export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  /** JSON data, except that integers beyond 2^53 are bigints. */
  readonly object: JsonObject;
  readonly file: string;
  /** 1-based line of the file. */
  readonly line: number;
  /**
   * Position of a value of the object in the file, by its path. Undefined if the file does not contain it. The text of YAML is read again for
   * that, because keeping the positions of all values would need ten times the memory of the objects.
   */
  readonly locate?: (path: Path) => Position | undefined;
};

export type ParsedManifests = { readonly manifests: readonly Manifest[]; readonly problems: readonly NotEvaluated[] };

/**
 * Accepts YAML with any number of documents, JSON, and concatenated JSON objects. Lists are flattened. Values are the ones that kubectl would
 * send. A duplicate field is a problem, although kubectl uses the last one. Never throws, whatever the text.
 */
export function parseManifests(text: string, file: string): ParsedManifests {
  const reader = new ManifestReader(file);
  const json = readJson(text);
  if (json) reader.readDocument(json, { text, line: 1 }, () => json);
  else for (const part of splitJsonStream(text)) reader.readPart(part);
  return reader.parsed;
}

class ManifestReader {
  readonly parsed = { manifests: [] as Manifest[], problems: [] as NotEvaluated[] };
  private readonly file: string;
  private lastRead: { readonly part: TextPart; readonly document: YamlDocument | undefined } | undefined;

  constructor(file: string) {
    this.file = file;
  }

  readPart(part: TextPart): void {
    const { text, line } = part;
    const start = { line, column: 1 };
    const json = readJson(text, start);
    if (json) {
      this.readDocument(json, part, () => json);
      return;
    }
    const { manifests, problems } = this.parsed;
    const before = [manifests.length, problems.length] as const;
    let isReliable = true;
    const forget = () => {
      [manifests.length, problems.length] = before;
      isReliable = true;
    };
    const use = (document: YamlDocument, own: TextPart) => {
      if (isReliable) isReliable = this.readDocument(document, part, () => this.readAgain(own));
    };
    const failed = readEachYamlDocument(text, { scalars: 'kubectl', start }, { use, forget });
    if (!failed) return;
    forget();
    this.report(failed.error.position, this.whyUnreadable(failed.error, text));
  }

  /** Keeps the last document, because positions in it are often requested one after the other. */
  private readAgain(part: TextPart): YamlDocument | undefined {
    if (this.lastRead?.part !== part) {
      const { documents } = readYaml(part.text, { scalars: 'kubectl', start: { line: part.line, column: 1 } });
      this.lastRead = { part, document: documents[0] };
    }
    return this.lastRead.document;
  }

  /** Returns false after the first syntax error, because what follows it cannot be read reliably. */
  readDocument(document: YamlDocument, { text }: TextPart, again: () => YamlDocument | undefined): boolean {
    const [error] = document.errors;
    const why = error && this.whyUnreadable(error, text);
    if (why) this.report(error.position, why);
    else if (document.value !== null) this.readObject(document.value, { document, pointer: '', again });
    return error?.code !== 'syntax' && why?.code !== 'not-rendered';
  }

  report({ line, column }: Position, why: WhyNoObject): void {
    this.parsed.problems.push({ file: this.file, line, column, ...why });
  }

  whyUnreadable(error: YamlError, text: string): WhyNoObject {
    return whyTemplate(error, text, this.file) ?? { code: 'invalid-yaml', message: describe(error) };
  }

  /** `list` is the list object that contains this one. */
  private readObject(value: unknown, { document, pointer, again }: Location, list?: ListType): void {
    const position = document.locate(pointer);
    if (!isObject(value)) {
      this.report(position, notAnObject(`contains ${Array.isArray(value) ? 'a list' : 'a plain value'}, not a Kubernetes object`));
      return;
    }
    const object = withListType(value, list);
    const why = whyNotRendered(object, this.file) ?? whyNoObject(object, this.file);
    if (why) {
      this.report(position, why);
      return;
    }
    const apiVersion = textAt(object, ['apiVersion']) ?? '';
    const kind = textAt(object, ['kind']) ?? '';
    if (kind !== 'List' && !(kind.endsWith('List') && Object.hasOwn(object, 'items'))) {
      const complete = withApiDefaults({ group: groupOf(apiVersion), kind }, object);
      // The defaults of the API are not in the file.
      const locate = (path: Path) => (valueAt(value, path) === undefined ? undefined : again()?.locate(pointer + pointerTo(...path)));
      this.parsed.manifests.push({ apiVersion, kind, object: complete, file: this.file, line: position.line, locate });
      return;
    }
    const items = object.items ?? [];
    if (!Array.isArray(items)) {
      this.report(document.locate(pointer + pointerTo('items')), notAnObject(`the items of a ${kind} must be a list`));
      return;
    }
    for (const [index, item] of items.entries()) {
      this.readObject(item, { document, pointer: pointer + pointerTo('items', index), again }, { apiVersion, kind });
    }
  }
}

/** `again` reads the document when positions are requested later. Only a document of JSON needs little memory. */
type Location = { readonly document: YamlDocument; readonly pointer: string; readonly again: () => YamlDocument | undefined };

type ListType = { readonly apiVersion: string; readonly kind: string };

type WhyNoObject = Pick<NotEvaluated, 'code' | 'message'>;

function notAnObject(message: string): WhyNoObject {
  return { code: 'not-an-object', message };
}

function notRendered(what: string, command: string): WhyNoObject {
  return { code: 'not-rendered', message: `${what} must be rendered first. Pass the output of "${command}"` };
}

/** A template of a chart is rarely valid YAML. Where it is, such as with braces in quotes, it is read like any file. */
function whyTemplate({ code }: YamlError, text: string, file: string): WhyNoObject | undefined {
  // Without quotes, `{{ .Values.x }}` is a mapping with a mapping for its field name.
  if ((code !== 'syntax' && code !== 'field-name-not-scalar' && code !== 'field-name-null') || !text.includes('{{')) return undefined;
  const chart = /^(.*?)(?:^|\/)templates\//.exec(file)?.[1];
  return notRendered('a template, for example of a Helm chart,', `helm template ${chart === undefined ? 'CHART' : chart || '.'}`);
}

function describe(error: YamlError): string {
  if (error.code === 'syntax') return syntaxSentence(error.cause, error.reason);
  if (error.code !== 'duplicate-field') return describeYamlError(error);
  const { name, firstLine } = error;
  return `the field "${name}" is already set on line ${firstLine}, and kubectl would ignore the first value. Keep one of the two.`;
}

function syntaxSentence(cause: string, reason: string): string {
  if (cause === 'TAB_AS_INDENT') return 'this line is indented with a tab. YAML allows only spaces.';
  const short = reason.slice(0, 160);
  return `not valid YAML: ${short.charAt(0).toLowerCase()}${short.slice(1)}. Check quotes, brackets and indentation on this line and the one before.`;
}

/** Adds apiVersion and kind to an entry of a typed list, such as a PodList, because the API server leaves them out there. */
function withListType(object: JsonObject, list: ListType | undefined): JsonObject {
  if (list === undefined || list.kind === 'List' || object.apiVersion !== undefined || object.kind !== undefined) return object;
  return { apiVersion: list.apiVersion, kind: list.kind.slice(0, -'List'.length), ...object };
}

/** For what another tool makes objects of: a kustomization, a chart, an OpenShift Template. With or without apiVersion and kind. */
function whyNotRendered(object: JsonObject, file: string): WhyNoObject | undefined {
  if (isOf(object, 'kustomize.config.k8s.io', 'Component')) {
    return notRendered('the kustomization that includes this Component', 'kubectl kustomize DIR');
  }
  if (isKustomization(object, file)) return notRendered('a kustomization', `kubectl kustomize ${folderOf(file) ?? 'DIR'}`);
  if (isChart(object, file)) return notRendered('a Helm chart', `helm template ${folderOf(file) ?? 'CHART'}`);
  if (isOf(object, 'template.openshift.io', 'Template')) {
    return notRendered('a Template', `oc process --local -f ${file === '-' ? 'FILE' : file} -o yaml`);
  }
  if (isOf(object, 'template.openshift.io', 'TemplateInstance')) {
    return notRendered('the Template of this TemplateInstance', 'oc process --local -f FILE -o yaml');
  }
  return undefined;
}

/** Old files have OpenShift's kinds with `apiVersion: v1`. */
function isOf(object: JsonObject, group: string, kind: string): boolean {
  const apiVersion = textAt(object, ['apiVersion']);
  const isGroup = apiVersion === undefined || groupOf(apiVersion) === group || (group.endsWith('.openshift.io') && apiVersion === 'v1');
  return isGroup && object.kind === kind;
}

function isKustomization(object: JsonObject, file: string): boolean {
  const isTyped = textAt(object, ['apiVersion']) !== undefined && textAt(object, ['kind']) !== undefined;
  if (isTyped || object.kind === 'Kustomization') return isOf(object, 'kustomize.config.k8s.io', 'Kustomization');
  return /^kustomization(\.ya?ml)?$/i.test(fileNameOf(file));
}

/** The chart's own description, Chart.yaml. */
function isChart(object: JsonObject, file: string): boolean {
  const fields = fileNameOf(file) === 'Chart.yaml' ? ['apiVersion'] : ['apiVersion', 'name', 'version'];
  return object.kind === undefined && fields.every((field) => textAt(object, [field]) !== undefined);
}

function fileNameOf(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1);
}

/** Undefined for standard input. */
function folderOf(file: string): string | undefined {
  if (file === '-') return undefined;
  return file.includes('/') ? file.slice(0, file.lastIndexOf('/')) || '/' : '.';
}

/** Why this object could not be applied. Undefined if it could. */
function whyNoObject(object: JsonObject, file: string): WhyNoObject | undefined {
  const missing = ['apiVersion', 'kind'].filter((field) => textAt(object, [field]) === undefined);
  return missing.length === 0 ? undefined : notAnObject(`not a Kubernetes object: no ${missing.join(' and no ')}${hintFor(object, file)}`);
}

/** What the file probably is instead, with the next step. */
function hintFor(object: JsonObject, file: string): string {
  if (rulesFields.some((field) => Object.hasOwn(object, field)))
    return '. This looks like registry rules. Pass them as rules, not as manifests';
  if (Array.isArray(object.kinds)) return '. This looks like a file for --custom-kinds';
  const isValues = /^values.*\.ya?ml$/.test(fileNameOf(file));
  return isValues ? '. If these are the values of a chart, pass the output of "helm template"' : '';
}

const rulesFields = ['rules', 'unconfigured', 'internalRegistries', 'exemptions', 'overrides', 'delegate'];

/** Loads the kinds of custom resources that contain images from the files of `--custom-kinds`. */

import { readFile } from 'node:fs/promises';
import { decodeUtf8 } from '../files/decode-utf8.ts';
import { quote } from '../image/problem.ts';
import { listOf } from '../image/wording.ts';
import { type CustomKind, customKindRow, type ImagePath, parsePathPattern } from '../object/custom-kind.ts';
import { isAbsent, isObject, type Path } from '../object/json.ts';
import { builtInKinds, type Kinds, kindsOf, kindsWithImages } from '../object/kinds.ts';
import type { PathPattern } from '../object/path-pattern.ts';
import { nameType } from '../object/pod.ts';
import { closestSpelling } from '../rules/closest-spelling.ts';
import { readDocument } from '../rules/language/document.ts';
import { renderPointer } from '../rules/language/schema-problems.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import type { Position } from '../yaml/yaml-error.ts';

/** `problems`: one sentence each, after `file:line:column`. A file that cannot be read has no line and column. */
export type CustomKinds = { readonly ok: true; readonly kinds: Kinds } | { readonly ok: false; readonly problems: readonly string[] };

/** Adds the kinds of the files to those of Kubernetes and OpenShift. The promise never rejects: a file that cannot be read is a problem. */
export async function loadCustomKinds(files: readonly string[]): Promise<CustomKinds> {
  const texts = await Promise.all(files.map(async (file) => ({ file, text: await readFile(file).then(decodeUtf8).catch(reasonOf) })));
  return combineKinds(
    texts.map(({ file, text }) => (typeof text === 'string' ? parseCustomKinds(text, file) : failure(`${file}: ${text.reason}`))),
  );
}

/** Adds the parsed kinds to those of Kubernetes and OpenShift. */
export function combineKinds(parsed: readonly ParsedCustomKinds[]): CustomKinds {
  const problems = parsed.flatMap((each) => (each.ok ? [] : each.problems));
  const found = parsed.flatMap((each) => (each.ok ? each.kinds : []));
  problems.push(...duplicateProblems(found));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, kinds: kindsOf([...kindsWithImages, ...found.map(({ kind }) => customKindRow(kind))]) };
}

/** `at` is the position as `file:line:column`. */
type Located = { readonly kind: CustomKind; readonly at: string };
export type ParsedCustomKinds =
  | { readonly ok: true; readonly kinds: readonly Located[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** `file` is the name of the file in problems. */
export function parseCustomKinds(text: string, file: string): ParsedCustomKinds {
  const read = readDocument(text, { maxLength: 1_048_576, maxLexemes: 300_000, start: { line: 1, column: 1 } });
  if (!read.ok) return { ok: false, problems: read.problems.map(({ message, position }) => `${at(file, position)} ${message}`) };
  if (!read.data) return failure(`${file}:1:1 is empty. Add a list of kinds under "kinds:"`);
  const reader = new Reader(read.data, file);
  const kinds = reader.kinds();
  return reader.problems.length > 0 ? { ok: false, problems: reader.problems } : { ok: true, kinds };
}

const nameFields = ['group', 'version', 'resource', 'kind'] as const;
const pathFields = ['template', 'podSpec', 'images'] as const;

/** Of one path. Each text there is compared with all of them. */
const mostSchemes = 8;
/** RFC 3986, 3.1, in lower case. */
const schemeFormat = /^[a-z][a-z0-9+.-]{0,31}$/;

type Fields = Readonly<Record<string, unknown>>;

class Reader {
  readonly problems: string[] = [];
  private readonly data: YamlDocument;
  private readonly file: string;

  constructor(data: YamlDocument, file: string) {
    this.data = data;
    this.file = file;
  }

  kinds(): readonly Located[] {
    const { value } = this.data;
    if (!isObject(value)) return this.report('', `must be a mapping with the field "kinds", but is ${nameType(value)}.`);
    this.reportUnknownFields(value, '', ['kinds']);
    if (isAbsent(value.kinds)) return this.report('', 'must have "kinds:", a list of kinds.');
    if (!Array.isArray(value.kinds)) return this.report('/kinds', `must be a list of kinds, but is ${nameType(value.kinds)}.`);
    return value.kinds.flatMap((entry: unknown, index) => this.kind(entry, `/kinds/${index}`) ?? []);
  }

  private kind(entry: unknown, pointer: string): Located | undefined {
    if (!isObject(entry))
      return this.report(pointer, `must be a kind with group, version, resource and kind, but is ${nameType(entry)}.`)[0];
    const problemsBefore = this.problems.length;
    this.reportUnknownFields(entry, pointer, [...nameFields, ...pathFields]);
    const [group, version, resource, kind] = nameFields.map((field) => this.name(entry, pointer, field)) as [
      string,
      string,
      string,
      string,
    ];
    const [template] = this.pathPatterns(entry, pointer, 'template');
    const podSpecs = this.pathPatterns(entry, pointer, 'podSpec');
    const images = this.images(entry, pointer);
    if (template?.some((step) => typeof step !== 'string')) {
      this.report(
        `${pointer}/template`,
        'must be the path of a single pod template. For paths with [*] or *, use "podSpec" with ".spec" at the end.',
      );
    }
    if (!pathFields.some((field) => field in entry)) {
      this.report(pointer, 'has no path to an image. Add "template" (path of a pod template), "podSpec" or "images".');
    }
    if (builtInKinds.find({ group, kind }))
      this.report(`${pointer}/kind`, `names a built-in kind. Remove the entry for ${quote(kind)} of group ${quote(group)}.`);
    if (this.problems.length > problemsBefore) return undefined;
    const position = at(this.file, this.data.locate(pointer));
    return { kind: { group, version, resource, kind, ...(template && { template: template as Path }), podSpecs, images }, at: position };
  }

  private name(entry: Fields, pointer: string, field: (typeof nameFields)[number]): string {
    const value = entry[field];
    const { pattern, description } = nameFormats[field];
    if (isAbsent(value)) this.report(pointer, `must have ${quote(field)}, ${description}.`);
    else if (typeof value !== 'string') this.report(`${pointer}/${field}`, `must be ${description}, but is ${nameType(value)}.`);
    else if (!pattern.test(value)) this.report(`${pointer}/${field}`, `must be ${description}, but is ${quote(value)}.`);
    return typeof value === 'string' ? value : '';
  }

  private pathPatterns(entry: Fields, pointer: string, field: 'template' | 'podSpec'): readonly PathPattern[] {
    return this.entries(entry, pointer, field).flatMap((each) => this.pathPattern(each.value, each.pointer));
  }

  /** Each is a path, or a path with the schemes that precede image names there. */
  private images(entry: Fields, pointer: string): readonly ImagePath[] {
    return this.entries(entry, pointer, 'images').flatMap(({ value, pointer: at }) => {
      if (!isObject(value)) return this.pathPattern(value, at).map((pattern) => ({ pattern }));
      this.reportUnknownFields(value, at, ['path', 'schemes']);
      if (isAbsent(value.path)) return this.report(at, 'must have "path", a path such as spec.url.');
      const patterns = this.pathPattern(value.path, `${at}/path`);
      const schemes = 'schemes' in value ? this.schemes(value.schemes, `${at}/schemes`) : undefined;
      return patterns.map((pattern) => ({ pattern, ...(schemes && { schemes }) }));
    });
  }

  private schemes(value: unknown, pointer: string): readonly string[] {
    if (!Array.isArray(value)) return this.report(pointer, `must be a list of URL schemes such as [oci], but is ${nameType(value)}.`);
    if (value.length === 0) return this.report(pointer, 'has no scheme. Add one or remove the field.');
    if (value.length > mostSchemes) return this.report(pointer, `has ${value.length} schemes. At most ${mostSchemes} are allowed.`);
    return value.flatMap((scheme: unknown, index) => {
      const at = `${pointer}/${index}`;
      if (typeof scheme !== 'string') return this.report(at, `must be a URL scheme such as oci, but is ${nameType(scheme)}.`);
      if (schemeFormat.test(scheme)) return [scheme];
      return this.report(at, `must be a URL scheme in lower case and without "://", such as oci, but is ${quote(scheme)}.`);
    });
  }

  /** The value of the field, or each item if it is a list. A template has one path only. */
  private entries(entry: Fields, pointer: string, field: (typeof pathFields)[number]) {
    if (!(field in entry)) return [];
    const value = entry[field];
    const isList = Array.isArray(value) && field !== 'template';
    if (!isList) return [{ value, pointer: `${pointer}/${field}` }];
    if (value.length === 0) this.report(`${pointer}/${field}`, 'has no path. Add one or remove the field.');
    return value.map((item: unknown, index) => ({ value: item, pointer: `${pointer}/${field}/${index}` }));
  }

  private pathPattern(text: unknown, pointer: string): readonly PathPattern[] {
    if (typeof text !== 'string') return this.report(pointer, `must be a path such as spec.template, but is ${nameType(text)}.`);
    const parsed = parsePathPattern(text);
    return parsed.ok ? [parsed.pattern] : this.report(pointer, `${parsed.message} (${quote(text)}).`);
  }

  private reportUnknownFields(value: Fields, pointer: string, known: readonly string[]): void {
    for (const field of Object.keys(value)) {
      if (known.includes(field)) continue;
      const nearest = closestSpelling(field, known);
      const fix = nearest === undefined ? `Allowed fields are ${listOf(known, 'and')}.` : `Did you mean "${nearest}"?`;
      const position = this.data.locateField(pointer + pointerTo(field));
      this.problems.push(`${at(this.file, position)} unknown field ${quote(field)}. ${fix}`);
    }
  }

  /** Reports a problem. Returns an empty list, so that callers can return it as their result. */
  private report(pointer: string, predicate: string): never[] {
    this.problems.push(
      `${at(this.file, this.data.locate(pointer))} ${pointer === '' ? 'the document' : renderPointer(pointer)} ${predicate}`,
    );
    return [];
  }
}

/** The names that Kubernetes accepts, and an example or description of each. */
const nameFormats: Readonly<Record<(typeof nameFields)[number], { readonly pattern: RegExp; readonly description: string }>> = {
  group: { pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/, description: 'a name such as argoproj.io' },
  version: { pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/, description: 'a name such as v1alpha1' },
  resource: { pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/, description: 'the plural name as in URLs, such as rollouts' },
  kind: { pattern: /^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$/, description: 'a name such as Rollout' },
};

/** Kinds and resources that are defined more than once. */
function duplicateProblems(kinds: readonly Located[]): readonly string[] {
  const first = new Map<string, string>();
  return kinds.flatMap(({ kind: { group, kind, resource }, at: position }) => {
    const keys = [`kind ${kind}.${group}`, `resource ${resource}.${group}`];
    const duplicate = keys.find((key) => first.has(key));
    for (const key of keys) if (!first.has(key)) first.set(key, position);
    return duplicate === undefined ? [] : [`${position} ${duplicate} is defined twice, first in ${first.get(duplicate)}`];
  });
}

function at(file: string, { line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function failure(...problems: readonly string[]): { readonly ok: false; readonly problems: readonly string[] } {
  return { ok: false, problems };
}

function reasonOf(error: NodeJS.ErrnoException): { readonly reason: string } {
  if (error.code === 'ENOENT') return { reason: 'no such file' };
  if (error.code === 'EACCES') return { reason: 'permission denied' };
  return { reason: error.code === 'EISDIR' ? 'is a directory. Pass its files instead.' : error.message };
}

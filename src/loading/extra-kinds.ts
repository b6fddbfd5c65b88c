/** Kinds of custom resources that hold images, out of files: `--extra-kinds`. */
import { readFile } from 'node:fs/promises';
import { quote } from '../image/problem.ts';
import { type ExtraKind, extraKindRow, parsePathPattern } from '../object/extra-kind.ts';
import { isAbsent, isObject, type Path } from '../object/json.ts';
import { builtInKinds, type Kinds, kindsOf, kindsWithImages } from '../object/kinds.ts';
import type { PathPattern } from '../object/path-pattern.ts';
import { nameType } from '../object/pod.ts';
import { closestSpelling } from '../rules/language/closest-spelling.ts';
import { readDocument } from '../rules/language/document.ts';
import { renderPointer } from '../rules/language/schema-problems.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import type { Position } from '../yaml/yaml-error.ts';

/** `file:line:column sentence`, one for each thing that is wrong. */
export type ExtraKinds = { readonly ok: true; readonly kinds: Kinds } | { readonly ok: false; readonly problems: readonly string[] };

/** The kinds of the files beside those of Kubernetes and OpenShift. Never rejects: what cannot be read is a problem. */
export async function loadExtraKinds(files: readonly string[]): Promise<ExtraKinds> {
  const texts = await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(file, 'utf8').catch((error) => reasonOf(error)) })),
  );
  const parsed = texts.map(({ file, text }) =>
    typeof text === 'string' ? parseExtraKinds(text, file) : refuse(`${file}: ${text.reason}`),
  );
  const problems = parsed.flatMap((each) => (each.ok ? [] : each.problems));
  const found = parsed.flatMap((each) => (each.ok ? each.kinds : []));
  problems.push(...twice(found));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, kinds: kindsOf([...kindsWithImages, ...found.map(({ kind }) => extraKindRow(kind))]) };
}

type Located = { readonly kind: ExtraKind; readonly at: string };
export type ParsedExtraKinds =
  | { readonly ok: true; readonly kinds: readonly Located[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** `file` is what problems call it. */
export function parseExtraKinds(text: string, file: string): ParsedExtraKinds {
  const read = readDocument(text, { maxLength: 1_048_576, maxLexemes: 300_000, start: { line: 1, column: 1 } });
  if (!read.ok) return { ok: false, problems: read.findings.map(({ message, position }) => `${at(file, position)} ${message}`) };
  if (!read.data) return refuse(`${file}:1:1 holds nothing: write a list of kinds under "kinds:"`);
  const reader = new Reader(read.data, file);
  const kinds = reader.kinds();
  return reader.problems.length > 0 ? { ok: false, problems: reader.problems } : { ok: true, kinds };
}

const names = ['group', 'version', 'resource', 'kind'] as const;
const places = ['template', 'podSpec', 'images'] as const;

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
    if (!isObject(value)) return this.refuse('', `must hold "kinds:", and is ${nameType(value)}`);
    this.refuseUnknown(value, '', ['kinds']);
    if (isAbsent(value.kinds)) return this.refuse('', 'must hold "kinds:", a list of kinds');
    if (!Array.isArray(value.kinds)) return this.refuse('/kinds', `must be a list of kinds, and is ${nameType(value.kinds)}`);
    return value.kinds.flatMap((entry: unknown, index) => this.kind(entry, `/kinds/${index}`) ?? []);
  }

  private kind(entry: unknown, pointer: string): Located | undefined {
    if (!isObject(entry))
      return this.refuse(pointer, `must be a kind with group, version, resource and kind, and is ${nameType(entry)}`)[0];
    const before = this.problems.length;
    this.refuseUnknown(entry, pointer, [...names, ...places]);
    const [group, version, resource, kind] = names.map((field) => this.name(entry, pointer, field)) as [string, string, string, string];
    const [template] = this.places(entry, pointer, 'template');
    const podSpecs = this.places(entry, pointer, 'podSpec');
    const images = this.places(entry, pointer, 'images');
    if (template?.some((step) => typeof step !== 'string')) {
      this.refuse(
        `${pointer}/template`,
        'must be the one place of a pod template; several, with [*] or *, are "podSpec" with ".spec" at the end',
      );
    }
    if (!places.some((field) => field in entry)) {
      this.refuse(pointer, 'says nowhere where the images are: add "template" (of a pod template), "podSpec" or "images"');
    }
    if (builtInKinds.find({ group, kind })) this.refuse(`${pointer}/kind`, `is read anyway: ${quote(kind)} of group ${quote(group)}`);
    if (this.problems.length > before) return undefined;
    const where = at(this.file, this.data.locate(pointer));
    return { kind: { group, version, resource, kind, ...(template && { template: template as Path }), podSpecs, images }, at: where };
  }

  private name(entry: Readonly<Record<string, unknown>>, pointer: string, field: (typeof names)[number]): string {
    const value = entry[field];
    const { pattern, such } = spelling[field];
    if (isAbsent(value)) this.refuse(pointer, `needs ${quote(field)}, ${such}`);
    else if (typeof value !== 'string') this.refuse(`${pointer}/${field}`, `must be text, ${such}, and is ${nameType(value)}`);
    else if (!pattern.test(value)) this.refuse(`${pointer}/${field}`, `is no name ${such}: ${quote(value)}`);
    return typeof value === 'string' ? value : '';
  }

  private places(entry: Readonly<Record<string, unknown>>, pointer: string, field: (typeof places)[number]): readonly PathPattern[] {
    if (!(field in entry)) return [];
    const value = entry[field];
    const isList = Array.isArray(value) && field !== 'template';
    const list = isList ? value : [value];
    if (list.length === 0) this.refuse(`${pointer}/${field}`, 'holds no path: remove the field or write one');
    return list.flatMap((text: unknown, index) => {
      const place = isList ? `${pointer}/${field}/${index}` : `${pointer}/${field}`;
      if (typeof text !== 'string') return this.refuse(place, `must be a path such as spec.template, and is ${nameType(text)}`);
      const parsed = parsePathPattern(text);
      return parsed.ok ? [parsed.pattern] : this.refuse(place, `${parsed.message} (${quote(text)})`);
    });
  }

  private refuseUnknown(value: Readonly<Record<string, unknown>>, pointer: string, known: readonly string[]): void {
    for (const field of Object.keys(value)) {
      if (known.includes(field)) continue;
      const nearest = closestSpelling(field, known);
      const fix = nearest === undefined ? `known are ${known.join(', ')}` : `did you mean "${nearest}"?`;
      const position = this.data.locateField(pointer + pointerTo(field));
      this.problems.push(`${at(this.file, position)} unknown field ${quote(field)}: ${fix}`);
    }
  }

  private refuse(pointer: string, predicate: string): never[] {
    this.problems.push(
      `${at(this.file, this.data.locate(pointer))} ${pointer === '' ? 'the document' : renderPointer(pointer)} ${predicate}`,
    );
    return [];
  }
}

/** What Kubernetes takes for them. */
const spelling: Readonly<Record<(typeof names)[number], { readonly pattern: RegExp; readonly such: string }>> = {
  group: { pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/, such: 'such as argoproj.io' },
  version: { pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/, such: 'such as v1alpha1' },
  resource: { pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/, such: 'the plural name as in URLs, such as rollouts' },
  kind: { pattern: /^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$/, such: 'such as Rollout' },
};

function twice(kinds: readonly Located[]): readonly string[] {
  const first = new Map<string, string>();
  return kinds.flatMap(({ kind: { group, kind, resource }, at: place }) => {
    const doubles = [`kind ${kind}.${group}`, `resource ${resource}.${group}`].filter((name) => first.has(name));
    const [double] = doubles;
    for (const name of [`kind ${kind}.${group}`, `resource ${resource}.${group}`]) if (!first.has(name)) first.set(name, place);
    return double === undefined ? [] : [`${place} ${double} is named twice, first in ${first.get(double)}`];
  });
}

function at(file: string, { line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function refuse(...problems: readonly string[]): { readonly ok: false; readonly problems: readonly string[] } {
  return { ok: false, problems };
}

function reasonOf(error: NodeJS.ErrnoException): { readonly reason: string } {
  if (error.code === 'ENOENT') return { reason: 'no such file' };
  if (error.code === 'EACCES') return { reason: 'not readable for this user' };
  return { reason: error.code === 'EISDIR' ? 'a folder: name its files' : error.message };
}

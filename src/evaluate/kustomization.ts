/** Finds the files that a kustomization uses and that are not deployed as they are: patches and the like, and the objects that it changes. */
import { dirname, resolve } from 'node:path';
import { isObject, type JsonObject } from '../object/json.ts';
import { readYaml } from '../yaml/read-yaml.ts';

export type Kustomization = { readonly file: string; readonly fields: JsonObject };

/** Undefined if kustomize does not use a file of this name, and if the text cannot be read. */
export function readKustomization(text: string, file: string): Kustomization | undefined {
  if (!/(?:^|\/)(?:kustomization\.ya?ml|Kustomization)$/.test(file)) return undefined;
  const [document] = readYaml(text, { scalars: 'kubectl' }).documents;
  return document?.errors.length === 0 && isObject(document.value) ? { file, fields: document.value } : undefined;
}

/**
 * Of the files, those that cannot be evaluated before a kustomization is rendered, by its file. They include the files of kustomizations that
 * it includes, if it changes their objects.
 */
export function filesToRender(kustomizations: readonly Kustomization[], files: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const byFolder = new Map(kustomizations.map((each) => [folderOf(each), each]));
  const own = new Set(kustomizations.map(({ file }) => file));
  const byPath = Map.groupBy(
    files.filter((file) => !own.has(file)),
    (file) => resolve(file),
  );
  return new Map(
    kustomizations.map((each) => {
      const paths = [...pathsToRender(each, byFolder)].sort();
      return [each.file, paths.flatMap((path) => byPath.get(path) ?? [])];
    }),
  );
}

/** Absolute paths, with or without a file. */
function pathsToRender(start: Kustomization, byFolder: ReadonlyMap<string, Kustomization>): ReadonlySet<string> {
  const paths = new Set<string>();
  const visited = new Set<Kustomization>();
  const visit = (kustomization: Kustomization, changes: boolean) => {
    if (visited.has(kustomization)) return;
    visited.add(kustomization);
    const { objects, others, included } = pathsIn(kustomization);
    for (const path of others) if (changes || !objects.includes(path)) paths.add(path);
    if (changes) for (const path of objects) paths.add(path);
    for (const path of included) {
      const other = byFolder.get(path);
      if (other && (changes || !objects.includes(path))) visit(other, true);
    }
  };
  visit(start, changesObjects(start));
  return paths;
}

/** Lists of objects. All other paths are of files that are not deployed, or not as they are. */
const listsOfObjects = new Set(['resources', 'bases']);

/** Fields that change neither an image nor the namespace of a listed object. Any other field may. */
const harmless = new Set([
  ...[...listsOfObjects, 'apiVersion', 'kind', 'metadata', 'labels', 'commonLabels', 'commonAnnotations', 'namePrefix', 'nameSuffix'],
  ...['configMapGenerator', 'secretGenerator', 'generatorOptions', 'generators', 'helmCharts', 'helmGlobals', 'replicas'],
  ...['validators', 'crds', 'openapi', 'sortOptions', 'buildMetadata'],
]);

function changesObjects({ fields }: Kustomization): boolean {
  return Object.entries(fields).some(([name, value]) => !harmless.has(name) && !isEmpty(value));
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
}

type Paths = {
  /** Entries of the lists of objects. */
  readonly objects: readonly string[];
  /** All other texts. Those that are no paths lead to no file. */
  readonly others: readonly string[];
  /** Entries of any list, which may be folders with kustomizations. */
  readonly included: readonly string[];
};

function pathsIn(kustomization: Kustomization): Paths {
  const folder = folderOf(kustomization);
  const fields = Object.entries(kustomization.fields);
  const absolute = (areObjects: boolean) => {
    const values = fields.filter(([name]) => listsOfObjects.has(name) === areObjects).map(([, value]) => value);
    return textsIn(values).map((text) => resolve(folder, text));
  };
  const entries = fields.flatMap(([, value]) => (Array.isArray(value) ? value : [])).filter((entry) => typeof entry === 'string');
  return { objects: absolute(true), others: absolute(false), included: entries.map((entry) => resolve(folder, entry)) };
}

/** Without texts of several lines, such as inline patches. Generators accept `key=path`. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.includes('\n') ? [] : [value, value.slice(value.indexOf('=') + 1)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function folderOf({ file }: Kustomization): string {
  return dirname(resolve(file));
}

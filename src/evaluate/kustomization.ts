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
 * Of the files, those that cannot be evaluated before a kustomization is rendered, by the file of the kustomization that names them. The
 * objects of a kustomization are among them if it changes them, or if another one does that includes it.
 */
export function filesToRender(kustomizations: readonly Kustomization[], files: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const own = new Set(kustomizations.map(({ file }) => file));
  const byPath = Map.groupBy(
    files.filter((file) => !own.has(file)),
    (file) => resolve(file),
  );
  const known = kustomizations.map((kustomization) => ({ kustomization, paths: pathsIn(kustomization) }));
  const changed = findChanged(known);
  return new Map(
    known.map(({ kustomization, paths: { objects, others } }) => {
      const isChanged = changed.has(kustomization);
      const paths = new Set([...others].filter((path) => isChanged || !objects.has(path)));
      if (isChanged) for (const path of objects) paths.add(path);
      return [kustomization.file, [...paths].sort().flatMap((path) => byPath.get(path) ?? [])];
    }),
  );
}

type KnownKustomization = { readonly kustomization: Kustomization; readonly paths: Paths };

/** Those that change their objects, and those that they include. Each is visited once, since a pull request can have many. */
function findChanged(known: readonly KnownKustomization[]): ReadonlySet<Kustomization> {
  const byFolder = new Map(known.map((each) => [folderOf(each.kustomization), each]));
  const changed = new Set<Kustomization>();
  const waiting = known.filter(({ kustomization }) => changesObjects(kustomization));
  // What is included through any other list, such as `components`, is not deployed as it is.
  for (const { paths } of known) {
    for (const path of paths.included) {
      const included = byFolder.get(path);
      if (included && !paths.objects.has(path)) waiting.push(included);
    }
  }
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (changed.has(next.kustomization)) continue;
    changed.add(next.kustomization);
    for (const path of next.paths.included) {
      const included = byFolder.get(path);
      if (included) waiting.push(included);
    }
  }
  return changed;
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
  readonly objects: ReadonlySet<string>;
  /** All other texts. Those that are no paths lead to no file. */
  readonly others: ReadonlySet<string>;
  /** Entries of any list, which may be folders with kustomizations. */
  readonly included: readonly string[];
};

function pathsIn(kustomization: Kustomization): Paths {
  const folder = folderOf(kustomization);
  const fields = Object.entries(kustomization.fields);
  const absolute = (areObjects: boolean) => {
    const values = fields.filter(([name]) => listsOfObjects.has(name) === areObjects).map(([, value]) => value);
    return new Set(textsIn(values).map((text) => resolve(folder, text)));
  };
  const entries = fields.flatMap(([, value]) => (Array.isArray(value) ? value : [])).filter((entry) => typeof entry === 'string');
  return { objects: absolute(true), others: absolute(false), included: entries.map((entry) => resolve(folder, entry)) };
}

/** Without texts of several lines, such as inline patches. Generators accept `key=path`. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') {
    if (value.includes('\n')) return [];
    return value.includes('=') ? [value, value.slice(value.indexOf('=') + 1)] : [value];
  }
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function folderOf({ file }: Kustomization): string {
  return dirname(resolve(file));
}

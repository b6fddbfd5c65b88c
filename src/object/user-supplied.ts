/**
 * Finds secrets that are demonstrably user-supplied, although the mark lists them as ours.
 *
 * A user may add a name to the manifest that we have already added to the object. That changes nothing in the object, so no webhook is
 * called, and the mark still lists the name as ours. Two records of the API show who supplied it:
 * - the annotation of `kubectl apply` with the user's file;
 * - the managed fields of server-side apply, which do not include what webhooks add (kubernetes apimachinery, managedfields).
 *
 * A manifest that was copied from a live object lists our names together with our mark. Those names are still ours.
 */

import { type BuildMark, injectedAnnotation, type PodMark, readBuildMark, readPodMark } from './injection-mark.ts';
import { isObject, type JsonObject, type Path, parseJsonText, renderPath, textAt, valueAt } from './json.ts';

export type TemplateLocation = { readonly spec: Path; readonly metadata: Path };

/** The mark without the user-supplied names. */
export function withoutUserSupplied(mark: PodMark, root: JsonObject, location: TemplateLocation): PodMark {
  if (mark.rules.length + mark.serviceAccount.length === 0) return mark;
  const userSupplied = userSuppliedNames(root, location);
  const isOurs = (name: string) => !userSupplied.has(name);
  return { rules: mark.rules.filter(isOurs), serviceAccount: mark.serviceAccount.filter(isOurs) };
}

/** Names of user-supplied pull secrets, whether or not the object still has them. */
export function userSuppliedNames(root: JsonObject, location: TemplateLocation): ReadonlySet<string> {
  return new Set([...namesInFile(root, location), ...namesApplied(root, location)]);
}

/** The mark without the paths that are user-supplied. `paths` are those of all references to a secret. */
export function withoutUserSuppliedPaths(mark: BuildMark, root: JsonObject, paths: readonly Path[]): BuildMark {
  if (mark.size === 0) return mark;
  const userSupplied = userSuppliedPaths(root, paths);
  return new Map([...mark].filter(([path]) => !userSupplied.has(path)));
}

/** Those of the paths where the user sets a secret, rendered, whether or not the object still has it. */
export function userSuppliedPaths(root: JsonObject, paths: readonly Path[]): ReadonlySet<string> {
  const file = fileOf(root, paths);
  const managers = fieldsApplied(root, ['metadata']);
  if (file === undefined && managers.length === 0) return new Set();
  const copied = readBuildMark(file, ['metadata']);
  const applied = new Set<string>();
  const tree = treeOf(paths);
  for (const fields of managers) collectApplied(fields, tree, applied);
  const userSupplied = paths
    .map((path) => ({ path, rendered: renderPath(path) }))
    .filter(({ path, rendered }) => {
      const inFile = textAt(file, [...path, 'name']) !== undefined && !copied.has(rendered);
      return inFile || applied.has(rendered);
    });
  return new Set(userSupplied.map(({ rendered }) => rendered));
}

/** Paths as a tree of the keys of managed fields. `rendered` is the path that ends at the node. */
type PathTree = { readonly children: Map<string, PathTree>; rendered?: string };

function treeOf(paths: readonly Path[]): PathTree {
  const root: PathTree = { children: new Map() };
  for (const path of paths) {
    let node = root;
    for (const step of fieldPath(path)) {
      const child = node.children.get(String(step)) ?? { children: new Map() };
      node.children.set(String(step), child);
      node = child;
    }
    node.rendered = renderPath(path);
  }
  return root;
}

/** Walks fields and tree together, so the time is linear in the fields: there can be thousands of paths and of managers. */
function collectApplied(fields: unknown, { children, rendered }: PathTree, applied: Set<string>): void {
  if (rendered !== undefined && fields !== undefined) applied.add(rendered);
  if (!isObject(fields)) return;
  for (const [key, value] of Object.entries(fields)) {
    const child = children.get(key);
    if (child) collectApplied(value, child, applied);
  }
}

function namesInFile(root: JsonObject, { spec, metadata }: TemplateLocation): readonly string[] {
  const list = [...spec, 'imagePullSecrets'];
  const file = fileOf(root, [list]);
  const secrets = valueAt(file, list);
  if (!Array.isArray(secrets)) return [];
  const copied = readPodMark(file, metadata);
  const ours = new Set([...copied.rules, ...copied.serviceAccount]);
  return secrets.flatMap((entry) => textAt(entry, ['name']) ?? []).filter((name) => !ours.has(name));
}

/** The user's file, which is parsed only if it may have a value at one of the paths. Most files have none, and they can be long. */
function fileOf(root: JsonObject, paths: readonly Path[]): unknown {
  const text = textAt(root, lastApplied);
  return text !== undefined && mayHaveField(text, new Set(paths.map((path) => path.at(-1)))) ? parseJsonText(text) : undefined;
}

/** The annotation in which `kubectl apply` stores the user's file. */
export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const lastApplied: Path = ['metadata', 'annotations', lastAppliedAnnotation];

/** False only if no object in the JSON text has any of the fields: a letter of a name can be escaped in no other way than with `\u`. */
function mayHaveField(text: string, names: Iterable<unknown>): boolean {
  if (text.includes('\\u')) return true;
  for (const name of names) if (text.includes(String(name))) return true;
  return false;
}

function namesApplied(root: JsonObject, { spec, metadata }: TemplateLocation): readonly string[] {
  return fieldsApplied(root, metadata).flatMap((fields) => {
    const entries = valueAt(fields, fieldPath([...spec, 'imagePullSecrets']));
    return isObject(entries) ? Object.keys(entries).flatMap((key) => nameOf(key) ?? []) : [];
  });
}

/** The fields of every server-side apply, except of those that applied our mark too. */
function fieldsApplied(root: JsonObject, metadata: Path): readonly unknown[] {
  const managers = valueAt(root, ['metadata', 'managedFields']);
  if (!Array.isArray(managers)) return [];
  const applied = managers.filter((manager) => valueAt(manager, ['operation']) === 'Apply');
  if (applied.length === 0) return [];
  const mark = fieldPath([...metadata, 'annotations', injectedAnnotation]);
  return applied.map((manager) => valueAt(manager, ['fieldsV1'])).filter((fields) => valueAt(fields, mark) === undefined);
}

function fieldPath(path: Path): Path {
  return path.map((step) => `f:${step}`);
}

/** The name in `k:{"name":"corp-pull"}`, the key of a list entry in managed fields. */
function nameOf(key: string): string | undefined {
  const entry = listEntry.exec(key)?.[1];
  return entry === undefined ? undefined : textAt(JSON.parse(entry), ['name']);
}

/** Matches only what JSON.parse accepts: there may be hundreds of thousands of keys, and an exception costs more than everything else. */
const listEntry = /^k:(\{"name":"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"\})$/u;

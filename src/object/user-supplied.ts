/**
 * Pull secrets that the author demonstrably lists, whatever a mark says of them.
 *
 * Who adds a name to a manifest that we had added before changes nothing in the object, so nobody asks us, and the mark still calls it ours.
 * Two records of the API's own tell: the annotation in which `kubectl apply` keeps the author's file, and the fields that server-side apply
 * notes for the one who applied, in which what webhooks add does not count (kubernetes apimachinery, managedfields).
 *
 * A manifest that was copied from a live object lists our names together with our mark: there they are still ours.
 */
import { isObject, type JsonObject, type Path, parseJsonText, renderPath, textAt, valueAt } from './json.ts';
import { type BuildMark, injectedAnnotation, type PodMark, readBuildMark, readPodMark } from './mark.ts';

export type TemplateLocation = { readonly spec: Path; readonly metadata: Path };

/** The mark without the names that the author lists. */
export function withoutUserSupplied(mark: PodMark, root: JsonObject, place: TemplateLocation): PodMark {
  if (mark.rules.length + mark.serviceAccount.length === 0) return mark;
  const authored = userSuppliedNames(root, place);
  const isOurs = (name: string) => !authored.has(name);
  return { rules: mark.rules.filter(isOurs), serviceAccount: mark.serviceAccount.filter(isOurs) };
}

/** Names that the author lists, whether or not they stand in the object. */
export function userSuppliedNames(root: JsonObject, place: TemplateLocation): ReadonlySet<string> {
  return new Set([...namesInFile(root, place), ...namesApplied(root, place)]);
}

/** The mark without the places, paths of references to a secret, that the author fills. */
export function withoutUserSuppliedSlots(mark: BuildMark, root: JsonObject, places: readonly Path[]): BuildMark {
  if (mark.size === 0) return mark;
  const authored = userSuppliedSlots(root, places);
  return new Map([...mark].filter(([place]) => !authored.has(place)));
}

/** Rendered paths of those places that the author fills, whether or not they are filled in the object. */
export function userSuppliedSlots(root: JsonObject, places: readonly Path[]): ReadonlySet<string> {
  const file = fileOf(root);
  const copied = readBuildMark(file, ['metadata']);
  const applied = new Set<string>();
  const wanted = treeOf(places);
  for (const fields of fieldsApplied(root, ['metadata'])) collectApplied(fields, wanted, applied);
  const authored = places
    .map((path) => ({ path, place: renderPath(path) }))
    .filter(({ path, place }) => {
      const inFile = textAt(file, [...path, 'name']) !== undefined && !copied.has(place);
      return inFile || applied.has(place);
    });
  return new Set(authored.map(({ place }) => place));
}

type PlaceTree = { readonly children: Map<string, PlaceTree>; place?: string };

function treeOf(places: readonly Path[]): PlaceTree {
  const root: PlaceTree = { children: new Map() };
  for (const path of places) {
    let node = root;
    for (const step of fieldPath(path)) {
      const child = node.children.get(String(step)) ?? { children: new Map() };
      node.children.set(String(step), child);
      node = child;
    }
    node.place = renderPath(path);
  }
  return root;
}

/** Walks what was applied along the places, so that the time is that of the fields: places and managers can both be thousands. */
function collectApplied(fields: unknown, { children, place }: PlaceTree, applied: Set<string>): void {
  if (place !== undefined && fields !== undefined) applied.add(place);
  if (!isObject(fields)) return;
  for (const [key, value] of Object.entries(fields)) {
    const child = children.get(key);
    if (child) collectApplied(value, child, applied);
  }
}

function namesInFile(root: JsonObject, { spec, metadata }: TemplateLocation): readonly string[] {
  const file = fileOf(root);
  const secrets = valueAt(file, [...spec, 'imagePullSecrets']);
  if (!Array.isArray(secrets)) return [];
  const copied = readPodMark(file, metadata);
  const ours = new Set([...copied.rules, ...copied.serviceAccount]);
  return secrets.flatMap((entry) => textAt(entry, ['name']) ?? []).filter((name) => !ours.has(name));
}

function fileOf(root: JsonObject): unknown {
  return parseJsonText(textAt(root, ['metadata', 'annotations', 'kubectl.kubernetes.io/last-applied-configuration']));
}

function namesApplied(root: JsonObject, { spec, metadata }: TemplateLocation): readonly string[] {
  return fieldsApplied(root, metadata).flatMap((fields) => {
    const entries = valueAt(fields, fieldPath([...spec, 'imagePullSecrets']));
    return isObject(entries) ? Object.keys(entries).flatMap((key) => nameOf(key) ?? []) : [];
  });
}

/** The fields of everybody who applied, except those who applied our mark too. */
function fieldsApplied(root: JsonObject, metadata: Path): readonly unknown[] {
  const managers = valueAt(root, ['metadata', 'managedFields']);
  if (!Array.isArray(managers)) return [];
  const applied = managers.filter((manager) => valueAt(manager, ['operation']) === 'Apply');
  const mark = fieldPath([...metadata, 'annotations', injectedAnnotation]);
  return applied.map((manager) => valueAt(manager, ['fieldsV1'])).filter((fields) => valueAt(fields, mark) === undefined);
}

function fieldPath(path: Path): Path {
  return path.map((step) => `f:${step}`);
}

/** `k:{"name":"corp-pull"}`, the way managed fields write an entry of a list. */
function nameOf(key: string): string | undefined {
  const entry = listEntry.exec(key)?.[1];
  return entry === undefined ? undefined : textAt(JSON.parse(entry), ['name']);
}

/** Only what JSON.parse takes: there may be hundreds of thousands of keys, and an exception costs more than all else that is done with one. */
const listEntry = /^k:(\{"name":"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"\})$/u;

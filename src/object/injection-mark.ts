/**
 * Reads and renders the mark: the annotation that distinguishes our entries from user-supplied ones.
 *
 * On a pod or a pod template it is `{"rules":["corp-pull"],"serviceAccount":["default-dockercfg-x7k2p"]}`: the names of secrets that we
 * appended to `imagePullSecrets`. On a BuildConfig it is `{"spec.output.pushSecret":"corp-push"}`: paths, and the names that we set there.
 *
 * Any user can write the annotation, so a mark is a hint and never a permission. A forged mark can only make us add the secrets of the pod's
 * own service account, which the pod could have had anyway. Where no cluster is watched, it can make us add those that it lists as the
 * account's, which the user could have listed. A mark that cannot be read counts as absent.
 */
import { isObject, type JsonObject, type Path, parseJsonText, valueAt } from './json.ts';

export const injectedAnnotation = 'regkeeper.io/injected';

export type PodMark = { readonly rules: readonly string[]; readonly serviceAccount: readonly string[] };
/** Rendered path → name of the secret we wrote there. */
export type BuildMark = ReadonlyMap<string, string>;

export const noPodMark: PodMark = { rules: [], serviceAccount: [] };

export function readPodMark(root: unknown, metadata: Path): PodMark {
  const mark = readAnnotation(root, metadata);
  return { rules: names(mark.rules), serviceAccount: names(mark.serviceAccount) };
}

/** All names in it. */
export function namesInMark(mark: PodMark): ReadonlySet<string> {
  return new Set([...mark.rules, ...mark.serviceAccount]);
}

export function renderPodMark(mark: PodMark): string {
  return JSON.stringify({
    ...(mark.rules.length > 0 && { rules: mark.rules }),
    ...(mark.serviceAccount.length > 0 && { serviceAccount: mark.serviceAccount }),
  });
}

export function readBuildMark(root: unknown, metadata: Path): BuildMark {
  const entries = Object.entries(readAnnotation(root, metadata));
  return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== ''));
}

export function renderBuildMark(mark: BuildMark): string {
  return JSON.stringify(Object.fromEntries(mark));
}

function readAnnotation(root: unknown, metadata: Path): JsonObject {
  const value = parseJsonText(valueAt(root, [...metadata, 'annotations', injectedAnnotation]));
  return isObject(value) ? value : {};
}

function names(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string' && name !== '') : [];
}

/** Finds out why an object cannot be evaluated: its kind is mistyped, or it is unknown and something in the object looks like an image. */
import { quote } from '../image/problem.ts';
import type { CustomKind } from '../object/custom-kind.ts';
import { type JsonObject, type Path, renderPath, valueAt } from '../object/json.ts';
import { isCustomKind, type KindRow, type Kinds } from '../object/kinds.ts';
import { matchPathPatterns } from '../object/path-pattern.ts';
import { findImageField, findImageLike, schemeOfImage } from './image-like.ts';
import type { NotEvaluatedCode } from './not-evaluated.ts';
import type { Manifest } from './parse-manifests.ts';
import { closestPlatformKind, isPlatformGroup, isPlatformKind } from './platform-kinds.ts';

/** `message` is a predicate, to follow the name of the object. */
export type WhyUnread = { readonly code: NotEvaluatedCode; readonly message: string };

/** For a kind that is read: whether API servers serve it in another version only. Undefined where they serve it, and for custom kinds. */
export function whyUnserved({ apiVersion, kind }: Manifest, row: KindRow): WhyUnread | undefined {
  // The API server converts other versions of a custom resource. Old files have OpenShift's kinds with `apiVersion: v1`.
  const isOld = apiVersion === 'v1' && row.group.endsWith('.openshift.io');
  if (isCustomKind(row) || isOld || apiVersion === apiVersionOf(row)) return undefined;
  return mistyped(apiVersion, kind, { apiVersion: apiVersionOf(row), kind });
}

/** For a kind that is not read. Undefined where the object names no images. */
export function whyUnread({ apiVersion, kind, object }: Manifest, group: string, kinds: Kinds): WhyUnread | undefined {
  if (isPlatformKind(group, kind) || isMonitoringRule(group, kind)) return undefined;
  const closest = closestPlatformKind(group, kind) ?? closestCustomKind(group, kind, kinds);
  if (closest) return mistyped(apiVersion, kind, closest);
  if (isPlatformGroup(group)) return { code: 'unknown-kind', message: `cannot be evaluated: ${apiVersion} has no kind ${quote(kind)}` };
  const path = findImageLike(object);
  if (!path) return undefined;
  const fix = presets.some((preset) => preset.group === group && preset.kind === kind)
    ? `Pass --custom-kinds ${presetFile}`
    : `Describe the kind in a file for --custom-kinds${schemesFor(object, path)} (docs/kinds.md)`;
  return { code: 'unknown-kind', message: `has an unknown kind, and ${renderPath(path)} looks like an image. ${fix}` };
}

/** For a path that leads to a text with a scheme. */
function schemesFor(object: JsonObject, path: Path): string {
  const scheme = schemeOfImage(valueAt(object, path));
  return scheme === undefined ? '' : `, with "schemes: [${scheme}]" for this path`;
}

/** Alerts and recorded queries have the name of an image in labels and descriptions only. */
function isMonitoringRule(group: string, kind: string): boolean {
  return group === 'monitoring.coreos.com' && kind === 'PrometheusRule';
}

/**
 * For an object of a custom kind that was read, in which no image was found. Undefined where no field has the name of an image field. Texts
 * in other fields may be parameters, whose paths no file can name.
 */
export function whyNothingFound({ object }: Manifest, row: KindRow): WhyUnread | undefined {
  const path = isCustomKind(row) ? findImageField(object, textsWithoutScheme(object, row)) : undefined;
  if (!path) return undefined;
  const fix = `Add its path${schemesFor(object, path)}`;
  return {
    code: 'unknown-kind',
    message: `has no image at the paths from --custom-kinds, but ${renderPath(path)} looks like an image. ${fix}`,
  };
}

/** The paths of texts that would name an image after one of the schemes in the description of the kind. */
function textsWithoutScheme(object: JsonObject, { schemePaths = [] }: KindRow): ReadonlySet<string> {
  return new Set(matchPathPatterns(object, schemePaths).flatMap((found) => (found.ok ? found.paths.map(renderPath) : [])));
}

function mistyped(apiVersion: string, kind: string, meant: { readonly apiVersion: string; readonly kind: string }): WhyUnread {
  const fix = `Did you mean kind ${quote(meant.kind)} of ${meant.apiVersion}?`;
  return { code: 'mistyped-kind', message: `cannot be evaluated: ${apiVersion} has no kind ${quote(kind)}. ${fix}` };
}

function apiVersionOf({ group, version }: KindRow): string {
  return group === '' ? version : `${group}/${version}`;
}

/** Differs in letter case only. The group may have more kinds than the file names, with similar names. */
function closestCustomKind(group: string, kind: string, { rows }: Kinds) {
  const row = rows.find((each) => each.group === group && each.kind.toLowerCase() === kind.toLowerCase());
  return row && { kind: row.kind, apiVersion: apiVersionOf(row) };
}

/** The file of this repository with custom kinds, and the kinds in it. */
export const presetFile = 'deploy/custom-kinds/custom-kinds.yaml';
export const presets: readonly Pick<CustomKind, 'group' | 'kind'>[] = [
  { group: 'argoproj.io', kind: 'Rollout' },
  { group: 'serving.knative.dev', kind: 'Service' },
  { group: 'tekton.dev', kind: 'TaskRun' },
  { group: 'tekton.dev', kind: 'Task' },
  { group: 'kubeflow.org', kind: 'PyTorchJob' },
];

/** Searches objects of kinds without a reader for values that look like an image. It may find too much, so nothing is denied because of it. */
import type { JsonObject, Path } from '../object/json.ts';

/** The path of the first field with the name of an image field, or of the first text in any field that looks like an image. */
export function findImageLike(object: JsonObject): Path | undefined {
  return findValue(object, (value, path) => isImageField(value, path) || isImageText(value));
}

/** The path of the first field with the name of an image field. */
export function findImageField(object: JsonObject): Path | undefined {
  return findValue(object, isImageField);
}

type Matches = (value: unknown, path: Path) => boolean;

function findValue(object: JsonObject, matches: Matches): Path | undefined {
  for (const [field, value] of Object.entries(object)) {
    // Nothing is run by these two.
    if (field === 'metadata' || field === 'status') continue;
    const found = findIn(value, [field], matches);
    if (found) return found;
  }
  return undefined;
}

/** What is inside comes first, because its path says more. */
function findIn(value: unknown, path: Path, matches: Matches): Path | undefined {
  for (const [key, inner] of entriesOf(value)) {
    const found = findIn(inner, [...path, key], matches);
    if (found) return found;
  }
  return matches(value, path) ? path : undefined;
}

function entriesOf(value: unknown): Iterable<readonly [string | number, unknown]> {
  if (Array.isArray(value)) return value.entries();
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

/** `containers`, `baseImage`, `image_name`; also a mapping, such as `image: {repository, tag}`. */
function isImageField(value: unknown, path: Path): boolean {
  const field = path.at(-1);
  return typeof field === 'string' && imageFields.some((pattern) => pattern.test(field)) && mayNameImage(value);
}

/** Whether a text in the value is neither blank nor the address of a picture or a disk: `imageURL: https://example.com/logo.svg`. */
function mayNameImage(value: unknown): boolean {
  if (typeof value === 'string') return value.trim() !== '' && !/^(?:data:|https?:\/\/|\/)/.test(value);
  for (const [, inner] of entriesOf(value)) if (mayNameImage(inner)) return true;
  return false;
}

const imageFields: readonly RegExp[] = [
  /^(?:containers|initContainers|ephemeralContainers|sidecars)$/,
  // Not `managedBootImages` of OpenShift, which are disks, and not `matchImages` of the kubelet's credential providers, which are patterns.
  /(?<!boot|match)images?$/i,
  // Not `imagePullPolicy` and `imagePullSecrets`.
  /^image[-_]?(?:name|ref|reference|repo|repository|registry|url|uri|tag|digest|version)s?$/i,
];

function isImageText(value: unknown): boolean {
  return typeof value === 'string' && imageTexts.some((pattern) => pattern.test(value));
}

const imageTexts: readonly RegExp[] = [
  /^(?:oci|docker|docker-image|oci-image):\/\/./,
  // A registry with a path and a tag or digest, such as in `spec.package` of Crossplane's Provider.
  /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?|[a-z0-9-]+:\d+)\/[a-z0-9._/-]+(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})+$/,
  // A manifest or the values of a chart as text, such as in `resource.manifest` of Argo Workflows.
  /^[ -]*"?image"?: *\S/m,
];

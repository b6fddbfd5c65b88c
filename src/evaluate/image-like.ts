/** Searches an object of a kind without a reader for fields and texts that look like an image. It may find too much, never decides. */
import type { JsonObject, Path } from '../object/json.ts';

/** The path of the first value that looks like an image. Metadata and status are not searched: nothing is run by them. */
export function findImageLike(object: JsonObject): Path | undefined {
  for (const [field, value] of Object.entries(object)) {
    if (field === 'metadata' || field === 'status') continue;
    const found = findIn(value, [field]);
    if (found) return found;
  }
  return undefined;
}

function findIn(value: unknown, path: Path): Path | undefined {
  if (typeof value === 'string') return isNamedLikeImage(path) ? (value.trim() === '' ? undefined : path) : findText(value, path);
  if (typeof value !== 'object' || value === null) return undefined;
  const entries: readonly (readonly [string | number, unknown])[] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  if (entries.length === 0) return undefined;
  for (const [key, inner] of entries) {
    const found = findIn(inner, [...path, key]);
    if (found) return found;
  }
  // Lists of containers and images, and mappings such as `image: {repository, tag}`, are found even where nothing in them is.
  return isNamedLikeImage(path) ? path : undefined;
}

function findText(text: string, path: Path): Path | undefined {
  return [imageScheme, imageWithTag, imageInYaml].some((pattern) => pattern.test(text)) ? path : undefined;
}

function isNamedLikeImage(path: Path): boolean {
  const field = path.at(-1);
  return typeof field === 'string' && imageFields.some((pattern) => pattern.test(field));
}

const imageFields: readonly RegExp[] = [
  /^(?:containers|initContainers|ephemeralContainers|sidecars)$/,
  // `image`, `images`, `baseImage`, `proxy_image`
  /^(?:.*[a-z0-9_-])?images?$/i,
  // `imageName`, `imageRef`, `image_url`; not `imagePullPolicy`
  /^image[-_]?(?:name|ref|reference|repo|repository|registry|url|uri|tag|digest|version)s?$/i,
];

const imageScheme = /^(?:oci|docker|docker-image|oci-image):\/\/./;
/** `registry.example.com/team/app:1` or with a digest: a text in any field, such as `spec.package` of Crossplane. */
const imageWithTag = /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?|[a-z0-9-]+:\d+)\/[a-z0-9._/-]+(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})+$/;
/** A manifest or chart values as text, such as `resource.manifest` of Argo Workflows. */
const imageInYaml = /^[ -]*"?image"?: *\S/m;

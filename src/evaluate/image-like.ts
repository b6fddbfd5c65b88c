/** Searches objects of kinds without a reader for values that look like an image. It may find too much, so nothing is denied because of it. */
import { isObject, type JsonObject, type Path, parseJsonText, renderPath, textAt } from '../object/json.ts';
import { imageScheme, isImageFieldName, isPatchOfImage, isPullOption } from './image-field.ts';
import { linesNameImage } from './image-in-text.ts';

/** The path of the first field with the name of an image field, or of the first text in any field that looks like an image. */
export function findImageLike(object: JsonObject): Path | undefined {
  return findValue(object, isImageLike);
}

/** The path of the first field with the name of an image field. `noImages` are paths of texts, as rendered, that are known to be none. */
export function findImageField(object: JsonObject, noImages: ReadonlySet<string>): Path | undefined {
  return findValue(object, (value, path) => isImageField(value, path, noImages));
}

/** The scheme of a text that names an image, such as `oci` or `docker`. */
export function schemeOfImage(text: unknown): string | undefined {
  return typeof text === 'string' ? imageWithScheme.exec(text)?.[1] : undefined;
}

const imageWithScheme = new RegExp(`${imageScheme.source}.`);

type Matches = (value: unknown, path: Path, parent: unknown) => boolean;

/** Levels. The objects of files are rejected at a lower depth, but not JSON in a text. Without a limit, it could overflow the stack. */
const deepest = 500;

function isImageLike(value: unknown, path: Path, parent: unknown): boolean {
  return isImageField(value, path) || isParameter(value, path, parent) || isImageText(value, path);
}

function findValue(object: JsonObject, matches: Matches): Path | undefined {
  for (const [field, value] of Object.entries(object)) {
    // Nothing is run by these two.
    if (field === 'metadata' || field === 'status') continue;
    const found = findIn(value, [field], object, matches);
    if (found) return found;
  }
  return undefined;
}

/** What is inside comes first, because its path says more. */
function findIn(value: unknown, path: Path, parent: unknown, matches: Matches): Path | undefined {
  if (path.length > deepest) return undefined;
  for (const [key, inner] of entriesOf(value)) {
    const found = findIn(inner, [...path, key], value, matches);
    if (found) return found;
  }
  return matches(value, path, parent) ? path : undefined;
}

function entriesOf(value: unknown): Iterable<readonly [string | number, unknown]> {
  if (Array.isArray(value)) return value.entries();
  return isObject(value) ? Object.entries(value) : [];
}

/** `baseImage`, `image_name`, `containers`; also a mapping, such as `image: {repository, tag}`. */
function isImageField(value: unknown, path: Path, noImages: ReadonlySet<string> = new Set()): boolean {
  const field = path.at(-1);
  if (typeof field !== 'string') return false;
  return containerFields.has(field) ? listsImages(value) : isImageFieldName(field) && mayNameImage(value, path, noImages);
}

const containerFields = new Set(['containers', 'initContainers', 'ephemeralContainers', 'sidecars']);

/** Containers without an image only change those of a controller. The field of an image in them is found by its name. */
function listsImages(value: unknown): boolean {
  return Array.isArray(value) && value.some((item) => typeof item === 'string' && /[^\s/]\/[^\s/]/.test(item) && mayBeImageName(item));
}

/** Whether a text in the value is neither blank nor the address of a picture or a disk: `imageURL: https://example.com/logo.svg`. */
function mayNameImage(value: unknown, path: Path, noImages: ReadonlySet<string>): boolean {
  if (typeof value === 'string') return mayBeImageName(value) && !(noImages.size > 0 && noImages.has(renderPath(path)));
  // The image of a disk, with its checksum and format.
  if (path.length > deepest || isWebAddress(textAt(value, ['url']))) return false;
  for (const [key, inner] of entriesOf(value)) {
    if (!isPullOption(key) && mayNameImage(inner, [...path, key], noImages)) return true;
  }
  return false;
}

function mayBeImageName(text: string): boolean {
  return text.trim() !== '' && !isWebAddress(text) && !/^(?:data:|\/|\{\{-? *\$labels\b)/.test(text);
}

function isWebAddress(text: string | undefined): boolean {
  return text !== undefined && /^https?:\/\//.test(text);
}

/**
 * The value of a parameter such as `{name: image.repository, value: quay.io/app}` for a chart, or of a JSON patch of an image. Not of a
 * parameter such as `IMAGE` in Tekton.
 */
function isParameter(value: unknown, path: Path, parent: unknown): boolean {
  if (path.at(-1) !== 'value' || typeof value !== 'string' || !mayBeImageName(value)) return false;
  const name = textAt(parent, ['name']) ?? '';
  return (name.includes('.') && isImageFieldName(name)) || isPatchOfImage(textAt(parent, ['path']) ?? '');
}

function isImageText(value: unknown, path: Path): boolean {
  if (typeof value !== 'string') return false;
  if (imageTexts.some((pattern) => pattern.test(value)) || (namesRepository(path) && repository.test(value))) return true;
  return !isProse(path) && (linesNameImage(value) || jsonNamesImage(value, path));
}

const imageTexts: readonly RegExp[] = [
  imageWithScheme,
  // A registry with a path and a tag or digest, such as in `spec.package` of Crossplane's Provider.
  /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?|[a-z0-9-]+:\d+)\/[a-z0-9._/-]+(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})+$/,
];

/** `tag: quay.io/app` in kpack's Image, `hub: docker.io/istio` in IstioOperator. Tags of images have no slash, and those of Git no domain. */
function namesRepository(path: Path): boolean {
  return path.at(-1) === 'tag' || path.at(-1) === 'hub';
}

const repository = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:\.[a-z]{2,}|:\d+)\/[a-z0-9._/-]+$/;

/** Descriptions may contain examples, and lines that only resemble a field. */
function isProse(path: Path): boolean {
  return path.some((field) => typeof field === 'string' && /^(?:description|summary|message)$/i.test(field));
}

/** JSON in one line, such as the values of a chart. Otherwise its lines are those of YAML. */
function jsonNamesImage(text: string, path: Path): boolean {
  const parsed = /^\s*[[{]/.test(text) ? parseJsonText(text) : undefined;
  return parsed !== undefined && findIn(parsed, path, undefined, isImageLike) !== undefined;
}

/**
 * Recognizes images in a text with YAML or indented JSON: a manifest, such as in `resource.manifest` of Argo Workflows, or the values of a chart.
 * The text is not parsed, because it may be a template, which is rarely valid YAML.
 */
import { parseImage } from '../image/reference.ts';
import { imageScheme, isImageFieldName, isPatchOfImage, isPullOption } from './image-field.ts';

/** Whether a line sets a field with the name of an image field to an image. Takes time linear in the length of the text. */
export function linesNameImage(text: string): boolean {
  if (!/image/i.test(text)) return false;
  /** Indentation of the image field whose value is in the current lines: `image:`, followed by `  repository: quay.io/app`. */
  let image: number | undefined;
  for (const line of linesOf(text)) {
    const [start = ''] = /^[ -]*/.exec(line) ?? [];
    const content = withoutComment(line.slice(start.length));
    if (content === '') continue;
    if (image !== undefined && start.length <= image) image = undefined;
    const { field, value } = readEntry(content);
    if (image !== undefined) {
      if (valueNamesImage(value, field)) return true;
    } else if (field !== undefined && isField(field)) {
      if (valueNamesImage(value)) return true;
      if (/^(?:[[{&!|>].{0,100})?$/.test(value)) image = start.length;
    } else if (field === 'path' && isPatchOfImage(unquote(value))) return true;
  }
  return false;
}

/** The API has no field that begins with an upper-case letter, but prose does. */
function isField(field: string): boolean {
  return /^[a-z_]/.test(field) && isImageFieldName(field);
}

function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    yield text.slice(at, end < 0 ? text.length : end);
    at = end < 0 ? text.length : end + 1;
  }
}

function withoutComment(content: string): string {
  const comment = content.startsWith('#') ? 0 : content.indexOf(' #');
  return (comment < 0 ? content : content.slice(0, comment)).trimEnd();
}

/** `image: quay.io/app`, `"image": "quay.io/app",`. Without a field name, the content is the value, such as in a list. */
function readEntry(content: string): { readonly field?: string; readonly value: string } {
  const [whole, quoted, plain] = /^(?:["']([\w.-]+)["'] *:|([A-Za-z_][\w.-]*) *:(?=\s|$))/.exec(content) ?? [];
  if (whole === undefined) return { value: content };
  return { field: quoted ?? plain ?? '', value: content.slice(whole.length).trim() };
}

/** `field` is the one inside of an image field. Versions may be numbers, other numbers are no name. */
function valueNamesImage(value: string, field?: string): boolean {
  if (field !== undefined && isPullOption(field)) return false;
  // A mapping or a list in one line. A template begins with two braces.
  if (/^(?:\{(?!\{)|\[)/.test(value)) {
    return value.split(/[{},[\]]/).some((part) => {
      const entry = readEntry(part.trim());
      return entry.value !== '' && !/^["']?$/.test(entry.value) && valueNamesImage(entry.value, entry.field);
    });
  }
  return isImageName(unquote(value), field !== undefined && /^(?:tag|version|digest)$/i.test(field));
}

function unquote(value: string): string {
  const [, , quoted] = /^(["'])(.*)\1,?$/.exec(value) ?? [];
  return quoted ?? (value.endsWith(',') ? value.slice(0, -1) : value);
}

/** Whether the text names an image even without its variables. A word is one, a sentence is not. */
function isImageName(text: string, mayBeNumber: boolean): boolean {
  if (/^(?:true|false|null|yes|no|on|off)$/i.test(text) || (!mayBeNumber && /^[\d.]+$/.test(text))) return false;
  const name = text.replace(imageScheme, '');
  if (!/[A-Za-z0-9]/.test(name.replace(variables, ''))) return false;
  return parseImage(name.replace(variables, 'x')).ok;
}

/** Of Go templates, Prometheus, Argo, Tekton and shells. */
const variables = /\{\{[^{}]*\}\}|\$\([^()]*\)|\$\{[^{}]*\}|\$\w+(?:\.\w+)*/g;

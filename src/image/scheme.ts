/** Image names after a URL scheme, as some custom resources have them: `oci://quay.io/app`. */
import { type ImageProblem, maskUserinfo, quote } from './problem.ts';

/** `scheme` ends with `://`, as it is written. */
export type WithScheme = { readonly scheme: string; readonly name: string };

/** Undefined for a text that does not begin with a scheme. */
export function splitScheme(text: string): WithScheme | undefined {
  const [scheme] = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text) ?? [];
  return scheme === undefined ? undefined : { scheme, name: text.slice(scheme.length) };
}

/** The problem of the name, with the scheme in its message: in the quoted name, and in the name to use instead. */
export function problemWithScheme({ code, message }: ImageProblem, { scheme, name }: WithScheme): ImageProblem {
  const quoted = quote(maskUserinfo(name));
  const rest = message.startsWith(quoted) ? message.slice(quoted.length) : ` ${message}`;
  // A quotation mark in the name would be escaped.
  const advised = rest.replace('. Use "', () => `. Use "${scheme}`);
  return { code, message: quote(maskUserinfo(scheme + name)) + advised };
}

/** Shortens an image name to what rules match. */

/**
 * The text without a valid tag and digest, so that it is evaluated with the same result. A text that contains no registry or path, or that is
 * not an ordinary name, is returned as it is: there a tag can change what the name means.
 */
export function withoutVersion(text: string): string {
  const slash = text.lastIndexOf('/');
  if (slash < 0 || text.length > maxLength) return text;
  const at = text.indexOf('@', slash);
  const colon = text.indexOf(':', slash);
  const end = colon >= 0 && (at < 0 || colon < at) ? colon : at;
  return end >= 0 && version.test(text.slice(end)) ? text.slice(0, end) : text;
}

/** Far below the length that is parsed, so that the length is valid both with and without the version. */
const maxLength = 1_024;
const version = /^(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

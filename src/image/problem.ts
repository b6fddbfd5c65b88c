/** Every reason why a text is not an image name, with what it covers. The keys are stable, since they appear in machine output. */
export const imageProblemCodes = {
  empty: 'empty, or only white space',
  'too-long': 'more than 4,096 characters',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: an example of such a variable
  variable: 'an unexpanded variable or a placeholder, such as `${IMAGE}`, `$(IMAGE)`, `{{ .Values.image }}` or `<IMAGE>`',
  whitespace: 'a space, tab or line break',
  character: 'a control character, or a non-ASCII character',
  userinfo: 'a user name or password before the registry host',
  scheme: 'a URL scheme such as https:// or docker://',
  host: 'a registry host that is neither a host name of at most 253 characters nor an IPv4 address nor an IPv6 address in brackets',
  port: 'a registry port that is not a number from 1 to 65535, or has more than 5 digits',
  'no-repository': 'no repository name, for example a registry host alone',
  'upper-case': 'an upper-case letter in the repository name',
  path: 'a repository name with an empty segment, or with characters or separators that are not allowed',
  'name-too-long': 'a repository name of more than 255 characters',
  tag: 'a tag that is empty, longer than 128 characters, or has characters that are not allowed',
  digest: 'a digest that is not sha256, sha384 or sha512 with the right number of lower-case hex digits',
  'image-id':
    '64 hex digits alone, or sha256:, sha384: or sha512: and hex digits, which container tools interpret as the ID of a local image',
} as const;

export type ImageProblemCode = keyof typeof imageProblemCodes;

/** Why a text is not an image name. */
export type ImageProblem = {
  readonly code: ImageProblemCode;
  /**
   * Begins with the quoted text: what is wrong and, if it is obvious, what to write. One or two sentences, with the full stop. Printable
   * ASCII of bounded length.
   */
  readonly message: string;
};

export type InvalidImage = { readonly ok: false; readonly problem: ImageProblem };

/** Longest quotation in a message, in characters. Readable image names are shorter. */
export const maxQuotedLength = 120;

/** The error for `text`. `what` continues the sentence that the quoted text begins. The full stop is added. */
export function invalidImage(text: string, code: ImageProblemCode, what: string): InvalidImage {
  return { ok: false, problem: { code, message: `${quote(maskUserinfo(text))} ${what}.` } };
}

/**
 * The text in double quotes, cut after about 120 characters. All characters but printable ASCII are escaped, since messages reach terminals
 * and log lines. Only an escape shows that a letter is Cyrillic or that a blank has no width.
 */
export function quote(text: string): string {
  if (text.length <= maxQuotedLength && needsNoEscape.test(text)) return `"${text}"`;
  let quoted = '';
  for (const character of text) {
    const next = escapeCharacter(character);
    if (quoted.length + next.length > maxQuotedLength) return `"${quoted}..."`;
    quoted += next;
  }
  return `"${quoted}"`;
}

/** Printable ASCII without `"` and the backslash. */
const needsNoEscape = /^[ !#-[\]-~]*$/;

/**
 * Index of the `@` that ends `user:password@`, or -1 if there is none. The `@` of a digest is not followed by a slash, or is followed by
 * the digest's algorithm.
 */
export function userinfoEnd(text: string): number {
  const lastSlash = text.lastIndexOf('/');
  if (lastSlash < 0) return -1;
  const at = text.lastIndexOf('@', lastSlash);
  return ['sha256:', 'sha384:', 'sha512:'].some((algorithm) => text.startsWith(algorithm, at + 1)) ? -1 : at;
}

/** The text with everything before its `@` masked, so that a password in an image name does not reach warnings and logs. */
export function maskUserinfo(text: string): string {
  const at = userinfoEnd(text);
  return at < 0 ? text : `***${text.slice(at)}`;
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  return /[ -~]/.test(character) ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

/** All errors that a YAML text can have, as data with a position, and one sentence for each. */

/** Line and column are 1-based. Columns count UTF-16 code units. */
export type Position = { readonly line: number; readonly column: number };

export type YamlError = YamlTrouble & { readonly position: Position };

export type YamlTrouble =
  | { readonly code: 'too-long'; readonly length: number; readonly maxLength: number }
  | { readonly code: 'too-many-lexemes'; readonly max: number }
  | { readonly code: 'nested-too-deep' }
  /** `cause` is the YAML library's error code, or empty if its parser has none. `reason` is printable ASCII and may quote a long text. */
  | { readonly code: 'syntax'; readonly cause: string; readonly reason: string; readonly text: string }
  | { readonly code: 'second-document' }
  | { readonly code: 'duplicate-field'; readonly name: string; readonly firstLine: number }
  | { readonly code: 'field-name-not-scalar' }
  | { readonly code: 'field-name-null' }
  // Only if aliases are rejected:
  | { readonly code: 'directive'; readonly text: string }
  | { readonly code: 'alias'; readonly name: string }
  | { readonly code: 'anchor'; readonly name: string }
  | { readonly code: 'tag'; readonly tag: string }
  // Only if aliases are resolved:
  | { readonly code: 'unknown-anchor'; readonly name: string }
  | { readonly code: 'recursive-anchor'; readonly name: string }
  | { readonly code: 'too-many-aliased'; readonly max: number }
  | { readonly code: 'bad-merge' }
  // Only if scalars are read as kubectl reads them:
  | { readonly code: 'not-json-number'; readonly text: string }
  | { readonly code: 'wrong-tag'; readonly text: string; readonly tag: string }
  | { readonly code: 'bad-binary' };

/** One sentence with the error and the fix, without the position. */
export function describeYamlError(error: YamlTrouble): string {
  switch (error.code) {
    case 'too-long':
      return `the text has ${error.length} characters; at most ${error.maxLength} are allowed`;
    case 'too-many-lexemes':
      return `the text has more than ${error.max} words, signs and spaces between them; split it`;
    case 'nested-too-deep':
      return 'nested deeper than any Kubernetes object; look for stray brackets or dashes';
    case 'syntax':
      return error.reason;
    case 'second-document':
      return 'a second document begins here; keep one of them';
    case 'duplicate-field':
      return `the field "${error.name}" is already written in line ${error.firstLine}; keep one of the two`;
    case 'field-name-not-scalar':
      return 'a field has a list or a mapping for its name; write a plain name';
    case 'field-name-null':
      return 'a field has no name; put the name in quotes if it is meant to be "" or "null"';
    case 'directive':
      return `remove the directive ${error.text}`;
    case 'alias':
      return `the alias *${error.name} is not allowed; write the value out`;
    case 'anchor':
      return `the anchor &${error.name} is not allowed; write the value out where it is needed`;
    case 'tag':
      return `the tag ${shortTag(error.tag)} is not allowed; remove it`;
    case 'unknown-anchor':
      return `there is no anchor &${error.name} before this alias; quote the value if it is text`;
    case 'recursive-anchor':
      return `the anchor &${error.name} contains itself`;
    case 'too-many-aliased':
      return `aliases make more than ${error.max} values of this; write out what is meant`;
    case 'bad-merge':
      return 'the merge key << takes a mapping, an alias of one, or a list of such';
    case 'not-json-number':
      return `${error.text} is no number that JSON has; put it in quotes if it is text`;
    case 'wrong-tag':
      return `"${error.text}" is not what its tag ${shortTag(error.tag)} says; remove the tag`;
    case 'bad-binary':
      return 'the tag !!binary takes base64';
  }
}

export function syntaxError(cause: string, message: string, text: string): YamlTrouble {
  // The library quotes from the text, which may contain control characters.
  return { code: 'syntax', cause, reason: message.replace(/[^ -~]/g, '?'), text };
}

/** A core tag in its short form: `!!str` for `tag:yaml.org,2002:str`. */
export function shortTag(tag: string): string {
  return tag.replace('tag:yaml.org,2002:', '!!');
}

/** Everything that can be wrong with a YAML text, as data with a position, and one sentence for each. */

/** Both 1-based, columns in UTF-16 code units. */
export type Position = { readonly line: number; readonly column: number };

export type YamlError = YamlTrouble & { readonly position: Position };

export type YamlTrouble =
  | { readonly code: 'too-long'; readonly length: number; readonly longest: number }
  | { readonly code: 'too-many-lexemes'; readonly most: number }
  | { readonly code: 'nested-too-deep' }
  /** `cause` is the code of the YAML library, empty where its parser has none. `reason` is printable ASCII, but may quote a long text. */
  | { readonly code: 'syntax'; readonly cause: string; readonly reason: string; readonly text: string }
  | { readonly code: 'second-document' }
  | { readonly code: 'duplicate-field'; readonly name: string; readonly firstLine: number }
  | { readonly code: 'field-name-not-scalar' }
  | { readonly code: 'field-name-null' }
  // Where aliases are refused:
  | { readonly code: 'directive'; readonly text: string }
  | { readonly code: 'alias'; readonly name: string }
  | { readonly code: 'anchor'; readonly name: string }
  | { readonly code: 'tag'; readonly tag: string }
  // Where aliases are resolved:
  | { readonly code: 'unknown-anchor'; readonly name: string }
  | { readonly code: 'recursive-anchor'; readonly name: string }
  | { readonly code: 'too-many-aliased'; readonly most: number }
  | { readonly code: 'bad-merge' }
  // Where scalars are read as kubectl reads them:
  | { readonly code: 'not-json-number'; readonly text: string }
  | { readonly code: 'wrong-tag'; readonly text: string; readonly tag: string }
  | { readonly code: 'bad-binary' };

/** What is wrong and the fix, without the position. */
export function describeYamlError(error: YamlTrouble): string {
  switch (error.code) {
    case 'too-long':
      return `the text has ${error.length} characters; at most ${error.longest} are allowed`;
    case 'too-many-lexemes':
      return `the text has more than ${error.most} words, signs and spaces between them; split it`;
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
      return `aliases make more than ${error.most} values of this; write out what is meant`;
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
  // The library quotes from the text.
  return { code: 'syntax', cause, reason: message.replace(/[^ -~]/g, '?'), text };
}

/** YAML's own tags as people write them. */
export function shortTag(tag: string): string {
  return tag.replace('tag:yaml.org,2002:', '!!');
}

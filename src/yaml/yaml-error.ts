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
  | { readonly code: 'folded-field-name' }
  | { readonly code: 'not-json-number'; readonly text: string }
  | { readonly code: 'wrong-tag'; readonly text: string; readonly tag: string }
  | { readonly code: 'bad-binary' };

/** The error and the fix as full sentences, without the position. */
export function describeYamlError(error: YamlTrouble): string {
  switch (error.code) {
    case 'too-long':
      return `the document has ${error.length.toLocaleString('en-US')} characters. The maximum is ${error.maxLength.toLocaleString('en-US')}.`;
    case 'too-many-lexemes':
      return `the document has more than ${error.max.toLocaleString('en-US')} YAML tokens. Split it.`;
    case 'nested-too-deep':
      return 'the document is nested more deeply than any Kubernetes object. Check for stray brackets or dashes.';
    case 'syntax':
      return `${error.reason}.`;
    case 'second-document':
      return 'a second YAML document starts here. Keep one of them.';
    case 'duplicate-field':
      return `the field "${error.name}" is already set on line ${error.firstLine}. Keep one of the two.`;
    case 'field-name-not-scalar':
      return 'a field name is a list or a mapping. Use a plain name.';
    case 'field-name-null':
      return 'a field has no name. If the name is "" or "null", put it in quotes.';
    case 'directive':
      return `the YAML directive ${error.text} is not allowed. Remove it.`;
    case 'alias':
      return `the YAML alias *${error.name} is not allowed. Use the value itself.`;
    case 'anchor':
      return `the YAML anchor &${error.name} is not allowed. Use the value itself where it is needed.`;
    case 'tag':
      return `the YAML tag ${shortTag(error.tag)} is not allowed. Remove it.`;
    case 'unknown-anchor':
      return `no anchor &${error.name} precedes this alias. If the value is a string, put it in quotes.`;
    case 'recursive-anchor':
      return `the anchor &${error.name} contains itself.`;
    case 'too-many-aliased':
      return `aliases expand to more than ${error.max.toLocaleString('en-US')} values. Specify the values without aliases.`;
    case 'bad-merge':
      return 'the value of a merge key << must be a mapping, an alias of a mapping, or a list of these.';
    case 'folded-field-name':
      return 'a field name in braces continues on the next line, which kubectl rejects. YAML comments begin with #, not with //.';
    case 'not-json-number':
      return `${error.text} is not a JSON number. If it is a string, put it in quotes.`;
    case 'wrong-tag':
      return `"${error.text}" does not match its tag ${shortTag(error.tag)}. Remove the tag.`;
    case 'bad-binary':
      return 'the value of a !!binary tag must be base64.';
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

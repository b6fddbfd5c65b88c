/** Where a rules document lives: a key of a ConfigMap, or a file (path as the user gave it). */
export type RuleSource =
  | { readonly kind: 'configMap'; readonly namespace: string; readonly name: string; readonly key: string }
  | { readonly kind: 'file'; readonly file: string };

/** A place in a rules document; both 1-based, columns in UTF-16 code units. */
export type Position = { readonly line: number; readonly column: number };

/** The document and place a rule or a setting was read from. */
export type Origin = Position & { readonly source: RuleSource };

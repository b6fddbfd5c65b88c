/** Where a rules document lives: a key of a ConfigMap, or a file (path as the user gave it). */
export type RuleSource =
  | { readonly kind: 'configMap'; readonly namespace: string; readonly name: string; readonly key: string }
  | { readonly kind: 'file'; readonly file: string };

/** A place in a rules document; both 1-based, columns in UTF-16 code units. */
export type Position = { readonly line: number; readonly column: number };

/** The document and place a rule or a setting was read from. */
export type Origin = Position & { readonly source: RuleSource };

/** Every kind of problem and warning a rules document can have, with one line on what it means. The documentation is held against this table. */
export const problemCodes = {
  'yaml-syntax': 'The text is not valid YAML 1.2.',
  'yaml-alias': 'YAML anchors and aliases are not part of the format.',
  'yaml-unquoted-wildcard': 'A pattern that begins with * stands without quotes, so YAML reads it as an alias.',
  'yaml-tag': 'YAML tags and directives are not part of the format.',
  'yaml-several-documents': 'The text holds more than one YAML document.',
  'document-too-large': 'The document is longer than 1 MiB.',
  'document-too-costly': 'Reading the document takes more time or memory than it is given.',
  'nesting-too-deep': 'The document is nested deeper than any rule needs.',
  'too-many-problems': 'The document has more problems than are listed.',
  'blank-document': 'Warning: the document holds nothing, so it contributes no rules.',
  'duplicate-field': 'A field is written twice in one mapping.',
  'unknown-field': 'A field is not known to this version.',
  'missing-field': 'A rule has no registry.',
  'wrong-type': 'A value is of another type than the field takes.',
  'unknown-value': 'A value is not one of those the field takes.',
  'empty-value': 'A field is written but holds nothing.',
  'bad-text': 'A text is too long, blank, or has line breaks or control characters.',
  'bad-secret-name': 'A secret name is not a valid Kubernetes object name.',
  'secret-on-distrusted': 'A rule that refuses its registry names a secret for it.',
  'reason-on-trusted': 'A rule that trusts its registry gives a reason for refusing it.',
  'pattern-too-long': 'A registry pattern is longer than any image name could match.',
  'pattern-space': 'A registry pattern holds a space or a control character.',
  'pattern-scheme': 'A registry pattern begins with a scheme such as https://.',
  'pattern-slash': 'A registry pattern begins or ends with a slash, or has two in a row.',
  'pattern-tag': 'A registry pattern names a tag.',
  'pattern-digest': 'A registry pattern names a digest.',
  'pattern-user': 'A registry pattern holds user information.',
  'pattern-wildcard': 'A * in a registry pattern stands for a part of a label or segment, or where none may stand.',
  'pattern-host': 'The host of a registry pattern is not a host name or address.',
  'pattern-unqualified': 'The first part of a registry pattern would be read as a Docker Hub name, not as a host.',
  'pattern-port': 'The port of a registry pattern is not a number from 1 to 65535, nor *.',
  'pattern-path': 'The path of a registry pattern is not a repository path.',
  'internal-pattern': 'An internal registry has a path, or would be any host at all.',
  'duplicate-registry': 'Warning: a rule lists one registry twice.',
  'duplicate-secret': 'Warning: a rule lists one secret twice.',
  'setting-conflict': 'Two documents write different values of one setting.',
  'rule-tie': 'Two rules have the same pattern and may apply in the same namespace, so neither is the more specific.',
  'override-tie': 'Two overrides write different values of one setting, and neither names its namespaces more specifically.',
  'internal-conflict': 'A rule refuses, or gives a secret to, what is an internal registry.',
  'too-many-rules': 'The documents of one namespace have more than 200 rules together.',
  'namespace-widens': "A namespace's own rule trusts what the cluster's rules neither trust nor delegate.",
} as const;

export type ProblemCode = keyof typeof problemCodes;

/** What is wrong with the rules, where, and in words what to do about it. */
export type Problem = {
  readonly code: ProblemCode;
  /** A sentence that names what is wrong and the fix; without position, which `origin` has. */
  readonly message: string;
  readonly origin: Origin;
  /** The other place, when two places disagree. The message names it too. */
  readonly related?: Origin;
};

/** An origin in words: `rules.yaml:3:5`, or `ConfigMap ns/name, key k, line 3:5`. */
export function renderOrigin({ source, line, column }: Origin): string {
  return source.kind === 'file' ? `${source.file}:${line}:${column}` : `${renderSource(source)}, line ${line}:${column}`;
}

/** A document in words: its file, or `ConfigMap ns/name, key k`. */
export function renderSource(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}, key ${source.key}`;
}

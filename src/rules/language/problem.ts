/** Every kind of problem in rules, its position, and how it is shown. */
import type { Position } from '../../yaml/yaml-error.ts';

/** The source of a rules document: a key of a ConfigMap, or a file (the path that the user passed). */
export type RuleSource =
  | { readonly kind: 'configMap'; readonly namespace: string; readonly name: string; readonly key: string }
  | { readonly kind: 'file'; readonly file: string };

/** An object of the cluster that has the effect of a rule, such as `images.config.openshift.io/cluster`. */
export type ClusterObject = { readonly kind: 'cluster'; readonly object: string };

/** The document and position of a rule or a setting. For an object of the cluster the position has no meaning. */
export type Origin = Position & { readonly source: RuleSource | ClusterObject };

/**
 * Every kind of problem and warning in rules documents, with one line that explains it. A document with a problem is rejected, a document
 * with only warnings is accepted. A test compares the documentation with this table.
 */
export const problemCodes = {
  'yaml-syntax': { level: 'problem', text: 'The text is not valid YAML 1.2.' },
  'yaml-alias': { level: 'problem', text: 'YAML anchors and aliases are not part of the format.' },
  'yaml-unquoted-wildcard': { level: 'problem', text: 'A pattern that begins with * stands without quotes, so YAML reads it as an alias.' },
  'yaml-tag': { level: 'problem', text: 'YAML tags and directives are not part of the format.' },
  'yaml-several-documents': { level: 'problem', text: 'The text holds more than one YAML document.' },
  'document-too-large': {
    level: 'problem',
    text: 'The document is longer than 1 MiB, or than 64 KiB for the rules of a namespace, or of too many parts.',
  },
  'namespace-quota': {
    level: 'problem',
    text: 'The rules ConfigMaps of one namespace have more than 20 documents or 131,072 characters together; this one was not read.',
  },
  'document-too-costly': { level: 'problem', text: 'Reading the document takes more time or memory than it is given.' },
  'nesting-too-deep': { level: 'problem', text: 'The document is nested deeper than any rule needs.' },
  'too-many-problems': { level: 'problem', text: 'The document has more problems than are listed.' },
  'duplicate-field': { level: 'problem', text: 'A field is written twice in one mapping.' },
  'unknown-field': { level: 'problem', text: 'A field is not known to this version.' },
  'missing-field': {
    level: 'problem',
    text: 'A field is left out that must be there, such as the registry of a rule or the last day of an exemption.',
  },
  'wrong-type': { level: 'problem', text: 'A value is of another type than the field takes.' },
  'unknown-value': { level: 'problem', text: 'A value is not one of those the field takes.' },
  'empty-value': { level: 'problem', text: 'A field is written but holds nothing.' },
  'bad-text': { level: 'problem', text: 'A text is too long, blank, or has line breaks or control characters.' },
  'bad-url': { level: 'problem', text: 'A web address does not start with http:// or https://, is too long, or contains spaces.' },
  'bad-secret-name': { level: 'problem', text: 'A secret name is not a valid Kubernetes object name.' },
  'bad-namespace': { level: 'problem', text: 'A namespace is written as a name that no namespace can have.' },
  'bad-label': { level: 'problem', text: 'A label has a key or a value that no label can have.' },
  'empty-selector': { level: 'problem', text: 'A selection by labels has no requirement, so it would select every namespace.' },
  'selector-values': {
    level: 'problem',
    text: 'A requirement on labels has no values where its operator compares with values, or has some where it does not.',
  },
  'bad-day': { level: 'problem', text: 'The last day of an exemption is not a day of the calendar, written as YYYY-MM-DD.' },
  'bad-short-names': { level: 'problem', text: 'A host that short names are searched on has a path or a wildcard, or is listed twice.' },
  'secret-on-untrusted': { level: 'problem', text: 'A rule that refuses its registry names a secret for it.' },
  'reason-on-trusted': { level: 'problem', text: 'A rule that trusts its registry gives a reason for refusing it.' },
  'on-missing-without-secret': { level: 'problem', text: 'A rule says what happens where its secret is missing, but names no secret.' },
  'override-without-setting': { level: 'problem', text: 'An override changes no setting.' },
  'namespace-scope': { level: 'problem', text: "The rules of a namespace of its own use what only the cluster's rules may." },
  'pattern-too-long': { level: 'problem', text: 'A registry pattern is longer than any image name could match.' },
  'pattern-space': { level: 'problem', text: 'A registry pattern holds a space or a control character.' },
  'pattern-scheme': { level: 'problem', text: 'A registry pattern begins with a scheme such as https://.' },
  'pattern-slash': { level: 'problem', text: 'A registry pattern begins or ends with a slash, or has two in a row.' },
  'pattern-tag': { level: 'problem', text: 'A registry pattern names a tag.' },
  'pattern-digest': { level: 'problem', text: 'A registry pattern names a digest.' },
  'pattern-user': { level: 'problem', text: 'A registry pattern holds user information.' },
  'pattern-wildcard': {
    level: 'problem',
    text: 'A * in a registry pattern stands for a part of a label or segment, or where none may stand.',
  },
  'pattern-host': { level: 'problem', text: 'The host of a registry pattern is not a host name or address.' },
  'pattern-unqualified': {
    level: 'problem',
    text: 'The first part of a registry pattern would be read as a Docker Hub name, not as a host.',
  },
  'pattern-port': { level: 'problem', text: 'The port of a registry pattern is not a number from 1 to 65535, nor *.' },
  'pattern-path': { level: 'problem', text: 'The path of a registry pattern is not a repository path.' },
  'internal-pattern': { level: 'problem', text: 'An internal registry has a path, or would be any host at all.' },
  'setting-conflict': { level: 'problem', text: 'Two documents write different values of one setting.' },
  'rule-tie': {
    level: 'problem',
    text: 'Two rules have the same pattern and may apply in the same namespace, so neither is the more specific.',
  },
  'internal-conflict': { level: 'problem', text: 'A rule refuses, or gives a secret to, what is an internal registry.' },
  'override-tie': {
    level: 'problem',
    text: 'Two overrides write different values of one setting, and neither names its namespaces more specifically.',
  },
  'too-many-rules': { level: 'problem', text: 'The documents of one namespace have more than 200 rules together.' },
  'namespace-widens': { level: 'problem', text: "A namespace's own rule trusts what the cluster's rules neither trust nor delegate." },
  'bad-manifest': {
    level: 'problem',
    text: 'A rules ConfigMap cannot be read as one: its label, its namespace, or data that is no text.',
  },
  'blank-document': { level: 'warning', text: 'The document holds nothing, so it contributes no rules.' },
  'configmap-twice': {
    level: 'warning',
    text: 'Two rules ConfigMaps in files have the same name, so that in a cluster one would replace the other.',
  },
  'duplicate-registry': { level: 'warning', text: 'One list of registries or images has a pattern twice.' },
  'duplicate-secret': { level: 'warning', text: 'A rule lists one secret twice.' },
  'duplicate-namespace': { level: 'warning', text: 'One list of namespaces has a name twice.' },
  'loosening-glob': {
    level: 'warning',
    text: 'Something is loosened for namespaces by a glob of names, and people can choose the names of their namespaces.',
  },
  'exemption-expired': { level: 'warning', text: 'An exemption is past its last day, so it has no effect any more.' },
  'rule-redundant': { level: 'warning', text: 'Without the rule every image would be decided the same.' },
  'denial-overridden': {
    level: 'warning',
    text: 'A refusal does not hold for some of its images, since a more specific rule with a wildcard trusts them.',
  },
  'shadowed-rule': { level: 'warning', text: 'A rule can never win, since others win wherever it applies.' },
  'unlikely-pattern': { level: 'warning', text: 'A registry pattern hardly matches any image.' },
  'short-name-alias': {
    level: 'warning',
    text: 'Nodes may pull a short name that a rule trusts from a registry that no rule trusts.',
  },
  'secret-on-public-registry': {
    level: 'hint',
    text: 'A pull secret is used for a registry that serves public images too, whose pulls fail if the credential is wrong or expired.',
  },
} as const satisfies Record<string, { readonly level: ProblemLevel; readonly text: string }>;

/** A warning is about rules that are probably not meant so. A hint is about rules that are probably meant, and have a risk. */
export type ProblemLevel = 'problem' | 'warning' | 'hint';
export type ProblemCode = keyof typeof problemCodes;

export function levelOf(code: ProblemCode): ProblemLevel {
  return problemCodes[code].level;
}

/** What is wrong with the rules, where, and how to fix it. */
export type Problem = {
  readonly code: ProblemCode;
  /** A sentence that names the problem and the fix, without the position, which is in `origin`. */
  readonly message: string;
  readonly origin: Origin;
  /** The other position, if two contradict each other. The message names it too. */
  readonly related?: Origin;
};

/**
 * The first `most` problems, and one that counts the rest. Messages are cut after 1,000 characters, so that rejected documents do not fill
 * the memory.
 */
export function firstProblems(problems: readonly Problem[], most: number): readonly Problem[] {
  const shown = problems.slice(0, most).map(withShortMessage);
  const next = problems[most];
  if (!next) return shown;
  const message = `${problems.length - most} more problems follow; repair those listed first`;
  return [...shown, { code: 'too-many-problems', message, origin: next.origin }];
}

const maxMessageLength = 1_000;

function withShortMessage(problem: Problem): Problem {
  const { message } = problem;
  return message.length <= maxMessageLength ? problem : { ...problem, message: `${message.slice(0, maxMessageLength - 3)}...` };
}

/** An origin as text: `rules.yaml:3:5`, `ConfigMap ns/name, key k, line 3:5`, or the name of an object of the cluster. */
export function renderOrigin({ source, line, column }: Origin): string {
  switch (source.kind) {
    case 'file':
      return `${source.file}:${line}:${column}`;
    case 'configMap':
      return `${renderSource(source)}, line ${line}:${column}`;
    case 'cluster':
      return source.object;
  }
}

/** A document as a path for tools that expect a file: its file, or `namespace/name/key` of a ConfigMap. */
export function renderSourcePath(source: RuleSource | ClusterObject): string {
  switch (source.kind) {
    case 'file':
      return source.file;
    case 'configMap':
      return `${source.namespace}/${source.name}/${source.key}`;
    case 'cluster':
      return source.object;
  }
}

/** A document as text: its file, or `ConfigMap ns/name, key k`. */
export function renderSource(source: RuleSource): string {
  return source.kind === 'file' ? source.file : `ConfigMap ${source.namespace}/${source.name}, key ${source.key}`;
}

/** Every kind of problem in rules, its position, and how it is shown. */
import { countOf, inputName } from '../../image/wording.ts';
import type { Position } from '../../yaml/yaml-error.ts';

/** The source of a rules document: a key of a ConfigMap, or a file (the path that the user passed). */
export type RuleSource =
  | { readonly kind: 'configMap'; readonly namespace: string; readonly name: string; readonly key: string }
  | { readonly kind: 'file'; readonly file: string; readonly within?: KeyInFile };

/** A key of a ConfigMap whose manifest is in a file. Positions are those in the file. */
export type KeyInFile = {
  /** `ConfigMap namespace/name`, without the namespace if the manifest has none. */
  readonly object: string;
  readonly key: string;
  /** The line of the file with the first line of the text. Absent if the text is not written line by line, as in JSON. */
  readonly firstLine?: number;
};

/** An object of the cluster that has the effect of a rule, such as `images.config.openshift.io/cluster`. */
export type ClusterObject = { readonly kind: 'cluster'; readonly object: string };

/** The document and position of a rule or a setting. For an object of the cluster the position has no meaning. */
export type Origin = Position & { readonly source: RuleSource | ClusterObject };

/**
 * Every kind of problem and warning in rules documents, with one line that explains it. A document with a problem is rejected, a document
 * with only warnings is accepted. A test compares the documentation with this table.
 */
export const problemCodes = {
  'yaml-syntax': { level: 'problem', text: 'The document is not valid YAML 1.2.' },
  'yaml-alias': { level: 'problem', text: 'YAML anchors and aliases are not supported.' },
  'yaml-unquoted-wildcard': { level: 'problem', text: 'A pattern that starts with * has no quotes, so YAML parses it as an alias.' },
  'yaml-tag': { level: 'problem', text: 'YAML tags and directives are not supported.' },
  'yaml-several-documents': { level: 'problem', text: 'The file or key contains more than one YAML document.' },
  'document-too-large': {
    level: 'problem',
    text: 'The document is longer than 1 MiB (64 KiB for namespace rules), or has too many YAML tokens.',
  },
  'namespace-quota': {
    level: 'problem',
    text: 'The rules ConfigMaps of a namespace have more than 20 documents or 131,072 characters in total. This document was not read.',
  },
  'document-too-costly': { level: 'problem', text: 'Parsing the document exceeds the time or memory limit.' },
  'nesting-too-deep': { level: 'problem', text: 'The document is nested too deeply.' },
  'too-many-problems': { level: 'problem', text: 'The document has more problems than are shown.' },
  'duplicate-field': { level: 'problem', text: 'A mapping has the same field twice.' },
  'unknown-field': { level: 'problem', text: 'This version does not recognize the field.' },
  'missing-field': {
    level: 'problem',
    text: 'A required field is missing, for example the registry of a rule or the end date of an exemption.',
  },
  'wrong-type': { level: 'problem', text: 'The value has the wrong type.' },
  'unknown-value': { level: 'problem', text: 'The value is not one of the allowed values.' },
  'empty-value': { level: 'problem', text: 'A field has no value.' },
  'bad-text': { level: 'problem', text: 'A value is too long or blank, or contains line breaks or control characters.' },
  'bad-url': { level: 'problem', text: 'A URL does not start with http:// or https://, is too long, or contains spaces.' },
  'bad-secret-name': { level: 'problem', text: 'A secret name is not a valid Kubernetes object name.' },
  'bad-namespace': { level: 'problem', text: 'A value is not a valid namespace name.' },
  'bad-label': { level: 'problem', text: 'The key or the value of a label is invalid.' },
  'empty-selector': { level: 'problem', text: 'A label selector is empty, so it would select every namespace.' },
  'selector-values': {
    level: 'problem',
    text: 'A label requirement lacks the values that its operator needs, or has values that its operator does not allow.',
  },
  'bad-day': { level: 'problem', text: 'The value of `until` or `warnFrom` is not a valid date in the form YYYY-MM-DD.' },
  'bad-short-names': { level: 'problem', text: 'A search registry for short names has a path or a wildcard, or is listed twice.' },
  'secret-on-untrusted': { level: 'problem', text: 'A rule with `trust: false` specifies a secret.' },
  'reason-on-trusted': {
    level: 'problem',
    text: 'A rule that trusts its registry indefinitely has a `reason`, which would never be shown.',
  },
  'until-on-untrusted': {
    level: 'problem',
    text: 'A rule with `trust: false` has `until` or `warnFrom`, but does not trust its registry.',
  },
  'warn-from-without-until': { level: 'problem', text: 'A rule has `warnFrom` but no `until`.' },
  'warn-from-after-until': { level: 'problem', text: 'A rule would start warning only after its `until` date.' },
  'on-missing-without-secret': { level: 'problem', text: 'A rule has `onMissingSecret` but specifies no secret.' },
  'override-without-setting': { level: 'problem', text: 'An override sets nothing.' },
  'bad-duration': { level: 'problem', text: 'A duration (`retain`) is not a whole number with a unit, or is longer than 30 days.' },
  'retain-on-always': {
    level: 'problem',
    text: 'A secret with `deliver: always` has `retain`, but its copies are kept even if no object needs them.',
  },
  'secret-tie': { level: 'problem', text: 'Two entries of `secrets` have the same name.' },
  'cluster-only-field': { level: 'problem', text: 'Namespace rules contain a field that is allowed only in cluster rules.' },
  'pattern-too-long': { level: 'problem', text: 'A registry pattern is longer than an image name can be.' },
  'pattern-space': { level: 'problem', text: 'A registry pattern contains a space or a control character.' },
  'pattern-scheme': { level: 'problem', text: 'A registry pattern starts with a URL scheme such as https://.' },
  'pattern-slash': { level: 'problem', text: 'A registry pattern starts or ends with a slash, or contains two in a row.' },
  'pattern-tag': { level: 'problem', text: 'A registry pattern contains a tag.' },
  'pattern-digest': { level: 'problem', text: 'A registry pattern contains a digest.' },
  'pattern-user': { level: 'problem', text: 'A registry pattern contains a user name or password.' },
  'pattern-wildcard': {
    level: 'problem',
    text: 'A * in a registry pattern is part of a longer label or segment, or is not allowed in this position.',
  },
  'pattern-host': { level: 'problem', text: 'The host of a registry pattern is not a host name or IP address.' },
  'pattern-unqualified': {
    level: 'problem',
    text: 'The first component of a registry pattern would be parsed as a Docker Hub name, not as a host.',
  },
  'pattern-port': { level: 'problem', text: 'The port of a registry pattern is neither a number from 1 to 65535 nor *.' },
  'pattern-path': { level: 'problem', text: 'The path of a registry pattern is not a valid repository path.' },
  'internal-pattern': { level: 'problem', text: 'An internal registry has a path, or matches every host.' },
  'setting-conflict': { level: 'problem', text: 'Two documents set the same setting to different values.' },
  'rule-tie': {
    level: 'problem',
    text: 'Two rules have the same pattern and can apply in the same namespace, and neither is more specific.',
  },
  'internal-conflict': {
    level: 'problem',
    text: 'A rule denies an internal registry, stops trusting it on a certain date, or specifies a secret for it.',
  },
  'override-tie': {
    level: 'problem',
    text: 'Two overrides set the same setting to different values, and neither selects its namespaces more specifically.',
  },
  'too-many-rules': { level: 'problem', text: 'The documents of a namespace have more than 200 rules in total.' },
  'too-many-combinations': {
    level: 'problem',
    text: 'Lists of registries, combined with long lists of secrets or namespaces, produce more than 500,000 combinations, or 20,000 in the rules of a namespace.',
  },
  'too-many-selectors': { level: 'problem', text: 'The rules have too many namespace selectors that must be compared with each other.' },
  'too-many-secrets': { level: 'problem', text: 'The cluster documents have more than 250 entries of `secrets` in total.' },
  'namespace-rule-without-effect': {
    level: 'problem',
    text: 'A namespace rule trusts a registry that the cluster rules deny, or that they neither trust nor delegate, so it has no effect.',
  },
  'bad-manifest': {
    level: 'problem',
    text: 'A rules ConfigMap has an invalid label, no namespace, or data that is not a string.',
  },
  'blank-document': { level: 'warning', text: 'The document is empty, so it contains no rules.' },
  'duplicate-configmap': {
    level: 'warning',
    text: 'Two rules ConfigMaps in files have the same name, so one would replace the other in a cluster.',
  },
  'duplicate-registry': { level: 'warning', text: 'A list of registries or images contains a pattern twice.' },
  'duplicate-secret': { level: 'warning', text: 'A rule lists a secret twice.' },
  'duplicate-namespace': { level: 'warning', text: 'A list of namespaces contains a name twice.' },
  'loosening-glob': {
    level: 'warning',
    text: 'A namespace pattern with * loosens the rules, but users may be able to create namespaces with matching names.',
  },
  'exemption-expired': { level: 'warning', text: 'An exemption has expired, so it has no effect.' },
  'rule-ended': { level: 'warning', text: 'A rule no longer trusts its images, because its `until` date has passed.' },
  'rule-redundant': { level: 'warning', text: 'Every image would get the same result without the rule.' },
  'denial-overridden': {
    level: 'warning',
    text: 'A rule with `trust: false` does not apply to some of its images, because a more specific rule with a wildcard trusts them.',
  },
  'unused-secret': {
    level: 'warning',
    text: 'A secret is never delivered, because no cluster rule that applies in its namespaces references it.',
  },
  'source-unusable': { level: 'warning', text: 'A source Secret, or one of its entries, cannot be copied.' },
  'source-without-entry': {
    level: 'warning',
    text: 'A source Secret has no credential for a rule that references the delivered secret.',
  },
  'secret-in-namespace-rule': {
    level: 'warning',
    text: 'A namespace rule references a secret that is delivered for cluster rules, so the copy may lack credentials for its images.',
  },
  'shadowed-rule': { level: 'warning', text: 'A rule never applies, because another rule always takes precedence.' },
  'unlikely-pattern': { level: 'warning', text: 'A registry pattern is unlikely to match any image.' },
  'short-name-alias': {
    level: 'warning',
    text: 'A rule trusts a short name, but nodes may resolve it to a registry that no rule trusts.',
  },
  'wide-credential': {
    level: 'hint',
    text: 'A source Secret has an entry that also gives access to images that the rule does not match.',
  },
  'rule-ending': { level: 'hint', text: 'A rule will stop trusting its images in 30 days or less. After that, they will be denied.' },
  'official-image': {
    level: 'hint',
    text: 'A pattern is an organization on Docker Hub that has the name of an official image.',
  },
  'secret-on-public-registry': {
    level: 'hint',
    text: 'A pull secret is set for a registry that also serves public images. Pulls of those images fail if the credential is invalid or expired.',
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
  /** The problem and the fix as full sentences, without the position, which is in `origin`. */
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
  const message = `${countOf(problems.length - most, 'more problem is', 'more problems are')} not shown. Fix the problems above first.`;
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

/**
 * For an origin in a file with a ConfigMap: its position as the server shows it, which reads the ConfigMap. `ConfigMap ns/name, key
 * rules.yaml, line 22`. Undefined for other origins.
 */
export function renderOriginInConfigMap({ source, line }: Origin): string | undefined {
  if (source.kind !== 'file' || !source.within) return undefined;
  const { object, key, firstLine } = source.within;
  return `${object}, key ${key}${firstLine === undefined ? '' : `, line ${line - firstLine + 1}`}`;
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
  if (source.kind === 'file') return inputName(source.file);
  return `ConfigMap ${source.namespace}/${source.name}, key ${source.key}`;
}

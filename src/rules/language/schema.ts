/** The JSON Schema of rules documents, the types derived from it, and its validator. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { XStatic } from 'typebox/schema';
import { isCalendarDay } from './calendar-day.ts';
import { dnsSubdomain, labelKey, labelValue, maxLabelLength } from './label-grammar.ts';

/** The longest `contact`, in characters. A denial message shows it in one line. */
const maxContactLength = 200;
/** The longest `helpUrl`. A warning to a client is cut at 256 characters. */
const maxHelpUrlLength = 200;
/** The longest `reason`. A warning to a client is cut at 256 characters, and the reason may use most of them. */
const maxReasonLength = 200;
/** The longest `name`. It appears in messages and in every audit record. */
const maxNameLength = 100;
/** Kubernetes' limit for object names. */
const maxSecretNameLength = 253;

/** One line of printable text. One line break at the end is accepted, since YAML's folded blocks leave one. */
const oneLine = '^[^\\s\\p{Cc}][^\\p{Cc}\\u2028\\u2029]*\\n?$';
/** An address for a browser, without a user name. Printable ASCII, as terminals recognize it. */
const webAddress = '^https?://[A-Za-z0-9.:\\[\\]-]+([/?#][!-~]*)?$';
/** A DNS label (RFC 1123) in which a * matches any characters. */
const namespaceGlob = '^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$';

const registryPattern = { type: 'string', minLength: 1 } as const;
const registryPatterns = [registryPattern, { type: 'array', items: registryPattern, minItems: 1 }] as const;
const secretName = { type: 'string', minLength: 1, maxLength: maxSecretNameLength, pattern: `^${dnsSubdomain}$` } as const;
const namespaceName = { type: 'string', minLength: 1, maxLength: maxLabelLength, pattern: namespaceGlob } as const;
const labelText = { type: 'string', maxLength: maxLabelLength, pattern: labelValue } as const;

const modes = ['enforce', 'warn', 'audit'] as const;
const unconfiguredActions = ['deny', 'warn', 'allow'] as const;
const injections = ['all', 'pods', 'off'] as const;

const requirementSchema = {
  type: 'object',
  description: 'One requirement on a label.',
  required: ['key', 'operator'],
  properties: {
    key: { type: 'string', pattern: labelKey, description: 'The key of the label.' },
    operator: {
      enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'],
      description: 'In and NotIn compare with values; NotIn and DoesNotExist also hold where the namespace has no such label.',
    },
    values: {
      type: 'array',
      items: labelText,
      description: 'For In and NotIn: at least one value. For Exists and DoesNotExist: none.',
    },
  },
  additionalProperties: false,
} as const;

const selectorSchema = {
  type: 'object',
  properties: {
    matchLabels: {
      type: 'object',
      description: 'Labels that the namespace has, with just these values.',
      patternProperties: { [labelKey]: labelText },
      additionalProperties: false,
    },
    matchExpressions: { type: 'array', items: requirementSchema, description: 'Requirements on labels; all of them hold.' },
  },
  additionalProperties: false,
} as const;

function namespacesField(description: string) {
  return {
    anyOf: [namespaceName, { type: 'array', items: namespaceName, minItems: 1 }, selectorSchema],
    description: `${description} A name, in which * stands for any characters; a list of names; or labels: {matchLabels: {team: a}}, with matchExpressions as in Kubernetes.`,
  } as const;
}

const ruleSchema = {
  type: 'object',
  description: 'One registry, whether it is trusted, and which secrets it needs.',
  required: ['registry'],
  properties: {
    name: {
      type: 'string',
      maxLength: maxNameLength,
      pattern: oneLine,
      description: 'A name for the rule, used in messages and audit records. Default: the registry pattern itself.',
    },
    registry: {
      anyOf: registryPatterns,
      description:
        'The registry, or a list of them: host[:port][/path]. "*.example.com" is any subdomain, "*" any host, ":*" any port, a "*" path segment exactly one segment. Without a port: the default port where the rule trusts, every port where it distrusts. Without a path: every repository.',
    },
    namespaces: namespacesField('The namespaces in which the rule applies. Default: all.'),
    trust: {
      type: 'boolean',
      default: true,
      description: 'Whether images may come from there. Default: true. With false they are refused.',
    },
    reason: {
      type: 'string',
      maxLength: maxReasonLength,
      pattern: oneLine,
      description:
        'Why the registry is refused and what to use instead, in one line for the person who is blocked. Only with trust: false.',
    },
    pullSecret: {
      anyOf: [secretName, { type: 'array', items: secretName, minItems: 1 }],
      description: 'The secret needed to pull from the registry, or a list of them, tried in this order. Only where the rule trusts.',
    },
    pushSecret: { ...secretName, description: 'The secret builds need to push to the registry. Only where the rule trusts.' },
    onMissingSecret: {
      enum: ['warn', 'deny', 'ignore'],
      default: 'warn',
      description:
        'What happens where the secret is not in the namespace: warn warns, deny refuses Pods, ignore says nothing. Default: warn. Only where the rule has a secret.',
    },
  },
  additionalProperties: false,
} as const;

const exemptionSchema = {
  type: 'object',
  description: 'What may come in until a day although no rule trusts it; it is given no secret.',
  required: ['image', 'until', 'reason'],
  properties: {
    image: {
      anyOf: registryPatterns,
      description:
        'What is let in although no rule trusts it: a pattern as in a rule that trusts, host[:port][/path], or a list of them. Without tag or digest.',
    },
    namespaces: namespacesField(
      'The namespaces in which the exemption holds. Default: all. Prefer labels: people can choose the names of their namespaces.',
    ),
    until: {
      type: 'string',
      format: 'date',
      description: 'The last day on which it holds, in UTC: YYYY-MM-DD. After that day the exemption is void.',
    },
    reason: {
      type: 'string',
      maxLength: maxReasonLength,
      pattern: oneLine,
      description: 'Why it is let in, in one line for whoever reads the audit.',
    },
  },
  additionalProperties: false,
} as const;

const overrideSchema = {
  type: 'object',
  description: 'Other settings for some namespaces: at least one of mode, unconfigured and inject.',
  required: ['namespaces'],
  properties: {
    namespaces: namespacesField(
      'The namespaces for which the settings hold. Prefer labels: people can choose the names of their namespaces.',
    ),
    mode: { enum: modes, description: 'What happens to refusals there.' },
    unconfigured: { enum: unconfiguredActions, description: 'What happens there to images that no rule names.' },
    inject: { enum: injections, description: 'Which objects there are given secrets.' },
  },
  additionalProperties: false,
} as const;

/**
 * The format of a rules document as JSON Schema (draft 2020-12), the only source of its types, its validation and the schema for editors.
 * Written as it is published, and typebox only derives the types from it. Building it with typebox's functions took a quarter of the start
 * time of every command that reads rules.
 */
export const rulesSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'regkeeper rules',
  description: 'Which registries images may come from, and which secrets they need.',
  type: 'object',
  properties: {
    unconfigured: {
      enum: unconfiguredActions,
      default: 'deny',
      description: 'What happens to images that no rule names. Default: deny.',
    },
    mode: {
      enum: modes,
      default: 'enforce',
      description:
        'What happens to refusals: enforce refuses, warn lets pass and warns the client, audit lets pass and records. Default: enforce.',
    },
    contact: {
      type: 'string',
      maxLength: maxContactLength,
      pattern: oneLine,
      description: 'Whom to ask about a denied image: one line, shown in every denial.',
    },
    helpUrl: {
      type: 'string',
      maxLength: maxHelpUrlLength,
      pattern: webAddress,
      description: 'A page that explains which images are allowed: http:// or https://, shown in every denial.',
    },
    inject: {
      enum: injections,
      default: 'all',
      description:
        'Which objects secrets are written into: all (Pods, the templates of Deployments and their like, BuildConfigs), pods (Pods alone), or off. Default: all.',
    },
    shortNames: {
      anyOf: [{ enum: ['docker.io', 'reject'] }, { type: 'array', items: registryPattern, minItems: 1 }],
      description:
        'What an image name without registry means: docker.io, reject (such names are refused), or a list of hosts, host[:port], that nodes search in this order. Default: docker.io.',
    },
    internalRegistries: {
      type: 'array',
      items: registryPattern,
      description: 'Registries of the cluster itself, host[:port]: always trusted, never given a secret.',
    },
    delegate: {
      type: 'array',
      items: registryPattern,
      description:
        'What namespaces may trust by rules of their own: patterns as in a rule that trusts, host[:port][/path]. Default: nothing.',
    },
    rules: {
      type: 'array',
      items: ruleSchema,
      description: 'The registry rules. The most specific pattern wins, whatever the order.',
    },
    exemptions: {
      type: 'array',
      items: exemptionSchema,
      description: 'What may come in until a day although no rule trusts it, and why.',
    },
    overrides: {
      type: 'array',
      items: overrideSchema,
      description: 'Other settings for some namespaces. The most specific selection wins, whatever the order.',
    },
  },
  additionalProperties: false,
} as const;

/** A rules document that matches the schema. */
export type RulesDocument = XStatic<typeof rulesSchema>;
/** One entry of `rules`, `exemptions` and `overrides` as written. */
export type WrittenRule = XStatic<typeof ruleSchema>;
export type WrittenExemption = XStatic<typeof exemptionSchema>;
export type WrittenOverride = XStatic<typeof overrideSchema>;
/** The value of a `namespaces` field. */
export type WrittenNamespaces = WrittenOverride['namespaces'];

/** The kinds of mappings in a document. */
export type Level = 'document' | 'rule' | 'exemption' | 'override' | 'selector' | 'requirement';
export type FieldsOfLevel = Readonly<Record<Level, readonly string[]>>;

/** The fields of each kind of mapping, for messages that suggest the closest name. */
export const fieldsOfLevel: FieldsOfLevel = {
  document: Object.keys(rulesSchema.properties),
  rule: Object.keys(ruleSchema.properties),
  exemption: Object.keys(exemptionSchema.properties),
  override: Object.keys(overrideSchema.properties),
  selector: Object.keys(selectorSchema.properties),
  requirement: Object.keys(requirementSchema.properties),
};

/** The same for a namespace's own rules, which can neither loosen the cluster's rules nor apply elsewhere. */
export const fieldsOfNamespaceRules: FieldsOfLevel = {
  document: ['rules'],
  rule: fieldsOfLevel.rule.filter((field) => field !== 'namespaces'),
  exemption: [],
  override: [],
  selector: [],
  requirement: [],
};

/** Compiled when the first document is validated, so that commands without rules do not spend the time. */
let validate: ValidateFunction | undefined;

/** All differences between a value and the schema, as ajv errors. Empty if it is a {@link RulesDocument}. */
export function schemaErrors(value: unknown): readonly ErrorObject[] {
  validate ??= compileSchema();
  return validate(value) ? [] : [...(validate.errors ?? [])];
}

function compileSchema(): ValidateFunction {
  return new Ajv2020({
    strict: true,
    allErrors: true,
    verbose: true,
    formats: { date: isCalendarDay },
    // Together the two options took half of the compile time. A test validates the schema against its meta-schema, and V8 optimizes hot
    // code itself.
    validateSchema: false,
    code: { optimize: false },
  }).compile(rulesSchema);
}

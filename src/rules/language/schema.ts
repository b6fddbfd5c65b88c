import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { XStatic } from 'typebox/schema';
import { isCalendarDay } from './calendar-day.ts';
import { dnsSubdomain, labelKey, labelLength, labelValue } from './label-grammar.ts';

/** The longest `contact`: a denial has room for one line of it. */
const contactLength = 200;
/** The longest `reason`: a warning to a client is cut at 256 characters, of which the reason may take most. */
const reasonLength = 200;
/** The longest `name`: it stands in messages and in every audit record. */
const nameLength = 100;
/** Kubernetes' limit for object names. */
const secretNameLength = 253;

/** One line of printable text; one line break at the end is let through, since YAML's folded blocks leave one. */
const oneLine = '^[^\\s\\p{Cc}][^\\p{Cc}\\u2028\\u2029]*\\n?$';
/** A DNS label (RFC 1123) in which a * may stand for any characters. */
const namespaceGlob = '^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$';

const registryPattern = { type: 'string', minLength: 1 } as const;
const registryPatterns = [registryPattern, { type: 'array', items: registryPattern, minItems: 1 }] as const;
const secretName = { type: 'string', minLength: 1, maxLength: secretNameLength, pattern: `^${dnsSubdomain}$` } as const;
const namespaceName = { type: 'string', minLength: 1, maxLength: labelLength, pattern: namespaceGlob } as const;
const labelText = { type: 'string', maxLength: labelLength, pattern: labelValue } as const;

const modes = ['enforce', 'warn', 'audit'] as const;
const answers = ['deny', 'warn', 'allow'] as const;
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
      maxLength: nameLength,
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
      maxLength: reasonLength,
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
      maxLength: reasonLength,
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
    unconfigured: { enum: answers, description: 'What happens there to images that no rule names.' },
    inject: { enum: injections, description: 'Which objects there are given secrets.' },
  },
  additionalProperties: false,
} as const;

/**
 * The format of a rules document, as JSON Schema (draft 2020-12): the one source of its types, its validation and what editors are given.
 * Written as it is published, and typebox reads the types out of it: built with typebox's functions it took a quarter of the start of every
 * command that reads rules.
 */
export const rulesSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'regkeeper rules',
  description: 'Which registries images may come from, and which secrets they need.',
  type: 'object',
  properties: {
    unconfigured: {
      enum: answers,
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
      maxLength: contactLength,
      pattern: oneLine,
      description: 'Whom a blocked person asks: one line, shown in every denial.',
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

/** A rules document that fits the schema. */
export type RulesDocument = XStatic<typeof rulesSchema>;
/** One entry of `rules`, `exemptions` and `overrides` as it is written. */
export type WrittenRule = XStatic<typeof ruleSchema>;
export type WrittenExemption = XStatic<typeof exemptionSchema>;
export type WrittenOverride = XStatic<typeof overrideSchema>;
/** `namespaces`, wherever it stands. */
export type WrittenNamespaces = WrittenOverride['namespaces'];

/** The mappings a document is made of. */
export type Level = 'document' | 'rule' | 'exemption' | 'override' | 'selector' | 'requirement';
export type FieldsOfLevel = Readonly<Record<Level, readonly string[]>>;

/** The fields of each level, for messages that name the nearest. */
export const fieldsOfLevel: FieldsOfLevel = {
  document: Object.keys(rulesSchema.properties),
  rule: Object.keys(ruleSchema.properties),
  exemption: Object.keys(exemptionSchema.properties),
  override: Object.keys(overrideSchema.properties),
  selector: Object.keys(selectorSchema.properties),
  requirement: Object.keys(requirementSchema.properties),
};

/** The same for rules that a namespace has of its own: they can neither loosen nor reach beyond it. */
export const fieldsOfNamespaceRules: FieldsOfLevel = {
  document: ['rules'],
  rule: fieldsOfLevel.rule.filter((field) => field !== 'namespaces'),
  exemption: [],
  override: [],
  selector: [],
  requirement: [],
};

/** Made for the first document, so that nobody waits for it who reads none. */
let validate: ValidateFunction | undefined;

/** Everything in which a value differs from the schema, in ajv's words; empty when it is a {@link RulesDocument}. */
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
    // Both were half of the time this takes: a test compares the schema with its own schema, and V8 optimizes what runs often.
    validateSchema: false,
    code: { optimize: false },
  }).compile(rulesSchema);
}

/** The JSON Schema of rules documents, and the types derived from it. */
import type { XStatic } from 'typebox/schema';
import { durationText } from './duration.ts';
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
const deliveries = ['onDemand', 'always'] as const;

const requirementSchema = {
  type: 'object',
  description: 'One requirement on a label.',
  required: ['key', 'operator'],
  properties: {
    key: { type: 'string', pattern: labelKey, description: 'The key of the label.' },
    operator: {
      enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'],
      description: 'In and NotIn compare the label with values. NotIn and DoesNotExist also match namespaces without the label.',
    },
    values: {
      type: 'array',
      items: labelText,
      description: 'At least one value for In and NotIn. No values for Exists and DoesNotExist.',
    },
  },
  additionalProperties: false,
} as const;

const selectorSchema = {
  type: 'object',
  properties: {
    matchLabels: {
      type: 'object',
      description: 'Labels that the namespace must have, and their values.',
      patternProperties: { [labelKey]: labelText },
      additionalProperties: false,
    },
    matchExpressions: { type: 'array', items: requirementSchema, description: 'Label requirements. All of them must match.' },
  },
  additionalProperties: false,
} as const;

function namespacesField(description: string) {
  return {
    anyOf: [namespaceName, { type: 'array', items: namespaceName, minItems: 1 }, selectorSchema],
    description: `${description} A name, in which * matches any characters, a list of names, or a label selector as in Kubernetes: {matchLabels: {team: a}}.`,
  } as const;
}

const ruleSchema = {
  type: 'object',
  description: 'A registry, whether it is trusted, and the secrets it needs.',
  required: ['registry'],
  properties: {
    name: {
      type: 'string',
      maxLength: maxNameLength,
      pattern: oneLine,
      description: 'The name of the rule in messages and audit records. Default: the registry pattern.',
    },
    registry: {
      anyOf: registryPatterns,
      description:
        'The registry, host[:port][/path], or a list. "*.example.com" matches any subdomain, "*" any host, ":*" any port, and a "*" path segment exactly one segment. Without a port, a rule that trusts matches the default port, and a rule that denies matches every port. Without a path, it matches every repository.',
    },
    namespaces: namespacesField('The namespaces to which the rule applies. Default: all.'),
    trust: {
      type: 'boolean',
      default: true,
      description: 'Whether images from the registry are allowed. If false, they are denied. Default: true.',
    },
    reason: {
      type: 'string',
      maxLength: maxReasonLength,
      pattern: oneLine,
      description:
        'Why images from the registry are denied, and what to use instead. One line, shown in denials. Only with trust: false or until.',
    },
    until: {
      type: 'string',
      format: 'date',
      description:
        'The last day of trust in UTC: YYYY-MM-DD. From the next day on, the rule denies these images, even if a broader rule trusts them. Only in rules that trust.',
    },
    warnFrom: {
      type: 'string',
      format: 'date',
      description:
        'The first day in UTC on which users are warned that the trust will end. Default: 30 days before until. Only with until.',
    },
    pullSecret: {
      anyOf: [secretName, { type: 'array', items: secretName, minItems: 1 }],
      description:
        'The Secret for pulling from the registry, or a list of Secrets, which are added in the specified order. Only in rules that trust.',
    },
    pushSecret: { ...secretName, description: 'The Secret that builds use to push to the registry. Only in rules that trust.' },
    onMissingSecret: {
      enum: ['warn', 'deny', 'ignore'],
      default: 'warn',
      description:
        'What happens if the namespace lacks the Secret: warn warns the client, deny denies Pods, ignore does nothing. Default: warn. Only in rules with a Secret.',
    },
  },
  additionalProperties: false,
} as const;

const exemptionSchema = {
  type: 'object',
  description: 'Images that are allowed until a specified date, although no rule trusts them. They get no pull secret.',
  required: ['image', 'until', 'reason'],
  properties: {
    image: {
      anyOf: registryPatterns,
      description:
        'The allowed images: a pattern as in a rule that trusts, host[:port][/path], without a tag or digest, or a list of patterns.',
    },
    namespaces: namespacesField(
      'The namespaces to which the exemption applies. Default: all. Prefer labels, because users may be able to choose the names of namespaces.',
    ),
    until: {
      type: 'string',
      format: 'date',
      description: 'The last day of the exemption in UTC: YYYY-MM-DD.',
    },
    reason: {
      type: 'string',
      maxLength: maxReasonLength,
      pattern: oneLine,
      description: 'Why the images are allowed. One line, shown in audit records.',
    },
  },
  additionalProperties: false,
} as const;

const overrideSchema = {
  type: 'object',
  description: 'Different settings for some namespaces: at least one of mode, unconfigured and inject.',
  required: ['namespaces'],
  properties: {
    namespaces: namespacesField(
      'The namespaces to which the settings apply. Prefer labels, because users may be able to choose the names of namespaces.',
    ),
    mode: { enum: modes, description: 'The mode in these namespaces.' },
    unconfigured: { enum: unconfiguredActions, description: 'What happens in these namespaces to images that match no rule.' },
    inject: { enum: injections, description: 'The objects that get secrets in these namespaces.' },
  },
  additionalProperties: false,
} as const;

const deliveredSecretSchema = {
  type: 'object',
  description: 'A Secret that "regkeeper deliver" copies to the namespaces that need it.',
  required: ['name', 'source', 'namespaces'],
  properties: {
    name: { ...secretName, description: 'The name of the Secret in rules, and of its copies.' },
    source: {
      ...secretName,
      description:
        "The name of the Secret that is copied. It must be in regkeeper's namespace, with a type for registry credentials and the label regkeeper.io/source=true.",
    },
    namespaces: namespacesField(
      'The namespaces that may have a copy. A cluster rule that references the Secret must also apply there. Use "*" for all. Prefer labels, because users may be able to choose the names of namespaces.',
    ),
    deliver: {
      enum: deliveries,
      default: 'onDemand',
      description:
        'When a namespace gets a copy: onDemand means as soon as an object there needs the Secret, always means in advance. Default: onDemand.',
    },
    retain: {
      type: 'string',
      pattern: durationText,
      default: '24h',
      description:
        'How long a copy is kept after the last object that needs it is deleted: a number with s, m, h or d, at most 30d. Default: 24h. Only with onDemand.',
    },
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
  description: 'The registries that images may come from, and the secrets they need.',
  type: 'object',
  properties: {
    unconfigured: {
      enum: unconfiguredActions,
      default: 'deny',
      description: 'What happens to images that match no rule. Default: deny.',
    },
    mode: {
      enum: modes,
      default: 'enforce',
      description:
        'What happens to objects with untrusted images: enforce denies them, warn allows them with a warning to the client, audit only records them. Default: enforce.',
    },
    contact: {
      type: 'string',
      maxLength: maxContactLength,
      pattern: oneLine,
      description: 'Whom users should contact about a denied image. One line, shown in every denial.',
    },
    helpUrl: {
      type: 'string',
      maxLength: maxHelpUrlLength,
      pattern: webAddress,
      description: 'The URL of a page that explains which images are allowed: http:// or https://. Shown in every denial.',
    },
    inject: {
      enum: injections,
      default: 'all',
      description:
        'The objects that get secrets: all (Pods, the Pod templates of workloads, BuildConfigs), pods (only Pods), or off. Default: all.',
    },
    shortNames: {
      anyOf: [{ enum: ['docker.io', 'reject'] }, { type: 'array', items: registryPattern, minItems: 1 }],
      description:
        'How image names without a registry are resolved: docker.io, reject (they are denied), or a list of hosts, host[:port], that nodes search in this order. Default: docker.io, except on OpenShift.',
    },
    internalRegistries: {
      type: 'array',
      items: registryPattern,
      description: 'Registries of the cluster itself, host[:port]. They are always trusted and never get a secret.',
    },
    delegate: {
      type: 'array',
      items: registryPattern,
      description: 'Registries that namespace rules may trust: patterns as in a rule that trusts, host[:port][/path]. Default: none.',
    },
    rules: {
      type: 'array',
      items: ruleSchema,
      description: 'The registry rules. The most specific pattern takes precedence, regardless of the order.',
    },
    exemptions: {
      type: 'array',
      items: exemptionSchema,
      description: 'Images that are allowed until a specified date, although no rule trusts them.',
    },
    overrides: {
      type: 'array',
      items: overrideSchema,
      description: 'Different settings for some namespaces. The most specific selector takes precedence, regardless of the order.',
    },
    secrets: {
      type: 'array',
      items: deliveredSecretSchema,
      description: 'Secrets that "regkeeper deliver" copies to the namespaces that need them. Default: none.',
    },
  },
  additionalProperties: false,
} as const;

/** A rules document that matches the schema. */
export type RulesDocument = XStatic<typeof rulesSchema>;
/** One entry of `rules`, `exemptions`, `overrides` and `secrets` as written. */
export type WrittenRule = XStatic<typeof ruleSchema>;
export type WrittenExemption = XStatic<typeof exemptionSchema>;
export type WrittenOverride = XStatic<typeof overrideSchema>;
export type WrittenDeliveredSecret = XStatic<typeof deliveredSecretSchema>;
/** The value of a `namespaces` field. */
export type WrittenNamespaces = WrittenOverride['namespaces'];

/** The kinds of mappings in a document. */
export type Level = 'document' | 'rule' | 'exemption' | 'override' | 'secret' | 'selector' | 'requirement';
export type FieldsOfLevel = Readonly<Record<Level, readonly string[]>>;

/** The fields of each kind of mapping, for messages that suggest the closest name. */
export const fieldsOfLevel: FieldsOfLevel = {
  document: Object.keys(rulesSchema.properties),
  rule: Object.keys(ruleSchema.properties),
  exemption: Object.keys(exemptionSchema.properties),
  override: Object.keys(overrideSchema.properties),
  secret: Object.keys(deliveredSecretSchema.properties),
  selector: Object.keys(selectorSchema.properties),
  requirement: Object.keys(requirementSchema.properties),
};

/** The same for a namespace's own rules, which can neither loosen the cluster's rules nor apply elsewhere. */
export const fieldsOfNamespaceRules: FieldsOfLevel = {
  document: ['rules'],
  rule: fieldsOfLevel.rule.filter((field) => field !== 'namespaces'),
  exemption: [],
  override: [],
  secret: [],
  selector: [],
  requirement: [],
};

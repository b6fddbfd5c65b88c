import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import Type, { type Static } from 'typebox';

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
/** A DNS subdomain (RFC 1123), the rule for names of secrets. */
const dnsSubdomain = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

const registryPattern = Type.String({ minLength: 1 });
const secretName = Type.String({ minLength: 1, maxLength: secretNameLength, pattern: dnsSubdomain });

const ruleSchema = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        maxLength: nameLength,
        pattern: oneLine,
        description: 'A name for the rule, used in messages and audit records. Default: the registry pattern itself.',
      }),
    ),
    registry: Type.Union([registryPattern, Type.Array(registryPattern, { minItems: 1 })], {
      description:
        'The registry, or a list of them: host[:port][/path]. "*.example.com" is any subdomain, "*" any host, ":*" any port, a "*" path segment exactly one segment. Without a port: the default port where the rule trusts, every port where it distrusts. Without a path: every repository.',
    }),
    trust: Type.Optional(
      Type.Boolean({ default: true, description: 'Whether images may come from there. Default: true. With false they are refused.' }),
    ),
    reason: Type.Optional(
      Type.String({
        maxLength: reasonLength,
        pattern: oneLine,
        description:
          'Why the registry is refused and what to use instead, in one line for the person who is blocked. Only with trust: false.',
      }),
    ),
    pullSecret: Type.Optional(
      Type.Union([secretName, Type.Array(secretName, { minItems: 1 })], {
        description: 'The secret needed to pull from the registry, or a list of them, tried in this order. Only where the rule trusts.',
      }),
    ),
    pushSecret: Type.Optional(
      Type.String({ ...secretName, description: 'The secret builds need to push to the registry. Only where the rule trusts.' }),
    ),
  },
  { additionalProperties: false, description: 'One registry, whether it is trusted, and which secrets it needs.' },
);

/** The format of a rules document, as JSON Schema (draft 2020-12): the one source of its types, its validation and what editors are given. */
export const rulesSchema = Type.Object(
  {
    unconfigured: Type.Optional(
      Type.Enum(['deny', 'warn', 'allow'], {
        default: 'deny',
        description: 'What happens to images that no rule names. Default: deny.',
      }),
    ),
    mode: Type.Optional(
      Type.Enum(['enforce', 'warn', 'audit'], {
        default: 'enforce',
        description:
          'What happens to refusals: enforce refuses, warn lets pass and warns the client, audit lets pass and records. Default: enforce.',
      }),
    ),
    contact: Type.Optional(
      Type.String({
        maxLength: contactLength,
        pattern: oneLine,
        description: 'Whom a blocked person asks: one line, shown in every denial.',
      }),
    ),
    internalRegistries: Type.Optional(
      Type.Array(registryPattern, {
        description: 'Registries of the cluster itself, host[:port]: always trusted, never given a secret.',
      }),
    ),
    rules: Type.Optional(
      Type.Array(ruleSchema, { description: 'The registry rules. The most specific pattern wins, whatever the order.' }),
    ),
  },
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'regkeeper rules',
    description: 'Which registries images may come from, and which secrets they need.',
    additionalProperties: false,
  },
);

/** A rules document that fits the schema. */
export type RulesDocument = Static<typeof rulesSchema>;
/** One entry of `rules` as it is written. */
export type WrittenRule = Static<typeof ruleSchema>;

/** The fields of the top level and of a rule, for messages that name the nearest. */
export const documentFields: readonly string[] = Object.keys(rulesSchema.properties);
export const ruleFields: readonly string[] = Object.keys(ruleSchema.properties);

const validate = new Ajv2020({ strict: true, allErrors: true, verbose: true }).compile(rulesSchema);

/** Everything in which a value differs from the schema, in ajv's words; empty when it is a {@link RulesDocument}. */
export function schemaErrors(value: unknown): readonly ErrorObject[] {
  return validate(value) ? [] : [...(validate.errors ?? [])];
}

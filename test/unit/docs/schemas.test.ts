/** The JSON Schemas of rules and audit records, compared with the code and the docs. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { changeOf, decodeReview, type ReviewRequest, type Webhook } from '../../../src/admission/review.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import { reasons } from '../../../src/decision/reasons.ts';
import { buildAuditRecord } from '../../../src/observe/audit/decision-record.ts';
import { buildDeliveryRecord } from '../../../src/observe/audit/delivery-record.ts';
import { buildRulesRecord } from '../../../src/observe/audit/rules-record.ts';
import { beginRulesReviewRecord } from '../../../src/observe/audit/rules-review-record.ts';
import { createAuditLog } from '../../../src/observe/logger.ts';
import { ruleFields } from '../../../src/rules/compile/rule-fields.ts';
import { rulesSchema } from '../../../src/rules/language/schema.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { withPlatform } from '../../../src/rules/store/add-platform-rules.ts';
import { createRuleStore, readBundle } from '../../../src/rules/store/rule-store.ts';
import { accounts } from '../decision/changes.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';
import { pod, reviewOf } from '../server/reviews.ts';
import { blocks, firstCodes, readPage, root, section } from './pages.ts';

const rulesSchemaFile = join(root, 'docs/rules.schema.json');

test('docs/rules.schema.json is the schema that validates rules (UPDATE_DOCS=1 rewrites it)', () => {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(rulesSchemaFile, `${JSON.stringify(rulesSchema, null, 2)}\n`);
  expect(readJson(rulesSchemaFile)).toEqual(JSON.parse(JSON.stringify(rulesSchema)));
});

describe('the schemas are available to editors', () => {
  const require = createRequire(import.meta.url);

  test.each([
    ['regkeeper/rules.schema.json', rulesSchemaFile],
    ['regkeeper/audit.schema.json', join(root, 'docs/audit.schema.json')],
  ])('as %s in the package', (name, file) => {
    expect(require.resolve(name)).toBe(file);
    expect(packageJson.files).toContain(relative(root, file).split('/')[0]);
  });

  const examples = readdirSync(join(root, 'deploy/examples/rules')).filter((file) => /\.ya?ml$/.test(file));
  test.each(examples)('in the first line of deploy/examples/rules/%s', (file) => {
    const path = join(root, 'deploy/examples/rules', file);
    const [, schema = ''] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(readFileSync(path, 'utf8')) ?? [];
    expect(join(path, '..', schema)).toBe(rulesSchemaFile);
  });
});

const auditSchema = readJson(join(root, 'docs/audit.schema.json')) as Schema & { $defs: Record<string, Schema> };
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(auditSchema);

const text = `
contact: us
internalRegistries: [registry.svc:5000]
rules:
- {name: external, registry: external.example.com, pullSecret: external-pull, pushSecret: external-push}
- {registry: docker.io, trust: false, reason: use external.example.com}
`;
const wholeLanguage = `
helpUrl: https://wiki.example.com/registries
inject: pods
shortNames: [b.example.com]
delegate: [d.example.com]
secrets:
- {name: b-pull, source: b-pull, namespaces: {matchLabels: {team: a}}}
- {name: c-pull, source: c, namespaces: [a, b], deliver: always}
rules:
- {registry: b.example.com, namespaces: {matchLabels: {team: a}}, pullSecret: b-pull, onMissingSecret: deny}
- {registry: e.example.com, until: 2027-03-31, warnFrom: 2027-01-01, reason: moved}
exemptions:
- {image: quay.io/legacy, namespaces: [billing], until: 2027-03-31, reason: migration planned}
overrides:
- {namespaces: [billing], mode: audit, unconfigured: warn, inject: all}
`;
const ownRules = `
rules:
- {name: own, registry: d.example.com, pullSecret: d-pull, pushSecret: d-push, onMissingSecret: ignore}
- {registry: b.example.com, trust: false, reason: not for us}
- {registry: d.example.com/old, until: 2027-03-31, warnFrom: 2027-01-01}
`;

const enforced = ruleSetOf(text);
const endingRule = ruleSetOf('rules: [{registry: old.example.com, pullSecret: old-pull, until: 2027-03-31}]');
const audited = ruleSetOf(`mode: audit${text}`);
const inConfigMap = ruleSetOfConfigMap(text);
const exempting = (of: RuleSet): RuleSet => {
  const [{ pattern, origin } = { pattern: undefined, origin: undefined }] = of.rules;
  if (!pattern) throw new Error('no rule');
  return { ...of, exemptionsFor: () => ({ value: [{ pattern, until: '2027-03-31', reason: 'migration planned', origin }] }) };
};
const object = 'service openshift-image-registry/image-registry';
const onOpenShift = withPlatform(enforced, { internalRegistries: [{ registry: '172.30.1.1:5000', object }] }, sha256).ruleSet;
const facts: Facts = {
  ...accounts({ default: ['own'] }),
  namespace: () => ({ kind: 'known', labels: { team: 'a', other: 'x' } }),
  secret: (_namespace, name) => (name.startsWith('delivered') ? 'absent' : 'unknown'),
  delivery: () => ({ kind: 'running' }),
};
const labelled = ruleSetOf(
  'shortNames: [a.example.com]\nrules: [{registry: external.example.com, namespaces: {matchLabels: {team: a}}, pullSecret: s}]',
);
const lookup = {
  apiVersion: 'image.openshift.io/v1',
  kind: 'ImageStreamImport',
  metadata: { name: 'web' },
  spec: { import: false, images: [{ from: { kind: 'DockerImage', name: 'nginx' } }] },
};

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const image = 'external.example.com/app:1';
const owned = { metadata: { name: 'web', ownerReferences: [{ kind: 'ReplicaSet', name: 'web-1', controller: true }] } };
const build = {
  apiVersion: 'build.openshift.io/v1',
  kind: 'BuildConfig',
  metadata: { name: 'app' },
  spec: {
    strategy: { sourceStrategy: { from: { kind: 'ImageStreamTag', name: 'node:24' } } },
    output: { to: { kind: 'DockerImage', name: image } },
  },
};
const many = Array.from({ length: 300 }, (_, index) => index);
const imageSource = { from: { kind: 'DockerImage', name: image }, paths: [{ sourcePath: '/', destinationDir: 'x' }] };
const crowd = { ...pod(image), spec: { containers: many.map((index) => ({ name: `c${index}`, image: `nginx:${index}` })) } };
const nameless = { ...pod(image), metadata: { generateName: 'web-' } };

const delivered = Array.from({ length: 60 }, (_, index) => `delivered-${index}`);
const delivering = ruleSetOf(
  `rules: [{registry: external.example.com, pullSecret: [${delivered}]}]`,
  `secrets: [${delivered.map((name) => `{name: ${name}, source: s, namespaces: "*"}`)}]`,
);

const decisions: [sentence: string, webhook: Webhook, object: unknown, request?: Record<string, unknown>, rules?: RuleSet][] = [
  ['a Pod that gets its secret and its account’s', 'mutate', pod(image)],
  ['a Pod that gets its secret because of a rule in a ConfigMap', 'mutate', pod(image), {}, inConfigMap],
  ['a Pod that gets a secret from a rule that ends', 'mutate', pod('old.example.com/app'), {}, endingRule],
  ['a Pod that needs more delivered secrets than are shown', 'mutate', pod(image), {}, delivering],
  ['an internal image', 'validate', pod('registry.svc:5000/app')],
  ['a denial by a rule in a ConfigMap', 'validate', pod('nginx'), {}, inConfigMap],
  ['a denial that mode audit turns into a record', 'validate', pod('unknown.example.com/app'), {}, audited],
  ['an exemption in a file', 'validate', pod('nginx'), {}, exempting(enforced)],
  ['an exemption in a ConfigMap', 'validate', pod('nginx'), {}, exempting(inConfigMap)],
  ['an image with a password', 'validate', pod('https://me:secret@external.example.com/app')],
  ['an existing image', 'validate', pod('nginx'), { operation: 'UPDATE', oldObject: pod('nginx') }],
  ['a mirror Pod', 'validate', mirror('nginx'), { userInfo: { username: 'system:node:n1' } }],
  ['a Pod in a namespace whose labels matter', 'validate', pod(image), {}, labelled],
  ['a Pod where short names are rejected', 'validate', pod('nginx'), {}, ruleSetOf('shortNames: reject')],
  ['an import that only queries a registry', 'validate', lookup],
  ['a blank image', 'validate', pod(' ')],
  ['an image in the cluster’s own registry', 'validate', pod('172.30.1.1:5000/shop/web'), {}, onOpenShift],
  ['a build', 'mutate', build],
  ['a Pod of a controller, without a name', 'mutate', { ...nameless, metadata: { ...nameless.metadata, ...owned.metadata, name: '' } }],
  [
    'a debug container',
    'validate',
    pod(image),
    { operation: 'UPDATE', subResource: 'ephemeralcontainers', oldObject: pod(image), dryRun: true },
  ],
  ['a deletion', 'validate', null, { operation: 'DELETE', kind: { group: '', version: 'v1', kind: 'Pod' } }],
  ['an object that cannot be parsed', 'mutate', { ...pod(image), spec: 'none' }],
  ['a kind that is not evaluated', 'validate', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } }],
  ['an account that is not known yet', 'mutate', pod(image, { serviceAccountName: 'late' })],
  [
    'more images and secrets than are shown',
    'mutate',
    { ...build, spec: { strategy: {}, source: { images: many.map(() => imageSource) } } },
  ],
  ['more denials and groups than are shown', 'validate', crowd, { userInfo: { username: 'alice', groups: many.map(String) } }],
];

const decisionLines = decisions.map(
  ([sentence, webhook, object, request, rules]) => [sentence, decisionLine(webhook, object, request, rules)] as const,
);
const rulesLines = linesOfRules();
const reviewLines = [
  ['a review', reviewOfRules(['rules.yaml:3:3: a sentence (unknown-field)'])],
  ['a review with more problems, warnings and groups than are shown', reviewOfRules(many.map(String))],
] as const;

describe('docs/audit.schema.json', () => {
  test('knows every field of a rule that records contain', () => {
    const recorded = Object.values(ruleFields).flatMap((field) => ('canonical' in field ? [field.canonical[0] as string] : []));
    const { properties } = auditSchema.$defs.rule as { properties: object };
    expect(Object.keys(properties).sort()).toEqual(recorded.sort());
  });

  test.each(decisionLines)('validates the record of %s', (_sentence, line) => {
    expect(complaintsAbout(line)).toEqual([]);
  });

  test('validates a record without a decision', () => {
    const request = requestOf(pod(image));
    const record = buildAuditRecord({
      webhook: 'mutate',
      callerAuthenticated: false,
      request,
      decision: undefined,
      failure: 'internal error',
      durationMicroseconds: 1,
    });
    expect(complaintsAbout(written(record))).toEqual([]);
  });

  test.each(reviewLines)('validates the record of %s', (_sentence, line) => {
    expect(complaintsAbout(line)).toEqual([]);
  });

  test.each(rulesLines)('validates the record of %s', (_sentence, line) => {
    expect(complaintsAbout(line)).toEqual([]);
  });

  test('validates the records of secret delivery, and has all their fields', () => {
    const [secret] = ruleSetOf(wholeLanguage).deliveredSecrets;
    const write = { namespace: 'a', name: 'corp', content: { version: 'v', entries: 2 }, rulesRevision: audited.revision };
    const records = [
      buildDeliveryRecord({ ...write, action: { do: 'create' }, secret, written: { uid: 'u', resourceVersion: '1' } }),
      buildDeliveryRecord({ ...write, action: { do: 'delete', because: 'not-entitled' }, secret: undefined, written: undefined }),
      buildDeliveryRecord({ ...write, action: { do: 'mark-unused' }, secret, written: { uid: 'u', resourceVersion: '1' } }),
    ];
    const lines = records.map(written);
    expect(lines.flatMap(complaintsAbout)).toEqual([]);
    expect(records.map(({ reason }) => reason)).toEqual(['needed', 'not-entitled', 'unused']);
    const seen = new Set(lines.flatMap((line) => fieldsOf(line)));
    expect(fieldsOfSchema('delivery').filter((field) => !seen.has(field))).toEqual([]);
  });

  test.each(blocks(readPage('docs/audit.md')).filter(({ language }) => language === 'json'))(
    'validates the example in line $line of docs/audit.md',
    (block) => {
      expect(complaintsAbout(JSON.parse(block.text))).toEqual([]);
    },
  );

  test.each([
    ['a field that is not listed', { password: 'x' }],
    ['a missing field', { uid: undefined }],
    ['a different outcome', { outcome: 'perhaps' }],
  ])('rejects %s', (_sentence, change) => {
    const line = { ...(decisionLines[0]?.[1] as object), ...change };
    expect(validate(JSON.parse(JSON.stringify(line)))).toBe(false);
  });

  test('contains no field that no record has', () => {
    const seen = (lines: readonly (readonly [string, unknown])[]) => new Set(lines.flatMap(([, line]) => fieldsOf(line)));
    expect(fieldsOfSchema('decision').filter((field) => !seen(decisionLines).has(field))).toEqual([]);
    expect(fieldsOfSchema('rulesReview').filter((field) => !seen(reviewLines).has(field))).toEqual([]);
    expect(fieldsOfSchema('rules').filter((field) => !seen(rulesLines).has(field))).toEqual([]);
  });

  test.each([
    ['Decision records', 'decision'],
    ['Records of rule changes', 'rules'],
    ['Records of rule reviews', 'rulesReview'],
    ['Records of secret delivery', 'delivery'],
  ])('has the fields that docs/audit.md describes under "%s"', (heading, definition) => {
    expect([...firstCodes(section(readPage('docs/audit.md'), heading))].sort()).toEqual(fieldsOfSchema(definition).sort());
  });

  test('contains the reasons of images', () => {
    const listed = firstCodes(section(readPage('docs/reasons.md'), 'Reasons for images'));
    expect(auditSchema.$defs.image?.properties?.reason?.enum).toEqual(listed);
    expect(listed.filter((reason) => !Object.hasOwn(reasons, reason))).toEqual([]);
  });
});

test('the example for replay contains valid records', () => {
  const lines = readFileSync(join(root, 'deploy/examples/audit.jsonl'), 'utf8').trimEnd().split('\n');
  expect(lines.flatMap((line) => complaintsAbout(JSON.parse(line)))).toEqual([]);
  expect(lines.length).toBeGreaterThan(3);
});

test('a password in an image name is not in any record', () => {
  expect(JSON.stringify(decisionLines)).not.toContain('me:secret');
});

type Schema = {
  readonly $ref?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
};

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function mirror(of: string) {
  return { ...pod(of), metadata: { name: 'web', annotations: { 'kubernetes.io/config.mirror': 'x' } } };
}

function requestOf(object: unknown, request: Record<string, unknown> = {}): ReviewRequest {
  const review = decodeReview(reviewOf(object ?? {}, { ...request, object }));
  if (!review.ok) throw new Error(review.message);
  return review.request;
}

function decisionLine(webhook: Webhook, object: unknown, request?: Record<string, unknown>, rules: RuleSet = enforced): unknown {
  const review = requestOf(object, request);
  const change = changeOf(review);
  const decision = change && decide(change, rules, facts);
  return written(
    buildAuditRecord({
      webhook,
      callerAuthenticated: false,
      traceparent,
      request: review,
      decision,
      evaluatedWith: { rules, facts },
      durationMicroseconds: 7,
    }),
  );
}

function reviewOfRules(problems: readonly string[]): unknown {
  const userInfo = { username: 'alice', groups: problems };
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'regkeeper-rules' } };
  const request = requestOf(object, { namespace: 'regkeeper', userInfo });
  return written(
    beginRulesReviewRecord(request, { callerAuthenticated: false, traceparent })({
      outcome: 'rejected',
      problems,
      warnings: problems.slice(1),
      durationMicroseconds: 7,
    }),
  );
}

/** Records of rules: first load, rejected edit, and changes. */
function linesOfRules(): readonly (readonly [sentence: string, line: unknown])[] {
  const store = createRuleStore(sha256);
  const version = (document: string) =>
    readBundle({
      id: 'a',
      documents: [{ source: { kind: 'configMap', namespace: 'regkeeper', name: 'a', key: 'rules.yaml' }, text: document }],
    });
  const file = readBundle({
    id: 'b',
    documents: [{ source: { kind: 'file', file: 'b.yaml' }, text: 'rules: [{registry: b.example.com}]' }],
  });
  const whole = readBundle({
    id: 'b',
    documents: [{ source: { kind: 'file', file: 'b.yaml' }, text: wholeLanguage }],
  });
  const own = readBundle({
    id: 'c',
    scope: { kind: 'namespace', namespace: 'team-a' },
    documents: [{ source: { kind: 'configMap', namespace: 'team-a', name: 'own', key: 'rules.yaml' }, text: ownRules }],
  });
  // Within the quota of a namespace, but more than a record includes.
  const longRules = many.slice(0, 115).map((index) => {
    const secrets = many.slice(0, 5).map((each) => `${'s'.repeat(200)}-${each}`);
    return { registry: `d.example.com/${index}`, pullSecret: secrets };
  });
  const long = readBundle({
    id: 'd',
    scope: { kind: 'namespace', namespace: 'team-b' },
    documents: [0, 1, 2].map((part) => ({
      source: { kind: 'configMap', namespace: 'team-b', name: 'own', key: `${part}.yaml` },
      text: JSON.stringify({ rules: longRules.slice(part * 50, part * 50 + 50) }),
    })),
  });
  const keys = readBundle({
    id: 'e',
    documents: many.map((index) => ({
      source: { kind: 'configMap', namespace: 'regkeeper', name: 'e', key: `${index}.yaml` },
      text: 'rulez: []',
    })),
  });
  const changes = [
    ...store.open([version(text)]).map((change) => ['the first rules', change] as const),
    ...store.offer(version('rulez: []')).map((change) => ['a bad edit', change] as const),
    ...store.offer(file).map((change) => ['another document', change] as const),
    ...store.offer(whole).map((change) => ['the whole language', change] as const),
    ...store.offer(own).map((change) => ['rules of a namespace', change] as const),
    ...store.offer(long).map((change) => ['more rules of a namespace than are shown', change] as const),
    ...store.offer(keys).map((change) => ['more documents and problems than are shown', change] as const),
  ];
  const added = { kind: 'cluster' as const, object };
  const ofCluster = { scope: { kind: 'cluster' as const }, sources: [added], before: enforced, after: onOpenShift, problems: [] };
  const records = [...changes, ['what the cluster adds', ofCluster] as const];
  return records.map(([sentence, change]) => [sentence, written(buildRulesRecord(change))] as const);
}

function ruleSetOfConfigMap(document: string): RuleSet {
  const store = createRuleStore(sha256);
  const source = { kind: 'configMap' as const, namespace: 'regkeeper', name: 'regkeeper-rules', key: 'rules.yaml' };
  store.open([readBundle({ id: 'a', documents: [{ source, text: document }] })]);
  const rules = store.written();
  if (!rules) throw new Error(store.missing());
  return rules;
}

/** The record as it is written to the log, parsed again. */
function written(record: object): unknown {
  const lines: string[] = [];
  createAuditLog({ write: (line: string) => lines.push(line) }).write(record);
  return JSON.parse(lines.join(''));
}

function complaintsAbout(line: unknown): readonly string[] {
  if (validate(line)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
}

/** Paths of all fields, such as `images[].rule.name`. */
function fieldsOf(value: unknown, at = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(item, `${at}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const path = at === '' ? name : `${at}.${name}`;
    return [path, ...fieldsOf(field, path)];
  });
}

function fieldsOfSchema(definition: string): string[] {
  const walk = (schema: Schema, at: string): string[] => {
    const { $ref, properties = {}, items, oneOf = [] } = schema;
    const named = Object.entries(properties).flatMap(([name, field]) => {
      const path = at === '' ? name : `${at}.${name}`;
      return [path, ...walk(field, path)];
    });
    const referred = $ref === undefined ? [] : walk(auditSchema.$defs[$ref.replace('#/$defs/', '')] ?? {}, at);
    return [...named, ...referred, ...(items ? walk(items, `${at}[]`) : []), ...oneOf.flatMap((option) => walk(option, at))];
  };
  return [...new Set(walk({ $ref: `#/$defs/${definition}` }, ''))];
}

/**
 * Decides about real BuildConfigs, DeploymentConfigs and Deployments: the rendered templates of openshift/library. The expected images come
 * from a search of all fields that look like an image field, whatever the kind.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Facts, ImageStreamFacts, StreamTag } from '../../../src/decision/facts.ts';
import { parseManifests } from '../../../src/evaluate/parse-manifests.ts';
import { canonicalName, parseImage } from '../../../src/image/reference.ts';
import { readObject } from '../../../src/object/kinds.ts';
import { withPlatform } from '../../../src/rules/store/add-platform-rules.ts';
import { runCommand } from '../cli/run.ts';
import { accounts, change, decided, inject, type Kind } from '../decision/changes.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';
import { corpusPath } from './corpus.ts';

/** JSON of a known shape, as the corpus has it. */
// biome-ignore lint/suspicious/noExplicitAny: the corpus has no types
type Json = any;

const folder = corpusPath('openshift-objects');
const files = folder === undefined ? [] : readdirSync(folder).filter((file) => file.endsWith('.json'));

test.runIf(folder !== undefined)('the corpus contains all its objects', () => {
  expect(files.length).toBeGreaterThanOrEqual(41);
});

const facts = accounts({ default: ['default-dockercfg'], deployer: ['deployer-dockercfg'] });

const digest = `sha256:${'1'.repeat(64)}`;
const internal = 'image-registry.openshift-image-registry.svc:5000';
const starterText: string = parse(readFileSync(join(import.meta.dirname, '../../../deploy/openshift/starter-rules.yaml'), 'utf8')).data[
  'rules.yaml'
];
const starterRules = withPlatform(
  ruleSetOf(starterText.replace(/^mode: audit$/m, 'mode: enforce')),
  {
    internalRegistries: [{ registry: '172.30.81.14:5000', object: 'service openshift-image-registry/image-registry' }],
    shortNames: 'reject',
  },
  sha256,
).ruleSet;
const onOpenShift: Facts = {
  ...facts,
  serviceAccount: () => ({ kind: 'known', pullSecrets: ['default-dockercfg'], onlyListedSecrets: false }),
  imageStream: (namespace, name): ImageStreamFacts => (namespace === 'openshift' ? sampleStream(name) : { kind: 'absent' }),
};

/** The facts of a sample stream, which has every tag. */
function sampleStream(name: string): ImageStreamFacts {
  const image = name === 'ruby' ? 'docker.io/somebody/ruby' : `registry.redhat.io/samples/${name}`;
  const tag: StreamTag = {
    spec: { from: { kind: 'DockerImage', name: image }, local: /^(jboss|java|jenkins)/.test(name) },
    images: [{ image: digest, reference: `${image}@${digest}` }],
  };
  const tags: ReadonlyMap<string, StreamTag> = Object.assign(new Map(), { get: () => tag });
  return { kind: 'known', repository: `${internal}/openshift/${name}`, tags };
}

describe.each(files)('%s', (file) => {
  const object = JSON.parse(readFileSync(join(folder ?? '', file), 'utf8'));
  const kind: Kind = object.kind;
  const named = imagesNamed(object);
  const hosts = [...new Set(named.flatMap((text) => hostOf(text) ?? []))];
  const rules = ruleSetOf(
    ['rules:', ...hosts.map((host, index) => `- {registry: "${host}", pullSecret: pull-${index}, pushSecret: push-${index}}`)].join('\n') +
      (hosts.length === 0 ? ' []' : ''),
  );

  test('is parsed, and each of its images has a slot', () => {
    const { group } = change(kind, object);
    expect(object.apiVersion.replace(/\/?v1$/, '')).toBe(group);
    const reading = readObject({ group, kind, operation: 'CREATE', fromKubelet: false }, object);
    if (reading.kind !== 'shape') throw new Error(JSON.stringify(reading));
    const found = reading.shape.slots.flatMap(({ content }) => (content.kind === 'image' ? [content.text] : []));
    const placeholders = reading.shape.slots.flatMap(({ content }) =>
      content.kind === 'unresolved' ? (/^"(.*)" is a placeholder/.exec(content.why)?.[1] ?? []) : [],
    );
    expect([...found, ...placeholders].toSorted()).toEqual(named.toSorted());
    const annotations = object.metadata.annotations ?? {};
    if (kind !== 'DeploymentConfig' && !('image.openshift.io/triggers' in annotations)) expect(placeholders).toEqual([]);
  });

  test("has the same images in a file without the API's defaults", () => {
    const { group } = change(kind, object);
    const slotsOf = (text: unknown) => {
      const [manifest] = parseManifests(JSON.stringify(text), file).manifests;
      const reading = readObject({ group, kind, operation: 'CREATE', fromKubelet: false }, manifest?.object);
      return reading.kind === 'shape' ? reading.shape.slots : reading;
    };
    const stored = readObject({ group, kind, operation: 'CREATE', fromKubelet: false }, object);
    expect(slotsOf(object)).toEqual(stored.kind === 'shape' && stored.shape.slots);
    for (const [streams, reduced] of Object.entries({ 'without kinds': withoutKinds(object), 'whole streams': withWholeStreams(object) })) {
      expect(slotsOf(reduced), streams).toEqual(slotsOf(object));
    }
  });

  test('is allowed if its registries are, and a second pass over its patch changes nothing', () => {
    const request = change(kind, object);
    const robot = object.spec?.template?.spec?.serviceAccountName ?? 'default';
    const known = {
      ...facts,
      serviceAccount: (namespace: string, name: string) => facts.serviceAccount(namespace, name === robot ? 'default' : name),
    };
    expect(decided(request, rules, known).outcome).toBe('allowed');
    const stored = inject(request, rules, known);
    expect(decided(change(kind, stored, stored), rules, known).patch, 'an update that changes nothing').toEqual([]);
    if (kind !== 'BuildConfig') expect(inject(change(kind, object, stored), rules, known), 'the same file again').toEqual(stored);
  });
});

/*
 * openshift-objects.golden.txt has the decisions on an OpenShift cluster with the starter rules enforced. UPDATE_GOLDEN=1 rewrites it. Review
 * the difference: these are real applications. The streams of the namespace openshift are those of the samples operator: images of
 * registry.redhat.io, and those of middleware through the internal registry. The stream ruby was changed to another image. The streams of an
 * application are empty before its first build.
 */
const golden = join(import.meta.dirname, 'openshift-objects.golden.txt');

test.runIf(folder !== undefined)('each decision is as in openshift-objects.golden.txt', () => {
  const lines = files.flatMap((file) => linesOf(file, JSON.parse(readFileSync(join(folder ?? '', file), 'utf8'))));
  const text = `${lines.join('\n')}\n`;
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text);
  expect(text).toBe(readFileSync(golden, 'utf8'));
});

test.runIf(folder !== undefined)('all of them pass through regkeeper check', async () => {
  const { exitCode, out, err } = await runCommand(
    'check',
    '-f',
    folder ?? '',
    '--rules',
    'deploy/openshift/starter-rules.yaml',
    '-o',
    'json',
  );
  const { results, summary } = JSON.parse(out);
  expect({ exitCode, results: results.length, denied: summary.denied, uncertain: summary.uncertain }).toEqual({
    exitCode: 0,
    results: files.length,
    denied: 0,
    uncertain: 0,
  });
  expect(err).not.toContain('error');
});

function linesOf(file: string, object: { kind: Kind; metadata: { name: string } }): readonly string[] {
  const request = { ...change(object.kind, object), name: object.metadata.name };
  const { outcome, images, injected, notices, findings } = decided(request, starterRules, onOpenShift);
  return [
    `${file}: ${outcome}`,
    ...images.map(
      ({ slot, stream, verdict, reason, reference }) =>
        `  ${slot.action} ${slot.displayName}: ${[
          ...(slot.content.kind === 'image' ? [slot.content.text] : []),
          ...(stream ? [stream.stream] : []),
          ...(reference ? [`= ${canonicalName(reference)}`] : []),
        ].join(' ')} ${verdict}${reason === verdict ? '' : ` (${reason})`}`,
    ),
    ...injected.map(({ path, secret, from }) => `  + ${path} ${secret} (${from})`),
    ...[...notices, ...findings].map(({ message }) => `  ! ${message}`),
  ];
}

/** The references to which the API adds what is missing: those of the build strategy and of image triggers. */
function changeReferences(object: Json, change: (reference: Json) => Json): Json {
  const { strategy, triggers } = object.spec;
  const of = (parent: Json): Json => (parent?.from ? { ...parent, from: change(parent.from) } : parent);
  const changed = {
    ...(strategy && { strategy: Object.fromEntries(Object.entries(strategy).map(([name, value]) => [name, of(value)])) }),
    ...(triggers && {
      triggers: triggers.map((each: Json) => (each.imageChangeParams ? { ...each, imageChangeParams: of(each.imageChangeParams) } : each)),
    }),
  };
  return { ...object, spec: { ...object.spec, ...changed } };
}

function withoutKinds(object: Json): Json {
  return changeReferences(object, ({ kind, ...rest }) => (kind === 'ImageStreamTag' ? rest : { kind, ...rest }));
}

function withWholeStreams(object: Json): Json {
  return changeReferences(object, (reference) =>
    reference.kind === 'ImageStreamTag' && reference.name.endsWith(':latest')
      ? { ...reference, kind: 'ImageStream', name: reference.name.slice(0, -':latest'.length) }
      : reference,
  );
}

/** Every string in an image field, whatever the kind, except blanks, which an image trigger fills. */
function imagesNamed(value: unknown, key = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => [...(/ontainers$/.test(key) ? textOf(item.image) : []), ...imagesNamed(item)]);
  if (typeof value !== 'object' || value === null) return [];
  const { kind, name } = value as { kind?: unknown; name?: unknown };
  const reference = (key === 'from' || key === 'to') && kind === 'DockerImage' ? textOf(name) : [];
  return [...reference, ...Object.entries(value).flatMap(([inner, item]) => imagesNamed(item, inner))];
}

function textOf(value: unknown): string[] {
  return typeof value === 'string' && value.trim() !== '' ? [value] : [];
}

function hostOf(text: string): string | undefined {
  const parsed = parseImage(text);
  if (!parsed.ok) return undefined;
  const { host, port } = parsed.reference;
  return port === undefined ? host : `${host}:${port}`;
}

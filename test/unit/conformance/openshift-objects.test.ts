import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseImage } from '../../../src/image/reference.ts';
import { readObject } from '../../../src/object/kinds.ts';
import { accounts, change, decided, inject, type Kind } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { corpusPath } from './corpus.ts';

/*
 * BuildConfigs, DeploymentConfigs and Deployments that nobody of this project wrote: the templates of openshift/library, rendered. Which images they name is found here by a walk that knows no kinds, only what an image field looks like.
 */

const folder = corpusPath('openshift-objects');
const files = folder === undefined ? [] : readdirSync(folder).filter((file) => file.endsWith('.json'));

test.runIf(folder !== undefined)('the corpus has all its objects', () => {
  expect(files.length).toBeGreaterThanOrEqual(41);
});

const facts = accounts({ default: ['default-dockercfg'], deployer: ['deployer-dockercfg'] });

describe.each(files)('%s', (file) => {
  const object = JSON.parse(readFileSync(join(folder ?? '', file), 'utf8'));
  const kind: Kind = object.kind;
  const named = imagesNamed(object);
  const hosts = [...new Set(named.flatMap((text) => hostOf(text) ?? []))];
  const rules = ruleSetOf(
    ['rules:', ...hosts.map((host, index) => `- {registry: "${host}", pullSecret: pull-${index}, pushSecret: push-${index}}`)].join('\n') +
      (hosts.length === 0 ? ' []' : ''),
  );

  test('is read, and every image it names is a slot', () => {
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

  test('is allowed where its registries are, and its patch applies and settles', () => {
    const request = change(kind, object);
    const robot = object.spec?.template?.spec?.serviceAccountName ?? 'default';
    const known = {
      ...facts,
      serviceAccount: (namespace: string, name: string) => facts.serviceAccount(namespace, name === robot ? 'default' : name),
    };
    expect(decided(request, rules, known).outcome).toBe('allow');
    const stored = inject(request, rules, known);
    expect(decided(change(kind, stored, stored), rules, known).patch, 'an update that changes nothing').toEqual([]);
    if (kind !== 'BuildConfig') expect(inject(change(kind, object, stored), rules, known), 'the same file again').toEqual(stored);
  });
});

/** Every text that stands where an image stands, whatever the kind; blanks, which an image trigger fills, are none. */
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

/**
 * Compares the API server's OpenAPI schemas with the fields that regkeeper reads. A new Kubernetes release may add a field that names an image,
 * and this test must fail then.
 */
import { describe, expect, test } from 'vitest';
import { renderPath } from '../../../src/object/json.ts';
import { builtInKinds, readObject } from '../../../src/object/kinds.ts';
import { target } from '../target.ts';

const { kubectl } = target();

type Schema = {
  readonly type?: string;
  readonly description?: string;
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
};
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
};
/** The path from the object to a string. `*` is an item of a list or a value of a map. */
type Field = { readonly group: string; readonly version: string; readonly kind: string; readonly path: readonly string[] };

/** Fields that look as if they named an image to run, and do not. A test fails for an exception whose field no longer exists. */
const exceptions: readonly { readonly ends: RegExp; readonly why: string }[] = [
  { ends: /\.imagePullPolicy$/, why: 'when to pull, not what' },
  { ends: /\.volumes\.\*\.image\.pullPolicy$/, why: 'when to pull, not what' },
  { ends: /(^|\.)imagePullSecrets\.\*\.name$/, why: 'the name of a secret' },
  { ends: /\.rbd\.image$/, why: 'a block device in a Ceph pool' },
  { ends: /\.workingDir$/, why: 'a folder; the image says which where nothing is written' },
  { ends: /\.supplementalGroupsPolicy$/, why: 'whether groups that an image defines count' },
  { ends: /^status\./, why: 'what a controller or kubelet found; nothing is run by it' },
];

test('every string field that may contain an image is evaluated, or is known to contain none', async () => {
  const fields = await imageFields();
  expect(fields.length, 'fields found').toBeGreaterThan(50);
  const uncovered = fields.filter((field) => !isSlot(field) && !exceptions.some(({ ends }) => ends.test(field.path.join('.'))));
  expect(uncovered.map(describeField)).toEqual([]);
});

test('every exception still has a field in the API', async () => {
  const fields = await imageFields();
  const idle = exceptions.filter(({ ends }) => !fields.some(({ path }) => ends.test(path.join('.'))));
  expect(idle.map(({ ends }) => String(ends))).toEqual([]);
});

describe('the search itself', () => {
  test.each([
    'v1 Pod spec.containers.*.image',
    'v1 Pod spec.ephemeralContainers.*.image',
    'v1 Pod spec.volumes.*.image.reference',
    'apps/v1 DaemonSet spec.template.spec.initContainers.*.image',
    'batch/v1 CronJob spec.jobTemplate.spec.template.spec.containers.*.image',
    'v1 PodTemplate template.spec.containers.*.image',
    'v1 Node status.images.*.names.*',
  ])('finds %s', async (field) => {
    expect((await imageFields()).map(describeField)).toContain(field);
  });
});

let crawled: Promise<readonly Field[]> | undefined;

function imageFields(): Promise<readonly Field[]> {
  crawled ??= crawl();
  return crawled;
}

async function crawl(): Promise<readonly Field[]> {
  const index = await raw<{ paths: Record<string, { serverRelativeURL: string }> }>('/openapi/v3');
  const fields: Field[] = [];
  for (const [path, { serverRelativeURL }] of Object.entries(index.paths)) {
    if (!isOwnApi(path)) continue;
    const { components } = await raw<Document>(serverRelativeURL);
    const schemas = components?.schemas ?? {};
    for (const schema of Object.values(schemas)) {
      const [gvk, ...others] = schema['x-kubernetes-group-version-kind'] ?? [];
      // Schemas such as DeleteOptions belong to many groups, and a List repeats the schema of its items.
      if (!gvk || others.length > 0 || gvk.kind.endsWith('List')) continue;
      for (const { path: place, description } of textsOf(schema, schemas, [], [])) {
        if (isAboutImages(place, description)) fields.push({ ...gvk, path: place });
      }
    }
  }
  return fields;
}

/**
 * Whether the API server itself defines the API. The schemas of custom resources come from CRDs, and one that was just deleted can still be in
 * the index. Kubernetes' own groups with a dot end in `k8s.io`.
 */
function isOwnApi(path: string): boolean {
  const [prefix, group = ''] = path.split('/');
  return prefix === 'api' || (prefix === 'apis' && (!group.includes('.') || group.endsWith('.k8s.io')));
}

async function raw<T>(url: string): Promise<T> {
  const { stdout } = await kubectl(['get', '--raw', url]);
  return JSON.parse(stdout) as T;
}

type Text = { readonly path: readonly string[]; readonly description: string };

/** Whether the names in a field's path, or its description, mention images. */
function isAboutImages(path: readonly string[], description: string): boolean {
  return path.some((step) => /image|artifact|^oci/i.test(step)) || /\b(container|OCI|docker) (image|artifact)/i.test(description);
}

function* textsOf(
  schema: Schema,
  schemas: Readonly<Record<string, Schema>>,
  path: readonly string[],
  within: readonly string[],
): Generator<Text> {
  for (const part of schema.allOf ?? []) yield* textsOf(part, schemas, path, within);
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    // A recursive schema (JSONSchemaProps) has no new fields.
    if (!within.includes(name)) yield* textsOf(schemas[name] ?? {}, schemas, path, [...within, name]);
  }
  for (const [key, inner] of Object.entries(schema.properties ?? {})) yield* textsOf(inner, schemas, [...path, key], within);
  if (schema.items) yield* textsOf(schema.items, schemas, [...path, '*'], within);
  if (typeof schema.additionalProperties === 'object') yield* textsOf(schema.additionalProperties, schemas, [...path, '*'], within);
  if (schema.type === 'string') yield { path, description: schema.description ?? '' };
}

/** Whether regkeeper reads an image from this field and is called when the field changes. */
function isSlot({ group, kind, path }: Field): boolean {
  const row = builtInKinds.find({ group, kind });
  if (!row?.fields.some((field) => field.every((step, index) => path[index] === step))) return false;
  const object = objectWith(path, 'registry.example.com/probe');
  const reading = readObject({ group, kind, operation: 'CREATE', fromKubelet: false }, object, builtInKinds);
  if (reading.kind !== 'shape') return false;
  const fieldPath = renderPath(path.map((step) => (step === '*' ? 0 : step)));
  return reading.shape.slots.some((slot) => renderPath(slot.path) === fieldPath && slot.content.kind === 'image');
}

function objectWith(path: readonly string[], text: string): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return text;
  const inner = objectWith(rest, text);
  if (step === '*') return [inner];
  // An object whose Pod has no containers is not read.
  const needed = /^(initContainers|ephemeralContainers|volumes)$/.test(step) ? { containers: [{ name: 'a', image: 'a' }] } : {};
  return { ...needed, [step]: inner };
}

function describeField({ group, version, kind, path }: Field): string {
  return `${group === '' ? '' : `${group}/`}${version} ${kind} ${path.join('.')}`;
}

/**
 * An object in a file has the same images as the object that the API server stores, which has all defaults. The kinds that the command line
 * knows are those that the API server serves.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseManifests } from '../../../src/evaluate/parse-manifests.ts';
import { groupOf, isPlatformGroup, isPlatformKind } from '../../../src/evaluate/platform-kinds.ts';
import type { JsonObject } from '../../../src/object/json.ts';
import { kindsWithImages, readObject } from '../../../src/object/kinds.ts';
import { corpusPath } from '../../unit/conformance/corpus.ts';
import { notServedHere, sampleObject } from '../samples.ts';
import { target } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;

describe('an object is evaluated the same in a file and as the API server stores it', () => {
  const folder = corpusPath('openshift-objects');
  const corpus = folder === undefined ? [] : readdirSync(folder).filter((file) => file.endsWith('.json'));
  const samples = kindsWithImages.filter(({ kind }) => !notServedHere.includes(kind));

  test.each(samples.map((row) => [row.kind, sampleObject(row, 'sample')]))('sample of %s', (_kind, object) => expectSameImages(object));

  // The custom resources that simulate OpenShift's kinds have no defaults: test/unit/object/api-defaults.test.ts has those.
  test.each(corpus)('%s', (file) => expectSameImages(JSON.parse(readFileSync(join(folder ?? '', file), 'utf8'))));

  const pod = (spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod' }, spec });
  const containers = [{ name: 'app', image: 'registry.example.com/app:1' }];
  test.each([
    ['null lists', pod({ containers, initContainers: null, volumes: null, imagePullSecrets: null })],
    ['empty lists', pod({ containers, initContainers: [], volumes: [], imagePullSecrets: [] })],
    ['a volume without a source', pod({ containers, volumes: [{ name: 'empty' }] })],
    ['an image volume', pod({ containers, volumes: [{ name: 'model', image: { reference: 'registry.example.com/model:1' } }] })],
    ['the legacy name of the service account field', pod({ containers, serviceAccount: 'default' })],
    ['a field that does not exist', pod({ containers, sidecars: [{ name: 'x', image: 'registry.example.com/x' }] })],
  ])('%s', (_what, object) => expectSameImages(object));

  async function expectSameImages(object: object): Promise<void> {
    const namespace = await sharedNamespace();
    const { manifests, problems } = parseManifests(JSON.stringify(object), 'object.json');
    expect(problems).toEqual([]);
    const { stdout } = await kubectl(['create', '--dry-run=server', '--validate=false', '-n', namespace, '-f', '-', '-o', 'json'], {
      stdin: JSON.stringify(object),
    });
    const read = manifests.map((manifest) => imagesOf(manifest.object));
    expect(read).toEqual([imagesOf(JSON.parse(stdout))]);
  }
});

/** What decides about images and secrets: the slots, and the account and list of a pod spec. */
function imagesOf(object: JsonObject): unknown {
  const { apiVersion, kind } = object as { apiVersion: string; kind: string };
  const reading = readObject({ group: groupOf(apiVersion), kind, operation: 'CREATE', fromKubelet: false }, object);
  if (reading.kind !== 'shape') throw new Error(JSON.stringify(reading));
  const { shape } = reading;
  return { slots: shape.slots, ...(shape.kind === 'pod' && { account: shape.serviceAccount, secrets: shape.pullSecrets }) };
}

let namespace: Promise<string> | undefined;

function sharedNamespace(): Promise<string> {
  namespace ??= cluster.namespace();
  return namespace;
}

test('every kind that the API server itself serves is known', async () => {
  const { get } = await kubectl.api();
  const { groups } = await get<{ groups: readonly { versions: readonly { groupVersion: string }[] }[] }>('/apis');
  const paths = ['/api/v1', ...groups.flatMap(({ versions }) => versions.map(({ groupVersion }) => `/apis/${groupVersion}`))];
  const custom = await groupsOfCustomResources();
  const unknown: string[] = [];
  let known = 0;
  for (const path of paths) {
    const group = groupOf(path.replace(/^\/apis?\//, ''));
    if (custom.has(group)) continue;
    const { resources } = await get<{ resources: readonly { kind: string; group?: string }[] }>(path);
    for (const { kind, group: own = group } of resources) {
      // Parameters of CONNECT requests, such as PodExecOptions, are never objects.
      if (kind.endsWith('Options')) continue;
      if (isPlatformGroup(own) && isPlatformKind(own, kind)) known += 1;
      else unknown.push(`${path} ${kind}`);
    }
  }
  expect(unknown).toEqual([]);
  expect(known).toBeGreaterThan(60);
});

async function groupsOfCustomResources(): Promise<ReadonlySet<string>> {
  const { items } = await kubectl.json<{ items: readonly { spec: { group: string } }[] }>(['get', 'customresourcedefinitions']);
  return new Set(items.map(({ spec }) => spec.group));
}

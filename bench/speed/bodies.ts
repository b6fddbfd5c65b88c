/** The request bodies of the benchmark: captured requests with images spread over the rules, and one generated object of 2.9 MiB. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trustedImages } from '../samples.ts';

export type BodySet = {
  readonly name: string;
  readonly bodies: readonly string[];
  /** Requests of one round, so that each takes about half a second of a core. */
  readonly requests: number;
};

const fixtures = join(import.meta.dirname, 'fixtures');

/** `rules` is the number of rules of the smallest server, so that every server has a rule for the images. */
export function createBodies(rules: number): readonly BodySet[] {
  const pod = readFixture('pod.json');
  const images = trustedImages(rules);
  const trusted = (index: number) => images[index % images.length] ?? '';
  const denied = (index: number) => `unknown-${index}.example.org/shop/app:v1`;
  return [
    { name: 'Pod', bodies: variants(50, pod, trusted), requests: 2_500 },
    { name: 'Deployment update', bodies: variants(20, readFixture('deployment.json'), trusted), requests: 1_000 },
    { name: 'BuildConfig', bodies: variants(50, readFixture('build-config.json'), trusted), requests: 2_000 },
    { name: 'Pod, denied', bodies: variants(50, pod, denied), requests: 2_500 },
    { name: 'object of 2.9 MiB', bodies: [largeReview(readFixture('deployment.json'), trusted)], requests: 20 },
  ];
}

function readFixture(file: string): string {
  return readFileSync(join(fixtures, file), 'utf8').trimEnd();
}

type ImageAt = (index: number) => string;

function variants(count: number, text: string, imageAt: ImageAt): string[] {
  return Array.from({ length: count }, (_, index) => withImages(text, (placeholder) => imageAt(index * 7 + placeholder), index));
}

function withImages(text: string, imageAt: ImageAt, index: number): string {
  return text
    .replace(/"uid":"[0-9a-f]{8}/, `"uid":"${String(index).padStart(8, '0')}`)
    .replaceAll(/placeholder-(\d+)\.example\.com\/image:v1/g, (_, placeholder: string) => imageAt(Number(placeholder)));
}

type Review = { request: { operation: string; oldObject: unknown; object: DeploymentObject } };
type DeploymentObject = {
  metadata: { managedFields: object[]; annotations: Record<string, string> };
  spec: { template: { spec: { containers: Record<string, unknown>[] } } };
};

/**
 * A new Deployment of twenty containers with thousands of variables, from server-side apply: half of it is `managedFields`, which have an entry
 * for each variable. The API server accepts 3 MiB.
 */
function largeReview(fixture: string, imageAt: ImageAt): string {
  const review = JSON.parse(fixture) as Review;
  const { object } = review.request;
  const [first = {}] = object.spec.template.spec.containers;
  const names = Array.from({ length: 720 }, (_, at) => `SHOP_PLATFORM_SETTING_${at}`);
  const value = 'https://internal.shop.svc.cluster.local:8443/v2/platform/settings';
  const containers = Array.from({ length: 20 }, (_, index) => ({
    ...first,
    name: `container-${index}`,
    image: imageAt(index),
    env: names.map((name, at) => ({ name, value: `${value}/${index}/${at}` })),
  }));
  object.spec.template.spec.containers = containers;
  const fieldsOfContainer = {
    '.': {},
    'f:image': {},
    'f:name': {},
    'f:env': Object.fromEntries(names.map((name) => [`k:{"name":"${name}"}`, { '.': {}, 'f:name': {}, 'f:value': {} }])),
  };
  const fields = Object.fromEntries(containers.map(({ name }) => [`k:{"name":"${name}"}`, fieldsOfContainer]));
  object.metadata.annotations = {};
  object.metadata.managedFields = [
    {
      manager: 'argocd-controller',
      operation: 'Apply',
      apiVersion: 'apps/v1',
      time: '2026-11-21T10:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:template': { 'f:spec': { 'f:containers': fields } } } },
    },
  ];
  review.request.operation = 'CREATE';
  review.request.oldObject = null;
  return withImages(JSON.stringify(review), imageAt, 0);
}

/** Writes the bodies for the load generator, and returns the path of the file. */
export function writeBodies(folder: string, { name, bodies }: BodySet): string {
  const file = join(folder, `${name.replaceAll(/\W/g, '-')}.jsonl`);
  writeFileSync(file, `${bodies.join('\n')}\n`);
  return file;
}

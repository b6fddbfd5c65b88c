/** The audit record of a decision. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { changeOf, decodeReview, type Webhook } from '../../../../src/admission/review.ts';
import { decide } from '../../../../src/decision/decide.ts';
import type { Facts } from '../../../../src/decision/facts.ts';
import { evaluate } from '../../../../src/evaluate/evaluate.ts';
import { type AuditRecord, buildAuditRecord, countDecision } from '../../../../src/observe/audit/decision-record.ts';
import { budgets, maxBytes } from '../../../../src/observe/audit/record-limits.ts';
import { createAuditLog } from '../../../../src/observe/logger.ts';
import { times } from '../../../times.ts';
import { unwatched } from '../../decision/changes.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import { reviewOf } from '../../server/reviews.ts';

const rules = ruleSetOf(`
mode: enforce
unconfigured: deny
rules:
- {registry: good.example.com, pullSecret: good-pull, pushSecret: good-push}
- {registry: "*.quay.example.com", pullSecret: quay-pull}
`);

type Build = { readonly images: readonly string[]; readonly dockerfile?: string };

function buildConfig({ images, dockerfile }: Build) {
  return {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name: 'app' },
    spec: {
      source: {
        images: images.map((name) => ({ from: { kind: 'DockerImage', name }, paths: [{ sourcePath: '/', destinationDir: 'x' }] })),
        ...(dockerfile !== undefined && { dockerfile }),
      },
      strategy: { dockerStrategy: {} },
      output: { to: { kind: 'DockerImage', name: 'good.example.com/app' } },
    },
  };
}

function podOf(images: readonly string[]) {
  const containers = images.map((image, index) => ({ name: `c${index}`, image }));
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers } };
}

function recordOf(object: object, webhook: Webhook = 'validate', request: Record<string, unknown> = {}) {
  const review = decodeReview(reviewOf(object, request));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  const decision = change && decide(change, rules, unwatched);
  const event = { webhook, callerAuthenticated: false, request: review.request, decision, durationMicroseconds: 7 };
  const record = buildAuditRecord(event);
  return { record, counted: countDecision(event, record), line: lineOf(record) };
}

function lineOf(record: object): string {
  const lines: string[] = [];
  createAuditLog({ write: (line: string) => lines.push(line) }).write(record);
  return lines.join('');
}

const imagesOf = ({ images }: AuditRecord) => images.map(({ image }) => image);
const good = (index: number) => `good.example.com/app${index}`;

describe('secrets with delivery', () => {
  const delivering = ruleSetOf(
    'rules: [{registry: good.example.com, pullSecret: [pull, other], onMissingSecret: deny}]',
    'secrets: [{name: pull, source: s, namespaces: "*"}]',
  );
  const deliveryOf = (webhook: Webhook, facts: Partial<Facts> = {}) => {
    const review = decodeReview(reviewOf(podOf(['good.example.com/a'])));
    if (!review.ok) throw new Error(review.message);
    const change = changeOf(review.request);
    const decision = change && decide(change, delivering, { ...unwatched, ...facts });
    return buildAuditRecord({ webhook, callerAuthenticated: false, request: review.request, decision, durationMicroseconds: 7 }).delivery;
  };
  const absent: Partial<Facts> = { secret: () => 'absent' };

  test.each<{ webhook: Webhook; facts: Partial<Facts>; delivery: object | undefined }>([
    { webhook: 'mutate', facts: {}, delivery: { needed: ['pull'] } },
    { webhook: 'validate', facts: {}, delivery: undefined },
    { webhook: 'mutate', facts: absent, delivery: { needed: ['pull'], awaited: ['pull'], state: 'unknown' } },
    {
      webhook: 'validate',
      facts: { ...absent, delivery: () => ({ kind: 'stopped', since: 5 }) },
      delivery: { awaited: ['pull'], state: 'stopped' },
    },
  ])('$webhook: $delivery', ({ webhook, facts, delivery }) => {
    expect(deliveryOf(webhook, facts)).toEqual(delivery);
  });

  test('are not in other records', () => {
    expect(Object.keys(recordOf(podOf(['good.example.com/a']), 'mutate').record)).not.toContain('delivery');
  });
});

describe('a record is complete while there is room', () => {
  test('with images in the order of the object', () => {
    const images = ['good.example.com/a', 'bad.example.com/b', 'good.example.com/c'];
    const { record } = recordOf(podOf(images));
    expect(imagesOf(record)).toEqual(images);
    expect(Object.keys(record).filter((field) => /Omitted|Sha256|truncated/.test(field))).toEqual([]);
  });

  test('with the longest valid image name', () => {
    const host = `${'h'.repeat(60)}.`.repeat(4).slice(0, 253 - '.example'.length);
    const image = `${host}.example:65535/${'p'.repeat(255)}:${'t'.repeat(128)}@sha512:${'0'.repeat(128)}`;
    expect(imagesOf(recordOf(podOf([image])).record)).toEqual([image]);
  });

  test('with 200 images of usual length', () => {
    const { record, line } = recordOf(podOf(times(200, (index) => `good.example.com/department/team/application${index}:1.2.${index}`)));
    expect(record.images).toHaveLength(200);
    expect(record.truncated).toBeUndefined();
    expect(Buffer.byteLength(line)).toBeLessThan(70_000);
  });
});

describe('what is introduced', () => {
  test('includes every image of a new object, and the new images of a change', () => {
    const introducedOf = ({ images }: AuditRecord) => images.map(({ introduced }) => introduced);
    const before = podOf(['good.example.com/a', 'bad.example.com/b']);
    expect(introducedOf(recordOf(before).record)).toEqual([true, true]);
    const after = podOf(['bad.example.com/b', 'good.example.com/c', 'good.example.com/a']);
    const { record } = recordOf(after, 'validate', { operation: 'UPDATE', oldObject: before });
    expect(introducedOf(record)).toEqual([false, true, false]);
  });
});

describe('if there are too many images', () => {
  test('denied ones come first, then those with warnings, introduced ones, and all others', () => {
    const old = [...times(300, good), 'bad.example.com/old'];
    const images = [...old, 'good.example.com/new', 'bad.example.com/new'];
    const { record } = recordOf(podOf(images), 'validate', { operation: 'UPDATE', oldObject: podOf(old) });
    expect(imagesOf(record).slice(0, 5)).toEqual(['bad.example.com/new', 'bad.example.com/old', 'good.example.com/new', good(0), good(1)]);
    expect(record).toMatchObject({ outcome: 'denied', imagesOmitted: images.length - 200, truncated: true });
  });

  test('long ones are cut, and their size counts in bytes', () => {
    const long = (index: number) => `good.example.com/${'x'.repeat(3_000)}${index}`;
    const { record, line } = recordOf(podOf(times(300, long)));
    expect(record.images[0]?.image).toBe(`good.example.com/${'x'.repeat(239)}…[3018 characters]…${'x'.repeat(127)}0`);
    expect(record.images.length + (record.imagesOmitted ?? 0)).toBe(300);
    expect(Buffer.byteLength(line)).toBeLessThan(maxBytes);
    expect(record.messagesOmitted).toBe(250);
  });

  test('the metrics count all images', () => {
    const images = [...times(500, good), ...times(20, (index) => `bad.example.com/${index}`)];
    const { counted } = recordOf(podOf(images));
    const count = (verdict: string) => counted.images.filter((image) => image.verdict === verdict).length;
    expect([count('trusted'), count('unconfigured')]).toEqual([500, 20]);
  });

  test('the metrics count all secrets', () => {
    const { record, counted } = recordOf(buildConfig({ images: times(300, good) }), 'mutate');
    const bySecret = counted.inject.map(({ rule }) => rule?.name);
    expect(bySecret).toEqual(times(301, () => 'good.example.com'));
    expect(record.inject.length + (record.injectOmitted ?? 0)).toBe(301);
  });

  test.each([
    ['a Pod', podOf([...times(300, good), 'bad.example.com/x', ' ', 'https://me:secret@bad.example.com/y', 'ünïcode/ "x"'])],
    ['a build', buildConfig({ images: times(300, good), dockerfile: 'ARG A\nFROM $A\nFROM good.example.com/é' })],
    ['a truncated name', podOf([`good.example.com/${'x'.repeat(5_000)}`])],
  ])('imagesSha256 of %s can be computed from the output of check', (_name, object) => {
    const { record } = recordOf(object);
    const manifest = { apiVersion: object.apiVersion, kind: object.kind, object, file: 'a.yaml', line: 1 };
    const options = { namespace: 'shop', user: 'alice', assumeComplete: false, now: 0 };
    const [result] = evaluate({ manifests: [manifest], problems: [] }, rules, options).results;
    const lines = result?.images.map(({ path, image = null, action }) => `${JSON.stringify([path, image, action])}\n`) ?? [];
    expect(record.imagesSha256).toBe(createHash('sha256').update(lines.join('')).digest('hex'));
    expect(JSON.stringify(lines)).not.toContain('me:secret');
  });
});

describe('a hostile record stays small', () => {
  const port = `good.example.com:${'0'.repeat(3_900)}5000/x`;
  const user = (username: string, groups: readonly string[] = []) => ({ userInfo: { username, groups } });
  const metadata = {
    generateName: 'g'.repeat(1_000_000),
    ownerReferences: [{ controller: true, kind: 'k'.repeat(1_000_000), name: 'n'.repeat(1_000_000) }],
  };
  const rows: [string, object, number, Record<string, unknown>?][] = [
    [
      'a port with 3,900 zeros in 250 FROM lines',
      buildConfig({ images: [], dockerfile: `ARG A=${port}\n${'FROM $A\n'.repeat(250)}` }),
      160_000,
    ],
    ['a port with 3,900 zeros in 700 image sources', buildConfig({ images: times(700, () => port) }), 160_000],
    ['10,000 containers', podOf(times(10_000, good)), 80_000],
    ['10,000 denied containers', podOf(times(10_000, (index) => `bad.example.com/${index}`)), 80_000],
    [
      '100,000 groups',
      podOf(['good.example.com/a']),
      10_000,
      user(
        'alice',
        times(100_000, (index) => `group-${index}`),
      ),
    ],
    [
      'groups with a total of a megabyte',
      podOf(['good.example.com/a']),
      60_000,
      user(
        'alice',
        times(10, () => 'g'.repeat(1_000_000)),
      ),
    ],
    ['a user name of a megabyte', podOf(['good.example.com/a']), 5_000, user('u'.repeat(1_000_000))],
    ['an owner and a generateName of a megabyte', { ...podOf(['good.example.com/a']), metadata }, 5_000],
    ['strings of control characters', podOf(times(500, () => '\u0001'.repeat(4_000))), maxBytes, user('\u0001'.repeat(5_000))],
  ];
  test.each(rows)('%s', (_name, object, most, request = {}) => {
    for (const webhook of ['mutate', 'validate'] as const) {
      const { record, line } = recordOf(object, webhook, request);
      expect(record.truncated).toBe(true);
      expect(Buffer.byteLength(line)).toBeLessThan(most);
      expect(record.images.length).toBeGreaterThan(0);
    }
  });

  test('no list exceeds its budget in JSON', () => {
    const nasty = '\u0001'.repeat(1_024);
    const { record } = recordOf(
      podOf(times(500, () => nasty)),
      'validate',
      user(
        nasty,
        times(500, () => nasty),
      ),
    );
    for (const list of ['groups', 'images', 'inject', 'messages'] as const) {
      expect(Buffer.byteLength(JSON.stringify(record[list]))).toBeLessThanOrEqual(budgets[list].bytes + 2);
      expect(record[list].length).toBeLessThanOrEqual(budgets[list].count);
    }
  });
});

test('the rule of each injected secret is found in one pass over the images', () => {
  const { record } = recordOf(buildConfig({ images: ['a.quay.example.com/x', 'good.example.com/x'] }), 'mutate');
  expect(record.inject.map(({ path, secret, rule }) => [path, secret, rule?.name])).toEqual([
    ['spec.source.images[0].pullSecret', 'quay-pull', '*.quay.example.com'],
    ['spec.source.images[1].pullSecret', 'good-pull', 'good.example.com'],
    ['spec.output.pushSecret', 'good-push', 'good.example.com'],
  ]);
});

test('counters have the whole name and position of a rule, whether or not the record shows everything', () => {
  const review = decodeReview(reviewOf(podOf([good(0)])));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  const decision = change && decide(change, rules, unwatched);
  if (decision?.kind !== 'decided') throw new Error('not decided');
  const file = `${'folder/'.repeat(300)}rules.yaml`;
  const images = decision.images.map(({ rule, ...image }) => ({
    ...image,
    ...(rule && { rule: { ...rule, origin: { source: { kind: 'file' as const, file }, line: 1, column: 1 } } }),
  }));
  const counted = [1, 300].map((count) => {
    const all = { ...decision, images: times(count, () => images).flat() };
    const event = {
      webhook: 'validate' as const,
      callerAuthenticated: false,
      request: review.request,
      decision: all,
      durationMicroseconds: 7,
    };
    return countDecision(event, buildAuditRecord(event)).images[0]?.rule;
  });
  expect(counted).toEqual(times(2, () => ({ name: 'good.example.com', source: { file, line: 1 } })));
});

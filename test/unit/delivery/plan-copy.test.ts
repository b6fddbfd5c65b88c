/** Tests what is done about one copy, row by row. */
import { describe, expect, test } from 'vitest';
import type { ExistingSecret } from '../../../src/delivery/existing-secret.ts';
import { type CopyPlan, type PlanInput, planCopy } from '../../../src/delivery/plan-copy.ts';

const now = Date.UTC(2027, 0, 2);
const hour = 3_600_000;
const copy: ExistingSecret = {
  uid: 'u',
  resourceVersion: '1',
  delivered: true,
  takenOver: false,
  writtenByDelivery: true,
  intact: true,
  immutable: false,
  terminating: false,
  sourceVersion: 'v1',
  rules: 'b',
  unusedSince: undefined,
};
const foreign = { ...copy, delivered: false, writtenByDelivery: false, intact: false, sourceVersion: undefined, rules: undefined };
const wanted: PlanInput = {
  secret: { deliver: 'onDemand', retainSeconds: 24 * 3_600 },
  namespace: 'active',
  excluded: false,
  entitled: true,
  notEntitledFor: 0,
  needed: true,
  notNeededFor: 0,
  content: { state: 'ready', version: 'v1' },
  existing: undefined,
  now,
};
const always = { deliver: 'always', retainSeconds: 0 } as const;
const noSource = { state: 'unavailable', code: 'source-missing' } as const;
/** The copy was written for rule b. */
const noEntry = (...rules: string[]) => ({ state: 'unavailable', code: 'source-without-entry', rules: new Set(rules) }) as const;
const tooLarge = (...rules: string[]) => ({ state: 'unavailable', code: 'copy-too-large', rules: new Set(rules) }) as const;
const unusable = (...rules: string[]) => ({ state: 'unavailable', code: 'entry-unusable', rules: new Set(rules) }) as const;

/** The plan in one line: action, reason, finding, and after how many minutes it is made again. */
function render({ action, finding, recheckAfter }: CopyPlan): string {
  const because = 'because' in action ? `: ${action.because}` : '';
  return [`${action.do}${because}`, finding && `finding ${finding}`, recheckAfter !== undefined && `again in ${recheckAfter / 60_000} min`]
    .filter(Boolean)
    .join(', ');
}

describe('without a Secret in the namespace', () => {
  test.each<[string, Partial<PlanInput>, string]>([
    ['that is entitled and needs it', {}, 'create'],
    ['that is entitled and needs nothing', { needed: false }, 'leave: absent'],
    ['that is entitled, with the secret always delivered', { needed: false, secret: always }, 'create'],
    ['that needs it without being entitled', { entitled: false }, 'leave: absent'],
    ['that is not entitled, with the secret always delivered', { entitled: false, secret: always }, 'leave: absent'],
    ['that is excluded', { excluded: true, secret: always }, 'leave: absent'],
    ['that is being deleted', { namespace: 'terminating' }, 'leave: namespace-gone'],
    ['that does not exist', { namespace: 'absent' }, 'leave: namespace-gone'],
    ['when the rules have no such entry', { secret: undefined }, 'leave: absent'],
    ['when the source is missing', { content: noSource }, 'leave: content-unavailable, finding content-unavailable'],
  ])('%s', (_what, change, expected) => {
    expect(render(planCopy({ ...wanted, ...change }))).toBe(expected);
  });
});

describe('with a copy', () => {
  test.each<[string, Partial<PlanInput>, Partial<ExistingSecret>, string]>([
    ['that is up to date', {}, {}, 'leave: up-to-date'],
    ['from an older source', {}, { sourceVersion: 'v0' }, 'update: content-changed'],
    ['without a version', {}, { sourceVersion: undefined }, 'update: content-changed'],
    ['that a tenant changed', {}, { intact: false }, 'update: tampered'],
    ['that a tenant made immutable', {}, { immutable: true }, 'leave: up-to-date'],
    ['that a tenant made immutable, from an older source', {}, { immutable: true, sourceVersion: 'v0' }, 'replace: immutable'],
    ['that a tenant changed and made immutable', {}, { immutable: true, intact: false }, 'replace: immutable'],
    ['whose source is missing', { content: noSource }, {}, 'leave: content-unavailable, finding content-unavailable'],
    [
      'whose source is missing, and that a tenant changed',
      { content: noSource },
      { intact: false },
      'leave: content-unavailable, finding content-unavailable',
    ],
    [
      'for other rules, for which the source has no entry',
      { content: noEntry('a') },
      {},
      'leave: entitlement-grace, finding content-unavailable, again in 0.5 min',
    ],
    [
      'for rules that still apply, for which the source no longer has an entry',
      { content: noEntry('b'), notEntitledFor: hour },
      {},
      'leave: content-unavailable, finding content-unavailable',
    ],
    [
      'for other rules, for which the source has had no entry for 30 s',
      { content: noEntry('a'), notEntitledFor: 30_000 },
      {},
      'delete: not-entitled, finding content-unavailable',
    ],
    [
      'for other rules, changed by a tenant, for which the source has no entry',
      { content: noEntry('a'), notEntitledFor: 30_000 },
      { intact: false, immutable: true },
      'delete: not-entitled, finding content-unavailable',
    ],
    [
      'for other rules, not needed, for which the source has no entry',
      { content: noEntry('a'), notEntitledFor: 30_000, needed: false },
      { unusedSince: now - hour },
      'delete: not-entitled',
    ],
    [
      'for other rules, whose entries are too large',
      { content: tooLarge('a') },
      {},
      'leave: entitlement-grace, finding content-unavailable, again in 0.5 min',
    ],
    [
      'for other rules, whose entries have been too large for 30 s',
      { content: tooLarge('a'), notEntitledFor: 30_000 },
      {},
      'delete: not-entitled, finding content-unavailable',
    ],
    [
      'for rules that still apply, whose entries became too large',
      { content: tooLarge('b'), notEntitledFor: hour },
      {},
      'leave: content-unavailable, finding content-unavailable',
    ],
    [
      'for rules that still apply, to which one was added that makes it too large',
      { content: tooLarge('a', 'b'), notEntitledFor: hour },
      {},
      'leave: content-unavailable, finding content-unavailable',
    ],
    [
      'for two rules, of which one was removed, whose entries are too large',
      { content: tooLarge('a'), notEntitledFor: hour },
      { rules: 'a b' },
      'delete: not-entitled, finding content-unavailable',
    ],
    [
      'that does not show its rules, whose entries are too large',
      { content: tooLarge('a'), notEntitledFor: hour },
      { rules: undefined },
      'delete: not-entitled, finding content-unavailable',
    ],
    [
      'whose only entry became malformed',
      { content: unusable('b'), notEntitledFor: hour },
      {},
      'leave: content-unavailable, finding content-unavailable',
    ],
    [
      'for other rules, whose only entry is malformed',
      { content: unusable('a'), notEntitledFor: hour },
      {},
      'delete: not-entitled, finding content-unavailable',
    ],
    ['that was taken over, and is not needed', { needed: false, notNeededFor: 100 * hour }, { takenOver: true }, 'leave: up-to-date'],
    ['that was taken over, and has its old content', { needed: false }, { takenOver: true, intact: false }, 'update: tampered'],
    [
      'that was taken over, and has not been entitled for 30 s',
      { entitled: false, notEntitledFor: 30_000 },
      { takenOver: true },
      'delete: not-entitled',
    ],
    ['that is being deleted', {}, { terminating: true }, 'leave: terminating, finding stuck-deletion'],
    ['that is being deleted and is not needed', { needed: false }, { terminating: true }, 'leave: terminating'],
    ['in a namespace that is being deleted', { namespace: 'terminating' }, { sourceVersion: 'v0' }, 'leave: namespace-gone'],
    [
      'in a namespace that became excluded',
      { excluded: true },
      { sourceVersion: 'v0' },
      'leave: excluded-namespace, finding excluded-copy',
    ],
    ['in a namespace that is no longer entitled', { entitled: false }, {}, 'leave: entitlement-grace, again in 0.5 min'],
    ['in a namespace that has not been entitled for 30 s', { entitled: false, notEntitledFor: 30_000 }, {}, 'delete: not-entitled'],
    [
      'that has not been in the rules for 10 s',
      { secret: undefined, notEntitledFor: 10_000 },
      {},
      `leave: entitlement-grace, again in ${20 / 60} min`,
    ],
    ['that is no longer in the rules', { secret: undefined, notEntitledFor: 60_000 }, { intact: false }, 'delete: not-entitled'],
    ['that is no longer needed', { needed: false }, {}, 'leave: up-to-date, again in 5 min'],
    ['that has not been needed for five minutes', { needed: false, notNeededFor: 300_000 }, {}, 'mark-unused'],
    [
      'that has not been needed, for less than its retention time',
      { needed: false, secret: { deliver: 'onDemand', retainSeconds: 60 }, notNeededFor: 30_000 },
      {},
      'leave: up-to-date, again in 0.5 min',
    ],
    ['that has not been needed for an hour', { needed: false }, { unusedSince: now - hour }, `leave: up-to-date, again in ${23 * 60} min`],
    [
      'that has not been needed for an hour, from an older source',
      { needed: false },
      { unusedSince: now - hour, sourceVersion: 'v0' },
      `update: content-changed, again in ${23 * 60} min`,
    ],
    ['that has not been needed for a day', { needed: false }, { unusedSince: now - 24 * hour }, 'delete: unused'],
    [
      'that has not been needed for a day, from a missing source',
      { needed: false, content: noSource },
      { unusedSince: now - 24 * hour },
      'delete: unused',
    ],
    ['that is not retained', { needed: false, secret: { deliver: 'onDemand', retainSeconds: 0 } }, {}, 'delete: unused'],
    ['marked with a time in the future', { needed: false, notNeededFor: hour }, { unusedSince: now + hour }, 'mark-unused'],
    [
      'marked by an API server whose clock is ahead',
      { needed: false },
      { unusedSince: now + 60_000 },
      `leave: up-to-date, again in ${24 * 60 + 1} min`,
    ],
    ['that is needed again', {}, { unusedSince: now - 48 * hour }, 'unmark-unused'],
    ['that is needed again, from an older source', {}, { unusedSince: now - hour, sourceVersion: 'v0' }, 'update: content-changed'],
    [
      'that is needed again, from a missing source',
      { content: noSource },
      { unusedSince: now - hour },
      'unmark-unused, finding content-unavailable',
    ],
    ['that is always delivered from now on', { needed: false, secret: always }, { unusedSince: now - 48 * hour }, 'unmark-unused'],
  ])('%s', (_what, change, existing, expected) => {
    expect(render(planCopy({ ...wanted, ...change, existing: { ...copy, ...existing } }))).toBe(expected);
  });
});

describe('a Secret with that name without the label', () => {
  test.each<[string, Partial<PlanInput>, ExistingSecret, string]>([
    ['is reported if the copy is needed', {}, foreign, 'leave: foreign, finding foreign'],
    ['is ignored if it is not needed', { needed: false }, foreign, 'leave: foreign'],
    ['is ignored without entitlement', { entitled: false }, foreign, 'leave: foreign'],
    ['is ignored in an excluded namespace', { excluded: true }, foreign, 'leave: foreign'],
    [
      'is reported as a copy without its label if it was one',
      {},
      { ...copy, delivered: false },
      'leave: label-removed, finding label-removed',
    ],
    ['stays when the entitlement has ended', { entitled: false, notEntitledFor: hour }, { ...copy, delivered: false }, 'leave: foreign'],
  ])('%s', (_what, change, existing, expected) => {
    expect(render(planCopy({ ...wanted, ...change, existing }))).toBe(expected);
  });
});

/** The JSON patch of a pull secret plan. */
import { expect, test } from 'vitest';
import type { PatchOperation } from '../../../../src/decision/inject/patch.ts';
import { patchPullSecrets, type WritablePlan } from '../../../../src/decision/inject/patch-pull-secrets.ts';
import type { WritePlan } from '../../../../src/decision/inject/plan-pull-secrets.ts';
import { noPodMark } from '../../../../src/object/injection-mark.ts';
import type { JsonObject } from '../../../../src/object/json.ts';
import { secrets } from '../changes.ts';

const write = (plan: Partial<WritePlan>): WritablePlan => ({
  kind: 'write',
  kept: [],
  removed: new Set(),
  added: [],
  mark: noPodMark,
  notices: [],
  ...plan,
});
const restore: WritablePlan = { kind: 'restore', added: [], notices: [] };
const added = [{ secret: 'corp', from: 'rule' }] as const;

const listPath = '/spec/imagePullSecrets';
const markPath = '/metadata/annotations/regkeeper.io~1injected';
const marked = (text: unknown) => ({ annotations: { 'regkeeper.io/injected': text } });
const listing = (...names: string[]): JsonObject => ({ metadata: {}, spec: { imagePullSecrets: secrets(...names) } });
const bare: JsonObject = { metadata: {}, spec: {} };

test.each<{ name: string; plan: WritablePlan; object: JsonObject; old?: JsonObject; patch: readonly PatchOperation[] }>([
  { name: 'a plan of nothing needs no patch', plan: { kind: 'unchanged', added: [], notices: [] }, object: listing('a'), patch: [] },
  { name: 'neither does one that finds all as it should be', plan: write({}), object: listing('a'), patch: [] },
  {
    name: 'names come as a list where there is none',
    plan: write({ added }),
    object: bare,
    patch: [{ op: 'add', path: listPath, value: secrets('corp') }],
  },
  {
    name: 'names follow a list that stays',
    plan: write({ added }),
    object: listing('a'),
    patch: [{ op: 'add', path: `${listPath}/-`, value: { name: 'corp' } }],
  },
  {
    name: 'a list that loses names is written in one operation, with all that other entries have',
    plan: write({ removed: new Set(['a']), added }),
    object: { metadata: {}, spec: { imagePullSecrets: [{ name: 'a' }, { name: 'b', more: 1 }, {}, null, { name: 'a' }] } },
    patch: [{ op: 'add', path: listPath, value: [{ name: 'b', more: 1 }, {}, null, { name: 'corp' }] }],
  },
  {
    name: 'a list that loses all its names goes',
    plan: write({ removed: new Set(['a']) }),
    object: listing('a'),
    patch: [{ op: 'remove', path: listPath }],
  },
  {
    name: 'the mark is written with the names that it has',
    plan: write({ mark: { rules: ['corp'], serviceAccount: [] } }),
    object: { metadata: { annotations: {} }, spec: {} },
    patch: [{ op: 'add', path: markPath, value: '{"rules":["corp"]}' }],
  },
  {
    name: 'a mark without names goes',
    plan: write({}),
    object: { metadata: marked('{"rules":["a"]}'), spec: {} },
    patch: [{ op: 'remove', path: markPath }],
  },
  {
    name: 'what was there before comes back to the letter',
    plan: restore,
    object: { metadata: marked('{"rules":["b"]}'), spec: {} },
    old: { metadata: marked('{ "rules": ["a"] }'), spec: { imagePullSecrets: [{ name: 'a', more: 1 }] } },
    patch: [
      { op: 'add', path: listPath, value: [{ name: 'a', more: 1 }] },
      { op: 'add', path: markPath, value: '{ "rules": ["a"] }' },
    ],
  },
  {
    name: 'list and mark go where there was neither',
    plan: restore,
    object: { metadata: marked('{}'), spec: { imagePullSecrets: [] } },
    old: bare,
    patch: [
      { op: 'remove', path: listPath },
      { op: 'remove', path: markPath },
    ],
  },
  { name: 'null is as good as no list', plan: restore, object: { metadata: {}, spec: { imagePullSecrets: null } }, old: bare, patch: [] },
])('$name', ({ plan, object, old = null, patch }) => {
  expect(patchPullSecrets(plan, { object, oldObject: old as JsonObject | null }, { spec: ['spec'], metadata: ['metadata'] })).toEqual(
    patch,
  );
});

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
  { name: 'an empty plan needs no patch', plan: { kind: 'unchanged', added: [], notices: [] }, object: listing('a'), patch: [] },
  { name: 'neither does one that finds everything up to date', plan: write({}), object: listing('a'), patch: [] },
  {
    name: 'names are added as a list if there is none',
    plan: write({ added }),
    object: bare,
    patch: [{ op: 'add', path: listPath, value: secrets('corp') }],
  },
  {
    name: 'names are appended to a list that stays',
    plan: write({ added }),
    object: listing('a'),
    patch: [{ op: 'add', path: `${listPath}/-`, value: { name: 'corp' } }],
  },
  {
    name: 'a list that loses names is written in one operation, with all fields of the other entries',
    plan: write({ removed: new Set(['a']), added }),
    object: { metadata: {}, spec: { imagePullSecrets: [{ name: 'a' }, { name: 'b', more: 1 }, {}, null, { name: 'a' }] } },
    patch: [{ op: 'add', path: listPath, value: [{ name: 'b', more: 1 }, {}, null, { name: 'corp' }] }],
  },
  {
    name: 'a list that loses all its names is removed',
    plan: write({ removed: new Set(['a']) }),
    object: listing('a'),
    patch: [{ op: 'remove', path: listPath }],
  },
  {
    name: 'the mark is written with its names',
    plan: write({ mark: { rules: ['corp'], serviceAccount: [] } }),
    object: { metadata: { annotations: {} }, spec: {} },
    patch: [{ op: 'add', path: markPath, value: '{"rules":["corp"]}' }],
  },
  {
    name: 'a mark without names is removed',
    plan: write({}),
    object: { metadata: marked('{"rules":["a"]}'), spec: {} },
    patch: [{ op: 'remove', path: markPath }],
  },
  {
    name: 'the previous list and mark are restored exactly',
    plan: restore,
    object: { metadata: marked('{"rules":["b"]}'), spec: {} },
    old: { metadata: marked('{ "rules": ["a"] }'), spec: { imagePullSecrets: [{ name: 'a', more: 1 }] } },
    patch: [
      { op: 'add', path: listPath, value: [{ name: 'a', more: 1 }] },
      { op: 'add', path: markPath, value: '{ "rules": ["a"] }' },
    ],
  },
  {
    name: 'list and mark are removed if there was neither',
    plan: restore,
    object: { metadata: marked('{}'), spec: { imagePullSecrets: [] } },
    old: bare,
    patch: [
      { op: 'remove', path: listPath },
      { op: 'remove', path: markPath },
    ],
  },
  {
    name: 'null is equivalent to no list',
    plan: restore,
    object: { metadata: {}, spec: { imagePullSecrets: null } },
    old: bare,
    patch: [],
  },
])('$name', ({ plan, object, old = null, patch }) => {
  expect(patchPullSecrets(plan, { object, oldObject: old as JsonObject | null }, { spec: ['spec'], metadata: ['metadata'] })).toEqual(
    patch,
  );
});

/** Tests what the metadata of a Secret shows: whether it is a copy, and whether another writer changed it. */
import { expect, test } from 'vitest';
import { readExistingSecret } from '../../../src/delivery/existing-secret.ts';

const ours = { manager: 'regkeeper-deliver', operation: 'Apply', fieldsV1: { 'f:data': { 'f:.dockerconfigjson': {} } } };
const ofLabel = { 'f:metadata': { 'f:labels': { 'f:regkeeper.io/delivered': {} } } };
const labels = { 'regkeeper.io/delivered': 'true' };
const annotations = { 'regkeeper.io/source-version': 'v1', 'regkeeper.io/copy-rules': 'r1 r2' };
const copy = { uid: 'u', resourceVersion: '1', labels, annotations, managedFields: [ours] };
const asDelivered = {
  uid: 'u',
  resourceVersion: '1',
  delivered: true,
  takenOver: false,
  writtenByDelivery: true,
  intact: true,
  immutable: false,
  terminating: false,
  sourceVersion: 'v1',
  rules: 'r1 r2',
  unusedSince: undefined,
};

test.each<[string, object, object]>([
  ['as delivered', {}, {}],
  ['without its label', { labels: {} }, { delivered: false }],
  ['with a different label value', { labels: { 'regkeeper.io/delivered': 'yes' } }, { delivered: false }],
  [
    'that was taken over, because a user set the label',
    {
      managedFields: [
        { ...ours, fieldsV1: { ...ours.fieldsV1, ...ofLabel } },
        { manager: 'kubectl-label', operation: 'Update', fieldsV1: ofLabel },
      ],
    },
    { takenOver: true },
  ],
  ['whose label only regkeeper set', { managedFields: [{ ...ours, fieldsV1: { ...ours.fieldsV1, ...ofLabel } }] }, {}],
  [
    'with content from another writer',
    {
      managedFields: [
        { ...ours, fieldsV1: {} },
        { ...ours, manager: 'kubectl-edit' },
      ],
    },
    { intact: false },
  ],
  [
    'that was updated under the name of the field manager',
    { managedFields: [{ ...ours, operation: 'Update' }] },
    { intact: false, writtenByDelivery: false },
  ],
  [
    'with an additional key from another writer',
    { managedFields: [ours, { manager: 'x', operation: 'Update', fieldsV1: { 'f:data': { 'f:more': {} } } }] },
    {},
  ],
  [
    'that is immutable',
    { managedFields: [ours, { manager: 'x', operation: 'Update', fieldsV1: { 'f:immutable': {} } }] },
    { immutable: true },
  ],
  ['that is being deleted', { deletionTimestamp: '2027-01-01T00:00:00Z' }, { terminating: true }],
  [
    'that is unused',
    { annotations: { ...annotations, 'regkeeper.io/unused-since': '2027-01-01T00:00:00Z' } },
    { unusedSince: Date.UTC(2027, 0, 1) },
  ],
  ['with an annotation that is not a time', { annotations: { ...annotations, 'regkeeper.io/unused-since': 'ever' } }, {}],
  ['with an annotation that is not a string', { annotations: { ...annotations, 'regkeeper.io/unused-since': 7 } }, {}],
  [
    'with annotations that are longer than any from regkeeper, and would be kept in memory',
    { annotations: { 'regkeeper.io/source-version': 'v'.repeat(2_049), 'regkeeper.io/copy-rules': 'r'.repeat(2_049) } },
    { sourceVersion: undefined, rules: undefined },
  ],
  [
    'from another writer',
    { labels: undefined, annotations: undefined, managedFields: [{ ...ours, manager: 'kubectl' }] },
    { delivered: false, writtenByDelivery: false, intact: false, sourceVersion: undefined, rules: undefined },
  ],
  ['without managedFields, as from a backup', { managedFields: undefined }, { writtenByDelivery: false, intact: false }],
  ['with managedFields of a wrong type', { managedFields: { 0: ours } }, { writtenByDelivery: false, intact: false }],
])('a Secret %s', (_what, change, expected) => {
  expect(readExistingSecret({ metadata: { ...copy, ...change } })).toEqual({ ...asDelivered, ...expected });
});

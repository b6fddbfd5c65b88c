/** Tests the comparison of a live webhook configuration with the desired one. */
import { describe, expect, test } from 'vitest';
import {
  differenceOf,
  type EnforcerPolicy,
  enforcerOptOut,
  enforcerRequirements,
  fieldManagersOf,
  leftoversOf,
  withTolerated,
} from '../../../../src/cluster/registration/configuration-difference.ts';
import { desiredWebhooks, type WebhookEntry } from '../../../../src/cluster/registration/desired.ts';
import { type LiveConfiguration, withOwnership } from '../../../../src/cluster/registration/live-configuration.ts';

const { validating: webhooks } = desiredWebhooks({
  namespace: 'regkeeper',
  service: 'regkeeper',
  caBundle: 'the bundle',
  excludedNamespaces: [],
});
const pods = 'pods.validate.regkeeper.io';
const wanted = (enforcer: EnforcerPolicy = 'tolerate') => ({ webhooks, owner: 'uid-of-namespace', enforcer });
const live = (entries: readonly WebhookEntry[] = webhooks, metadata: object = {}): LiveConfiguration => ({
  metadata: { name: 'regkeeper', ownerReferences: [{ uid: 'uid-of-namespace' }], ...metadata },
  webhooks: structuredClone(entries) as WebhookEntry[],
});
/** The same change in every entry. */
const each = (change: (entry: WebhookEntry) => object) => live(webhooks.map((entry) => ({ ...entry, ...change(entry) })));
const requirementsOf = (entry: WebhookEntry) => (entry.namespaceSelector as { matchExpressions?: object[] }).matchExpressions ?? [];
const selecting = (...more: object[]) =>
  each((entry) => ({ namespaceSelector: { matchExpressions: [...requirementsOf(entry), ...more] } }));
const [controlPlane, managedBy] = enforcerRequirements;
const other = { key: 'unchecked', operator: 'DoesNotExist' };

test('an up-to-date configuration does not differ, whatever defaults the API server adds and whatever entries others add', () => {
  expect(differenceOf(live(), wanted())).toBeUndefined();
  expect(differenceOf(live([...webhooks, { name: 'a.other.example', failurePolicy: 'Fail' }]), wanted())).toBeUndefined();
  expect(
    differenceOf(
      each(() => ({ addedByAnotherRelease: 'default' })),
      wanted(),
    ),
  ).toBeUndefined();
});

describe.each<[string, LiveConfiguration]>([
  ['no entries', live([])],
  ['no list of entries', { ...live(), webhooks: null }],
  ['an entry that is missing', live(webhooks.slice(1))],
  ['an unexpected entry in our name', live([...webhooks, { name: 'foreign.validate.regkeeper.io' }])],
  ['a changed failurePolicy', each(() => ({ failurePolicy: 'Ignore' }))],
  ['a changed timeout', each(() => ({ timeoutSeconds: 1 }))],
  ['a changed matchPolicy', each(() => ({ matchPolicy: 'Exact' }))],
  ['changed rules', each(() => ({ rules: [] }))],
  ['a different CA', each(({ clientConfig }) => ({ clientConfig: { ...(clientConfig as object), caBundle: 'eA==' } }))],
  [
    'a different Service',
    each(({ clientConfig }) => ({ clientConfig: { ...(clientConfig as object), service: { name: 'x', namespace: 'x' } } })),
  ],
  [
    'an additional condition',
    each(({ matchConditions }) => ({
      matchConditions: [...((matchConditions ?? []) as object[]), { name: 'never', expression: 'false' }],
    })),
  ],
  ['changed conditions', each(() => ({ matchConditions: [{ name: 'brings-an-image', expression: 'false' }] }))],
  ['removed conditions', each(() => ({ matchConditions: undefined }))],
  ['a selector without our requirements', each(() => ({ namespaceSelector: { matchExpressions: [controlPlane] } }))],
  [
    'additional matchLabels',
    each(({ namespaceSelector }) => ({ namespaceSelector: { ...(namespaceSelector as object), matchLabels: { a: 'b' } } })),
  ],
  ['a label that namespaces must have, but none may have', selecting({ key: 'nobody.has/this', operator: 'Exists' })],
  ['a value that namespaces must have', selecting({ key: 'team', operator: 'In', values: ['none'] })],
  ['no namespace that has a name', selecting({ key: 'kubernetes.io/metadata.name', operator: 'DoesNotExist' })],
  ['a different owner', live(webhooks, { ownerReferences: [] })],
])('%s', (_what, changed) => {
  test.each(['tolerate', 'disable'] as const)('weakens the webhooks, with %s too', (enforcer) => {
    expect(differenceOf(changed, wanted(enforcer))).toMatchObject({ severity: 'weakened' });
  });
});

describe.each<[string, LiveConfiguration]>([
  ['an additional requirement for namespaces', selecting(other)],
  ['an additional requirement next to those of AKS', selecting(controlPlane, managedBy, other)],
  ['the same key as AKS with a different value', selecting({ ...controlPlane, values: ['yes'] })],
  ['the same key as AKS with a different operator', selecting({ key: 'control-plane', operator: 'DoesNotExist' })],
  ['an annotation of cert-manager', live(webhooks, { annotations: { 'cert-manager.io/inject-ca-from': 'x/y' } })],
  ['an annotation of the service CA', live(webhooks, { annotations: { 'service.beta.openshift.io/inject-cabundle': 'true' } })],
])('%s', (_what, changed) => {
  test('narrows the webhooks, or is metadata', () => {
    expect(differenceOf(changed, wanted())).toMatchObject({ severity: 'narrowed' });
  });
});

test('an objectSelector narrows entries that have none, and weakens the one whose own requirements it replaces', () => {
  const [guard, ...kinds] = [...webhooks].reverse();
  const objectSelector = { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] };
  const select = (entry: WebhookEntry) => ({ ...entry, objectSelector });
  expect(differenceOf(live([...kinds.map(select), guard as WebhookEntry]), wanted())).toMatchObject({ severity: 'narrowed' });
  expect(differenceOf(live([...kinds, select(guard as WebhookEntry)]), wanted())).toMatchObject({ severity: 'weakened' });
});

test('if something is weakened too, a narrowing is repaired immediately as well', () => {
  const changed = each((entry) => ({
    failurePolicy: 'Ignore',
    namespaceSelector: { matchExpressions: [...requirementsOf(entry), other] },
  }));
  expect(differenceOf(changed, wanted())).toMatchObject({ severity: 'weakened' });
});

describe("AKS' two requirements", () => {
  test.each([[[controlPlane, managedBy]], [[managedBy, controlPlane]], [[controlPlane]], [[managedBy]]])(
    'are tolerated in any order, and stay when something else is written: %j',
    (added) => {
      const changed = selecting(...added);
      expect(differenceOf(changed, wanted())).toBeUndefined();
      expect(withTolerated(changed, wanted()).map(requirementsOf)).toEqual((changed.webhooks ?? []).map(requirementsOf));
    },
  );

  test('may precede ours', () => {
    const changed = each((entry) => ({ namespaceSelector: { matchExpressions: [managedBy, controlPlane, ...requirementsOf(entry)] } }));
    expect(differenceOf(changed, wanted())).toBeUndefined();
    expect(withTolerated(changed, wanted())[0]?.namespaceSelector).toEqual(changed.webhooks?.[0]?.namespaceSelector);
  });

  test('stay when another one next to them is reverted', () => {
    const [entry] = withTolerated(selecting(other, managedBy, controlPlane), wanted());
    expect(requirementsOf(entry as WebhookEntry).slice(-2)).toEqual([managedBy, controlPlane]);
    expect(requirementsOf(entry as WebhookEntry)).not.toContainEqual(other);
  });

  test('are not added if they are absent', () => {
    expect(withTolerated(live(), wanted())).toEqual(webhooks);
  });

  test('are reverted after opting out', () => {
    const changed = {
      ...selecting(controlPlane, managedBy),
      metadata: { ...live().metadata, labels: enforcerOptOut, annotations: enforcerOptOut },
    };
    expect(differenceOf(changed, wanted('disable'))).toMatchObject({ severity: 'narrowed' });
    expect(withTolerated(changed, wanted('disable'))).toEqual(webhooks);
  });
});

describe('the opt-out', () => {
  const marked = { labels: enforcerOptOut, annotations: enforcerOptOut };
  const ours = {
    managedFields: [
      { manager: 'regkeeper', operation: 'Apply', fieldsV1: { 'f:metadata': { 'f:labels': { 'f:admissions.enforcer/disabled': {} } } } },
    ],
  };

  test('is a label and an annotation, and either is written if it is missing', () => {
    expect(differenceOf(live(webhooks, marked), wanted('disable'))).toBeUndefined();
    expect(differenceOf(live(), wanted('disable'))?.fields).toHaveLength(2);
    expect(differenceOf(live(webhooks, { labels: enforcerOptOut }), wanted('disable'))?.fields).toEqual([
      'metadata.annotations: admissions.enforcer/disabled',
    ]);
  });

  test('is removed with the setting if we have written it, and stays if an administrator has', () => {
    expect(differenceOf(withOwnership(live(webhooks, { ...marked, ...ours })), wanted())?.fields).toEqual([
      'metadata.labels: admissions.enforcer/disabled',
    ]);
    expect(differenceOf(live(webhooks, marked), wanted())).toBeUndefined();
  });
});

test('a difference is attributed to the owner of the field, or else to the last writer', () => {
  const fieldsV1 = (field: string) => ({ 'f:webhooks': { [`k:{"name":"${pods}"}`]: { [`f:${field}`]: {} } } });
  const managedFields = [
    { manager: 'regkeeper', operation: 'Apply', time: '2026-01-04T00:00:00Z', fieldsV1: fieldsV1('rules') },
    { manager: 'enforcer', operation: 'Update', time: '2026-01-02T00:00:00Z', fieldsV1: fieldsV1('namespaceSelector') },
    { manager: 'editor', operation: 'Update', time: '2026-01-03T00:00:00Z', fieldsV1: fieldsV1('failurePolicy') },
  ];
  const authors = (changed: LiveConfiguration) => {
    const seen = withOwnership({ ...changed, metadata: { ...changed.metadata, managedFields } as LiveConfiguration['metadata'] });
    const difference = differenceOf(seen, wanted());
    return difference && fieldManagersOf(seen, difference);
  };
  expect(authors(selecting(other))).toEqual(['enforcer']);
  expect(authors(each(() => ({ failurePolicy: 'Ignore' })))).toEqual(['editor']);
  expect(authors(live([]))).toEqual(['editor']);
  expect(fieldManagersOf(live([]), { severity: 'weakened', fields: [], owned: [] })).toEqual([]);
});

test('what an apply does not remove: entries in our name, and conditions in our entries', () => {
  const changed = live([
    ...webhooks.map((entry) =>
      entry.name === pods
        ? { ...entry, matchConditions: [...(entry.matchConditions as object[]), { name: 'never', expression: 'false' }] }
        : entry,
    ),
    { name: 'old.validate.regkeeper.io' },
    { name: 'a.other.example', matchConditions: [{ name: 'x', expression: 'true' }] },
  ]);
  expect(leftoversOf(changed, webhooks)).toEqual([{ entry: pods, condition: 'never' }, { entry: 'old.validate.regkeeper.io' }]);
});

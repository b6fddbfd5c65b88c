/** Tests the permissions that `regkeeper rbac --deliver` prints, and that the chart has the same policy and roles. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { foreignRejection } from '../../../src/delivery/names.ts';
import { deliveryRights } from '../../../src/delivery/rights.ts';

const deploy = resolve(import.meta.dirname, '../../../deploy');
const secrets = [
  { name: 'b', source: 's' },
  { name: 'a', source: 's' },
];
const rights = deliveryRights(secrets, {
  namespace: 'regkeeper',
  serviceAccount: 'regkeeper-deliver',
  excludedNamespaces: ['cert-manager'],
});
const ofKind = (kind: string) => rights.filter((object) => object.kind === kind) as Record<string, never>[];
const template = readFileSync(join(deploy, 'chart/templates/secret-delivery.yaml'), 'utf8');

test('names are sorted, without duplicates, and limit every permission on Secrets', () => {
  expect([...ofKind('ClusterRole'), ...ofKind('Role')].map(({ rules }) => rules)).toEqual([
    [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['a', 'b'], verbs: ['create', 'patch', 'delete', 'list', 'watch'] }],
    [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['s'], verbs: ['get', 'list', 'watch'] }],
  ]);
});

type Policy = {
  readonly spec: { readonly variables: { name: string; expression: string }[]; readonly validations: { expression: string }[] };
};
const policy = ofKind('ValidatingAdmissionPolicy')[0] as unknown as Policy;

test('the policy contains the names, and the namespaces that are never written to', () => {
  expect(policy.spec.variables).toEqual([
    { name: 'names', expression: '["a","b"]' },
    { name: 'excludedNamespaces', expression: '["regkeeper","kube-system","kube-node-lease","cert-manager"]' },
  ]);
});

test.each(policy.spec.validations.map(({ expression }) => expression))("the chart's policy has the condition %s", (expression) => {
  expect(template).toContain(`  - expression: ${expression}\n`);
});

test('the message about other Secrets in the chart begins as the process expects', () => {
  expect(template).toContain(`message: '${foreignRejection} `);
  expect(JSON.stringify(policy)).toContain(`"message":"${foreignRejection} `);
});

test('the roles in the chart are those in the component', () => {
  const roles = parseAllDocuments(readFileSync(join(deploy, 'secret-delivery/rbac.yaml'), 'utf8'))
    .map((document) => document.toJS() as { kind: string; rules?: unknown })
    .flatMap(({ rules }) => (rules ? [rules] : []));
  const defined = (name: string) => {
    const [, text = ''] =
      new RegExp(
        `define "regkeeper\\.${name}" }}\\n([\\s\\S]*?)\\n{{- end }}\\n{{- define|define "regkeeper\\.${name}" }}\\n([\\s\\S]*?)\\n{{- end }}\\n`,
      ).exec(template) ?? [];
    return parse(text.replace(/{{- range \.Values\.customKinds }}[\s\S]*?{{- end }}(\n|$)/, ''));
  };
  expect([defined('deliver-reading'), defined('deliver-own')]).toEqual(roles);
});

type Patch = { readonly target: { readonly kind: string; readonly name: string }; readonly patch: string };

test.each([
  ['regkeeper-deliver', ['list', 'watch']],
  ['regkeeper-report', ['list']],
])('the component custom-kinds permits %s to %j each kind in its list', (name, verbs) => {
  const { kinds } = parse(readFileSync(join(deploy, 'custom-kinds/custom-kinds.yaml'), 'utf8')) as {
    kinds: { group: string; resource: string }[];
  };
  const { patches } = parse(readFileSync(join(deploy, 'custom-kinds/kustomization.yaml'), 'utf8')) as { patches: Patch[] };
  const [patch] = patches.filter(({ target }) => target.kind === 'ClusterRole' && target.name === name);
  expect(parse(patch?.patch ?? '')).toEqual(
    kinds.map(({ group, resource }) => ({
      op: 'add',
      path: '/rules/-',
      value: { apiGroups: [group], resources: [resource], verbs },
    })),
  );
});

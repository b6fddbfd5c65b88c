/** Properties of decisions while the labels of a namespace are unknown. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { simulateAdmission } from '../../../src/admission/simulate.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import type { NamespaceSettings } from '../../../src/rules/rule-set.ts';
import { runs } from '../../property.ts';
import { documentWith, exemption, labels, names, override, rule } from '../rules/build.ts';
import { sha256 } from '../rules/documents.ts';
import { unwatched } from './changes.ts';

const settings = fc.record<NamespaceSettings>({
  mode: fc.constantFrom('enforce', 'warn', 'audit'),
  unconfigured: fc.constantFrom('deny', 'warn', 'allow'),
  inject: fc.constantFrom('all', 'pods', 'off'),
});
const some = fc.record({ mode: settings.map(({ mode }) => mode) }, { requiredKeys: [] });
const written = fc.oneof(
  some,
  settings.map(({ unconfigured }) => ({ unconfigured })),
  settings.map(({ inject }) => ({ inject })),
  settings,
);
const selector = fc.constantFrom(labels('tier=sandbox'), labels('team=a'), labels('!tier'), names('shop'));
const images = fc.subarray([
  'good.example.com/a',
  'plain.example.com/a',
  'evil.example.com/a',
  'far.example.com/a',
  'exempt.example.com/a',
  'team.example.com/a',
  ' ',
]);

test('effects of unknown namespace labels are reported, and everything else is the same whatever they are', () => {
  const rules = [
    rule({ registry: 'good.example.com', pullSecrets: ['pull'] }),
    rule({ registry: 'plain.example.com' }),
    rule({ registry: 'evil.example.com', trust: false }),
    rule({ registry: 'team.example.com', namespaces: labels('team=a') }),
  ];
  const exemptions = [exemption({ image: 'exempt.example.com', until: '9999-12-31' })];
  const ofNamespace = fc.dictionary(fc.constantFrom('tier', 'team'), fc.constantFrom('sandbox', 'a'));
  const seen = { sure: 0, unsure: 0, denied: 0 };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(selector, written), { maxLength: 3 }),
      settings,
      images,
      fc.constantFrom('Pod', 'Deployment'),
      ofNamespace,
      (list, forCluster, used, kind, knownLabels) => {
        const overrides = list.map(([namespaces, value]) => override(namespaces, value));
        const compiled = compileRuleSet([documentWith({ settings: forCluster, rules, exemptions, overrides })], sha256);
        fc.pre(compiled.ok);
        const change = { ...objectWith(kind, used), kind, namespace: 'till', user: 'alice' };
        const known: Facts = { ...unwatched, namespace: () => ({ kind: 'known', labels: knownLabels }) };
        const [blind, seeing] = [
          simulateAdmission(change, compiled.ruleSet, unwatched),
          simulateAdmission(change, compiled.ruleSet, known),
        ];
        if (blind.kind !== 'answered' || seeing.kind !== 'answered') throw new Error(`${blind.kind}, ${seeing.kind}`);
        expect(seeing.unsure).toEqual([]);
        // The mode that was assumed is recorded, also where it makes no difference.
        if (blind.unsure.length === 0) expect({ ...blind, mode: seeing.mode }).toEqual(seeing);
        if (blind.certainlyDenied) expect(seeing.outcome).toBe('denied');
        if (blind.certainlyDenied) seen.denied += 1;
        seen[blind.unsure.length === 0 ? 'sure' : 'unsure'] += 1;
      },
    ),
    runs(1000),
  );
  expect(seen.sure).toBeGreaterThan(runs(1000).numRuns / 10);
  expect(seen.unsure).toBeGreaterThan(runs(1000).numRuns / 10);
  expect(seen.denied).toBeGreaterThan(runs(1000).numRuns / 100);
});

function objectWith(kind: string, used: readonly string[]) {
  const spec = { containers: used.map((image, index) => ({ name: `c${index}`, image })) };
  return kind === 'Pod'
    ? { apiVersion: 'v1', object: { apiVersion: 'v1', kind, metadata: { name: 'web' }, spec } }
    : { apiVersion: 'apps/v1', object: { apiVersion: 'apps/v1', kind, metadata: { name: 'web' }, spec: { template: { spec } } } };
}

/** Tests the settings in a namespace, and overrides that contradict each other. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileRuleSet } from '../../../../src/rules/compile/compile.ts';
import type { NamespaceContext, NamespaceSettings, Override } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import { anyNamespace, anySelector, compiled, documentWith, inNamespace, labels, names, override, unlabelled } from '../build.ts';
import { sha256 } from '../documents.ts';

describe('the settings of a namespace', () => {
  const sandbox = override(labels('tier=sandbox'), { mode: 'audit', inject: 'pods' });
  const shop = override(names('shop'), { mode: 'warn' });
  const teams = override(names('team-*'), { unconfigured: 'allow' });

  test.each<{ because: string; where: NamespaceContext; settings: Partial<NamespaceSettings> }>([
    { because: 'are those of the cluster if no override matches', where: inNamespace('till'), settings: {} },
    { because: 'follow labels', where: inNamespace('till', { tier: 'sandbox' }), settings: { mode: 'audit', inject: 'pods' } },
    {
      because: 'are each decided independently',
      where: inNamespace('shop', { tier: 'sandbox' }),
      settings: { mode: 'warn', inject: 'pods' },
    },
    { because: 'follow globs', where: inNamespace('team-a'), settings: { unconfigured: 'allow' } },
  ])('$because', ({ where, settings }) => {
    const { settingsAt } = compiled({ overrides: [sandbox, shop] }, { overrides: [teams] });
    expect(settingsAt(where)).toEqual({ value: { mode: 'enforce', unconfigured: 'deny', inject: 'all', ...settings } });
  });

  test('are exactly those of the cluster if nothing is overridden', () => {
    const { settingsAt } = compiled({ settings: { mode: 'warn', shortNames: 'reject', contact: 'us' } });
    expect(settingsAt(unlabelled('shop'))).toEqual({ value: { mode: 'warn', unconfigured: 'deny', inject: 'all' } });
  });
});

describe('if labels are unknown, an override by labels', () => {
  const at = (overrides: readonly Override[], settings = {}) => compiled({ settings, overrides }).settingsAt(unlabelled('shop'));
  const strict = override(labels('tier=bank'), { mode: 'enforce', unconfigured: 'deny' });
  const loose = override(labels('tier=sandbox'), { mode: 'audit', unconfigured: 'allow' });

  test('applies if it is stricter', () => {
    const answer = at([strict], { mode: 'audit', unconfigured: 'warn' });
    expect(answer).toEqual({
      value: { mode: 'enforce', unconfigured: 'deny', inject: 'all' },
      unsure: { mode: strict.origin, unconfigured: strict.origin },
    });
  });

  test('does not apply if it allows more', () => {
    expect(at([loose])).toEqual({
      value: { mode: 'enforce', unconfigured: 'deny', inject: 'all' },
      unsure: { mode: loose.origin, unconfigured: loose.origin },
    });
  });

  test('applies in part', () => {
    const half = override(labels('tier=half'), { mode: 'audit', unconfigured: 'deny' });
    const answer = at([half], { mode: 'warn', unconfigured: 'allow' });
    expect(answer).toEqual({
      value: { mode: 'warn', unconfigured: 'deny', inject: 'all' },
      unsure: { mode: half.origin, unconfigured: half.origin },
    });
  });

  test('leaves inject unchanged', () => {
    const off = override(labels('tier=x'), { inject: 'off' });
    expect(at([off])).toEqual({ value: { mode: 'enforce', unconfigured: 'deny', inject: 'all' }, unsure: { inject: off.origin } });
  });

  test('does not matter if a name takes precedence, or if it changes nothing', () => {
    const named = override(names('shop'), { mode: 'audit', unconfigured: 'allow' });
    expect(at([strict, named])).toEqual({ value: { mode: 'audit', unconfigured: 'allow', inject: 'all' } });
    expect(at([strict])).toEqual({ value: { mode: 'enforce', unconfigured: 'deny', inject: 'all' } });
  });
});

test('unknown labels never make mode or unconfigured allow more, and are reported if they would change anything', () => {
  const settings = fc.record(
    {
      mode: fc.constantFrom('enforce' as const, 'warn' as const, 'audit' as const),
      unconfigured: fc.constantFrom('deny' as const, 'warn' as const, 'allow' as const),
      inject: fc.constantFrom('all' as const, 'pods' as const, 'off' as const),
    },
    { requiredKeys: [] },
  );
  const overrides = fc.array(
    fc.tuple(anySelector, settings).map(([selector, written]) => override(selector ?? names('*'), written)),
    { maxLength: 6 },
  );
  const strictness = { enforce: 2, warn: 1, audit: 0, deny: 2, allow: 0 };
  fc.assert(
    fc.property(settings, overrides, anyNamespace, (forCluster, list, somewhere) => {
      const result = compileRuleSet([documentWith({ settings: forCluster, overrides: list })], sha256);
      fc.pre(result.ok);
      const blind = result.ruleSet.settingsAt(unlabelled(somewhere.namespace));
      const seeing = result.ruleSet.settingsAt(somewhere);
      expect(seeing.unsure).toBeUndefined();
      for (const name of ['mode', 'unconfigured', 'inject'] as const) {
        if (!blind.unsure?.[name]) expect(blind.value[name]).toBe(seeing.value[name]);
      }
      expect(strictness[blind.value.mode]).toBeGreaterThanOrEqual(strictness[seeing.value.mode]);
      expect(strictness[blind.value.unconfigured]).toBeGreaterThanOrEqual(strictness[seeing.value.unconfigured]);
    }),
    runs(1000),
  );
});

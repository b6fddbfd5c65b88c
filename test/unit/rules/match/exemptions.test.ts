/** Tests which exemptions match an image in a namespace. */
import { describe, expect, test } from 'vitest';
import type { Exemption, NamespaceContext } from '../../../../src/rules/rule-set.ts';
import { compiled, exemption, inNamespace, labels, names, unlabelled } from '../build.ts';
import { referenceOf } from '../documents.ts';

describe('exemptions for an image in a namespace', () => {
  const forAll = exemption({ image: 'quay.io/legacy', until: '2027-01-31' });
  const longer = exemption({ image: 'quay.io/legacy/app', until: '2027-06-30' });
  const asLong = exemption({ image: 'quay.io/*/app', until: '2027-06-30' });
  const billing = exemption({ image: 'quay.io', namespaces: names('billing'), until: '2026-12-31' });
  const team = exemption({ image: 'quay.io', namespaces: labels('team=a'), until: '2028-01-01' });
  const otherPort = exemption({ image: 'quay.io:8443' });
  const all = [forAll, longer, asLong, billing, team, otherPort];
  // The same rules for all rows, because what they find in one namespace must not count in another one.
  const inBothOrders = [compiled({ exemptions: all }), compiled({ exemptions: all.toReversed() })];

  test.each<{ because: string; image: string; where: NamespaceContext; matching: readonly Exemption[]; unsure?: Exemption }>([
    {
      because: 'are sorted by end date, the latest first, then by pattern',
      image: 'quay.io/legacy/app',
      where: inNamespace('shop'),
      matching: [asLong, longer, forAll],
    },
    {
      because: 'only apply in their namespaces',
      image: 'quay.io/x',
      where: inNamespace('billing', { team: 'a' }),
      matching: [team, billing],
    },
    { because: 'treat ports like trusting rules', image: 'quay.io:8443/legacy', where: inNamespace('billing'), matching: [otherPort] },
    {
      because: 'do not apply if labels are unknown',
      image: 'quay.io/x',
      where: unlabelled('billing'),
      matching: [billing],
      unsure: team,
    },
    {
      because: 'apply to everything below their path',
      image: 'quay.io/legacy/app/web/server',
      where: inNamespace('billing'),
      matching: [asLong, longer, forAll, billing],
    },
    { because: 'do not apply to a path that only has the same prefix', image: 'quay.io/legacy2', where: inNamespace('shop'), matching: [] },
    { because: 'are certain if none depends on labels', image: 'quay.io:8443/x', where: unlabelled('billing'), matching: [otherPort] },
  ])('$because', ({ image, where, matching, unsure }) => {
    for (const rules of inBothOrders) {
      const answer = rules.exemptionsFor(referenceOf(image), where);
      expect(answer).toEqual({ value: matching, ...(unsure && { unsure: unsure.origin }) });
    }
  });

  test('may be duplicated', () => {
    const once = compiled({ exemptions: [forAll] });
    const twice = compiled({ exemptions: [forAll] }, { exemptions: [exemption({ image: 'quay.io/legacy', until: '2027-01-31' })] });
    expect(twice.revision).toBe(once.revision);
    expect(twice.exemptionsFor(referenceOf('quay.io/legacy/x'), inNamespace('shop')).value).toHaveLength(2);
  });
});

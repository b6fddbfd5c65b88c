/** Tests which rules are proposed for a denied image. */
import { describe, expect, test } from 'vitest';
import { compiled, inNamespace, labels, names, rule, unlabelled } from '../build.ts';
import { referenceOf, ruleSetOf, shop } from '../documents.ts';

describe('what a blocked person probably meant', () => {
  test.each([
    {
      because: 'the same host with another path',
      registries: ['reg.io/team', 'quay.io'],
      image: 'reg.io/other/app',
      near: ['reg.io/team'],
    },
    { because: 'the same host on another port', registries: ['reg.io:5000'], image: 'reg.io/app', near: ['reg.io:5000'] },
    {
      because: 'the same port before another',
      registries: ['reg.io:5000', 'reg.io/team'],
      image: 'reg.io/app',
      near: ['reg.io/team', 'reg.io:5000'],
    },
    {
      because: 'the path that is nearest',
      registries: ['reg.io/a/b/x', 'reg.io/a/y', 'reg.io/z/a'],
      image: 'reg.io/a/b/c',
      near: ['reg.io/a/b/x', 'reg.io/a/y', 'reg.io/z/a'],
    },
    {
      because: 'a wildcard for the host, after the host itself',
      registries: ['*.reg.io/b', 'a.reg.io/b'],
      image: 'a.reg.io/x',
      near: ['a.reg.io/b', '*.reg.io/b'],
    },
    { because: 'a host that is nearly spelt so', registries: ['quay.io', 'ghcr.io'], image: 'qauy.io/app', near: ['quay.io'] },
    {
      because: 'the same host before a near spelling',
      registries: ['quay.i', 'quay.io/team'],
      image: 'quay.io/app',
      near: ['quay.io/team', 'quay.i'],
    },
    {
      because: 'three at most',
      registries: ['reg.io/a', 'reg.io/b', 'reg.io/c', 'reg.io/d'],
      image: 'reg.io/x',
      near: ['reg.io/a', 'reg.io/b', 'reg.io/c'],
    },
    { because: 'nothing where all is far', registries: ['quay.io', '*:5000'], image: 'registry.example.com/app', near: [] },
  ])('$because', ({ registries, image, near }) => {
    const ruleSet = ruleSetOf(`rules: [${registries.map((registry) => `{registry: "${registry}"}`).join(', ')}]`);
    expect(ruleSet.nearest(referenceOf(image), shop).map(({ pattern }) => pattern.text)).toEqual(near);
  });

  test('is never a refused or an internal registry', () => {
    const ruleSet = ruleSetOf('internalRegistries: [reg.io:5000]\nrules: [{registry: reg.io/team, trust: false}]');
    expect(ruleSet.nearest(referenceOf('reg.io/app'), shop)).toEqual([]);
  });

  test('is a rule of the namespace', () => {
    const { nearest } = compiled({
      rules: [
        rule({ registry: 'reg.io/a', namespaces: names('team-*') }),
        rule({ registry: 'reg.io/b', namespaces: labels('team=a') }),
        rule({ registry: 'reg.io/c' }),
      ],
    });
    const proposed = (where: Parameters<typeof nearest>[1]) => nearest(referenceOf('reg.io/x'), where).map(({ pattern }) => pattern.text);
    expect(proposed(inNamespace('shop'))).toEqual(['reg.io/c']);
    expect(proposed(inNamespace('team-a', { team: 'a' }))).toEqual(['reg.io/a', 'reg.io/b', 'reg.io/c']);
    expect(proposed(unlabelled('shop'))).toEqual(['reg.io/c']);
  });

  test('is no rule of which nobody can say whether it applies, though a wider one trusts the same', () => {
    const byLabels = rule({ registry: 'reg.io:5000/b', namespaces: labels('team=a') });
    const { nearest } = compiled({ rules: [byLabels, rule({ registry: 'reg.io:5000' })] });
    expect(nearest(referenceOf('reg.io/b/x'), unlabelled('shop')).map(({ name }) => name)).toEqual(['reg.io:5000']);
    expect(nearest(referenceOf('reg.io/b/x'), inNamespace('shop', { team: 'a' }))).toContain(byLabels);
  });

  test('is nothing that is refused in the namespace, and no pattern twice', () => {
    const { nearest } = compiled({
      rules: [
        rule({ registry: 'reg.io/a' }),
        rule({ registry: 'reg.io/a', namespaces: names('shop'), name: 'of the shop' }),
        rule({ registry: 'reg.io/b' }),
        rule({ registry: 'reg.io/b', trust: false, namespaces: names('shop') }),
      ],
    });
    expect(nearest(referenceOf('reg.io/x'), inNamespace('shop')).map(({ name }) => name)).toEqual(['of the shop']);
    expect(nearest(referenceOf('reg.io/x'), inNamespace('till')).map(({ name }) => name)).toEqual(['reg.io/a', 'reg.io/b']);
  });
});

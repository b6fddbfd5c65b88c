import { describe, expect, test } from 'vitest';
import { referenceOf, ruleSetOf, shop } from './documents.ts';

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
});

/** Tests which rules are proposed for a denied image. */
import { describe, expect, test } from 'vitest';
import { compiled, inNamespace, labels, names, rule, unlabelled } from '../build.ts';
import { referenceOf, ruleSetOf, shop } from '../documents.ts';

describe('suggestions for a denied image', () => {
  test.each([
    {
      because: 'the same host with another path',
      registries: ['reg.io/team', 'quay.io'],
      image: 'reg.io/other/app',
      near: ['reg.io/team'],
    },
    { because: 'the same host on another port', registries: ['reg.io:5000'], image: 'reg.io/app', near: ['reg.io:5000'] },
    {
      because: 'another port before another path',
      registries: ['reg.io:5000', 'reg.io/team'],
      image: 'reg.io/app',
      near: ['reg.io:5000', 'reg.io/team'],
    },
    {
      because: 'a sibling of the path, the deepest first',
      registries: ['reg.io/a/b/x', 'reg.io/a/y', 'reg.io/z/a', 'reg.io/z'],
      image: 'reg.io/a/b/c',
      near: ['reg.io/a/b/x', 'reg.io/a/y', 'reg.io/z'],
    },
    {
      because: 'a wildcard for the host, after the host itself',
      registries: ['*.reg.io/b', 'a.reg.io/b'],
      image: 'a.reg.io/x',
      near: ['a.reg.io/b', '*.reg.io/b'],
    },
    {
      because: 'one edit in the host, within the registrable domain',
      registries: ['registry.example.com/team', 'quay.example.com'],
      image: 'regsitry.example.com/team/app',
      near: ['registry.example.com/team'],
    },
    {
      because: 'within the registrable domain of a country',
      registries: ['registry.example.co.uk'],
      image: 'registri.example.co.uk/app',
      near: ['registry.example.co.uk'],
    },
    {
      because: 'another path of the same owner on a shared registry',
      registries: ['quay.io/acme/web'],
      image: 'quay.io/acme/api',
      near: ['quay.io/acme/web'],
    },
    {
      because: 'at most three',
      registries: ['reg.io/a', 'reg.io/b', 'reg.io/c', 'reg.io/d'],
      image: 'reg.io/x',
      near: ['reg.io/a', 'reg.io/b', 'reg.io/c'],
    },
    { because: 'never the registry of another company', registries: ['gcr.io', 'ghcr.io', 'eu.gcr.io'], image: 'icr.io/x/y', near: [] },
    {
      because: 'an organization on Docker Hub with the name of the official image',
      registries: ['docker.io/nginx'],
      image: 'nginx',
      near: ['docker.io/nginx'],
    },
    { because: 'not for an image of another organization', registries: ['docker.io/nginx'], image: 'acme/nginx', near: [] },
    { because: 'never another owner on Docker Hub', registries: ['docker.io/acme'], image: 'acne/app', near: [] },
    { because: 'never another owner on quay.io', registries: ['quay.io/acme'], image: 'quay.io/acne/app', near: [] },
    {
      because: 'never another owner on a subdomain of a shared host',
      registries: ['eu.gcr.io/acme'],
      image: 'eu.gcr.io/acne/app',
      near: [],
    },
    { because: 'never a domain with one edit', registries: ['quay.example.com'], image: 'quay.exmaple.com/app', near: [] },
    { because: 'never quay.io for a misspelling of it', registries: ['quay.io'], image: 'qauy.io/app', near: [] },
    { because: 'never another country domain', registries: ['reg.acme.co.uk'], image: 'reg.acne.co.uk/app', near: [] },
    { because: 'never the registry of another customer', registries: ['acme.azurecr.io'], image: 'acne.azurecr.io/app', near: [] },
    { because: 'never another address', registries: ['10.0.0.1:5000'], image: '10.0.0.2:5000/app', near: [] },
    { because: 'never another host without a domain', registries: ['registry:5000'], image: 'registri:5000/app', near: [] },
    { because: 'nothing with two edits in the host', registries: ['registry.example.com'], image: 'regstr.example.com/app', near: [] },
    { because: 'nothing with two differences', registries: ['reg.io:5000/team'], image: 'reg.io/other/app', near: [] },
    { because: 'nothing if nothing is similar', registries: ['quay.io', '*:5000'], image: 'registry.example.com/app', near: [] },
  ])('$because', ({ registries, image, near }) => {
    const ruleSet = ruleSetOf(`rules: [${registries.map((registry) => `{registry: "${registry}"}`).join(', ')}]`);
    expect(ruleSet.nearest(referenceOf(image), shop).map(({ pattern }) => pattern.text)).toEqual(near);
  });

  test('never include a denied or an internal registry', () => {
    const ruleSet = ruleSetOf('internalRegistries: [reg.io:5000]\nrules: [{registry: "reg.io:*/team", trust: false}]');
    expect(ruleSet.nearest(referenceOf('reg.io/app'), shop)).toEqual([]);
  });

  test('include a rule of the namespace', () => {
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

  test('do not include a rule that may not apply, although a wider one trusts the same', () => {
    const byLabels = rule({ registry: 'reg.io:5000/b', namespaces: labels('team=a') });
    const { nearest } = compiled({ rules: [byLabels, rule({ registry: 'reg.io:5000' })] });
    expect(nearest(referenceOf('reg.io/b/x'), unlabelled('shop')).map(({ name }) => name)).toEqual(['reg.io:5000']);
    expect(nearest(referenceOf('reg.io/b/x'), inNamespace('shop', { team: 'a' }))).toContain(byLabels);
  });

  test('include nothing that is denied in the namespace, and no pattern twice', () => {
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

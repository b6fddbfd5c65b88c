/** Tests which rules are proposed for a denied image. */
import { describe, expect, test } from 'vitest';
import { compileNamespaceRules, withNamespaceRules } from '../../../../src/rules/compile/namespace-rules.ts';
import { parseRulesDocument } from '../../../../src/rules/language/parse.ts';
import { withPlatform } from '../../../../src/rules/store/add-platform-rules.ts';
import { compiled, inNamespace, labels, names, rule, unlabelled } from '../build.ts';
import { fileSource, referenceOf, ruleSetOf, sha256, shop } from '../documents.ts';

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

  test('never include a denied registry', () => {
    const ruleSet = ruleSetOf('rules: [{registry: "reg.io:*/team", trust: false}]');
    expect(ruleSet.nearest(referenceOf('reg.io/app'), shop)).toEqual([]);
  });

  const openShift = 'image-registry.openshift-image-registry.svc';

  test.each([
    { because: 'without its port', image: `${openShift}/a/b`, near: [`${openShift}:5000`] },
    { because: 'with another port', image: `${openShift}:5001/a/b`, near: [`${openShift}:5000`] },
    { because: 'by its longer name', image: `${openShift}.cluster.local/a/b`, near: [`${openShift}.cluster.local:5000`] },
    { because: 'by its address', image: '172.30.0.9/a/b', near: ['172.30.0.9:5000'] },
    { because: 'with one typing error', image: 'image-registy.openshift-image-registry.svc:5000/a/b', near: [`${openShift}:5000`] },
    { because: 'but not its route, which differs in more', image: 'image-registry.apps.example.com/a/b', near: [] },
    { because: 'but not for another address', image: '172.30.0.8:5000/a/b', near: [] },
    { because: 'but not with a typing error and without its port', image: 'image-registy.openshift-image-registry.svc/a/b', near: [] },
    { because: 'but not for another namespace of the cluster', image: 'image-registry.shop.svc:5000/a/b', near: [] },
    { because: 'but not for a host below it', image: `x.${openShift}/a/b`, near: [] },
  ])('include an internal registry $because', ({ image, near }) => {
    const registries = [`${openShift}:5000`, `${openShift}.cluster.local:5000`, '172.30.0.9:5000'];
    const inRules = ruleSetOf(`internalRegistries: ${JSON.stringify(registries)}\nrules: [{registry: quay.io}]`);
    const ofPlatform = { internalRegistries: registries.map((registry) => ({ registry, object: 'test' })) };
    const onOpenShift = withPlatform(ruleSetOf('rules: [{registry: quay.io}]'), ofPlatform, sha256).ruleSet;
    for (const ruleSet of [inRules, onOpenShift]) {
      expect(ruleSet.nearest(referenceOf(image), shop).map(({ pattern }) => pattern.text)).toEqual(near);
    }
  });

  test("include the platform's registries together with rules of the namespace, unless a rule denies them there", () => {
    const own = parseRulesDocument('rules: [{registry: "route.example.com/a"}]', fileSource('own.yaml'), {
      kind: 'namespace',
      namespace: 'shop',
    });
    const namespaceRules = compileNamespaceRules('shop', own.ok ? [own.document] : []);
    if (!namespaceRules.ok) throw new Error('no problem was expected');
    const cluster = ruleSetOf('delegate: [route.example.com]\nrules: [{registry: "route.example.com/b"}]');
    const written = withNamespaceRules(cluster, new Map([['shop', namespaceRules.rules]]), sha256);
    const external = { internalRegistries: [], externalRegistries: [{ registry: 'route.example.com:8443', object: 'test' }] };
    const near = (where: Parameters<typeof written.nearest>[1]) =>
      withPlatform(written, external, sha256)
        .ruleSet.nearest(referenceOf('route.example.com/x'), where)
        .map(({ pattern }) => pattern.text);
    expect(near(shop)).toEqual(['route.example.com:8443', 'route.example.com/a', 'route.example.com/b']);
    expect(near(inNamespace('till'))).toEqual(['route.example.com:8443', 'route.example.com/b']);
    const denying = ruleSetOf('rules: [{registry: "route.example.com:8443", trust: false}]');
    expect(withPlatform(denying, external, sha256).ruleSet.nearest(referenceOf('route.example.com/x'), shop)).toEqual([]);
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

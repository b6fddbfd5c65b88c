/** Tests what a cluster's own registries and short names add to the rules. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalRules } from '../../../../src/rules/compile/canonical.ts';
import { compileNamespaceRules, withNamespaceRules } from '../../../../src/rules/compile/namespace-rules.ts';
import { type Platform, withPlatform } from '../../../../src/rules/store/add-platform-rules.ts';
import { documentOf, referenceOf, ruleSetOf, sha256, winnerOf } from '../documents.ts';

const config = 'images.config.openshift.io/cluster';
const registries = (...names: readonly string[]): Platform => ({
  internalRegistries: names.map((registry) => ({ registry, object: config })),
});
const internal = 'image-registry.openshift-image-registry.svc:5000';

describe('registries of the cluster', () => {
  test('are trusted without a secret, and show their source object', () => {
    const { ruleSet, conflicts } = withPlatform(ruleSetOf('rules: [{registry: quay.io}]'), registries(internal), sha256);
    expect(winnerOf(ruleSet, referenceOf(`${internal}/shop/web:1`))).toMatchObject({
      trust: true,
      internal: true,
      pullSecrets: [],
      origin: { source: { kind: 'cluster', object: config } },
    });
    expect(winnerOf(ruleSet, referenceOf('quay.io/x'))?.internal).toBe(false);
    expect(winnerOf(ruleSet, referenceOf('image-registry.openshift-image-registry.svc/shop/web'))).toBeUndefined();
    expect(conflicts()).toEqual([]);
  });

  test.each([
    [
      'a denial of it',
      `rules: [{registry: "${internal}/evil", trust: false}]`,
      `the rule denies ${internal}/evil, but the cluster's own registry ${internal} (${config}) is always trusted. The rule has no effect. Remove it.`,
    ],
    [
      'a denial of part of it without the port',
      `rules: [{registry: "${internal.replace(':5000', '')}/evil", trust: false}]`,
      `the rule denies ${internal.replace(':5000', '')}/evil, but the cluster's own registry ${internal} (${config}) is always trusted. The rule has no effect on it. Remove the rule, or use ${internal.replace(':5000', ':*')}/evil to deny its other ports.`,
    ],
    [
      'a secret for it',
      `rules: [{registry: "${internal}", pullSecret: x}]`,
      `the rule specifies a secret for ${internal}, but the cluster's own registry ${internal} (${config}) never gets a secret. The rule has no effect. Remove it.`,
    ],
    [
      'an end date for its trust',
      `rules: [{registry: "${internal}", until: 2027-03-31}]`,
      `the rule sets an end date for ${internal}, but the cluster's own registry ${internal} (${config}) is always trusted. The rule has no effect. Remove it.`,
    ],
  ])('win over %s, which is reported and not rejected', (_sentence, text, message) => {
    const { ruleSet, conflicts } = withPlatform(ruleSetOf(text), registries(internal), sha256);
    expect(winnerOf(ruleSet, referenceOf(`${internal}/evil/x`))).toMatchObject({ internal: true, pullSecrets: [] });
    expect(conflicts().map((conflict) => [conflict.code, conflict.message])).toEqual([['internal-conflict', message]]);
    expect(conflicts()[0]?.origin.source).toEqual({ kind: 'file', file: 'a.yaml' });
  });

  test.each([
    ['a denial of everything else', 'rules: [{registry: "*", trust: false}]'],
    ['a rule that only trusts it', `rules: [{registry: "${internal}/shop"}]`],
    ['the same registry among the internal registries in the rules', `internalRegistries: ["${internal}"]`],
  ])('do not conflict with %s', (_sentence, text) => {
    expect(withPlatform(ruleSetOf(text), registries(internal), sha256).conflicts()).toEqual([]);
  });

  test('leave the rules unchanged, including the revision, if the rules list them already', () => {
    const written = ruleSetOf(`internalRegistries: ["${internal}"]`);
    expect(withPlatform(written, registries(internal), sha256).ruleSet).toBe(written);
  });

  test('that are invalid are skipped', () => {
    const written = ruleSetOf('rules: []');
    expect(withPlatform(written, registries('', 'https://x', '*', 'a.io/path', 'a.io:99999'), sha256).ruleSet).toBe(written);
  });
});

describe('an external name of the cluster’s registry', () => {
  const route = 'default-route.apps.example.com';
  const platform: Platform = { internalRegistries: [], externalRegistries: [{ registry: route, object: config }] };
  const winner = (text: string, image = `${route}/shop/web`) =>
    winnerOf(withPlatform(ruleSetOf(text), platform, sha256).ruleSet, referenceOf(image));

  test('is trusted without a secret, and shows its source object', () => {
    expect(winner('rules: [{registry: quay.io}]')).toMatchObject({
      trust: true,
      internal: false,
      pullSecrets: [],
      origin: { source: { kind: 'cluster', object: config } },
    });
    expect(winner('rules: [{registry: quay.io}]', 'other.apps.example.com/shop/web')).toBeUndefined();
  });

  test.each([
    ['a denial of everything else', 'rules: [{registry: "*", trust: false}]', { trust: true }],
    ['a denial of many hosts', 'rules: [{registry: "*.apps.example.com", trust: false}]', { trust: true }],
    ['a denial of this host, which applies', `rules: [{registry: ${route}, trust: false}]`, { trust: false }],
    ['a denial of part of it, which applies', `rules: [{registry: ${route}/shop, trust: false}]`, { trust: false }],
    ['a secret for it, which is injected', `rules: [{registry: ${route}, pullSecret: route-pull}]`, { pullSecrets: ['route-pull'] }],
    ['a secret for many hosts, which is injected', 'rules: [{registry: "*.apps.example.com", pullSecret: x}]', { pullSecrets: ['x'] }],
  ])('next to %s', (_sentence, text, expected) => {
    expect(winner(text)).toMatchObject(expected);
    expect(withPlatform(ruleSetOf(text), platform, sha256).conflicts()).toEqual([]);
  });

  test('next to a denial of many hosts by the namespace itself, which applies', () => {
    const own = documentOf('rules: [{registry: "*.apps.example.com", trust: false}]');
    const compiled = compileNamespaceRules('shop', [own]);
    if (!compiled.ok) throw new Error('the rules of the namespace do not compile');
    const written = withNamespaceRules(ruleSetOf('rules: []'), new Map([['shop', compiled.rules]]), sha256);
    const { ruleSet } = withPlatform(written, platform, sha256);
    const trusted = (namespace: string) => ruleSet.match(referenceOf(`${route}/web`), { namespace, labels: {} }).value?.trust;
    expect([trusted('shop'), trusted('other')]).toEqual([false, true]);
  });

  test('changes the revision, since it changes what is allowed', () => {
    const written = ruleSetOf('rules: [{registry: quay.io}]');
    expect(withPlatform(written, platform, sha256).ruleSet.revision).not.toBe(written.revision);
  });
});

describe('the revision', () => {
  const written = ruleSetOf('rules: [{registry: quay.io}]');

  test('changes with what is added, and the revision of the ConfigMaps stays', () => {
    const { ruleSet } = withPlatform(written, registries(internal), sha256);
    expect(ruleSet.revision).toMatch(/^[0-9a-f]{12}$/);
    expect(ruleSet.revision).not.toBe(written.revision);
    expect(ruleSet.writtenRevision).toBe(written.revision);
    expect(withPlatform(written, registries('172.30.1.1:5000'), sha256).ruleSet.revision).not.toBe(ruleSet.revision);
  });

  test('does not depend on the order, duplicates, or source objects', () => {
    const names = fc.array(fc.constantFrom('a.io', 'b.io:5000', '172.30.1.1:5000', internal), { minLength: 1 });
    fc.assert(
      fc.property(names, fc.func(fc.nat()), (some, key) => {
        const shuffled = some.toSorted((one, other) => key(one) - key(other)).map((registry) => ({ registry, object: 'somebody else' }));
        const { ruleSet } = withPlatform(written, { internalRegistries: shuffled }, sha256);
        expect(ruleSet.revision).toBe(withPlatform(written, registries(...some, ...some), sha256).ruleSet.revision);
      }),
    );
  });

  test('can be looked up with all rules in effect', () => {
    const { ruleSet } = withPlatform(written, { ...registries(internal), shortNames: 'reject' }, sha256);
    expect(canonicalRules(ruleSet)).toMatchObject({
      shortNames: 'reject',
      rules: [
        { registry: internal, internal: true },
        { registry: 'quay.io', trust: true },
      ],
    });
  });
});

describe('a name without a registry means', () => {
  test.each([
    ['what the rules specify', 'shortNames: docker.io', 'docker.io'],
    ['what the rules specify', 'shortNames: [a.io]', ['a.io']],
    ['what the cluster specifies, if the rules do not', 'rules: []', ['registry.access.redhat.com', 'docker.io']],
  ])('%s: %s', (_sentence, text, meaning) => {
    const platform = { internalRegistries: [], shortNames: ['registry.access.redhat.com', 'docker.io'] };
    expect(withPlatform(ruleSetOf(text), platform, sha256).ruleSet.settings.shortNames).toEqual(meaning);
  });

  test('Docker Hub, if neither specifies anything', () => {
    expect(withPlatform(ruleSetOf('rules: []'), { internalRegistries: [] }, sha256).ruleSet.settings.shortNames).toBe('docker.io');
  });
});

describe('registries as in OpenShift’s documents', () => {
  const rules = ruleSetOf(`
rules:
- {registry: "172.30.196.198:5000/shop", pullSecret: by-address}
- {registry: "docker-registry.192.168.121.113.xip.io:80", pullSecret: by-wildcard-dns, pushSecret: by-wildcard-dns}
- {registry: default-route-openshift-image-registry.apps.other.example.com, pullSecret: other-cluster}
- {registry: "*.apps.third.example.com/shop", pullSecret: third-cluster}
`);
  test.each([
    ['172.30.196.198:5000/shop/web:latest', ['by-address']],
    ['172.30.196.198:5000/other/web', undefined],
    ['172.30.196.199:5000/shop/web', undefined],
    ['docker-registry.192.168.121.113.xip.io:80/shop/web', ['by-wildcard-dns']],
    ['docker-registry.192.168.121.113.xip.io/shop/web', undefined],
    [`default-route-openshift-image-registry.apps.other.example.com/shop/web@sha256:${'a'.repeat(64)}`, ['other-cluster']],
    ['default-route-openshift-image-registry.apps.third.example.com/shop/web', ['third-cluster']],
  ])('%s', (image, secrets) => {
    expect(winnerOf(rules, referenceOf(image))?.pullSecrets).toEqual(secrets);
  });
});

/** Tests the warning on short names that nodes with alias lists pull from elsewhere. */
import { describe, expect, test } from 'vitest';
import { parseImage } from '../../../../src/image/reference.ts';
import { aliasLists, aliasTargets } from '../../../../src/image/short-name-aliases.ts';
import { lintRules } from '../../../../src/rules/lint/lint.ts';
import { withPlatform } from '../../../../src/rules/store/add-platform-rules.ts';
import { briefly, ruleSetOf, sha256 } from '../documents.ts';

const openShift = 'internalRegistries: ["image-registry.openshift-image-registry.svc:5000"]';

function findingsOf(...texts: readonly string[]): readonly string[] {
  return briefly(lintRules(ruleSetOf(texts.join('\n')), '2026-11-21'));
}

test('every alias is a short name, and points to a different registry or path', () => {
  for (const { aliases } of aliasLists) {
    for (const [name, target] of Object.entries(aliases)) {
      expect(parseImage(name), name).toMatchObject({ ok: true, reference: { qualified: false } });
      expect(parseImage(target), name).toMatchObject({ ok: true, reference: { qualified: true } });
      const [own, led] = [parseImage(name), parseImage(target)];
      expect(
        own.ok && led.ok && own.reference.host === led.reference.host && own.reference.path.join() === led.reference.path.join(),
        name,
      ).toBe(false);
    }
  }
  expect(aliasTargets.get('podman')).toEqual(['quay.io/podman/stable', 'registry.access.redhat.com/ubi9/podman']);
});

test('a rule whose trust has ended trusts no name, neither the short name nor the alias', () => {
  const aliasFindings = (hub: string, target: string) =>
    findingsOf(
      openShift,
      'shortNames: docker.io',
      `rules: [{registry: "*"}, {registry: docker.io/library${hub}}, {registry: registry.fedoraproject.org${target}}]`,
    ).filter((finding) => finding.startsWith('short-name-alias'));
  const ended = ', until: 2026-11-20';
  expect(aliasFindings('', '')).toEqual([]);
  expect(aliasFindings('', ended)).toEqual([expect.stringContaining('fedora (registry.fedoraproject.org/fedora)')]);
  expect(aliasFindings(ended, ended)).toEqual([]);
});

describe('a rule trusts names that are pulled from other registries', () => {
  test('on OpenShift, with the names and the fix', () => {
    expect(findingsOf(openShift, 'shortNames: docker.io', 'rules: [{registry: docker.io/library}]')).toEqual([
      expect.stringMatching(
        /^short-name-alias 3:20 the rule for docker\.io\/library trusts short names, but .*: centos \(quay\.io\/centos\/centos\), skopeo \(quay\.io\/skopeo\/stable\), buildah \(.*\) and \d+ more\. Set shortNames: reject, or/,
      ),
    ]);
  });

  test('if several registries are searched and all of them are trusted', () => {
    const search = 'shortNames: [reg.io, quay.io]';
    expect(findingsOf(search, 'rules: [{registry: [reg.io, quay.io]}]')).toEqual([
      expect.stringMatching(/^short-name-alias 2:21 the rule for reg\.io trusts/),
    ]);
    expect(findingsOf(search, 'rules: [{registry: reg.io}]')).toEqual([]);
  });

  test("with the cluster's search list", () => {
    const written = ruleSetOf('rules: [{registry: [docker.io, reg.io]}]');
    const { ruleSet } = withPlatform(written, { internalRegistries: [], shortNames: ['docker.io', 'reg.io'] }, sha256);
    expect(briefly(lintRules(ruleSet, '2026-11-21'))).toEqual([expect.stringContaining('short-name-alias')]);
  });

  test.each([
    ['if nodes may run containerd, as far as the rules show', '', 'rules: [{registry: docker.io/library}]'],
    ['if short names are rejected', `${openShift}\nshortNames: reject`, 'rules: [{registry: docker.io/library}]'],
    ['if the cluster determines what short names mean', openShift, 'rules: [{registry: docker.io/library}]'],
    ['if no such name is trusted', `${openShift}\nshortNames: docker.io`, 'rules: [{registry: docker.io/library/nginx}]'],
    ['if everything is trusted', `${openShift}\nshortNames: docker.io`, 'rules: [{registry: "*"}]'],
    ['if the rule is for some namespaces', `${openShift}\nshortNames: docker.io`, 'rules: [{registry: docker.io/library, namespaces: a}]'],
  ])('but not %s', (_name, settings, rules) => {
    expect(findingsOf(settings, rules)).toEqual([]);
  });
});

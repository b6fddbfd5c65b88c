/** Tests the warnings on patterns that are unlikely to match an image, and the hint at pull secrets of public registries. */
import { describe, expect, test } from 'vitest';
import { lintRules } from '../../../../src/rules/lint/lint.ts';
import { briefly, ruleSetOf } from '../documents.ts';

function findingsOf(text: string): readonly string[] {
  return briefly(lintRules(ruleSetOf(text), '2026-11-21'));
}

describe('an unlikely pattern causes a warning', () => {
  test.each([
    [
      'a range of addresses',
      'rules: [{registry: 10.0.0.0/8}]',
      'unlikely-pattern 1:20 "10.0.0.0/8" is the repository "8" of the registry 10.0.0.0',
    ],
    ['a range of IPv6 addresses', 'rules: [{registry: "[2001:db8::]/32"}]', 'repository "32" of the registry [2001:db8::]'],
    [
      'a web site',
      'rules: [{registry: hub.docker.com}]',
      'hub.docker.com is a web site, and no image name starts with it. The registry is docker.io.',
    ],
    ['a web site with a path', 'rules: [{registry: github.com/acme}]', 'The registry is ghcr.io.'],
    ['a Quay page', 'rules: [{registry: quay.io/repository/acme/app}]', 'Use "quay.io/acme/app".'],
    [
      'the path of the registry API',
      'rules: [{registry: index.docker.io/v1}]',
      '/v1 is the path of the registry API, and no image name contains it. Use "docker.io".',
    ],
    ['the path of version 2 of the API', 'rules: [{registry: "reg.io:5000/v2"}]', 'Use "reg.io:5000".'],
    [
      'a second host below Docker Hub',
      'rules: [{registry: "*.docker.io"}]',
      'registry-1.docker.io and index.docker.io are treated as docker.io. Use "docker.io".',
    ],
    ['a second host with a path below Docker Hub', 'rules: [{registry: "*.docker.io/library"}]', 'Use "docker.io/library".'],
    ['in a denial', 'rules: [{registry: 10.0.0.0/8, trust: false}]', 'not a CIDR range'],
    ['in an exemption', 'exemptions: [{image: hub.docker.com, until: 2027-01-01, reason: r}]', 'is a web site'],
    ['in a delegation', 'delegate: [hub.docker.com]', 'is a web site'],
    ['next to docker.io', 'rules: [{registry: docker.io}, {registry: registry.hub.docker.com}]', 'under another name'],
  ])('%s', (_name, text, message) => {
    expect(findingsOf(text)).toEqual([expect.stringContaining(message)]);
    expect(findingsOf(text)[0]).toMatch(/^unlikely-pattern /);
  });

  test.each([
    ['a repository of digits on a port', 'rules: [{registry: "10.0.0.5:5000/8"}]'],
    ['a longer path', 'rules: [{registry: 10.0.0.5/8/app}]'],
    ['a path of digits on a named host', 'rules: [{registry: reg.io/8}]'],
    ['a repository with that name on another registry', 'rules: [{registry: reg.io/repository/acme}]'],
    ['a team with the name v2', 'rules: [{registry: reg.io/v2/app}]'],
    ['a path like the API’s', 'rules: [{registry: reg.io/v3}]'],
    ['only the other name of Docker Hub', 'rules: [{registry: registry.hub.docker.com}]'],
    ['a denial of the other name', 'rules: [{registry: docker.io}, {registry: registry.hub.docker.com, trust: false}]'],
    ['a registry on a port of a web site', 'rules: [{registry: "github.com:5000"}]'],
    ['a subdomain', 'rules: [{registry: "*.mirror.docker.io.example.com"}]'],
  ])('but not %s', (_name, text) => {
    expect(findingsOf(text)).toEqual([]);
  });
});

describe('a pull secret for a registry that serves public images too', () => {
  test.each(['docker.io', 'docker.io/library', 'docker.io/library/nginx', 'quay.io', 'quay.io/*', 'ghcr.io/*/*'])(
    'causes a hint for %s',
    (registry) => {
      expect(findingsOf(`rules: [{registry: ${registry}, pullSecret: s}]`)).toEqual([
        expect.stringMatching(/^secret-on-public-registry 1:20 .* an invalid or expired credential/),
      ]);
    },
  );

  test.each([
    ['without a secret', '{registry: quay.io}'],
    ['only with a push secret', '{registry: quay.io, pushSecret: s}'],
    ['for a path', '{registry: ghcr.io/acme, pullSecret: s}'],
    ['for a private registry', '{registry: reg.io, pullSecret: s}'],
  ])('but not %s', (_name, rule) => {
    expect(findingsOf(`rules: [${rule}]`)).toEqual([]);
  });
});

describe('an organization on Docker Hub with the name of an official image', () => {
  test.each([
    ['in a trusting rule', 'rules: [{registry: docker.io/nginx}]'],
    ['in a denying rule', 'rules: [{registry: registry-1.docker.io/nginx, trust: false}]'],
  ])('%s causes a hint', (_place, text) => {
    expect(findingsOf(text)).toEqual([
      'official-image 1:20 docker.io/nginx matches repositories of the organization nginx, such as nginx/NAME. The official image is docker.io/library/nginx.',
    ]);
  });

  test.each([
    ['a different organization', 'rules: [{registry: docker.io/bitnami}]'],
    ['one of its repositories', 'rules: [{registry: docker.io/nginx/nginx-ingress}]'],
    ['a different registry', 'rules: [{registry: quay.io/nginx}]'],
    ['an author who knows official images', 'rules: [{registry: [docker.io/library/nginx, docker.io/nginx]}]'],
  ])('%s causes none', (_what, text) => expect(findingsOf(text)).toEqual([]));
});

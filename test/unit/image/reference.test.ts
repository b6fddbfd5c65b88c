/** Tests what an image reference means, and its canonical form. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalName,
  completeRegistryHost,
  formatReference,
  type ImageReference,
  parseImage,
  parseUncached,
  upperCaseHost,
} from '../../../src/image/reference.ts';
import { runs } from '../../property.ts';

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** The reference without the fields that only depend on spelling. */
function meaning({ written: _written, qualified: _qualified, ...rest }: ImageReference): Omit<ImageReference, 'written' | 'qualified'> {
  return rest;
}

function parsed(text: string): ImageReference {
  const result = parseImage(text);
  if (!result.ok) throw new Error(result.problem.message);
  return result.reference;
}

test('a name that was parsed before has the same result', () => {
  const part = fc.constantFrom('a', 'reg.io', ':5000', '/', ':v1', '@sha256:', 'A', ' ', 'localhost', '-', '\\', 'é', '\ud800', sha256);
  const names = fc.array(
    fc.array(part, { maxLength: 6 }).map((parts) => parts.join('')),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(names, (each) => {
      for (const name of [...each, ...each]) expect(parseImage(name)).toEqual(parseUncached(name));
    }),
    runs(1_000),
  );
});

describe('an image name is parsed like by container tools', () => {
  const hub = { host: 'docker.io', qualified: true };
  const rows: readonly [string, Omit<ImageReference, 'written'>][] = [
    ['nginx', { ...hub, path: ['library', 'nginx'], qualified: false }],
    ['nginx:1.29', { ...hub, path: ['library', 'nginx'], tag: '1.29', qualified: false }],
    [`nginx@${sha256}`, { ...hub, path: ['library', 'nginx'], digest: sha256, qualified: false }],
    ['bitnami/redis', { ...hub, path: ['bitnami', 'redis'], qualified: false }],
    ['test_com/app', { ...hub, path: ['test_com', 'app'], qualified: false }],
    ['registry/team/app', { ...hub, path: ['registry', 'team', 'app'], qualified: false }],
    ['reg.io:5000', { ...hub, path: ['library', 'reg.io'], tag: '5000', qualified: false }],
    ['docker.io/nginx', { ...hub, path: ['library', 'nginx'] }],
    ['index.docker.io/nginx', { ...hub, path: ['library', 'nginx'] }],
    ['registry-1.docker.io/bitnami/redis', { ...hub, path: ['bitnami', 'redis'] }],
    ['Docker.IO:443/nginx', { ...hub, path: ['library', 'nginx'] }],
    ['docker.io:5000/nginx', { ...hub, port: 5000, path: ['nginx'] }],
    ['localhost/app', { host: 'localhost', path: ['app'], qualified: true }],
    ['localhost:5000/app:v1', { host: 'localhost', port: 5000, path: ['app'], tag: 'v1', qualified: true }],
    ['REG.example.COM/team/app', { host: 'reg.example.com', path: ['team', 'app'], qualified: true }],
    ['Registry/app', { host: 'registry', path: ['app'], qualified: true }],
    ['registry:443/app', { host: 'registry', path: ['app'], qualified: true }],
    ['reg.io:443/app', { host: 'reg.io', path: ['app'], qualified: true }],
    ['reg.io:0443/app', { host: 'reg.io', path: ['app'], qualified: true }],
    ['reg.io:00443/app', { host: 'reg.io', path: ['app'], qualified: true }],
    [`${'a'.repeat(250)}.io/app`, { host: `${'a'.repeat(250)}.io`, path: ['app'], qualified: true }],
    ['reg.io:65535/app', { host: 'reg.io', port: 65535, path: ['app'], qualified: true }],
    ['10.0.0.7:8443/a/b/c/d', { host: '10.0.0.7', port: 8443, path: ['a', 'b', 'c', 'd'], qualified: true }],
    ['[FD00::1]/app', { host: '[fd00::1]', path: ['app'], qualified: true }],
    ['[fd00::1]:5000/app:v1', { host: '[fd00::1]', port: 5000, path: ['app'], tag: 'v1', qualified: true }],
    [`reg.io/app:v1@${sha256}`, { host: 'reg.io', path: ['app'], tag: 'v1', digest: sha256, qualified: true }],
    ['xn--bcher-kva.example/app', { host: 'xn--bcher-kva.example', path: ['app'], qualified: true }],
    [`reg.io/${'a'.repeat(255)}`, { host: 'reg.io', path: ['a'.repeat(255)], qualified: true }],
    [`docker.io/${'0123456789abcdef'.repeat(4)}`, { ...hub, path: ['library', '0123456789abcdef'.repeat(4)] }],
    [`${'0123456789abcdef'.repeat(4)}:v1`, { ...hub, path: ['library', '0123456789abcdef'.repeat(4)], tag: 'v1', qualified: false }],
  ];
  for (const [written, expected] of rows) {
    test(written, () => expect(parseImage(written)).toEqual({ ok: true, reference: { written, ...expected } }));
  }
});

describe('what Docker Hub rejects', () => {
  test('64 hex digits, the ID of a local image', () => {
    const result = parseImage('0123456789abcdef'.repeat(4));
    expect(result).toMatchObject({ ok: false, problem: { code: 'image-id' } });
  });

  // containerd resolves these to a local image before it reads a name. As few digits as are unambiguous are enough.
  test.each([
    'sha256:a5',
    'sha256:0',
    'sha256:0123456789abcdef',
    `sha256:${'0'.repeat(63)}`,
    `sha256:${'0'.repeat(64)}`,
    `sha384:${'a'.repeat(96)}`,
    'sha384:a5',
    `sha512:${'a'.repeat(128)}`,
    'sha512:5',
    'sha256:A5',
    'sha256:aB',
  ])('%s, the ID of a local image', (text) => {
    expect(parseImage(text)).toEqual({
      ok: false,
      problem: {
        code: 'image-id',
        message: expect.stringMatching(/^".*" is an image ID, not an image name\. Use REGISTRY\/REPOSITORY@sha256:DIGEST\.$/),
      },
    });
  });

  test.each([
    ['sha256', 'sha256', undefined],
    ['sha256:latest', 'sha256', 'latest'],
    ['sha256:a5g', 'sha256', 'a5g'],
    ['sha256:a5-b', 'sha256', 'a5-b'],
    ['sha1:a5', 'sha1', 'a5'],
    ['md5:a5', 'md5', 'a5'],
    ['sha2560:a5', 'sha2560', 'a5'],
    ['docker.io/sha256:a5', 'sha256', 'a5'],
    ['docker.io/library/sha256:a5', 'sha256', 'a5'],
    ['library/sha256:a5', 'sha256', 'a5'],
    [`sha256:a5@sha256:${'0'.repeat(64)}`, 'sha256', 'a5'],
    [`sha256@sha256:${'0'.repeat(64)}`, 'sha256', undefined],
  ])('%s is a Docker Hub name for every tool', (text, repository, tag) => {
    const result = parseImage(text);
    expect(result).toMatchObject({ ok: true, reference: { host: 'docker.io', path: ['library', repository] } });
    expect(result.ok && result.reference.tag).toBe(tag);
  });

  test('a host with an underscore, which some runtimes contact and others treat as a path', () => {
    expect(parseImage('foo_bar.com/app')).toEqual({
      ok: false,
      problem: {
        code: 'host',
        message: '"foo_bar.com/app" has an invalid registry host: "foo_bar.com" may contain only letters, digits, "-" and ".".',
      },
    });
  });

  test('a repository name that is only too long with library/', () => {
    expect(parseImage('a'.repeat(248))).toMatchObject({ ok: false, problem: { code: 'name-too-long' } });
    expect(parseImage('a'.repeat(247))).toMatchObject({ ok: true });
  });
});

describe('the canonical name', () => {
  const rows: readonly [string, string, string][] = [
    ['nginx', 'docker.io/library/nginx', 'docker.io/library/nginx'],
    ['nginx:1.29', 'docker.io/library/nginx', 'docker.io/library/nginx:1.29'],
    [`Reg.io:443/app:v1@${sha256}`, 'reg.io/app', `reg.io/app:v1@${sha256}`],
    ['reg.io:5000/team/app', 'reg.io:5000/team/app', 'reg.io:5000/team/app'],
    ['localhost/app', 'localhost/app', 'localhost/app'],
    ['[::1]/app', '[::1]/app', '[::1]/app'],
    ['Registry/app', 'registry:443/app', 'registry:443/app'],
    ['registry:5000/app', 'registry:5000/app', 'registry:5000/app'],
  ];
  for (const [written, canonical, full] of rows) {
    test(`${written} is ${full}`, () => {
      expect(canonicalName(parsed(written))).toBe(canonical);
      expect(formatReference(parsed(written))).toBe(full);
    });
  }
});

describe('for every string', () => {
  const label = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9-]{0,6}[A-Za-z0-9])?$/);
  const host = fc.oneof(
    // No host ends with a number.
    fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => `${labels.join('.')}z`),
    fc.constantFrom(
      'docker.io',
      'index.docker.io',
      'registry-1.docker.io',
      'Docker.io',
      'localhost',
      'LocalHost',
      '[::1]',
      '[FD00:0::1]',
      '10.0.0.5',
    ),
  );
  const port = fc.option(fc.oneof(fc.constant(443), fc.integer({ min: 1, max: 65535 })), { nil: undefined });
  const domain = fc.tuple(host, port).map(([name, number]) => (number === undefined ? `${name}/` : `${name}:${number}/`));
  const segment = fc.stringMatching(/^[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));
  const tag = fc.stringMatching(/^(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,10})?$/);
  const digest = fc.oneof(
    fc.constant(''),
    fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `@sha256:${hex}`),
  );
  /** A path by the grammar, a host by Docker Hub's rules (`a_b.c/app`), or a host that ends with a number (`a.0/app`). */
  const hasDoubtfulHost = (name: string) =>
    (/^[^/:]*_[^/:]*\//.test(name) && /^[^/]*\./.test(name)) || /^[^/]*\.(?:\d+|0x[0-9a-f]*)\//.test(name);
  const wellFormed = fc
    .tuple(fc.oneof(fc.constant(''), domain), path, tag, digest)
    .map((parts) => parts.join(''))
    .filter((name) => !hasDoubtfulHost(name));
  const alike = fc.string({ unit: fc.constantFrom('a', 'A', '0', '.', '/', ':', '@', '-', '_', '[', ']', 'localhost'), maxLength: 24 });

  test('a well-formed name parses, and its full form means the same', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        const reference = parsed(text);
        expect(meaning(parsed(formatReference(reference)))).toEqual(meaning(reference));
        expect(formatReference(parsed(formatReference(reference)))).toBe(formatReference(reference));
      }),
      runs(1000),
    );
  });

  test('for whatever parses, the full form means the same', () => {
    fc.assert(
      fc.property(alike, (text) => {
        const result = parseImage(text);
        if (!result.ok) return;
        const printed = formatReference(result.reference);
        expect(meaning(parsed(printed))).toEqual(meaning(result.reference));
        expect(formatReference(parsed(printed))).toBe(printed);
      }),
      runs(5000),
    );
  });

  test('a reference is in canonical form for matching', () => {
    fc.assert(
      fc.property(fc.oneof(wellFormed, alike), (text) => {
        const result = parseImage(text);
        if (!result.ok) return;
        const { host, port, path, written } = result.reference;
        expect(written).toBe(text);
        expect(host).toMatch(/^([a-z0-9.-]+|\[[0-9a-f:]+\])$/);
        expect(['index.docker.io', 'registry-1.docker.io']).not.toContain(host);
        expect(port).not.toBe(443);
        expect(path).not.toContain('');
        expect(path.length).toBeGreaterThan(0);
      }),
      runs(2000),
    );
  });

  test('the result is a reference or a bounded, printable message, never an exception', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 400 }),
      alike,
      fc.tuple(fc.string({ unit: 'binary', maxLength: 3 }), fc.nat(6000)).map(([unit, times]) => unit.repeat(times).slice(0, 6000)),
      fc.tuple(wellFormed, fc.string({ unit: 'binary', maxLength: 2 }), wellFormed).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(anything, (text) => {
        const result = parseImage(text);
        if (result.ok) return;
        expect(result.problem.message.length).toBeLessThan(600);
        expect(result.problem.message).toMatch(/^"[ -~]*$/);
      }),
      runs(2000),
    );
  });
});

describe('a registry host without a repository', () => {
  test.each([
    ['registry.corp.example:5000', 'registry.corp.example:5000/REPOSITORY'],
    ['registry.corp.example', 'registry.corp.example/REPOSITORY'],
    ['registry.corp.example:1.2', 'registry.corp.example/REPOSITORY:1.2'],
    ['ghcr.io', 'ghcr.io/REPOSITORY'],
    ['localhost:5000', 'localhost:5000/REPOSITORY'],
    ['10.0.0.1:5000', '10.0.0.1:5000/REPOSITORY'],
  ])('%s is expanded to %s', (text, completed) => {
    expect(completeRegistryHost(parsed(text))).toBe(completed);
  });

  test.each(['nginx', 'nginx:1.27', 'registry:5000', 'python3.11', 'registry.corp.example/app', 'localhost/app', 'a.b/c:5000'])(
    '%s is not one',
    (text) => expect(completeRegistryHost(parsed(text))).toBeUndefined(),
  );
});

describe('upper case in the first component makes it a registry host', () => {
  test.each([
    ['Panonim/dynacat:1', { host: 'Panonim', lowerCase: 'panonim/dynacat:1' }],
    ['WebOfTrust/keria', { host: 'WebOfTrust', lowerCase: 'weboftrust/keria' }],
  ])('%s', (text, expected) => expect(upperCaseHost(parsed(text))).toEqual(expected));

  test.each(['panonim/dynacat', 'Quay.io/app', 'LOCALHOST/app', 'Registry:5000/app', 'nginx'])('but not in %s', (text) => {
    expect(upperCaseHost(parsed(text))).toBeUndefined();
  });
});

/** Tests registry patterns: parsing, canonical form, and which images they match. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseImage } from '../../../../src/image/reference.ts';
import { parsePattern, patternMatches, resolvePattern } from '../../../../src/rules/language/pattern.ts';
import { runs } from '../../../property.ts';
import { referenceOf } from '../documents.ts';

function pattern(text: string, trust = true) {
  const parsed = parsePattern(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return resolvePattern(parsed.pattern, trust);
}

describe('a pattern has a canonical spelling', () => {
  test.each([
    { written: 'reg.io', trusting: 'reg.io', distrusting: 'reg.io' },
    { written: 'Reg.IO/team', trusting: 'reg.io/team', distrusting: 'reg.io/team' },
    { written: 'reg.io:443', trusting: 'reg.io', distrusting: 'reg.io:443' },
    { written: 'reg.io:*', trusting: 'reg.io:*', distrusting: 'reg.io' },
    { written: 'reg.io:5000/a/*/b', trusting: 'reg.io:5000/a/*/b', distrusting: 'reg.io:5000/a/*/b' },
    { written: '*.Example.com', trusting: '*.example.com', distrusting: '*.example.com' },
    { written: '*', trusting: '*', distrusting: '*' },
    { written: '*:5000', trusting: '*:5000', distrusting: '*:5000' },
    { written: 'index.docker.io', trusting: 'docker.io', distrusting: 'docker.io' },
    { written: 'registry-1.docker.io/bitnami', trusting: 'docker.io/bitnami', distrusting: 'docker.io/bitnami' },
    { written: 'localhost', trusting: 'localhost', distrusting: 'localhost' },
    { written: '[2001:DB8::1]:5000', trusting: '[2001:db8::1]:5000', distrusting: '[2001:db8::1]:5000' },
    { written: '[2001:db8:0:0::1]:5000', trusting: '[2001:db8::1]:5000', distrusting: '[2001:db8::1]:5000' },
    { written: '[::ffff:a00:5]', trusting: '10.0.0.5', distrusting: '10.0.0.5' },
    { written: '[::1]', trusting: '[::1]', distrusting: '[::1]' },
    { written: '10.0.0.1', trusting: '10.0.0.1', distrusting: '10.0.0.1' },
    { written: 'harbor:443/team', trusting: 'harbor:443/team', distrusting: 'harbor:443/team' },
    { written: 'Harbor', trusting: 'harbor:443', distrusting: 'harbor:*' },
  ])('$written', ({ written, trusting, distrusting }) => {
    expect([pattern(written, true).text, pattern(written, false).text]).toEqual([trusting, distrusting]);
    expect(pattern(trusting, true)).toEqual(pattern(written, true));
    expect(pattern(distrusting, false)).toEqual(pattern(written, false));
  });
});

describe('a trusting pattern', () => {
  test.each([
    {
      text: 'reg.io',
      matches: ['reg.io/a', 'reg.io:443/a/b:1', 'REG.io/a'],
      not: ['reg.io.evil.com/a', 'reg.io:5000/a', 'x.reg.io/a', 'eg.io/a'],
    },
    { text: 'reg.io/team', matches: ['reg.io/team/a', 'reg.io/team'], not: ['reg.io/team-x/a', 'reg.io/teams', 'reg.io/x/team'] },
    { text: 'reg.io:5000', matches: ['reg.io:5000/a'], not: ['reg.io/a', 'reg.io:50000/a'] },
    { text: 'reg.io:*', matches: ['reg.io:5000/a', 'reg.io/a'], not: ['reg.com:5000/a'] },
    {
      text: '*.example.com',
      matches: ['a.example.com/x', 'a.b.example.com/x'],
      not: ['example.com/x', 'badexample.com/x', 'a.example.com:8443/x'],
    },
    { text: '*', matches: ['a.b/x', 'nginx', '[::1]/x'], not: ['a.b:5000/x'] },
    { text: '*:*', matches: ['a.b/x', 'a.b:5000/x', 'localhost:1/x'], not: [] },
    { text: 'reg.io/*/base', matches: ['reg.io/a/base', 'reg.io/a/base/x'], not: ['reg.io/base', 'reg.io/a/b/base'] },
    { text: 'reg.io/*', matches: ['reg.io/a', 'reg.io/a/b'], not: [] },
    { text: 'docker.io/library', matches: ['nginx', 'docker.io/nginx', 'index.docker.io/library/nginx'], not: ['bitnami/redis'] },
    { text: 'docker.io/bitnami', matches: ['bitnami/redis'], not: ['nginx', 'docker.io/bitnami'] },
    { text: '[::1]:5000', matches: ['[::1]:5000/a'], not: ['[::1]/a'] },
    { text: 'harbor:443', matches: ['harbor:443/a'], not: ['harbor/a', 'harbor:80/a'] },
  ])('$text matches $matches and not $not', ({ text, matches, not }) => {
    expect(matches.filter((image) => !patternMatches(pattern(text), referenceOf(image)))).toEqual([]);
    expect(not.filter((image) => patternMatches(pattern(text), referenceOf(image)))).toEqual([]);
  });
});

describe('a denying pattern', () => {
  test.each([
    { text: 'reg.io', matches: ['reg.io/a', 'reg.io:5000/a'], not: ['reg.io.evil.com/a'] },
    { text: 'reg.io:443', matches: ['reg.io/a', 'reg.io:443/a'], not: ['reg.io:5000/a'] },
    { text: 'reg.io:5000', matches: ['reg.io:5000/a'], not: ['reg.io/a'] },
  ])('$text matches $matches and not $not', ({ text, matches, not }) => {
    expect(matches.filter((image) => !patternMatches(pattern(text, false), referenceOf(image)))).toEqual([]);
    expect(not.filter((image) => patternMatches(pattern(text, false), referenceOf(image)))).toEqual([]);
  });
});

describe('a problem is reported with its fix', () => {
  test.each([
    { text: '', code: 'empty-value', says: 'empty' },
    { text: 'reg.io ', code: 'pattern-space', says: 'space' },
    { text: 'reg.io,quay.io x', code: 'pattern-space', says: 'or a list' },
    { text: 'https://reg.io', code: 'pattern-scheme', says: 'Use "reg.io"' },
    { text: 'docker://reg.io/team/', code: 'pattern-scheme', says: 'Use "reg.io/team"' },
    { text: 'reg.io/', code: 'pattern-slash', says: 'Use "reg.io"' },
    { text: '/reg.io', code: 'pattern-slash', says: 'Use "reg.io"' },
    { text: 'reg.io//team', code: 'pattern-slash', says: 'Use single slashes' },
    { text: 'reg.io/app:1.2', code: 'pattern-tag', says: 'Use "reg.io/app"' },
    { text: 'reg.io/app:1.2/x', code: 'pattern-tag', says: 'Use "reg.io/app"' },
    { text: 'nginx:latest', code: 'pattern-tag', says: 'has "latest" as a port' },
    { text: 'reg.io/app@sha256:abc', code: 'pattern-digest', says: 'Use "reg.io/app"' },
    { text: 'me:secret@reg.io/app', code: 'pattern-user', says: 'Use "reg.io/app"' },
    { text: 'https://me:sec@ret@reg.io', code: 'pattern-user', says: 'Use "reg.io"' },
    { text: '**.example.com', code: 'pattern-wildcard', says: '**' },
    { text: 'reg.io/**', code: 'pattern-wildcard', says: '**' },
    { text: 'foo*.com', code: 'pattern-wildcard', says: 'inside its host' },
    { text: 'a.*.com', code: 'pattern-wildcard', says: 'inside its host' },
    { text: '*example.com', code: 'pattern-wildcard', says: 'inside its host' },
    { text: '*.0.0.1', code: 'pattern-wildcard', says: 'address' },
    { text: 'reg.io/team-*', code: 'pattern-wildcard', says: 'whole segment' },
    { text: 'reg.io/Team', code: 'pattern-path', says: 'Use "reg.io/team"' },
    { text: 'reg.io/a..b', code: 'pattern-path', says: 'invalid path segment' },
    { text: 'reg.io:500O', code: 'pattern-port', says: 'has the invalid port "500O". A port is a number. Did you mean "reg.io:5000"?' },
    { text: 'reg.io:5o00', code: 'pattern-port', says: 'Did you mean "reg.io:5000"?' },
    { text: 'reg.io:l5000/team', code: 'pattern-port', says: 'Did you mean "reg.io:15000/team"?' },
    { text: 'reg.io:0', code: 'pattern-port', says: '1 to 65535' },
    { text: 'reg.io:65536', code: 'pattern-port', says: '1 to 65535' },
    { text: 'reg.io:0443', code: 'pattern-port', says: 'leading zeros' },
    { text: 'reg.io:', code: 'pattern-port', says: '1 to 65535' },
    { text: 'reg.io:50*', code: 'pattern-port', says: 'only * for every port' },
    { text: '2001:db8::1', code: 'pattern-host', says: 'brackets' },
    { text: 'https://index.docker.io/v1/', code: 'pattern-scheme', says: 'Use "docker.io"' },
    { text: 'https://index.docker.io/v2', code: 'pattern-scheme', says: 'Use "docker.io"' },
    { text: 'http://Registry-1.Docker.io/v2/library/nginx', code: 'pattern-scheme', says: 'Use "docker.io/library/nginx"' },
    { text: 'https://registry.hub.docker.com/v2/', code: 'pattern-scheme', says: 'Use "docker.io"' },
    { text: 'https://hub.docker.com/r/bitnami/redis', code: 'pattern-scheme', says: 'Use "docker.io/bitnami/redis"' },
    { text: 'https://hub.docker.com/_/nginx', code: 'pattern-scheme', says: 'Use "docker.io/library/nginx"' },
    { text: 'https://hub.docker.com/r/bitnami/redis/tags', code: 'pattern-scheme', says: 'Use "docker.io/bitnami/redis"' },
    { text: 'https://hub.docker.com/r/bitnami/redis?name=8', code: 'pattern-scheme', says: 'Use "docker.io/bitnami/redis"' },
    { text: 'https://hub.docker.com/_/nginx/tags', code: 'pattern-scheme', says: 'Use "docker.io/library/nginx"' },
    { text: 'https://hub.docker.com/u/bitnami', code: 'pattern-scheme', says: 'Use "docker.io"' },
    { text: 'https://quay.io/v2/', code: 'pattern-scheme', says: 'Use "quay.io"' },
    { text: 'https://reg.io:5000/v2/team', code: 'pattern-scheme', says: 'Use "reg.io:5000/team"' },
    { text: 'https://reg.io/team/v2', code: 'pattern-scheme', says: 'Use "reg.io/team/v2"' },
    { text: 'index.docker.io/v1/', code: 'pattern-slash', says: 'Use "docker.io"' },
    { text: 'me:pw@index.docker.io/v1/', code: 'pattern-user', says: 'Use "docker.io"' },
    { text: '123456789012.dkr.ecr.*.amazonaws.com', code: 'pattern-wildcard', says: 'aws ec2 describe-regions' },
    { text: '123456789012.dkr.ecr.eu-*.amazonaws.com/team', code: 'pattern-wildcard', says: 'one pattern for each region' },
    { text: '[1:2]', code: 'pattern-host', says: 'Use an address such as [2001:db8::1]' },
    { text: '[:::::]:5000', code: 'pattern-host', says: 'brackets' },
    { text: '*.[::1]', code: 'pattern-host', says: 'letters, digits' },
    { text: '10.5', code: 'pattern-host', says: 'four decimal numbers' },
    { text: '[zz]', code: 'pattern-host', says: 'brackets' },
    { text: 'reg.io.', code: 'pattern-host', says: 'dot at the end' },
    { text: `${'a.'.repeat(126)}io`, code: 'pattern-host', says: 'has a host with 254 characters. The maximum is 253' },
    { text: `*.${'a.'.repeat(126)}io`, code: 'pattern-host', says: 'has a host with 254 characters. The maximum is 253' },
    { text: 'reg.io:005000', code: 'pattern-port', says: 'without leading zeros' },
    { text: `\${REGISTRY}`, code: 'pattern-host', says: `"\${REGISTRY}" looks like an unexpanded variable` },
    { text: `\${REGISTRY}/app`, code: 'pattern-host', says: `contains "\${REGISTRY}", which looks like an unexpanded variable` },
    { text: '{{ .Values.registry }}', code: 'pattern-space', says: 'looks like a placeholder' },
    { text: 'REGISTRY_HOST', code: 'pattern-host', says: 'looks like a placeholder' },
    { text: 'reg.io/<team>', code: 'pattern-path', says: 'contains "<team>", which looks like a placeholder' },
    { text: 'reg.io/app:$TAG', code: 'pattern-tag', says: 'contains "$TAG", which looks like an unexpanded variable' },
    { text: '$USER:secret@reg.io', code: 'pattern-user', says: 'reference a Secret' },
    { text: 'a.io,b.io', code: 'pattern-host', says: 'contains a comma. Use a list' },
    { text: 'a.io/x,b.io/y', code: 'pattern-host', says: 'contains a comma. Use a list' },
    { text: '^reg\\.io$', code: 'pattern-host', says: 'looks like a regular expression' },
    { text: 'reg\\.io.*', code: 'pattern-host', says: 'looks like a regular expression' },
    { text: '(a|b).io/x', code: 'pattern-host', says: 'looks like a regular expression' },
    { text: '-reg.io', code: 'pattern-host', says: 'letters, digits' },
    { text: 'räg.io', code: 'pattern-host', says: 'letters, digits' },
    { text: 'my_reg.io', code: 'pattern-host', says: 'letters, digits' },
    { text: 'bitnami', code: 'pattern-unqualified', says: 'or "docker.io/bitnami" for an organization' },
    { text: 'library/nginx', code: 'pattern-unqualified', says: 'Use "docker.io/library/nginx"' },
    { text: `reg.io/${'a'.repeat(600)}`, code: 'pattern-too-long', says: 'The maximum is 600' },
  ])('$text', ({ text, code, says }) => {
    expect(parsePattern(text)).toMatchObject({ ok: false, code, message: expect.stringContaining(says) });
  });

  test('a password in a pattern does not reach the message', () => {
    for (const text of ['me:s3cret@reg.io', 'https://me:s3cret@reg.io', 'me:s3cret@reg.io ', 's3cret@me@sha256:00']) {
      expect(JSON.stringify(parsePattern(text))).not.toContain('s3cret');
    }
  });
});

describe('patterns and image names agree on the grammar', () => {
  const character = fc.constantFrom(...'aB0.-_:/[]* @éz');
  const text = fc.string({ unit: character, maxLength: 12 });
  const wellFormed = fc
    .record({
      host: fc.constantFrom('reg.io', 'Reg.IO', '*.io', '*', 'index.docker.io', 'docker.io', 'localhost', '[::1]', '10.0.0.1'),
      port: fc.constantFrom('', ':443', ':5000', ':*'),
      path: fc.array(fc.constantFrom('a', 'b-c', 'd__e', '*'), { maxLength: 3 }),
    })
    .map(({ host, port, path }) => [host + port, ...path].join('/'));

  test('parsing a pattern never throws', () => {
    fc.assert(fc.property(fc.oneof(text, fc.string()), (any) => typeof parsePattern(any).ok === 'boolean'));
  });

  test('a pattern is printed and parsed again as the same pattern, and printed the same', () => {
    fc.assert(
      fc.property(fc.oneof(wellFormed, text), fc.boolean(), (any, trust) => {
        const parsed = parsePattern(any);
        fc.pre(parsed.ok);
        const first = resolvePattern(parsed.pattern, trust);
        expect(pattern(first.text, trust)).toEqual(first);
      }),
      runs(2000),
    );
  });

  test('two patterns are printed the same exactly if they are the same', () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, fc.boolean(), (one, other, trust) => {
        const [left, right] = [pattern(one, trust), pattern(other, trust)];
        const same = JSON.stringify({ ...left, text: '' }) === JSON.stringify({ ...right, text: '' });
        expect(left.text === right.text).toBe(same);
      }),
      runs(2000),
    );
  });

  test('a host that a pattern matches is the host of images below it', () => {
    fc.assert(
      // Most random texts are no patterns, so most of these are.
      fc.property(fc.oneof({ weight: 4, arbitrary: wellFormed }, text), (any) => {
        const parsed = parsePattern(any);
        fc.pre(parsed.ok && parsed.pattern.host.kind === 'exact' && parsed.pattern.port !== 'any' && !parsed.pattern.path.includes('*'));
        const image = parseImage(`${any}/below/that`);
        expect(image.ok && patternMatches(pattern(any), image.reference)).toBe(true);
      }),
    );
  });

  test('a qualified image without a tag is a pattern that matches it', () => {
    const name = fc.string({ unit: fc.constantFrom(...'ab0.-_'), minLength: 1, maxLength: 6 });
    const port = fc.constantFrom('', ':443', ':5000');
    fc.assert(
      fc.property(name, port, name, (host, at, path) => {
        const image = parseImage(`${host}.io${at}/${path}`);
        const parsed = parsePattern(`${host}.io${at}/${path}`);
        expect(parsed.ok).toBe(image.ok);
        if (image.ok) expect(patternMatches(pattern(`${host}.io${at}/${path}`), image.reference)).toBe(true);
      }),
    );
  });
});

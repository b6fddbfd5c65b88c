/** Tests the grammar of image names: accepted and rejected texts, and a comparison with the original's regular expressions. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseGrammar, splitDomain } from '../../../src/image/grammar.ts';
import { type ImageProblemCode, imageProblemCodes } from '../../../src/image/problem.ts';
import { parseImage } from '../../../src/image/reference.ts';
import { runs } from '../../property.ts';

const hex = '0123456789abcdef'.repeat(4);

describe('the grammar treats the first component as a domain if it can', () => {
  const rows: readonly [string, { domain?: string; path: string; tag?: string; digest?: string }][] = [
    ['app', { path: 'app' }],
    ['a/b', { domain: 'a', path: 'b' }],
    ['a_b/c', { path: 'a_b/c' }],
    ['a--b/c', { domain: 'a--b', path: 'c' }],
    ['reg.io:5000/a.b/c__d/e---f', { domain: 'reg.io:5000', path: 'a.b/c__d/e---f' }],
    ['reg.io:5000', { path: 'reg.io', tag: '5000' }],
    ['[::1]:5000/app:_v.1-', { domain: '[::1]:5000', path: 'app', tag: '_v.1-' }],
    [`app:${'t'.repeat(128)}`, { path: 'app', tag: 't'.repeat(128) }],
    [`app@sha256:${hex}`, { path: 'app', digest: `sha256:${hex}` }],
    [`app@sha384:${'a'.repeat(96)}`, { path: 'app', digest: `sha384:${'a'.repeat(96)}` }],
    [`reg.io/app:v1@sha512:${hex}${hex}`, { domain: 'reg.io', path: 'app', tag: 'v1', digest: `sha512:${hex}${hex}` }],
  ];
  for (const [text, expected] of rows) {
    test(text, () => expect(parseGrammar(text)).toEqual({ ok: true, ...expected }));
  }
});

describe('a domain is split at its port', () => {
  const rows: readonly [string, { host: string; port?: string }][] = [
    ['reg.io', { host: 'reg.io' }],
    ['reg.io:5000', { host: 'reg.io', port: '5000' }],
    ['[::1]', { host: '[::1]' }],
    ['[::1]:5000', { host: '[::1]', port: '5000' }],
  ];
  for (const [domain, expected] of rows) test(domain, () => expect(splitDomain(domain)).toEqual(expected));
});

/** Input, code, and what the message says after the quoted input. */
const invalidNames: readonly [string, ImageProblemCode, string][] = [
  ['', 'empty', 'is blank. Specify an image name.'],
  [' \n', 'empty', 'is blank'],
  [' nginx', 'whitespace', 'has leading or trailing white space. Use "nginx".'],
  ['nginx\n', 'whitespace', 'has leading or trailing white space. Use "nginx".'],
  ['nginx latest', 'whitespace', 'contains white space.'],
  ['reg.io/\tapp', 'whitespace', 'contains white space.'],
  ['ng\u0456nx', 'character', 'contains the character U+0456. Only printable ASCII characters are allowed.'],
  ['app\u0000', 'character', 'contains the character U+0000'],
  ['app\u{1F433}', 'character', 'contains the character U+1F433'],
  ['b\u00fccher.example/app', 'character', 'contains the character U+00FC'],
  ['https://reg.io/x', 'scheme', 'starts with a URL scheme. Use "reg.io/x".'],
  ['docker://nginx:1', 'scheme', 'starts with a URL scheme. Use "nginx:1".'],
  ['https://reg.io/X', 'scheme', 'starts with a URL scheme.'],
  ['-docker.io/app', 'host', 'has an invalid registry host: "-docker.io" has a label that starts or ends with "-".'],
  ['reg.io./app', 'host', 'has an invalid registry host: "reg.io." ends with a dot. Remove the dot.'],
  ['reg..io/app', 'host', 'has an invalid registry host: "reg..io" has an empty label between two dots.'],
  ['.io/app', 'host', 'has an invalid registry host: ".io" has an empty label'],
  ['a b_c.io/app', 'whitespace', 'contains white space.'],
  ['!.io/app', 'host', 'has an invalid registry host: "!.io" may contain only letters, digits, "-" and ".".'],
  ['fc00::1:5000/app', 'port', 'has the port ":1:5000", which is not a number from 1 to 65535'],
  [
    '[fe80::1%eth0]:5000/app',
    'host',
    'has an invalid registry host: "[fe80::1%eth0]" contains an IPv6 zone ID (the part after %). Remove it.',
  ],
  ['[2001:db8::192.0.2.33]/app', 'host', 'has an invalid registry host: "[2001:db8::192.0.2.33]" is not a valid IPv6 address'],
  ['[abcd]/app', 'host', 'has an invalid registry host: "[abcd]" is not a valid IPv6 address.'],
  ['[::1/app', 'host', 'has unbalanced brackets.'],
  ['[::1]x/app', 'host', 'has an invalid registry host: "[::1]x" has unbalanced brackets.'],
  ['reg.io:/app', 'port', 'has the port "", which is not a number from 1 to 65535'],
  ['reg.io:0/app', 'port', 'has the port "0", which is not a number from 1 to 65535'],
  ['reg.io:65536/app', 'port', 'has the port "65536"'],
  ['reg.io:005000/app', 'port', 'has a port with 6 digits. A port is a number from 1 to 65535.'],
  [`reg.io:${'0'.repeat(3900)}1/app`, 'port', 'has a port with 3,901 digits. A port is a number from 1 to 65535.'],
  [`${'a'.repeat(63)}.${'b'.repeat(187)}.io/app`, 'host', 'has a registry host with 254 characters. The maximum is 253.'],
  [`[${':'.repeat(252)}]:5000/app`, 'host', 'has a registry host with 254 characters. The maximum is 253.'],
  ['reg.io:http/app', 'port', 'has the port "http"'],
  ['app:v1/x', 'port', 'has the port "v1"'],
  [':v1', 'no-repository', 'has no repository name.'],
  [`@sha256:${hex}`, 'no-repository', 'has no repository name.'],
  ['reg.io/', 'no-repository', 'has no repository name.'],
  ['[::1]:5000', 'no-repository', 'is a registry host without a repository.'],
  ['reg.io/Team/App:V1', 'upper-case', 'has upper-case letters in "Team". Repository names must be lower case. Use "reg.io/team/app:V1".'],
  ['ROOT', 'upper-case', 'has upper-case letters in "ROOT". Repository names must be lower case. Use "root".'],
  ['Team_A/app', 'upper-case', 'has upper-case letters in "Team_A"'],
  ['reg.io/APP$', 'upper-case', 'has upper-case letters in "APP$". Repository names must be lower case.'],
  ['/app', 'path', 'has an empty path segment. Use single slashes, and none at the start or end.'],
  ['reg.io//app', 'path', 'has an empty path segment'],
  ['reg.io/app/', 'path', 'has an empty path segment'],
  ['-docker/app', 'path', 'has an invalid path segment: "-docker" must start and end with a letter or digit.'],
  ['reg.io/app-', 'path', 'has an invalid path segment: "app-" must start and end'],
  ['reg.io/_', 'path', 'has an invalid path segment: "_" must start and end'],
  ['reg.io/a..b', 'path', 'has an invalid path segment: in "a..b", words may be joined only by ".", "_", "__" or dashes.'],
  ['reg.io/a___b', 'path', 'words may be joined only by ".", "_", "__" or dashes.'],
  ['reg.io/a-.b', 'path', 'words may be joined only by ".", "_", "__" or dashes.'],
  ['aa/asdf$$^/aa', 'path', 'has an invalid path segment: "asdf$$^" may contain only a-z, 0-9, ".", "_" and "-".'],
  ['reg.io/app:v1/x', 'path', 'has an invalid path segment: "app:v1" may contain only'],
  ['user@example', 'digest', 'has "example" after the "@", which is not a digest such as sha256:...'],
  ['app:', 'tag', 'has a colon without a tag.'],
  ['app:v1:v2', 'tag', 'has an invalid tag: "v1:v2" may contain only letters, digits, "_", "." and "-".'],
  ['app:-v1', 'tag', 'has an invalid tag: "-v1" must start with a letter, a digit or "_".'],
  ['app:.v1', 'tag', 'must start with a letter'],
  [`app:${'t'.repeat(129)}`, 'tag', 'has a tag with 129 characters. The maximum is 128.'],
  ['app@', 'digest', 'has "" after the "@"'],
  ['app@sha256:abc', 'digest', 'has a sha256 digest with 3 characters. It must have 64.'],
  [`app@sha256:${hex}0`, 'digest', 'has a sha256 digest with 65 characters'],
  [`app@sha256:${hex.toUpperCase()}`, 'digest', 'has a sha256 digest with characters other than lower-case hex digits.'],
  [`app@md5:${'a'.repeat(32)}`, 'digest', 'has the digest algorithm "md5", which is not sha256, sha384 or sha512'],
  [`app@constructor:${hex}`, 'digest', 'has the digest algorithm "constructor"'],
  [`app@sha256:${hex}@sha256:${hex}`, 'digest', 'has a sha256 digest with 136 characters'],
  ['app@sha256:abc/def', 'digest', 'has a sha256 digest with 7 characters'],
  [`reg.io/${'a'.repeat(256)}`, 'name-too-long', 'has a repository name with 256 characters. The maximum is 255.'],
  ['a/'.repeat(200).concat('a'), 'name-too-long', 'has a repository name with 399 characters'],
  ['a'.repeat(4097), 'too-long', 'is 4,097 characters long. The maximum is 4,096.'],
  [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable that nothing replaced
    '${IMAGE}',
    'variable',
    'looks like an unexpanded variable. Specify the image name, or run the tool that expands the variable.',
  ],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable that nothing replaced
  ['nginx:${TAG}', 'variable', 'contains "${TAG}", which looks like an unexpanded variable.'],
];

describe('a message shows what is wrong and, if obvious, what to use', () => {
  for (const [text, code, what] of invalidNames) {
    test(JSON.stringify(text).slice(0, 80), () => {
      const result = parseGrammar(text);
      expect(result).toMatchObject({ ok: false, problem: { code, message: expect.stringContaining(what) } });
    });
  }

  test('a message quotes the input', () => {
    expect(parseGrammar('https://reg.io/x')).toEqual({
      ok: false,
      problem: { code: 'scheme', message: '"https://reg.io/x" starts with a URL scheme. Use "reg.io/x".' },
    });
  });

  test('a fix is only recommended if it is valid', () => {
    expect(parseGrammar('https://reg.io/X')).toMatchObject({ problem: { message: '"https://reg.io/X" starts with a URL scheme.' } });
  });

  test('a user name and password never appear in the message', () => {
    for (const text of ['bob:s3cret@reg.io/app', 'https://bob:s3cret@reg.io/app', 'bob:s3/c@ret@reg.io/app', ' bob:s3cret@reg.io/app']) {
      const result = parseGrammar(text);
      expect(result.ok).toBe(false);
      if (!result.ok) expect(result.problem.message).not.toMatch(/bob|s3|ret@/);
    }
    expect(parseGrammar('https://bob:s3cret@reg.io/app')).toMatchObject({
      problem: {
        code: 'userinfo',
        message: '"***@reg.io/app" contains a user name or password. Put credentials in a pull secret. Use "reg.io/app".',
      },
    });
  });

  test('every code is covered by a row, by the password test or by the image ID', () => {
    const covered = new Set<string>([...invalidNames.map(([, code]) => code), 'userinfo']);
    const left = Object.keys(imageProblemCodes).filter((code) => !covered.has(code));
    expect(left).toEqual(['image-id']);
    expect(parseImage(hex)).toMatchObject({ problem: { code: 'image-id' } });
  });
});

/**
 * The grammar a second time, composed of regular expressions like the original. It may backtrack, so it is for short texts only. It does
 * not have regkeeper's three narrower rules, so the alphabet below leaves out IPv6 and long texts.
 */
const oracle = (() => {
  const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
  const segment = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
  const domain = `${label}(?:\\.${label})*(?::[0-9]+)?`;
  return new RegExp(`^(?:(?<domain>${domain})/)?(?<path>${segment}(?:/${segment})*)(?::(?<tag>\\w[\\w.-]{0,127}))?$`);
})();

describe('for every string', () => {
  test('the scanner agrees with the composed regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'Z', '7', '.', '/', '/', ':', '-', '_'), maxLength: 14 });
    fc.assert(
      fc.property(text, (written) => {
        const match = oracle.exec(written)?.groups;
        const port = Number(match?.domain?.split(':')[1] ?? 1);
        const result = parseGrammar(written);
        if (match === undefined || port < 1 || port > 65535) {
          expect(result.ok).toBe(false);
        } else {
          const { domain, path, tag } = match;
          expect(result).toEqual({ ok: true, ...(domain && { domain }), path, ...(tag && { tag }) });
        }
      }),
      runs(20_000),
    );
  });
});

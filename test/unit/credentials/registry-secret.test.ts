/** Tests what is read from registry Secrets, and what is wrong with them. */
import { describe, expect, test } from 'vitest';
import { parseRegistrySecret, type RegistrySecretProblemCode, registrySecretProblems } from '../../../src/credentials/registry-secret.ts';

const json = 'kubernetes.io/dockerconfigjson';
const password = 'hunter2';
const login = btoa(`me:${password}`);

function configSecret(config: unknown): ReturnType<typeof parseRegistrySecret> {
  return parseRegistrySecret({ type: json, data: { '.dockerconfigjson': btoa(JSON.stringify(config)) } });
}

describe('the entries of', () => {
  const reg = [{ key: 'reg.io', hasLogin: true }];
  test.each([
    ['a dockerconfigjson', { type: json, data: { '.dockerconfigjson': btoa(`{"auths":{"reg.io":{"auth":"${login}"}}}`) } }, reg],
    ['a dockercfg', { type: 'kubernetes.io/dockercfg', data: { '.dockercfg': btoa(`{"reg.io":{"auth":"${login}"}}`) } }, reg],
    ['stringData', { type: json, stringData: { '.dockerconfigjson': `{"auths":{"reg.io":{"auth":"${login}"}}}` } }, reg],
    [
      'stringData in place of data',
      { type: json, data: { '.dockerconfigjson': '!' }, stringData: { '.dockerconfigjson': '{"auths":{"reg.io":{}}}' } },
      [{ key: 'reg.io', hasLogin: false }],
    ],
  ])('%s are parsed', (_name, secret, auths) => {
    expect(parseRegistrySecret(secret)).toEqual({ auths, problems: [] });
  });

  test.each([['Opaque'], [undefined], [7], ['constructor']])('a Secret of type %s are not parsed', (type) => {
    expect(parseRegistrySecret({ type, data: {} })).toBeUndefined();
  });
});

describe('a kubelet accepts', () => {
  test.each<[string, unknown, boolean]>([
    ['user name and password', { username: 'me', password }, true],
    ['an auth without padding', { auth: login.replace(/=+$/, '') }, true],
    ['an auth with line breaks', { auth: `${login.slice(0, 4)}\n${login.slice(4)}` }, true],
    ['an empty auth next to a password', { auth: '', username: 'me', password }, true],
    ['a password with a colon', { auth: btoa('me:a:b') }, true],
    ['fields in a different case', { Auth: login }, true],
    ['null fields', { auth: null, username: null }, false],
    ['a null entry', null, false],
    ['an empty entry, as docker writes it for a credential helper', {}, false],
    ['additional fields', { auth: login, identitytoken: 7 }, true],
  ])('%s', (_name, entry, hasLogin) => {
    expect(configSecret({ auths: { 'reg.io': entry } })).toEqual({ auths: [{ key: 'reg.io', hasLogin }], problems: [] });
  });

  test.each<[string, unknown]>([
    ['no auths', {}],
    ['null auths', { auths: null }],
    ['null', null],
    ['a credential store', { auths: {}, credsStore: 'desktop', HttpHeaders: { 'X-A': 'b' } }],
  ])('%s', (_name, config) => {
    expect(configSecret(config)).toEqual({ auths: [], problems: [] });
  });
});

const broken: readonly { name: string; content?: string; config?: unknown; code: RegistrySecretProblemCode; entry?: string }[] = [
  { name: 'no content', content: '', code: 'no-content' },
  { name: 'content that is not base64', content: '{"auths":{}}', code: 'content-not-base64' },
  { name: 'content in base64 without padding', content: 'e30', code: 'content-not-base64' },
  { name: 'content that is not JSON', content: btoa(`auths: ${password}`), code: 'content-not-json' },
  { name: 'base64 that is encoded twice', content: btoa(btoa('{"auths":{}}')), code: 'content-not-json' },
  { name: 'content that is a list', config: [], code: 'content-not-object' },
  { name: 'auths as a list', config: { auths: [] }, code: 'auths-type' },
  { name: 'auths as a string', config: { auths: password }, code: 'auths-type' },
  { name: 'headers that are not strings', config: { auths: {}, HttpHeaders: { a: 1 } }, code: 'field-type' },
  { name: 'an entry that is a string', config: { auths: { 'b.io': password } }, code: 'entry-type', entry: 'b.io' },
  { name: 'an entry that is a list', config: { auths: { 'b.io': [] } }, code: 'entry-type', entry: 'b.io' },
  { name: 'a password that is a number', config: { auths: { 'b.io': { password: 7 } } }, code: 'field-type', entry: 'b.io' },
  { name: 'an email that is not a string', config: { auths: { 'b.io': { auth: login, email: {} } } }, code: 'field-type', entry: 'b.io' },
  {
    name: 'an auth that is not encoded',
    config: { auths: { 'b.io': { auth: `me:${password}` } } },
    code: 'auth-not-base64',
    entry: 'b.io',
  },
  { name: 'an auth in the URL-safe alphabet', config: { auths: { 'b.io': { auth: 'bWU6_-8_' } } }, code: 'auth-not-base64', entry: 'b.io' },
  { name: 'a truncated auth', config: { auths: { 'b.io': { auth: login.slice(0, 5) } } }, code: 'auth-not-base64', entry: 'b.io' },
  { name: 'an auth with a space', config: { auths: { 'b.io': { auth: `${login} ` } } }, code: 'auth-not-base64', entry: 'b.io' },
  { name: 'only a token', config: { auths: { 'b.io': { auth: btoa(password) } } }, code: 'auth-without-colon', entry: 'b.io' },
  { name: 'a key with a space', config: { auths: { 'b .io': {} } }, code: 'key-unreadable', entry: 'b .io' },
  { name: 'a key with a password', config: { auths: { [`me:${password}@b .io`]: {} } }, code: 'key-unreadable', entry: '***@b .io' },
];

describe('a problem is', () => {
  test.each(broken)('$name', ({ content, config, code, entry }) => {
    const data = { '.dockerconfigjson': content ?? btoa(JSON.stringify(config)) };
    const parsed = parseRegistrySecret({ type: json, data });
    expect(parsed?.problems).toEqual([{ code, ...(entry !== undefined && { entry }), message: expect.stringMatching(/^[ -~]+\.$/) }]);
  });

  test('tested for every code', () => {
    expect(new Set(broken.map(({ code }) => code))).toEqual(new Set(Object.keys(registrySecretProblems)));
  });

  test.each(broken)('reported without the password: $name', ({ content, config }) => {
    const data = { '.dockerconfigjson': content ?? btoa(JSON.stringify(config)) };
    const text = JSON.stringify(parseRegistrySecret({ type: json, data })?.problems);
    expect(text).not.toContain(password);
    expect(text).not.toContain(login.slice(0, 5));
  });

  test('found in each entry, and the other entries are parsed', () => {
    const parsed = configSecret({ auths: { 'a.io': { auth: login }, 'b.io': { auth: 'x' }, 'c.io': [] } });
    expect(parsed?.auths).toEqual([{ key: 'a.io', hasLogin: true }]);
    expect(parsed?.problems.map(({ entry, code }) => `${entry} ${code}`)).toEqual(['b.io auth-not-base64', 'c.io entry-type']);
  });
});

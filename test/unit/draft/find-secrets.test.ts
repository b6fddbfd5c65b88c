/** Which secrets the first rules name, and which are left to the policy owner. */
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { tryText } from './draft.ts';

const document = (object: object) => `---\n${JSON.stringify(object)}\n`;
let objects = 0;

/** `secrets` are those of the Pod. */
function pod(images: readonly string[], secrets: readonly string[] = [], { namespace = 'shop', account = 'default' } = {}): string {
  const spec = {
    serviceAccountName: account,
    imagePullSecrets: secrets.map((name) => ({ name })),
    containers: images.map((image, index) => ({ name: `c${index}`, image })),
  };
  return document({ apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${objects++}`, namespace }, spec });
}

function build(from: string, to: string, secrets: { readonly pull?: string; readonly push?: string } = {}): string {
  const image = (name: string) => ({ kind: 'DockerImage', name });
  const reference = (field: string, name: string | undefined) => (name === undefined ? {} : { [field]: { name } });
  const spec = {
    strategy: { type: 'Source', sourceStrategy: { from: image(from), ...reference('pullSecret', secrets.pull) } },
    output: { to: image(to), ...reference('pushSecret', secrets.push) },
  };
  return document({ apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app', namespace: 'shop' }, spec });
}

const login = { auth: btoa('me:hunter2') };
function secret(
  name: string,
  keys: readonly string[],
  { namespace = 'shop', entry = login as unknown, type = 'kubernetes.io/dockerconfigjson' } = {},
): string {
  const config = JSON.stringify({ auths: Object.fromEntries(keys.map((key) => [key, entry])) });
  return document({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type, stringData: { '.dockerconfigjson': config } });
}

function account(name: string, secrets: readonly string[]): string {
  const imagePullSecrets = secrets.map((each) => ({ name: each }));
  return document({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'shop' }, imagePullSecrets });
}

/** The secrets of the rules, such as `a.io pull corp`. */
function secretsOf(text: string): readonly string[] {
  return parse(text).rules.flatMap(({ registry, pullSecret, pushSecret }: Record<string, string>) => [
    ...(pullSecret === undefined ? [] : [`${registry} pull ${pullSecret}`]),
    ...(pushSecret === undefined ? [] : [`${registry} push ${pushSecret}`]),
  ]);
}

describe('a secret is certain', () => {
  test.each<[string, string, readonly string[]]>([
    ['if the object has one secret and images from one registry', pod(['a.io/x', 'a.io/y'], ['corp']), ['a.io pull corp']],
    ['of a service account', account('default', ['corp']) + pod(['a.io/x']), ['a.io pull corp']],
    ['of the object before that of its service account', account('default', ['other']) + pod(['a.io/x'], ['corp']), ['a.io pull corp']],
    ['if its key matches', secret('corp', ['a.io']) + pod(['a.io/x', 'b.io/x'], ['corp']), ['a.io pull corp']],
    ['if its key matches, although the object does not list it', secret('corp', ['a.io']) + pod(['a.io/x']), ['a.io pull corp']],
    [
      'if it has several keys',
      secret('all', ['a.io', '*.b.io']) + pod(['a.io/x', 'x.b.io/x', 'c.io/x'], ['all']),
      ['a.io pull all', 'x.b.io pull all'],
    ],
    [
      'before one that the object does not list',
      secret('corp', ['a.io']) + secret('other', ['a.io']) + pod(['a.io/x'], ['corp']),
      ['a.io pull corp'],
    ],
    ['of the other registry once the object shows it', pod(['a.io/x'], ['corp']) + pod(['a.io/x', 'b.io/x'], ['corp']), ['a.io pull corp']],
    ['next to a secret of the internal registry', pod(['a.io/x'], ['default-dockercfg-x7k2p', 'corp']), ['a.io pull corp']],
    [
      'next to images of the internal registry',
      pod(['image-registry.openshift-image-registry.svc:5000/a/b', 'a.io/x'], ['corp']),
      ['a.io pull corp'],
    ],
    ['of a build', build('a.io/base', 'b.io/app', { pull: 'from', push: 'to' }), ['a.io pull from', 'b.io push to']],
    ['of a build by its key', secret('push', ['b.io']) + build('a.io/base', 'b.io/app'), ['b.io push push']],
    [
      'with the same name in several namespaces',
      pod(['a.io/x'], ['corp']) + pod(['a.io/x'], ['corp'], { namespace: 'pay' }),
      ['a.io pull corp'],
    ],
  ])('%s', (_title, text, expected) => {
    expect(secretsOf(tryText(text).text)).toEqual(expected);
  });

  test('for a path of a public registry', () => {
    expect(secretsOf(tryText(pod(['quay.io/acme/x'], ['corp']), { perPath: true }).text)).toEqual(['quay.io/acme pull corp']);
  });
});

describe('a secret is left to the policy owner', () => {
  test.each<[string, string, string]>([
    [
      'if images from several registries share it',
      pod(['a.io/x', 'b.io/x'], ['corp']),
      'because the contents of these secrets are unknown. Seen: corp in namespace shop',
    ],
    [
      'if the object lists several',
      pod(['a.io/x'], ['one', 'two']),
      'because the contents of these secrets are unknown. Seen: one in namespace shop, two in namespace shop',
    ],
    [
      'if objects list different ones',
      pod(['a.io/x'], ['one']) + pod(['a.io/x'], ['two'], { namespace: 'pay' }),
      'because several secrets are in use. Seen: one in namespace shop, two in namespace pay',
    ],
    [
      'if it seems to be for several registries',
      pod(['a.io/x'], ['corp']) + pod(['b.io/x'], ['corp']),
      'because the contents of these secrets are unknown. Seen: corp in namespace shop',
    ],
    [
      'if two match that no object lists',
      secret('one', ['a.io']) + secret('two', ['a.io']) + pod(['a.io/x']),
      'because the contents of these secrets are unknown. Seen: one',
    ],
    [
      'if the registry serves public images too',
      pod(['quay.io/acme/x'], ['corp']),
      'because quay.io serves public images too, and an expired secret makes their pulls fail. Seen: corp in namespace shop',
    ],
    [
      'if no Secret can have the name',
      pod(['a.io/x'], ['$(SECRET)']),
      'because the contents of these secrets are unknown. Seen: $(SECRET) in namespace shop',
    ],
  ])('%s', (_title, text, comment) => {
    const tried = tryText(text);
    expect(secretsOf(tried.text)).toEqual([]);
    expect(tried.text).toContain(`pullSecret is not set, ${comment}`);
  });
});

describe('a secret is not used', () => {
  test.each<[string, string]>([
    ['if its keys are for other registries', secret('corp', ['b.io']) + pod(['a.io/x'], ['corp'])],
    ['if a kubelet cannot parse it', secret('corp', ['a.io'], { entry: 'x' }) + pod(['a.io/x'], ['corp'])],
    ['if its entry has no login', secret('corp', ['a.io'], { entry: {} }) + pod(['a.io/x'], ['corp'])],
    ['if it is of another type', secret('corp', ['a.io'], { type: 'Opaque' }) + pod(['a.io/x'], ['corp'])],
    ['if it is in another namespace', secret('corp', ['a.io'], { namespace: 'pay' }) + pod(['a.io/x'])],
    ['if it is for the internal registry', pod(['a.io/x'], ['default-dockercfg-x7k2p'])],
    ['if no object lists one', pod(['a.io/x'])],
  ])('%s', (_title, text) => {
    const tried = tryText(text);
    expect(secretsOf(tried.text)).toEqual([]);
    expect(tried.text).not.toMatch(/Secret/);
  });
});

test('of more than 100 Secrets in a namespace, only those that objects list are tried', () => {
  const many = Array.from({ length: 101 }, (_, index) => secret(`s${index}`, [`r${index}.io`])).join('');
  expect(secretsOf(tryText(many + pod(['r7.io/x'], ['s7']) + pod(['r8.io/x'])).text)).toEqual(['r7.io pull s7']);
});

test('contents of Secrets are never printed', () => {
  const { text } = tryText(secret('one', ['me:hunter2@a.io', 'a.io']) + secret('two', ['a.io']) + pod(['a.io/x']));
  expect(text).not.toMatch(/hunter2|bWU6aHVudGVyMg/);
});

/** Tests `check`. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notEvaluatedCodes } from '../../../../src/evaluate/not-evaluated.ts';
import { parseManifests } from '../../../../src/evaluate/parse-manifests.ts';
import { runCommand } from '../run.ts';
import { sarifRun } from '../sarif-run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-check-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return relative(process.cwd(), file);
}

const rules = `
contact: the platform team
rules:
- {name: corp, registry: reg.example.com, pullSecret: corp-pull}
- {name: labelled, registry: team.example.com, namespaces: {matchLabels: {team: a}}}
exemptions:
- {image: old.example.com/app, until: 2027-03-31, reason: migration}
`;

const pod = (name: string, image: string) =>
  `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec:\n  containers: [{name: app, image: "${image}"}]\n`;

const build = (spec: string) => `---\napiVersion: build.openshift.io/v1\nkind: BuildConfig\nmetadata: {name: app}\nspec: ${spec}\n`;
const stream = build('{strategy: {sourceStrategy: {from: {kind: ImageStreamTag, name: "base:1"}}}}');
const argument = build('{strategy: {dockerStrategy: {}}, source: {dockerfile: "ARG Q\\nFROM base-$Q\\n"}}');
const blank = `---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: app, image: " "}]}}}\n`;

const placeholder = `---\napiVersion: apps.openshift.io/v1\nkind: DeploymentConfig\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: app, image: web}]}}, triggers: [{type: ImageChange, imageChangeParams: {containerNames: [app]}}]}\n`;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

async function check(objects: string, ...more: readonly string[]) {
  const inputs = ['-f', await write('objects.yaml', objects), '--rules', await write('rules.yaml', rules)];
  return runCommand('check', ...inputs, ...more);
}

async function checkJson(objects: string, ...more: readonly string[]) {
  const { out, ...rest } = await check(objects, '-o', 'json', ...more);
  return { ...rest, json: JSON.parse(out) };
}

test.each([
  ['audit', 'allowed', /^allowed {4}Pod .*\n.*\n.*unconfigured\n {11}would be denied in enforce mode\n/],
  ['warn', 'warned', /^warned {5}Pod .*\n.*\n.*unconfigured\n {11}regkeeper: would be denied in enforce mode: /],
])('mode %s: the result shows what would be denied in enforce mode', async (mode, outcome, table) => {
  const objects = pod('new', 'other.example.com/web:1') + pod('known', 'reg.example.com/web:1');
  const softened = await write('softened.yaml', `mode: ${mode}\n${rules}`);
  const inputs = ['check', '-f', await write('objects.yaml', objects), '--rules', softened];
  const { exitCode, out } = await runCommand(...inputs);
  expect({ exitCode, out }).toEqual({ exitCode: 0, out: expect.stringMatching(table) });
  const { results } = JSON.parse((await runCommand(...inputs, '-o', 'json')).out);
  expect(results).toMatchObject([{ outcome, outcomeIfEnforced: 'denied' }, { outcome: 'allowed' }]);
  expect(results[1]).not.toHaveProperty('outcomeIfEnforced');
});

describe('registry Secrets among the objects', () => {
  const secret = (name: string, config: string) =>
    `---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${name}, namespace: shop}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: ${btoa(config)}}\n`;
  const good = secret('good', JSON.stringify({ auths: { 'reg.io': { auth: btoa('me:hunter2') } } }));
  const bad = secret('bad', JSON.stringify({ auths: { 'reg.io': { auth: btoa('hunter2') }, 'b.io': { auth: 'hunter2!' } } }));

  test('are reported if a kubelet cannot parse them, with their entry and never their content', async () => {
    const { exitCode, out, err } = await check(good + bad + pod('web', 'reg.example.com/web:1'));
    expect(exitCode).toBe(0);
    expect(err).toMatch(
      /^regkeeper: Secret shop\/bad {2}\S*objects\.yaml:8: Entry "reg\.io": "auth" has no colon between user name and password\. Every image pull for a Pod/m,
    );
    expect(err).toMatch(/^regkeeper: Secret shop\/bad {2}\S*objects\.yaml:8: Entry "b\.io": "auth" is not base64\. /m);
    expect(err).not.toContain('shop/good');
    expect(out + err).not.toMatch(/hunter2|aHVudGVyMg/);
  });

  test('are in the output for programs', async () => {
    const { json } = await checkJson(bad);
    const location = { namespace: 'shop', name: 'bad', file: expect.stringMatching(/objects\.yaml$/), line: 2 };
    expect(json.malformedSecrets).toEqual([
      { ...location, code: 'auth-without-colon', entry: 'reg.io', message: expect.any(String) },
      { ...location, code: 'auth-not-base64', entry: 'b.io', message: expect.any(String) },
    ]);
    expect(JSON.stringify(json)).not.toMatch(/hunter2|aHVudGVyMg/);
  });

  test('are findings in CI, and with --quiet', async () => {
    const { out } = await check(bad, '-o', 'github');
    expect(out.split('\n')).toHaveLength(3);
    expect(out).toMatch(
      /^::warning file=\S+objects\.yaml,line=2,title=Secret shop\/bad%3A malformed::Entry "reg\.io": "auth" has no colon/m,
    );
    expect(sarifRun((await check(bad, '-o', 'sarif')).out).results).toMatchObject([
      { ruleId: 'malformed-secret', level: 'warning' },
      { ruleId: 'malformed-secret', message: { text: expect.stringContaining('is not base64') } },
    ]);
    expect((await check(bad, '--quiet')).err).toMatch(/^regkeeper: Secret shop\/bad .*\nregkeeper: Secret shop\/bad .*\n$/);
  });

  test('of other types are not checked', async () => {
    const { err } = await check(bad.replace('kubernetes.io/dockerconfigjson', 'Opaque'));
    expect(err).not.toContain('shop/bad');
  });
});

describe('check -o json', () => {
  test('has the documented structure', async () => {
    const { exitCode, json, err } = await checkJson(pod('web', 'reg.example.com/web:1') + pod('bad', 'evil.example.com/x'));
    const file = expect.stringMatching(/objects\.yaml$/);
    expect(exitCode).toBe(1);
    expect(json).toEqual({
      rulesRevision: expect.stringMatching(/^[\da-f]{12}$/),
      results: [
        {
          object: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'web', file, line: 2 },
          outcome: 'allowed',
          images: [
            {
              path: 'spec.containers[0].image',
              image: 'reg.example.com/web:1',
              canonical: 'reg.example.com/web',
              action: 'pull',
              verdict: 'trusted',
              reason: 'trusted',
              rule: { name: 'corp', source: { file: expect.stringMatching(/rules\.yaml$/), line: 4 } },
            },
          ],
          imagesSha256: sha256('["spec.containers[0].image","reg.example.com/web:1","pull"]\n'),
          inject: [{ path: 'spec.imagePullSecrets', secret: 'corp-pull', from: 'rule' }],
          patch: [
            { op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'corp-pull' }] },
            { op: 'add', path: '/metadata/annotations', value: { 'regkeeper.io/injected': '{"rules":["corp-pull"]}' } },
          ],
          messages: [],
        },
        expect.objectContaining({
          object: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'bad', file, line: 8 },
          outcome: 'denied',
          inject: [],
          patch: [],
          messages: [
            expect.stringMatching(
              /^Pod default\/bad: container "app": .* is not from a registry configured for namespace "default"\. Contact: the platform team\.$/,
            ),
          ],
        }),
      ],
      withoutImages: [],
      skipped: [],
      notEvaluated: [],
      malformedSecrets: [],
      summary: { allowed: 1, warned: 0, denied: 1, uncertain: 0, withoutImages: 0 },
    });
    expect(err).toMatch(/^regkeeper: service accounts not found: default\/default\. .*\n$/);
  });

  const internal = 'image-registry.openshift-image-registry.svc:5000';
  test.each([
    ['denied', '', `${internal}/shop/web`, internal],
    [
      'denied, by its full name',
      '',
      'image-registry.openshift-image-registry.svc.cluster.local:5000/shop/web',
      'image-registry.openshift-image-registry.svc.cluster.local:5000',
    ],
    ['allowed', `internalRegistries: ["${internal}"]\n`, `${internal}/shop/web`, undefined],
    ['denied, with a different port', '', 'image-registry.openshift-image-registry.svc/shop/web', undefined],
  ])(
    "a note shows what to add to the rules for OpenShift's internal registry, if its image is %s",
    async (_outcome, settings, image, named) => {
      const inputs = ['-f', await write('internal.yaml', pod('web', image)), '--rules', await write('settings.yaml', settings + rules)];
      const { err } = await runCommand('check', ...inputs);
      const note = `regkeeper: a server on OpenShift trusts its internal registry without a rule. For the same result, add to the rules: internalRegistries: ["${named}"]\n`;
      expect(err).toBe(named === undefined ? '' : note);
      expect((await runCommand('check', ...inputs, '-q')).err).toBe('');
    },
  );

  test('imagesSha256 is the one in the audit record: JSON as JavaScript writes it, where jq would escape DEL', async () => {
    const { json } = await checkJson(pod('odd', 'evil.example.com/x\\x7f') + pod('web', 'reg.example.com/web:1'));
    expect(json.results[0].imagesSha256).toBe(sha256('["spec.containers[0].image","evil.example.com/x\x7f","pull"]\n'));
    expect(json.results[1].imagesSha256).toBe(sha256('["spec.containers[0].image","reg.example.com/web:1","pull"]\n'));
  });

  test("an object that cannot be parsed is denied with the server's message", async () => {
    const { exitCode, json } = await checkJson('apiVersion: v1\nkind: Pod\nmetadata: {name: odd}\nspec: {containers: {}}\n');
    expect(exitCode).toBe(1);
    expect(json.results).toMatchObject([
      {
        outcome: 'denied',
        messages: ['Pod default/odd cannot be evaluated: spec.containers must be a list of containers, but is an object.'],
      },
    ]);
  });

  test('kinds without images are counted by name', async () => {
    const others = 'apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\n---\napiVersion: example.com/v1\nkind: Pod\n';
    const { exitCode, json, err } = await checkJson(others);
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({
      results: [],
      withoutImages: [
        { apiVersion: 'v1', kind: 'ConfigMap', count: 2 },
        { apiVersion: 'example.com/v1', kind: 'Pod', count: 1 },
      ],
      summary: { withoutImages: 3 },
    });
    expect(err).toBe('regkeeper: objects that contain no images: 2 ConfigMap (v1), 1 Pod (example.com/v1)\n');
    expect((await check(others)).out).toBe('3 objects evaluated: 0 allowed, 0 warned, 0 denied, 3 without images\n');
  });
});

describe('facts come from the objects', () => {
  const namespace = (labels: string) => `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: ${labels}}\n`;

  test('labels of the namespace', async () => {
    const matching = await checkJson(pod('web', 'team.example.com/x') + namespace('{team: a}'));
    expect(matching).toMatchObject({ exitCode: 0, json: { results: [{ outcome: 'allowed' }] } });
    const other = await checkJson(pod('web', 'team.example.com/x') + namespace('{team: b}'));
    expect(other).toMatchObject({ exitCode: 1, json: { results: [{ outcome: 'denied' }], summary: { uncertain: 0 } } });
  });

  test('without them, nothing is certain, which is a failure that shows what to pass', async () => {
    const { exitCode, json } = await checkJson(pod('web', 'team.example.com/x'));
    expect(exitCode).toBe(1);
    expect(json.summary).toEqual({ allowed: 0, warned: 0, denied: 1, uncertain: 1, withoutImages: 0 });
    expect(json.results[0].uncertain).toEqual([
      expect.stringMatching(
        /rules\.yaml:5:\d+ selects namespaces by label, and namespace "default" is not in the input\. Pass it with -f$/,
      ),
    ]);
  });

  test('an object with an image that is certainly denied is denied, whatever the other images are', async () => {
    const both = pod('web', 'evil.example.com/x').replace('containers: [', 'containers: [{name: team, image: team.example.com/x}, ');
    const { exitCode, json } = await checkJson(both);
    expect([exitCode, json.summary.denied, json.summary.uncertain]).toEqual([1, 1, 0]);
    const sentence = expect.stringMatching(/^.*rules\.yaml:5:\d+ selects namespaces by label, .*\. Pass it with -f$/);
    const [result] = json.results;
    expect(result.uncertain).toBeUndefined();
    expect(result.images.map(({ uncertain }: { uncertain?: string }) => uncertain)).toEqual([sentence, undefined]);
    const { out } = await check(both);
    expect(out).toMatch(
      /^DENIED {5}Pod default\/web .*\n +pull +team.*\n +unconfigured, uncertain\n +pull +evil.*\n +unconfigured\n +uncertain: .*rules\.yaml:5:/,
    );
    expect((await check(both, '-o', 'github')).out).toContain('title=Pod default/web%3A denied::');
  });

  test.each([
    ['mode', 'mode: warn'],
    ['unconfigured', 'unconfigured: warn'],
  ])('a denial that depends on an override of %s by labels is uncertain', async (_name, setting) => {
    const overridden = await write('overridden.yaml', `${rules}overrides: [{namespaces: {matchLabels: {team: a}}, ${setting}}]\n`);
    const objects = await write('objects.yaml', pod('web', 'evil.example.com/x'));
    const { out } = await runCommand('check', '-f', objects, '--rules', overridden, '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({ results: [{ uncertain: [expect.stringContaining('by label')] }], summary: { uncertain: 1 } });
  });

  test('pull secrets of the service account', async () => {
    const account = '---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\nimagePullSecrets: [{name: own}]\n';
    const { json, err } = await checkJson(pod('web', 'reg.example.com/x') + account);
    expect(json.results[0].patch[0]).toEqual({ op: 'add', path: '/spec/imagePullSecrets/-', value: { name: 'corp-pull' } });
    expect(err).not.toContain('service accounts');
  });

  test('secrets, their type, and with --assume-complete their absence', async () => {
    const secret = (type: string) => `---\napiVersion: v1\nkind: Secret\nmetadata: {name: corp-pull}\ntype: ${type}\n`;
    const web = pod('web', 'reg.example.com/x');
    const messages = async (objects: string, ...more: string[]) => (await checkJson(objects, ...more)).json.results[0].messages;
    expect(await messages(web)).toEqual([]);
    expect(await messages(web + secret('kubernetes.io/dockerconfigjson'), '--assume-complete')).toEqual([]);
    expect(await messages(web + secret('Opaque'))).toEqual([expect.stringMatching(/"corp-pull" is not of type/)]);
    expect(await messages(web, '--assume-complete')).toEqual([
      expect.stringMatching(/pull secret "corp-pull" does not exist in namespace "default"/),
    ]);
  });

  test.each([
    ['image.openshift.io/v1', 'contains a denied image', 'evil.example.com/base', 'denied'],
    ['v1', 'contains a trusted image', 'reg.example.com/base', 'allowed'],
  ])('image streams of %s: a build whose stream %s', async (apiVersion, _sentence, image, outcome) => {
    const stream = `---\napiVersion: ${apiVersion}\nkind: ImageStream\nmetadata: {name: base}\nspec: {tags: [{name: "1", from: {kind: DockerImage, name: "${image}"}}]}\n`;
    const build = `---\napiVersion: build.openshift.io/v1\nkind: BuildConfig\nmetadata: {name: app}\nspec: {strategy: {sourceStrategy: {from: {kind: ImageStreamTag, name: "base:1"}}}}\n`;
    const { json } = await checkJson(stream + build);
    const result = json.results.find(({ object }: { object: { kind: string } }) => object.kind === 'BuildConfig');
    expect([result.outcome, result.images[0].stream, result.images[0].image]).toEqual([outcome, 'default/base:1', image]);
  });

  const localStream = (tags: string, policy = '{local: true}') =>
    `---\napiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {name: base}\nspec: {lookupPolicy: ${policy}, tags: ${tags}}\n`;
  const tagged = '[{name: "1", from: {kind: DockerImage, name: "reg.example.com/base:7"}}]';
  const job = (image: string, metadata = '') =>
    `---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: app${metadata}}\nspec: {template: {spec: {containers: [{name: app, image: "${image}"}]}}}\n`;
  const podTemplate = `---\napiVersion: v1\nkind: PodTemplate\nmetadata: {name: app}\ntemplate: {spec: {containers: [{name: app, image: "base:1"}]}}\n`;
  const resolveNames = ', annotations: {alpha.image.policy.openshift.io/resolve-names: "*"}';
  const resolved = ['allowed', 'reg.example.com/base:7', 'trusted', ['corp-pull']];
  const asWritten = (image: string) => ['denied', image, 'unconfigured', []];
  const tagMissing = ['allowed', null, 'unresolved', []];

  test.each<[string, string, string, unknown[]]>([
    ['a template', localStream(tagged), job('base:1'), resolved],
    ['a Pod', localStream(tagged), pod('app', 'base:1'), resolved],
    ['a stream without local lookup', localStream(tagged, '{local: false}'), job('base:1'), asWritten('base:1')],
    ['a name with a path', localStream(tagged), job('team/base:1'), asWritten('team/base:1')],
    ['a name with a registry', localStream(tagged), job('other.io/base:1'), asWritten('other.io/base:1')],
    ['a tag that the stream does not have yet', localStream('[]'), job('base'), tagMissing],
    ['a tag that the stream does not have yet, in a Pod', localStream('[]'), pod('app', 'base'), tagMissing],
    ['an annotation that resolves all names', localStream(tagged, '{}'), job('base:1', resolveNames), resolved],
    [
      'an annotation that resolves all names, even with a registry',
      localStream(tagged, '{}'),
      job('other.io/x/base:1', resolveNames),
      resolved,
    ],
    [
      'an annotation with a different value',
      localStream(tagged, '{}'),
      job('base:1', resolveNames.replace('*', 'app')),
      asWritten('base:1'),
    ],
    ['a kind that OpenShift does not resolve', localStream(tagged), podTemplate, asWritten('base:1')],
    ['an object with a controller', localStream(tagged), job('base:1', ', ownerReferences: [{controller: true}]'), asWritten('base:1')],
  ])('an image stream that OpenShift uses for a name: %s', async (_sentence, stream, object, expected) => {
    const { json } = await checkJson(stream + object);
    const { outcome, images, inject } = json.results.find((each: { object: { kind: string } }) => each.object.kind !== 'ImageStream');
    const secrets = inject.map(({ secret }: { secret: string }) => secret);
    expect([outcome, images[0].image ?? null, images[0].verdict, secrets]).toEqual(expected);
  });

  test('the name that OpenShift resolves stays in the object', async () => {
    const { out } = await check(localStream(tagged) + job('base:1'), '-o', 'yaml');
    expect(out).toMatch(/image: "?base:1"?/);
  });

  test.each([
    ['an image stream', stream, 'default/base:1', 'the image stream is not in the input. Pass it with -f'],
    ['a build argument', argument, 'base-$Q', '"base-$Q" contains a build argument whose value is unknown'],
    ['a placeholder', placeholder, 'web', '"web" is a placeholder that an image trigger replaces'],
    ['a blank', blank, '(no image)', 'the image field is blank'],
  ])('the table shows what is in the file and why it is unresolved: %s', async (_what, object, written, why) => {
    const { out } = await check(object);
    expect(out).toContain(`           pull  ${written}\n                 unresolved: ${why}\n`);
  });

  test('the table shows the variable of a custom resource', async () => {
    const task =
      'apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{name: s, image: "reg.example.com/$(params.image)"}]}\n';
    const { out, exitCode } = await check(task, '--custom-kinds', 'deploy/custom-kinds/custom-kinds.yaml');
    expect(exitCode).toBe(0);
    expect(out).toContain(
      '           pull  reg.example.com/$(params.image)\n                 unresolved: "reg.example.com/$(params.image)" contains a variable',
    );
  });

  test('with --assume-complete, a service account that is not in the input makes the result uncertain', async () => {
    const other = pod('web', 'reg.example.com/x').replace('spec:', 'spec:\n  serviceAccountName: ghost');
    const { exitCode, json } = await checkJson(other, '--assume-complete');
    expect(exitCode).toBe(1);
    expect(json.results).toMatchObject([
      { outcome: 'denied', uncertain: [expect.stringMatching(/service account "ghost".*Pass it with -f/)] },
    ]);
  });

  test.each([
    ['2027-03-31', 0],
    ['2027-04-01', 1],
  ])('exemptions are evaluated as of --date %s', async (date, exitCode) => {
    expect(await checkJson(pod('web', 'old.example.com/app'), '--date', date)).toMatchObject({ exitCode });
  });

  test('-n and --user set the namespace and the user of the request', async () => {
    const { json } = await checkJson(pod('web', 'evil.example.com/x'), '-n', 'shop');
    expect(json.results[0].object.namespace).toBe('shop');
    const mirror = pod('web', 'evil.example.com/x').replace('{name: web}', '{name: web, annotations: {kubernetes.io/config.mirror: x}}');
    expect(await checkJson(mirror, '--user', 'system:node:a')).toMatchObject({ exitCode: 0, json: { results: [{ outcome: 'warned' }] } });
  });
});

describe('check -o yaml', () => {
  const objects = `${pod('web', 'reg.example.com/web:1').replace('{name: web}', '{name: web, annotations: {a: "yes", b: "0644"}, labels: {c: "1e3"}}')}
---
apiVersion: v1
kind: ConfigMap
data: {big: 9007199254740993, text: "12:30:00"}
${pod('bad', 'evil.example.com/x')}`;

  test('prints what would be stored, as kubectl parses it, and other objects unchanged', async () => {
    const { exitCode, out, err } = await check(objects, '-o', 'yaml');
    const { manifests, problems } = parseManifests(out, 'out.yaml');
    expect(problems).toEqual([]);
    expect(manifests.map(({ object }) => object)).toEqual([
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: 'web',
          annotations: { a: 'yes', b: '0644', 'regkeeper.io/injected': '{"rules":["corp-pull"]}' },
          labels: { c: '1e3' },
        },
        spec: { containers: [{ name: 'app', image: 'reg.example.com/web:1' }], imagePullSecrets: [{ name: 'corp-pull' }] },
      },
      { apiVersion: 'v1', kind: 'ConfigMap', data: { big: 9007199254740993n, text: '12:30:00' } },
    ]);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^DENIED +Pod default\/bad .*objects\.yaml:13\n/);
  });

  test('leaves out uncertain results', async () => {
    const { out, err, exitCode } = await check(pod('web', 'team.example.com/x'), '-o', 'yaml');
    expect({ out, exitCode }).toEqual({ out: '', exitCode: 1 });
    expect(err).toMatch(/^UNCERTAIN +Pod default\/web/);
  });
});

test('the table is plain, and shows object, outcome, images, rules, secrets, messages and the total', async () => {
  const { out } = await check(pod('web', 'reg.example.com/web:1') + pod('bad', 'evil.example.com/x'));
  const file = relative(process.cwd(), folder);
  expect(out).toBe(`allowed    Pod default/web  ${file}/objects.yaml:2
           pull  reg.example.com/web:1
                 trusted by rule "corp", ${file}/rules.yaml:4
           + spec.imagePullSecrets: corp-pull

DENIED     Pod default/bad  ${file}/objects.yaml:8
           pull  evil.example.com/x
                 unconfigured
           Pod default/bad: container "app": image "evil.example.com/x" is not from a registry configured for namespace "default". Contact: the platform team.

2 objects evaluated: 1 allowed, 0 warned, 1 denied
`);
});

describe('modes change the outcome and the messages as on the server', () => {
  test.each([
    ['warn', 'warned', [expect.stringMatching(/^regkeeper: would be denied in enforce mode: container "app"/)]],
    ['audit', 'allowed', []],
  ])('%s', async (mode, outcome, messages) => {
    const objects = await write('objects.yaml', pod('bad', 'evil.example.com/x'));
    const softened = await write('softened.yaml', `mode: ${mode}\n${rules}`);
    const { exitCode, out } = await runCommand('check', '-f', objects, '--rules', softened, '-o', 'json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).results).toMatchObject([{ outcome, messages, images: [{ verdict: 'unconfigured' }] }]);
  });
});

describe('for CI systems', () => {
  const softened = async (mode: string) => write('softened.yaml', `mode: ${mode}\n${rules}`);
  const objects = `${pod('web', 'reg.example.com/web:1')}${pod('bad', 'evil.example.com/x')}${pod('labelled', 'team.example.com/x')}`;

  test('-o github: an annotation for each object that is not allowed, at the image', async () => {
    const { exitCode, out } = await check(objects, '-o', 'github');
    const file = relative(process.cwd(), join(folder, 'objects.yaml'));
    expect(exitCode).toBe(1);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(
        `^::error file=${file},line=12,col=35,title=Pod default/bad%3A denied::Pod default/bad: container "app": .*the platform team\\.$`,
      ),
      expect.stringMatching(
        `^::error file=${file},line=18,col=35,title=Pod default/labelled%3A uncertain::.*Pass it with -f%0APod default/labelled: `,
      ),
      '',
    ]);
  });

  const podJson = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers: [{ name: 'a', image: 'evil.io/x' }] } };
  const podYaml = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: good
    image: reg.example.com/web:1
  - name: bad
    image: evil.io/x
`;
  const listYaml = `apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: "evil.io/x"}]}}
- apiVersion: v1
  kind: Pod
  spec:
    containers:
    - {image: "evil.io/x", name: a}
`;
  const listJson = { apiVersion: 'v1', kind: 'List', items: [podJson, podJson] };
  const podList = { apiVersion: 'v1', kind: 'PodList', items: [{ ...podJson, apiVersion: undefined, kind: undefined }] };

  test.each([
    ['a YAML document', podYaml, 'evil.io/x'],
    ['the second and third document', `# first\n---\n${podYaml}---\n# more\n${podYaml}...\n`, 'evil.io/x'],
    ['a List in YAML', listYaml, '"evil.io/x"'],
    ['an alias', 'x: &image evil.io/x\napiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: *image}]}\n', '*image'],
    ['one line of JSON', JSON.stringify(podJson), '"evil.io/x"'],
    ['JSON', JSON.stringify(podJson, null, 2), '"evil.io/x"'],
    ['a List in JSON', JSON.stringify(listJson, null, 1), '"evil.io/x"'],
    ['a PodList', JSON.stringify(podList, null, 1), '"evil.io/x"'],
    ['concatenated JSON objects', `${JSON.stringify(podJson)}\n${JSON.stringify(podJson, null, 2)}\n`, '"evil.io/x"'],
    ['JSON with an escaped field name', JSON.stringify(podJson, null, 2).replace('"kind"', '"\\u006bind"'), '"evil.io/x"'],
    ['JSON in a YAML stream', `---\n${JSON.stringify(podJson, null, 2)}\n---\n${JSON.stringify(podJson)}\n`, '"evil.io/x"'],
  ])('-o github and -o sarif show the image itself in %s', async (_name, text, image) => {
    const places = text.split('\n').flatMap((line, index) => (line.includes(image) ? [[index + 1, line.indexOf(image) + 1]] : []));
    const { out } = await check(text, '-o', 'github');
    expect([...out.matchAll(/,line=(\d+),col=(\d+),/g)].map(([, line, column]) => [Number(line), Number(column)])).toEqual(places);
    const { results } = sarifRun((await check(text, '-o', 'sarif')).out);
    expect(results).toMatchObject(
      places.map(([startLine, startColumn]) => ({ locations: [{ physicalLocation: { region: { startLine, startColumn } } }] })),
    );
  });

  test('-o github: an annotation for each problem of invalid rules, at its line', async () => {
    const invalid = await write('invalid.yaml', 'rules:\n- registry: "https://a.io"\n');
    const { exitCode, out, err } = await runCommand(
      'check',
      '-f',
      await write('objects.yaml', objects),
      '--rules',
      invalid,
      '-o',
      'github',
    );
    expect(exitCode).toBe(2);
    expect(out).toMatch(/^::error file=\S*invalid\.yaml,line=2,col=13,title=.*::rules\[0\]\.registry: "https:.*\n$/);
    expect(err).toMatch(/invalid\.yaml:2:13 pattern-scheme/);
  });

  describe('invalid rules', () => {
    const checkInvalid = async (...more: readonly string[]) => {
      const invalid = await write('invalid.yaml', 'rules:\n- registry: "https://a.io"\n');
      return runCommand('check', '-f', await write('objects.yaml', objects), '--rules', invalid, ...more);
    };

    test.each([['-q'], ['-o', 'yaml'], ['-o', 'json'], ['-o', 'github']])(
      '%s %s: standard error states that nothing was evaluated',
      async (...more) => {
        const { exitCode, err } = await checkInvalid(...more);
        expect(exitCode).toBe(2);
        expect(err).toMatch(/invalid\.yaml:2:13 pattern-scheme .*\nregkeeper: the rules have problems, so nothing was evaluated\n$/);
      },
    );

    test('-o json: a document without results', async () => {
      expect(JSON.parse((await checkInvalid('-o', 'json')).out)).toEqual({
        rulesRevision: null,
        rulesProblems: [
          expect.objectContaining({ file: expect.stringMatching(/invalid\.yaml$/), line: 2, column: 13, code: 'pattern-scheme' }),
        ],
        results: [],
        withoutImages: [],
        skipped: [],
        notEvaluated: [],
        malformedSecrets: [],
        summary: { allowed: 0, warned: 0, denied: 0, uncertain: 0, withoutImages: 0 },
      });
    });

    test('-o junit: a failed case for each problem', async () => {
      const { out } = await checkInvalid('-o', 'junit');
      expect(out).toContain('<testsuite name="regkeeper" tests="1" failures="1" errors="0" skipped="0">');
      expect(out).toMatch(
        /<testcase classname="\S*invalid\.yaml" name="line 2, column 13">\n +<failure message="pattern-scheme">rules\[0\]/,
      );
    });

    test('-o sarif: a result for each problem', async () => {
      const { tool, results } = sarifRun((await checkInvalid('-o', 'sarif')).out);
      const [result] = results;
      expect(result).toMatchObject({ ruleId: 'pattern-scheme', level: 'error' });
      expect(tool.driver.rules[result?.ruleIndex ?? -1]).toMatchObject({ id: 'pattern-scheme' });
    });

    test('-o yaml: no objects', async () => expect((await checkInvalid('-o', 'yaml')).out).toBe(''));
  });

  test('--strict: warnings are findings too', async () => {
    const bad = ['-f', await write('objects.yaml', pod('bad', 'evil.example.com/x')), '--rules', await softened('warn')];
    expect((await runCommand('check', ...bad)).exitCode).toBe(0);
    expect((await runCommand('check', ...bad, '--strict')).exitCode).toBe(1);
    const { out } = await runCommand('check', ...bad, '--strict', '-o', 'junit');
    expect(out).toMatch(/failures="1"[\s\S]*<failure message="Pod default\/bad: warned">warned /);
    const malformed =
      'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: "{"}\n';
    expect((await check(malformed)).exitCode).toBe(0);
    expect((await check(malformed, '--strict')).exitCode).toBe(1);
    expect((await check(pod('web', 'reg.example.com/web:1'), '--strict')).exitCode).toBe(0);
  });

  test('-o github: a warning in mode warn', async () => {
    const { exitCode, out } = await runCommand(
      'check',
      ...['-f', await write('objects.yaml', pod('bad', 'evil.example.com/x'))],
      ...['--rules', await softened('warn'), '-o', 'github'],
    );
    expect(exitCode).toBe(0);
    expect(out).toMatch(
      /^::warning file=\S+objects\.yaml,line=6,col=35,title=Pod default\/bad%3A warned::regkeeper: would be denied in enforce mode: /,
    );
  });

  test('-o junit: a case for each object, with what the table shows', async () => {
    const { exitCode, out } = await check(objects, '-o', 'junit');
    expect(exitCode).toBe(1);
    const file = relative(process.cwd(), join(folder, 'objects.yaml'));
    expect(out).toContain('<testsuite name="regkeeper" tests="3" failures="2" errors="0" skipped="0">');
    expect(out).toContain(`<testcase classname="${file}" name="Pod default/web"/>`);
    expect(out).toMatch(
      /name="Pod default\/bad">\n +<failure message="Pod default\/bad: denied">DENIED +Pod default\/bad .*evil\.example\.com/,
    );
    expect(out).toMatch(/name="Pod default\/labelled">\n +<failure message="Pod default\/labelled: uncertain">UNCERTAIN /);
  });

  test('-o junit: a warning is not a failure', async () => {
    const { exitCode, out } = await runCommand(
      'check',
      ...['-f', await write('objects.yaml', pod('bad', 'evil.example.com/x'))],
      ...['--rules', await softened('warn'), '-o', 'junit'],
    );
    expect(exitCode).toBe(0);
    expect(out).toMatch(/failures="0".*\n.*\n.*<testcase .*>\n +<system-out>regkeeper: would be denied in enforce mode: /);
  });

  test('-o sarif: a result for each object that is not allowed', async () => {
    const { exitCode, out } = await check(objects, '-o', 'sarif');
    expect(exitCode).toBe(1);
    const { tool, results } = sarifRun(out);
    expect(tool.driver.rules.map(({ id }: { id: string }) => id)).toEqual([
      'denied',
      'uncertain',
      'warned',
      'malformed-secret',
      ...notEvaluatedCodes,
    ]);
    expect(results).toMatchObject([
      {
        ruleId: 'denied',
        level: 'error',
        message: { text: expect.stringContaining('is not from a registry configured for') },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: expect.stringMatching(/objects\.yaml$/) },
              region: { startLine: 12, startColumn: 35 },
            },
          },
        ],
      },
      { ruleId: 'uncertain', ruleIndex: 1, level: 'error' },
    ]);
    expect(sarifRun((await check(pod('web', 'reg.example.com/web:1'), '-o', 'sarif')).out).results).toEqual([]);
  });
});

describe('--quiet', () => {
  test('prints only objects that are denied, warned or uncertain', async () => {
    const { exitCode, out, err } = await check(pod('web', 'reg.example.com/web:1') + pod('bad', 'evil.example.com/x'), '--quiet');
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: '' });
    expect(out).toMatch(/^DENIED +Pod default\/bad /);
    expect(out).not.toContain('evaluated');
  });

  test('prints nothing if all are allowed', async () => {
    expect(await check(pod('web', 'reg.example.com/web:1'), '-q')).toEqual({ exitCode: 0, out: '', err: '' });
  });

  test('prints complete documents for programs', async () => {
    const { json } = await checkJson(pod('web', 'reg.example.com/web:1'), '-q');
    expect(json).toEqual((await checkJson(pod('web', 'reg.example.com/web:1'))).json);
  });

  test('prints problems of rules, but not their warnings', async () => {
    const warned = await write(
      'warned.yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {regkeeper.io/rules: cluster}}\ndata: {notes.txt: a, rules.yaml: "rules: [{registry: reg.example.com}]"}\n',
    );
    const objects = ['-f', await write('objects.yaml', pod('web', 'reg.example.com/web:1'))];
    const quiet = await runCommand('check', ...objects, '--rules', warned, '-q');
    expect(quiet).toEqual({ exitCode: 0, out: '', err: '' });
    const bad = await write('bad.yaml', 'rulez: []');
    expect(await runCommand('check', ...objects, '--rules', bad, '-q')).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('unknown-field'),
    });
  });
});

describe('exit code 2: unusable input', () => {
  test('objects: all problems, with file, line and column, after the results of the others', async () => {
    const { exitCode, out, err } = await check(`${pod('a', 'x')}---\nkind: Pod\n---\n- a\n`);
    expect(exitCode).toBe(2);
    expect(out).toMatch(/^DENIED {5}Pod default\/a .*1 object evaluated: 0 allowed, 0 warned, 1 denied\. 2 inputs were not evaluated\n$/s);
    expect(err).toMatch(
      /objects\.yaml:8:1: .*no apiVersion\n.*objects\.yaml:10:1: contains a list.*\nregkeeper: 2 inputs were not evaluated\n$/,
    );
  });

  test('objects, even if the rules have problems', async () => {
    const objects = await write('objects.yaml', '- a\n');
    const { exitCode, out, err } = await runCommand('check', '-f', objects, '--rules', await write('bad.yaml', 'rulez: []\n'));
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toMatch(/unknown-field.*objects\.yaml:1:1: contains a list/s);
  });

  test('rules: position, code and message', async () => {
    const bad = await write('bad.yaml', 'rules:\n- registry: reg.example.com\n  pulSecret: a\n');
    const objects = await write('objects.yaml', pod('a', 'x'));
    const { exitCode, out, err } = await runCommand('check', '-f', objects, '--rules', bad);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toMatch(/bad\.yaml:3:3 unknown-field .*Did you mean "pullSecret"/);
  });

  test.each([
    ['no -f', ['--rules', 'x'], /required option '-f, --filename/],
    ['no --rules', ['-f', 'x'], /required option '--rules/],
    ['an invalid namespace', ['-f', 'x', '--rules', 'x', '-n', 'team_a'], /Use at most 63 lower-case letters, digits and hyphens/],
    ['an invalid date', ['-f', 'x', '--rules', 'x', '--date', '2027-02-30'], /Use YYYY-MM-DD/],
    ['an unknown format', ['-f', 'x', '--rules', 'x', '-o', 'xml'], /Allowed choices are table, json, yaml, github, junit, sarif/],
  ])('%s', async (_name, argv, message) => {
    expect(await runCommand('check', ...argv)).toMatchObject({ exitCode: 2, out: '', err: expect.stringMatching(message) });
  });

  test.each([
    ['nonexistent objects', ['-f', 'nowhere.yaml', '--rules', 'deploy/examples/rules'], /nowhere\.yaml: no such file or directory/],
    ['nonexistent rules', ['-f', 'deploy/examples/objects', '--rules', 'nowhere'], /rules nowhere: no such file or directory/],
    ['standard input twice', ['-f', '-', '--rules', '-'], /standard input \(-\) can be used only once/],
  ])('%s', async (_name, argv, message) => {
    const { exitCode, err } = await runCommand('check', ...argv).catch((error: Error) => ({ exitCode: error.name, err: error.message }));
    expect(err).toMatch(message);
    expect([2, 'ConfigurationError']).toContain(exitCode);
  });
});

describe('check --custom-kinds', () => {
  const rollout = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec: {template: {spec: {containers: [{name: app, image: reg.example.com/web}]}}}
`;
  const kinds = 'kinds:\n- {group: argoproj.io, version: v1alpha1, resource: rollouts, kind: Rollout, template: spec.template}\n';

  test('evaluates and patches the kinds in the files', async () => {
    const { json } = await checkJson(rollout, '--custom-kinds', await write('kinds.yaml', kinds));
    expect(json.results).toMatchObject([
      { outcome: 'allowed', inject: [{ path: 'spec.template.spec.imagePullSecrets', secret: 'corp-pull' }] },
    ]);
    expect(await checkJson(rollout)).toMatchObject({ exitCode: 2, json: { results: [], notEvaluated: [{ code: 'unknown-kind' }] } });
  });

  test('reports what is wrong with a file, and evaluates nothing', async () => {
    const file = await write('bad-kinds.yaml', kinds.replace('template: ', 'templates: '));
    const { exitCode, out, err } = await check(rollout, '--custom-kinds', file);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toContain(`${file}:2:`);
    expect(err).toContain('unknown field "templates". Did you mean "template"?');
  });
});

/**
 * Compares every message to the user with messages.golden.md. A changed message changes that file (UPDATE_GOLDEN=1 rewrites it), so the
 * reviewer of the change reads the message as the user would.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { AdmissionAnswer } from '../../../src/admission/response.ts';
import { changeOf, decodeReview } from '../../../src/admission/review.ts';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { DeliveryFacts, Facts } from '../../../src/decision/facts.ts';
import { type ReasonCode, reasons } from '../../../src/decision/reasons.ts';
import { customKindRow, type ImagePath } from '../../../src/object/custom-kind.ts';
import { kindsOf, kindsWithImages } from '../../../src/object/kinds.ts';
import { everyItem } from '../../../src/object/path-pattern.ts';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { briefly, sha256 } from '../rules/documents.ts';
import { reviewOf } from '../server/reviews.ts';
import { accounts, patched, tooLargeAccounts, unwatched } from './changes.ts';
import { streams } from './stream-facts.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({ ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: [], ...life });

const golden = join(import.meta.dirname, 'messages.golden.md');
const digest = `sha256:${'4f53cda1'.repeat(8)}`;

const table = `
rules:
- {name: corporate, registry: "registry.example.com:5000", pullSecret: corp-pull, pushSecret: corp-push}
- {name: partner, registry: partner.example.com, pullSecret: partner-pull}
- {name: team-a, registry: quay.example.com/team-a, pullSecret: [team-a-pull, shared-pull], onMissingSecret: deny}
- {name: public, registry: public.example.com}
- {registry: docker.io/library}
- {name: hub, registry: docker.io, trust: false, reason: "Docker Hub is rate limited here. Use registry.example.com:5000/hub"}
- {registry: gone.example.com, trust: false}
exemptions:
- {image: quay.example.com/legacy, until: 2026-11-20, reason: migration planned}
- {image: old.example.com/app, until: 2027-03-31, reason: migration planned}
`;
const internal = 'internalRegistries: ["image-registry.openshift-image-registry.svc:5000"]\n';
const contact = 'contact: the platform team (#platform)\n';
const rules = rulesOf(contact + internal + table);
const corporateOnly = rulesOf(`${contact}rules:\n- {name: corporate, registry: "registry.example.com:5000"}\n`);
const labelled = rulesOf(
  `${contact}rules:\n- {name: prod only, registry: prod.example.com, namespaces: {matchLabels: {stage: prod}}}\n- {registry: public.example.com}\n`,
);

const labelledElsewhere = rulesOf(`${contact}rules:\n- {registry: prod.example.com, namespaces: [prod, "prod-*"]}\n`);
const organization = rulesOf(`${contact}rules:\n- {registry: docker.io/nginx}\n`);
const hubWithSecret = rulesOf(`${contact}rules:\n- {name: hub, registry: docker.io, pullSecret: hub-pull}\n`);
const harbor = rulesOf(`${contact}rules:\n- {name: harbor, registry: "harbor:443", pullSecret: harbor-pull}\n`);

const ending = (until: string, settings = '') =>
  rulesOf(
    `${settings}${contact}rules:\n- {name: old, registry: old.example.com, until: ${until}, reason: moved to registry.example.com:5000}\n`,
  );

const delivering = rulesOf(
  `${contact}${table}secrets:\n${['corp-pull', 'team-a-pull', 'shared-pull'].map((name) => `- {name: ${name}, source: ${name}, namespaces: "*"}\n`).join('')}`,
);

const searching = rulesOf(`${contact}shortNames: [docker.io, quay.io]\nrules: [{registry: [docker.io, quay.io]}]\n`);

const corp = 'registry.example.com:5000/shop/web:1.4';
const known = { ...accounts({ default: ['default-dockercfg-x7k2p'], robot: [] }), now: unwatched.now };
const enforcing = accounts({ default: ['listed'] }, true);
const missing: Facts = { ...known, secret: (_namespace, name) => (name === 'shared-pull' ? 'wrong-type' : 'absent') };
const pending = (delivery: DeliveryFacts): Facts => ({ ...known, secret: () => 'absent', delivery: () => delivery });
const streaming = streams(
  {
    'shop/base': { tags: { '1': { from: { kind: 'DockerImage', name: 'nginx-fork/base:1' } } } },
    'openshift/nodejs': { tags: { '20': { images: [{ image: digest, reference: `unknown.example.org/ubi9/nodejs@${digest}` }] } } },
    'shop/partner': { tags: { '1': { from: { kind: 'DockerImage', name: 'partner.example.com/base' } } } },
  },
  known,
);

const container = (image: unknown, name = 'app') => ({ name, image });
const pod = (...images: readonly unknown[]) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web' },
  spec: { containers: images.map((image, index) => container(image, index === 0 ? 'app' : `sidecar-${index}`)) },
});
const deployment = (image: unknown, metadata: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', ...metadata },
  spec: { template: { metadata: {}, spec: { containers: [container(image)] } } },
});
const buildConfig = (spec: object) => ({ apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'web' }, spec });
const image = (name: string) => ({ kind: 'DockerImage', name });
const stream = (name: string, namespace?: string) => ({ kind: 'ImageStreamTag', name, ...(namespace && { namespace }) });
const docker = (from: object | undefined, dockerfile: string) =>
  buildConfig({ strategy: { dockerStrategy: { ...(from && { from }) } }, source: { dockerfile } });

type Situation = {
  readonly what: string;
  readonly object: unknown;
  readonly request?: Record<string, unknown>;
  readonly rules?: RuleSet;
  readonly facts?: Facts;
  /** The caller has not authenticated, as everywhere without `--client-ca`. */
  readonly unauthenticated?: true;
};
const update = (oldObject: unknown) => ({ operation: 'UPDATE', oldObject });

const volumes = { group: 'cdi.kubevirt.io', version: 'v1beta1', resource: 'datavolumes', kind: 'DataVolume' };
const images: readonly ImagePath[] = [{ pattern: ['spec', 'urls', everyItem], schemes: ['docker'] }];
const withDataVolumes: Facts = { ...known, kinds: kindsOf([...kindsWithImages, customKindRow({ ...volumes, podSpecs: [], images })]) };

const situations: readonly Situation[] = [
  { what: 'A trusted image', object: pod('public.example.com/app') },
  { what: 'An untrusted registry with a reason', object: pod('bitnami/redis:7') },
  { what: 'A registry whose trust ends soon', object: pod('old.example.com/app'), rules: ending('2026-12-15') },
  { what: 'A registry whose trust has ended', object: pod('old.example.com/app'), rules: ending('2026-11-20') },
  {
    what: 'A registry whose trust has ended, in mode: warn',
    object: pod('old.example.com/app'),
    rules: ending('2026-11-20', 'mode: warn\n'),
  },
  {
    what: 'A registry whose trust has ended, in a Pod that already runs',
    object: pod('old.example.com/app'),
    rules: ending('2026-11-20'),
    request: update(pod('old.example.com/app')),
  },
  { what: 'An untrusted registry without a reason', object: deployment('gone.example.com/app') },
  { what: 'An unconfigured registry that lacks the port', object: pod('registry.example.com/shop/web:1.4') },
  { what: 'An unconfigured registry with a typo in the host', object: pod('qauy.example.com/team-a/web') },
  { what: 'An unconfigured registry that looks like that of another company', object: pod('quay.exmaple.com/team-a/web') },
  { what: 'A registry that is configured for other namespaces', object: pod('prod.example.com/app'), rules: labelledElsewhere },
  { what: 'An official image, with a rule for an organization of its name', object: pod('nginx'), rules: organization },
  { what: 'A path next to a configured one', object: pod('quay.example.com/team-b/web') },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable that nothing replaced
  { what: 'Unexpanded variables and placeholders', object: pod('${PHP_FPM_IMAGE}', '$(IMAGE):1', 'nginx:${TAG}', '{{ .Values.image }}') },
  { what: 'Upper case in the first component', object: pod('Panonim/dynacat:1', 'WebOfTrust/keria') },
  { what: 'Upper case in all components', object: pod('WebOfTrust/Keria:1') },
  { what: 'A registry host without a repository', object: pod('registry.corp.example:5000'), rules: corporateOnly },
  { what: 'A registry host without a repository, with Docker Hub official images trusted', object: pod('registry.corp.example') },
  {
    what: 'A registry host without a repository, imported into an image stream',
    object: imageStream('registry.corp.example'),
  },
  { what: 'An invalid digest', object: pod('ghcr.io/somebody/tool@sha256:0') },
  { what: 'A digest is shown in full', object: pod(`ghcr.io/somebody/tool@${digest}`) },
  { what: 'A name with a scheme', object: pod('https://registry.example.com:5000/web') },
  {
    what: 'Names with a scheme in a custom resource',
    object: dataVolume('docker://ghcr.io/somebody/tool', 'docker://registry.example.com:5000/Web', 'docker://registry.corp.example'),
    facts: withDataVolumes,
  },
  { what: 'A name with a password', object: pod('me:hunter2@registry.example.com:5000/web') },
  { what: 'Several images, one of them trusted', object: pod(corp, 'bitnami/redis', 'ghcr.io/somebody/tool') },
  { what: 'More than ten images', object: pod(...Array.from({ length: 13 }, (_none, index) => `ghcr.io/somebody/tool-${index}`)) },
  {
    what: 'Init container, debug container and image volume',
    object: {
      ...pod('public.example.com/app'),
      spec: {
        containers: [container('public.example.com/app')],
        initContainers: [container('ghcr.io/a', 'setup')],
        ephemeralContainers: [container('ghcr.io/b', 'debugger')],
        volumes: [{ name: 'model', image: { reference: 'ghcr.io/c' } }],
      },
    },
  },
  { what: 'An object with generateName', object: { ...pod('ghcr.io/a'), metadata: { generateName: 'web-7d9c-' } } },
  { what: 'No contact in the rules', object: pod('ghcr.io/a'), rules: rulesOf(table) },
  { what: 'unconfigured: warn', object: pod('ghcr.io/a'), rules: rulesOf(`unconfigured: warn\n${table}`) },
  { what: 'mode: warn', object: pod('bitnami/redis'), rules: rulesOf(`mode: warn\n${contact}${table}`) },
  {
    what: 'mode: warn with an unconfigured registry',
    object: pod('registry.example.com/web'),
    rules: rulesOf(`mode: warn\n${contact}${table}`),
  },
  {
    what: 'mode: warn with the location of the rule, which fits',
    object: pod('gone.example.com/a'),
    rules: rulesOf(`mode: warn\ncontact: us\n${table}`),
  },
  {
    what: 'mode: warn with a help page',
    object: pod('ghcr.io/a'),
    rules: rulesOf(`mode: warn\n${contact}helpUrl: https://wiki.example.com/registries\n${table}`),
  },
  {
    what: 'mode: warn with a long name, a long contact and a help page',
    object: pod(`registry.example.com/${'long/'.repeat(30)}name`),
    rules: rulesOf(`mode: warn\ncontact: ${'the platform team, '.repeat(5)}\nhelpUrl: https://wiki.example.com/registries\n${table}`),
  },
  { what: 'A help page', object: pod('ghcr.io/a'), rules: rulesOf(`${contact}helpUrl: https://wiki.example.com/registries\n${table}`) },
  { what: 'A Pod of a ReplicaSet', object: ownedPod('web-7d9c-x2k5p', 'ReplicaSet', 'web-7d9c', 'ghcr.io/a') },
  { what: 'mode: audit', object: pod('bitnami/redis'), rules: rulesOf(`mode: audit\n${contact}${table}`) },
  { what: 'An exemption', object: pod('old.example.com/app:1') },
  { what: 'An exemption that ended', object: pod('quay.example.com/legacy/app') },
  { what: 'A short name with shortNames: reject', object: pod('nginx'), rules: rulesOf(`shortNames: reject\n${contact}${table}`) },
  {
    what: 'A short name with several search registries',
    object: pod('shop/web'),
    rules: rulesOf(`shortNames: ["registry.example.com:5000", docker.io]\n${contact}${table}`),
  },
  {
    what: 'An update of a template that already has the image',
    object: deployment('bitnami/redis', { labels: { a: 'b' } }),
    request: update(deployment('bitnami/redis')),
  },
  { what: 'An update of a Pod that already has the image', object: pod('bitnami/redis'), request: update(pod('bitnami/redis')) },
  {
    what: 'A static Pod that a kubelet reports',
    object: { ...pod('bitnami/redis'), metadata: { name: 'web', annotations: { 'kubernetes.io/config.mirror': 'x' } } },
    request: { userInfo: { username: 'system:node:n1' } },
  },
  { what: 'A blank image in a Pod', object: pod(' ') },
  { what: 'No image in a Pod', object: pod(undefined) },
  { what: 'A blank image in a template', object: deployment(' ') },
  { what: 'A missing pull secret in a template', object: deployment(corp), facts: missing },
  { what: 'A missing pull secret in a Pod with onMissingSecret: deny', object: pod('quay.example.com/team-a/web'), facts: missing },
  {
    what: 'A pull secret that will be delivered',
    object: deployment(corp),
    rules: delivering,
    facts: pending({ kind: 'running' }),
  },
  {
    what: 'Several pull secrets that will be delivered, with onMissingSecret: deny',
    object: pod('quay.example.com/team-a/web'),
    rules: delivering,
    facts: pending({ kind: 'running' }),
  },
  {
    what: 'A delivered pull secret, while secret delivery is not running, with onMissingSecret: deny',
    object: pod('quay.example.com/team-a/web'),
    rules: delivering,
    facts: pending({ kind: 'stopped', since: Date.parse('2026-11-20T09:58:12.345Z') }),
  },
  {
    what: 'A delivered pull secret, where secret delivery has never been running',
    object: deployment(corp),
    rules: delivering,
    facts: pending({ kind: 'stopped' }),
  },
  {
    what: 'A delivered pull secret, where nothing is known about secret delivery',
    object: deployment(corp),
    rules: delivering,
    facts: pending({ kind: 'unknown' }),
  },
  {
    what: 'Annotations that leave no room for the needed secrets',
    object: deployment(corp, { annotations: { notes: 'x'.repeat(262_144) } }),
    rules: delivering,
  },
  { what: 'An image with the default port', object: pod('partner.example.com:443/app') },
  { what: 'An image with its registry in upper case', object: pod('Registry.Example.Com:5000/web') },
  { what: 'An image with leading zeros in its port', object: pod('registry.example.com:05000/web') },
  {
    what: 'An image that names the server of Docker Hub, registry-1.docker.io',
    object: pod('registry-1.docker.io/library/nginx'),
    rules: hubWithSecret,
  },
  { what: 'An image whose first component is a host only because of its port', object: pod('harbor:443/app'), rules: harbor },
  { what: 'A name without a registry, on nodes with several search registries', object: pod('team/app:1', 'fedora'), rules: searching },
  {
    what: 'A name without a registry on OpenShift',
    object: deployment('nginx'),
    rules: rulesOf(`${contact}${internal}rules: [{registry: docker.io}]`),
  },
  { what: 'An IPv4 address with fewer than four numbers', object: pod('10.5:5000/app') },
  { what: 'Brackets without a valid IPv6 address', object: pod('[1:2]:5000/app') },
  {
    what: 'A missing push secret',
    object: buildConfig({ strategy: {}, output: { to: image('registry.example.com:5000/shop/out') } }),
    facts: missing,
  },
  {
    what: 'A debug container whose pull secret the Pod lacks',
    object: pod('public.example.com/app', corp),
    request: update(pod('public.example.com/app')),
  },
  { what: 'A service account that allows only the secrets it lists', object: pod(corp), facts: enforcing },
  { what: 'An unknown service account', object: deployment(corp), facts: unwatched },
  { what: 'A service account with too many pull secrets', object: deployment(corp), facts: tooLargeAccounts() },
  {
    what: 'Unknown labels of a namespace',
    object: pod('prod.example.com/app'),
    rules: labelled,
    facts: { ...known, namespace: () => ({ kind: 'unknown' }) },
  },
  { what: 'A build from a denied image', object: buildConfig({ strategy: { sourceStrategy: { from: image('bitnami/node') } } }) },
  { what: 'A build whose Dockerfile names a denied image', object: docker(undefined, `FROM ${corp}\nCOPY --from=bitnami/redis /x /x\n`) },
  {
    what: 'A build that copies from its own stage and from a later one',
    object: docker(undefined, `FROM ${corp} AS base\nCOPY --from=base /x /x\nCOPY --from=1 /x /x\nFROM ${corp}\n`),
    rules: corporateOnly,
  },
  {
    what: 'A build with a stage whose name comes from a variable',
    object: docker(undefined, `ARG FLAVOR=prod\nFROM ${corp} AS base-prod\nFROM ${corp} AS base-dev\nFROM base-$FLAVOR\n`),
    rules: corporateOnly,
  },
  {
    what: 'A build with a stage name that BuildKit rejects',
    object: docker(undefined, `FROM ${corp} AS ghcr.io/x\nFROM ${corp}\nCOPY --from=ghcr.io/x /x /x\n`),
  },
  {
    what: 'A build that refers to a stage by number, or in different letter case',
    object: docker(
      undefined,
      `FROM ${corp}\nFROM ${corp} AS TOOLS\nRUN --mount=from=0,target=/x x\nFROM ${corp}\nCOPY --from=tools /x /x\n`,
    ),
    rules: corporateOnly,
  },
  {
    what: 'A build that uses its own stage with shortNames: reject',
    object: docker(undefined, `FROM ${corp} AS base\nCOPY --from=base /x /x\n`),
    rules: rulesOf(`${contact}shortNames: reject\n${table}`),
  },
  {
    what: 'A build whose Dockerfile names too many images',
    object: docker(undefined, Array.from({ length: 501 }, (_none, index) => `FROM public.example.com/x:${index}\n`).join('')),
  },
  {
    what: 'A build whose Dockerfile expands too much',
    object: docker(
      undefined,
      `FROM ${corp}\nENV A=${'a/'.repeat(1_900)}a\n${Array.from({ length: 400 }, (_none, index) => `RUN --mount=from=$A:${index} x\n`).join('')}`,
    ),
  },
  { what: 'An image id', object: pod('sha256:a5') },
  {
    what: 'A build that pushes to an unconfigured registry',
    object: buildConfig({ strategy: {}, output: { to: image('ghcr.io/somebody/out') } }),
  },
  {
    what: 'A build that needs two pull secrets',
    object: docker(undefined, `FROM partner.example.com/x AS s\nFROM ${corp}\n`),
  },
  {
    what: 'A build with an internal image',
    object: docker(undefined, `FROM image-registry.openshift-image-registry.svc:5000/shop/base AS s\nFROM ${corp}\n`),
  },
  {
    what: 'A build with an internal image, and a pull secret for its base image',
    object: { ...docker(image(corp), 'FROM x\nCOPY --from=image-registry.openshift-image-registry.svc:5000/shop/base /x /x\nFROM y\n') },
  },
  {
    what: 'A build with an image stream that needs another secret',
    object: docker(stream('partner:1'), `FROM s\nCOPY --from=${corp} /x /x\nFROM y\n`),
    facts: streaming,
  },
  {
    what: 'A build from an image stream of another namespace',
    object: buildConfig({ strategy: { sourceStrategy: { from: stream('nodejs:20', 'openshift') } } }),
    facts: streaming,
  },
  {
    what: 'A build from an image stream of another namespace with unconfigured: warn',
    object: buildConfig({ strategy: { sourceStrategy: { from: stream('nodejs:20', 'openshift') } } }),
    rules: rulesOf(`unconfigured: warn\n${contact}${table}`),
    facts: streaming,
  },
  {
    what: 'A build from an image stream of its namespace with an untrusted image',
    object: buildConfig({ strategy: { sourceStrategy: { from: stream('base:1') } } }),
    facts: streaming,
  },
  {
    what: 'A build with an inline Dockerfile and the path of a different one',
    object: buildConfig({ strategy: { dockerStrategy: { dockerfilePath: 'build/Dockerfile' } }, source: { dockerfile: `FROM ${corp}` } }),
  },
  {
    what: 'A build from an image stream that is too large',
    object: buildConfig({ strategy: { sourceStrategy: { from: stream('nodejs:20', 'openshift') } } }),
    facts: { ...known, imageStream: () => ({ kind: 'too-large', why: 'it holds more than 1 MiB of tags and images' }) },
  },
  {
    what: 'A placeholder that an image trigger would replace with a denied image',
    object: deploymentConfig('shop/web', stream('base:1')),
    facts: streaming,
  },
  {
    what: 'A build from an image stream with an unconfigured image, without caller authentication',
    object: buildConfig({ strategy: { sourceStrategy: { from: stream('nodejs:20', 'openshift') } } }),
    facts: streaming,
    unauthenticated: true,
  },
  {
    what: 'A placeholder that an image trigger would replace with a denied image, without caller authentication',
    object: deploymentConfig('shop/web', stream('base:1')),
    facts: streaming,
    unauthenticated: true,
  },
  {
    what: 'An image stream that imports a denied image',
    object: imageStream('bitnami/redis:7'),
  },
  {
    what: 'A lookup of a denied image, as in oc new-app',
    object: {
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStreamImport',
      metadata: { name: 'newapp' },
      spec: { import: false, images: [{ from: image('bitnami/redis:7') }] },
    },
  },
  {
    what: 'A denied image written into the status of an image stream',
    object: imageStreamStatus('bitnami/redis:7'),
    request: { ...update({}), subResource: 'status' },
  },
  { what: 'An object that cannot be read', object: { ...pod(corp), spec: { containers: { app: corp } } } },
  { what: 'A kind that is not evaluated', object: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } } },
  { what: 'A service account that has not been seen yet', object: pod(corp), facts: accounts({}) },
  {
    what: 'A namespace that has not been seen yet',
    object: pod('prod.example.com/app'),
    rules: labelled,
    facts: { ...known, namespace: () => ({ kind: 'absent' }) },
  },
  {
    what: 'A bug',
    object: pod(corp),
    facts: {
      ...known,
      secret: () => {
        throw new Error('a bug');
      },
    },
  },
];

const servers: { close(): PromiseLike<unknown> }[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
});

test('messages.golden.md is up to date (UPDATE_GOLDEN=1 rewrites it)', async () => {
  const sections: string[] = [];
  for (const situation of situations) sections.push(await sectionOf(situation));
  const text = `${head}\n${sections.join('\n')}`;
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text);
  expect(text).toBe(readFileSync(golden, 'utf8'));
});

test('it contains every reason', () => {
  const found = situations.flatMap(({ object, request, rules: own = rules, facts = known }) => reasonsIn(object, request, own, facts));
  expect([...new Set(found)].sort()).toEqual(Object.keys(reasons).sort());
});

test('it contains no situation twice', () => {
  const names = situations.map(({ what }) => what);
  expect(names).toEqual([...new Set(names)]);
});

const head = `# Messages to users

Written by messages.test.ts. \`UPDATE_GOLDEN=1\` rewrites it. **Denied** is the message of a denied request.
**Warning** is a warning that the client prints, whether the request is allowed or denied.
`;

async function sectionOf({ what, object, request = {}, rules: own = rules, facts = known, unauthenticated }: Situation): Promise<string> {
  const server = createWebhookServer(
    { rules: () => own, facts: () => facts, audit: () => undefined, reportBug: () => undefined, failed: () => {} },
    { tls },
  );
  server.addHook('preHandler', async (each) => {
    each.callerAuthenticated = !unauthenticated;
  });
  servers.push(server);
  const post = async (url: string, subject: unknown) => {
    const payload = JSON.stringify(reviewOf(subject, { ...request, object: subject }));
    const response = await server.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } });
    const body = JSON.parse(response.body);
    return response.statusCode === 200
      ? (body as AdmissionAnswer).response
      : { allowed: false, status: body, warnings: [], patch: undefined };
  };
  const mutated = await post('/mutate', object);
  const patch = mutated.patch === undefined ? [] : JSON.parse(Buffer.from(mutated.patch, 'base64').toString('utf8'));
  const answers = [mutated, ...(mutated.allowed ? [await post('/validate', patched(object, { patch }))] : [])];
  const warnings = answers.flatMap((answer) => answer.warnings ?? []).map((warning) => `**Warning** ${warning}`);
  const denials = answers.flatMap(({ allowed, status }) =>
    allowed || !status ? [] : [`**Denied** (${status.code} ${status.reason}) ${status.message}`],
  );
  const messages = [...warnings, ...denials];
  return `## ${what}\n\n${messages.length > 0 ? messages.join('\n\n') : 'Allowed without a message.'}\n`;
}

function reasonsIn(object: unknown, request: Record<string, unknown> | undefined, own: RuleSet, facts: Facts): readonly ReasonCode[] {
  const review = decodeReview(JSON.parse(JSON.stringify(reviewOf(object, { ...request, object }))));
  const change = review.ok ? changeOf(review.request) : undefined;
  try {
    const decision = change && decide(change, own, facts);
    return decision?.kind === 'decided' ? [...decision.images, ...decision.notices].map(({ reason }) => reason) : [];
  } catch {
    return [];
  }
}

function deploymentConfig(placeholder: string, from: object) {
  return {
    apiVersion: 'apps.openshift.io/v1',
    kind: 'DeploymentConfig',
    metadata: { name: 'web' },
    spec: {
      triggers: [{ type: 'ImageChange', imageChangeParams: { automatic: true, containerNames: ['app'], from } }],
      template: { spec: { containers: [container(placeholder)] } },
    },
  };
}

function dataVolume(...urls: readonly string[]) {
  return { apiVersion: 'cdi.kubevirt.io/v1beta1', kind: 'DataVolume', metadata: { name: 'web' }, spec: { urls } };
}

function imageStream(from: string) {
  const spec = { tags: [{ name: '7', from: image(from) }] };
  return { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream', metadata: { name: 'redis' }, spec };
}

function imageStreamStatus(dockerImageReference: string) {
  const status = { tags: [{ tag: '7', items: [{ dockerImageReference, image: digest }] }] };
  return { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream', metadata: { name: 'redis' }, status };
}

function ownedPod(name: string, kind: string, owner: string, of: string) {
  return { ...pod(of), metadata: { name, generateName: `${owner}-`, ownerReferences: [{ kind, name: owner, controller: true }] } };
}

/** Rules from a ConfigMap, as in a cluster. */
function rulesOf(text: string): RuleSet {
  const source = { kind: 'configMap' as const, namespace: 'regkeeper', name: 'regkeeper-rules', key: 'rules.yaml' };
  const parsed = parseRulesDocument(text, source);
  const compiled = parsed.ok ? compileRuleSet([parsed.document], sha256) : parsed;
  if (!compiled.ok) throw new Error(briefly(compiled.problems).join('\n'));
  return compiled.ruleSet;
}

/** Tests the AdmissionReview that answers a decision: patch, status, warnings, audit annotations. */
import { describe, expect, test } from 'vitest';
import { type AnswerableDecision, allowed, errored, renderAnswer } from '../../../src/admission/response.ts';
import type { ReviewRequest, Webhook } from '../../../src/admission/review.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import { formatCount } from '../../../src/image/wording.ts';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { accounts, change, containers, deployment, type Kind, pod } from '../decision/changes.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';

const table = `
rules:
- {registry: good.io, pullSecret: corp}
- {name: hub, registry: docker.io, trust: false, reason: use good.io/hub}
`;
const rules = inConfigMap(table);
const facts = accounts({ default: [] });

describe('a denial', () => {
  test('of one image is one line with everything the user needs', () => {
    expect(answer('validate', 'Pod', pod('nginx')).response).toEqual({
      uid: 'u-1',
      allowed: false,
      status: {
        status: 'Failure',
        code: 403,
        reason: 'Forbidden',
        message:
          'Pod shop/web: container "c0": image "nginx" (docker.io/library/nginx) is from an untrusted registry ' +
          '(rule "hub", ConfigMap keeper/rules, key main.yaml, line 4:25): use good.io/hub. Contact: the owners of the registry rules in ConfigMap keeper/rules.',
        details: {
          name: 'web',
          kind: 'Pod',
          causes: [
            {
              reason: 'untrusted',
              message: expect.stringContaining('image "nginx"'),
              field: 'spec.containers[0].image',
            },
          ],
        },
      },
      auditAnnotations: { outcome: 'denied', 'rules-revision': rules.revision },
    });
  });

  test('shows the nearest registry', () => {
    expect(messageOf(answer('validate', 'Pod', pod('good.io:5000/x')))).toContain('Did you mean good.io? Contact: ');
  });

  test('of several images lists at most ten', () => {
    const images = Array.from({ length: 12 }, (_value, index) => `bad${index}.example/x`);
    const { response } = answer('validate', 'Deployment', deployment({ spec: { containers: containers(...images) } }));
    const lines = response.status?.message.split('\n') ?? [];
    expect(lines[0]).toBe('Deployment shop/web:');
    expect(lines[1]).toBe('- container "c0": image "bad0.example/x" is not from a configured registry.');
    expect(lines.slice(10)).toEqual([
      expect.stringMatching(/^- container "c9"/),
      '- and 2 more',
      'Contact: the owners of the registry rules in ConfigMap keeper/rules.',
    ]);
    expect(response.status?.details?.causes).toHaveLength(10);
    expect(response.status?.details?.group).toBe('apps');
  });

  test('shows the contact from the rules', () => {
    const named = ruleSetOf('contact: "#platform on chat"');
    expect(messageOf(answer('validate', 'Pod', pod('x.io/y'), { rules: named }))).toMatch(/ Contact: #platform on chat\.$/);
  });

  test('shows a contact even where no rules exist', () => {
    expect(messageOf(answer('validate', 'Pod', pod('x.io/y'), { rules: ruleSetOf() }))).toMatch(
      / Contact: the owners of the registry rules\.$/,
    );
  });

  test('lists three ConfigMaps and counts the others', () => {
    const many = ruleSetOf('', '', '', '', '');
    expect(messageOf(answer('validate', 'Pod', pod('x.io/y'), { rules: many }))).toMatch(/ in a\.yaml, b\.yaml, c\.yaml and 2 more\.$/);
  });

  test.each([
    {
      name: 'a generated name',
      request: { name: '', object: { ...pod('nginx'), metadata: { generateName: 'web-' } } },
      head: 'Pod shop/web-…:',
    },
    { name: 'no name', request: { name: '' }, head: 'Pod shop/(unnamed):' },
    { name: 'no namespace', request: { namespace: '' }, head: 'Pod web:' },
    { name: 'an owner that is a Node', request: { object: ownedBy('Node', 'n1', 'web') }, head: 'Pod shop/web:' },
    {
      name: 'an owner, in an update',
      request: { operation: 'UPDATE' as const, object: ownedBy('ReplicaSet', 'web-7d9c', 'web') },
      head: 'Pod shop/web:',
    },
    { name: 'a name with control characters', request: { name: 'a\n\u001b[2Jb' }, head: 'Pod shop/a [2Jb:' },
  ])('of an object with $name', ({ request, head }) => {
    expect(messageOf(answer('validate', 'Pod', request.object ?? pod('nginx'), { request }))).toMatch(
      new RegExp(`^${head.replace(/[()[\]]/g, '\\$&')} container`),
    );
  });

  test.each(['ReplicaSet', 'Job', 'StatefulSet'])('of the Pods that a %s creates is the same for each Pod', (kind) => {
    const messages = ['web-7d9c-x2k5p', 'web-7d9c-9fzq4'].map((name) =>
      messageOf(answer('validate', 'Pod', ownedBy(kind, 'web-7d9c', name), { request: { name } })),
    );
    expect(messages[0]).toMatch(new RegExp(`^Pod of ${kind} shop/web-7d9c: container "c0": image "nginx" `));
    expect(messages[1]).toBe(messages[0]);
  });

  test('ends with the link to the help page', () => {
    const helpful = ruleSetOf('contact: us\nhelpUrl: https://wiki.example.com/registries');
    expect(messageOf(answer('validate', 'Pod', pod('x.io/y'), { rules: helpful }))).toMatch(
      / Contact: us\. Help: https:\/\/wiki\.example\.com\/registries$/,
    );
  });

  test('has a limited length, whatever users write', () => {
    const object = { metadata: {}, spec: { containers: [{ name: 'n'.repeat(1e6), image: `bad.io/${'x'.repeat(1e6)}` }] } };
    expect(messageOf(answer('validate', 'Pod', object, { request: { name: 'w'.repeat(1e6) } })).length).toBeLessThan(1500);
  });
});

describe('how mode changes a denial', () => {
  test('warn: a warning', () => {
    const { response } = answer('validate', 'Pod', pod('nginx'), { rules: ruleSetOf(table, 'mode: warn') });
    expect(response).toMatchObject({ allowed: true, auditAnnotations: { outcome: 'warned', 'outcome-if-enforced': 'denied' } });
    expect(response.warnings).toEqual([
      expect.stringMatching(/^regkeeper: would be denied in enforce mode: container "c0": image "nginx"/),
    ]);
    expect(response.status).toBeUndefined();
  });

  test('audit: only a record', () => {
    const { response } = answer('validate', 'Pod', pod('nginx'), { rules: ruleSetOf(table, 'mode: audit') });
    expect(response).toMatchObject({ allowed: true, auditAnnotations: { outcome: 'allowed', 'outcome-if-enforced': 'denied' } });
    expect(response.warnings).toBeUndefined();
  });
});

test('a denial includes the warnings for other images', () => {
  const old = { spec: { containers: containers('bad.io/old') } };
  const now = { spec: { containers: containers('bad.io/old', 'bad.io/new') } };
  const { response } = answer('validate', 'Pod', now, { oldObject: old });
  expect(response.warnings).toEqual([expect.stringContaining('"bad.io/old"')]);
  expect(response.status?.message).not.toContain('bad.io/old');
});

/** What is left out of a warning first: the location, the help page, the rule, the contact, and the middle of the image. The remedy stays. */
describe('a warning in mode warn that is too long', () => {
  const withReason = (reason: string, help = '') =>
    ruleSetOf(`mode: warn\ncontact: the platform team\n${help}rules:\n- {name: hub, registry: bad.io, trust: false, reason: ${reason}}`);
  const warningOf = (reason: string, help?: string) =>
    answer('validate', 'Pod', pod('bad.io/x'), { rules: withReason(reason, help) }).response.warnings?.[0] ?? '';
  const help = 'helpUrl: https://wiki.example.com/registries\n';

  test.each([
    ['with everything', 20, help, /\(rule "hub", a\.yaml:\d+:\d+\).* Contact: the platform team\. Help: https:\S+registries$/],
    ['without the location', 62, help, /\(rule "hub"\): x+\. Contact: the platform team\. Help: https:\S+registries$/],
    ['without the help page', 100, help, /\(rule "hub"\): x+\. Contact: the platform team\.$/],
    ['without the rule', 115, help, /registry: x{115}\. Contact: the platform team\.$/],
    ['without the contact', 130, help, /registry: x{130}\.$/],
    ['with the end of the reason cut off, after everything else', 190, help, /registry: x{134,}…$/],
  ] as const)('is %s', (_sentence, length, helpUrl, expected) => {
    const warning = warningOf('x'.repeat(length), helpUrl);
    expect(warning).toMatch(
      /^regkeeper: would be denied in enforce mode: container "c0": image "bad\.io\/x" is from an untrusted registry/,
    );
    expect(warning).toMatch(expected);
    expect(warning.length).toBeLessThanOrEqual(256);
  });

  const suggesting = ruleSetOf(
    'mode: warn\ncontact: the platform team (#platform)\nrules: [{registry: "external-registry.example.com:5000"}]',
  );
  const suggested = 'Did you mean external-registry.example.com:5000?';
  test.each([
    ['a short name', 'external-registry.example.com/shop/web:1.4', /Did you mean [^…]*$/],
    [
      'a digest',
      `external-registry.example.com/shop/web@sha256:${'ab'.repeat(32)}`,
      /image "external-registry\.example\.com\/shop\/web@sha256:[ab]+\.\.\.[ab]+" is not/,
    ],
    [
      'a long path',
      `external-registry.example.com/${'department/'.repeat(20)}web:1.4`,
      /image "external-registry\.example\.com\/department[^"]*\.\.\.[^"]*" is not/,
    ],
  ])('shows the suggestion after %s', (_name, image, expected) => {
    const [warning = ''] = answer('validate', 'Pod', pod(image), { rules: suggesting }).response.warnings ?? [];
    expect(warning).toContain(suggested);
    expect(warning).toMatch(expected);
    expect(warning).not.toMatch(/Contact:$/);
    expect(warning.length).toBeLessThanOrEqual(256);
  });

  test('never ends with a truncated contact', () => {
    const contact = `the platform team ${'and others '.repeat(15)}`.trim();
    const rules = ruleSetOf(`mode: warn\ncontact: ${contact}\nrules: [{registry: bad.io, trust: false, reason: use good.io}]`);
    expect(answer('validate', 'Pod', pod('bad.io/x'), { rules }).response.warnings).toEqual([
      'regkeeper: would be denied in enforce mode: container "c0": image "bad.io/x" is from an untrusted registry: use good.io.',
    ]);
  });

  test('an image with unconfigured: warn will not be denied', () => {
    const soft = ruleSetOf('mode: warn\nunconfigured: warn\ncontact: us');
    expect(answer('validate', 'Pod', pod('x.io/y'), { rules: soft }).response.warnings).toEqual([
      'regkeeper: container "c0": image "x.io/y" is not from a configured registry. Contact: us.',
    ]);
  });
});

describe('warnings', () => {
  const soft = ruleSetOf('unconfigured: warn');
  test('have at most 256 characters', () => {
    const object = { spec: { containers: [{ name: 'n'.repeat(200), image: `elsewhere.example/${'x'.repeat(200)}` }] } };
    const { warnings } = answer('validate', 'Pod', object, { rules: soft }).response;
    expect(warnings?.[0]?.length).toBeLessThanOrEqual(256);
    expect(warnings?.[0]).toMatch(/image "elsewhere\.example\/x+\.\.\.x+" is not from a configured registry\.$/);
  });

  test('have at most 4,096 characters in total, and the last one counts those left out', () => {
    const images = Array.from({ length: 5000 }, (_value, index) => `elsewhere.example/team-${index}/${'x'.repeat(100)}`);
    const { warnings = [] } = answer('validate', 'Pod', { spec: { containers: containers(...images) } }, { rules: soft }).response;
    expect(warnings.join('').length).toBeLessThanOrEqual(4096);
    expect(warnings.at(-1)).toBe(`regkeeper: and ${formatCount(5000 - warnings.length + 1)} more warnings`);
  });

  test('contain no control characters', () => {
    const object = { spec: { containers: [{ name: 'a\r\n\u0007b', image: 'elsewhere.example/x' }] } };
    expect(answer('validate', 'Pod', object, { rules: soft }).response.warnings?.join('')).not.toMatch(/\p{Cc}/u);
  });
});

describe('the mutating response', () => {
  test('contains the patch in base64, ASCII or not', () => {
    const odd = { metadata: { annotations: null }, spec: { containers: containers('good.io/x'), imagePullSecrets: null } };
    const { response } = answer('mutate', 'Pod', odd);
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch', auditAnnotations: { 'secrets-injected': '1' } });
    expect(JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString())).toEqual([
      { op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'corp' }] },
      { op: 'add', path: '/metadata/annotations', value: { 'regkeeper.io/injected': '{"rules":["corp"]}' } },
    ]);
  });

  test('writes secrets with any characters', () => {
    const foreign = accounts({ default: ['schlüssel-🔑'] });
    const { patch = '' } = answer('mutate', 'Pod', pod('good.io/x'), { facts: foreign }).response;
    expect(Buffer.from(patch, 'base64').toString()).toMatch(/^[ -~]*$/);
    expect(JSON.parse(Buffer.from(patch, 'base64').toString())[0].value).toEqual([{ name: 'corp' }, { name: 'schlüssel-🔑' }]);
  });

  test('has no patch if nothing changes', () => {
    expect(answer('mutate', 'Pod', pod('good.io/x', ['corp'])).response).toEqual({
      uid: 'u-1',
      allowed: true,
      auditAnnotations: { 'rules-revision': rules.revision, 'secrets-injected': '0' },
    });
  });

  test.each(['nginx', 'unknown.io/x', '://', ' '])('never denies by policy: "%s"', (image) => {
    expect(answer('mutate', 'Pod', pod(image)).response).toMatchObject({ allowed: true });
  });

  test('reports what could not be injected', () => {
    const { warnings } = answer('mutate', 'Pod', pod('good.io/x'), { facts: accounts({ default: [] }, true) }).response;
    expect(warnings).toEqual([expect.stringMatching(/^regkeeper: service account "default" allows only/)]);
  });
});

describe('what cannot be evaluated is denied by both webhooks', () => {
  test.each(['mutate', 'validate'] as const)('%s', (webhook) => {
    expect(answer(webhook, 'Pod', { spec: { containers: null } }).response).toEqual({
      uid: 'u-1',
      allowed: false,
      status: {
        status: 'Failure',
        code: 400,
        reason: 'BadRequest',
        message: 'Pod shop/web cannot be evaluated: spec.containers must be a list of containers, but is null.',
      },
    });
    const unknown = renderAnswer(webhook, { ...requestOf('Pod', {}), group: 'x.io', kind: 'Thing' }, { kind: 'unknown-kind' }, rules);
    expect(unknown.response).toMatchObject({
      allowed: false,
      status: {
        code: 400,
        message:
          "regkeeper does not evaluate objects of kind Thing.x.io. Remove this kind from the rules of regkeeper's webhook configurations.",
      },
    });
  });
});

test('the two plain responses are AdmissionReviews of version v1', () => {
  expect(allowed('u')).toEqual({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: 'u', allowed: true } });
  expect(errored('u', 500, 'InternalError', 'a bug').response).toEqual({
    uid: 'u',
    allowed: false,
    status: { status: 'Failure', code: 500, reason: 'InternalError', message: 'a bug' },
  });
});

type AnswerOptions = { rules?: RuleSet; facts?: Facts; request?: Partial<ReviewRequest>; oldObject?: unknown };

function answer(webhook: Webhook, kind: Kind, object: unknown, options: AnswerOptions = {}) {
  const ruleSet = options.rules ?? rules;
  const decision = decide(change(kind, object, options.oldObject), ruleSet, options.facts ?? facts);
  return renderAnswer(webhook, { ...requestOf(kind, object), ...options.request }, decision as AnswerableDecision, ruleSet);
}

function requestOf(kind: Kind, object: unknown): ReviewRequest {
  const { group, namespace, name, user } = change(kind, object);
  return {
    uid: 'u-1',
    operation: 'CREATE',
    group,
    version: 'v1',
    kind,
    subresource: '',
    namespace,
    name,
    user,
    groups: [],
    dryRun: false,
    object,
    oldObject: null,
  };
}

function ownedBy(kind: string, owner: string, name: string) {
  return { ...pod('nginx'), metadata: { name, ownerReferences: [{ kind, name: owner, controller: true }] } };
}

function messageOf(answered: ReturnType<typeof answer>): string {
  return answered.response.status?.message ?? '';
}

function inConfigMap(text: string): RuleSet {
  const parsed = parseRulesDocument(text, { kind: 'configMap', namespace: 'keeper', name: 'rules', key: 'main.yaml' });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const compiled = compileRuleSet([parsed.document], sha256);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.ruleSet;
}

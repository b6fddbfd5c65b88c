/** Decisions: verdicts, modes, updates, unknown labels and all reason codes. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/decision/decide.ts';
import { type ReasonCode, reasons } from '../../../src/decision/reasons.ts';
import type { RuleSet, RuleSettings } from '../../../src/rules/rule-set.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { accounts, change, containers, decided, deployment, pod, tooLargeAccounts, unwatched } from './changes.ts';
import { streams } from './stream-facts.ts';

const table = `
internalRegistries: [internal.svc:5000]
rules:
- {registry: good.io, pullSecret: corp}
- {name: hub, registry: docker.io, trust: false, reason: "use good.io/hub"}
`;
const rules = ruleSetOf(table);
const good = 'good.io/app:1';

describe('a verdict', () => {
  test.each([
    { image: good, verdict: 'trusted', outcome: 'allowed' },
    { image: 'internal.svc:5000/p/x', verdict: 'trusted', outcome: 'allowed' },
    { image: 'nginx', verdict: 'untrusted', outcome: 'denied' },
    { image: 'unknown.io/x', verdict: 'unconfigured', outcome: 'denied' },
    { image: 'https://good.io/x', verdict: 'invalid', outcome: 'denied' },
    { image: ' ', verdict: 'unresolved', outcome: 'denied' },
  ])('for "$image" is $verdict, and $outcome in a Pod', ({ image, verdict, outcome }) => {
    expect(decided(change('Pod', pod(image)), rules)).toMatchObject({
      outcome,
      outcomeBeforeMode: outcome,
      images: [{ verdict, outcomeBeforeMode: outcome }],
    });
  });

  test('for a blank image in a template is not a reason to deny', () => {
    expect(decided(change('Deployment', deployment(pod(' '))), rules)).toMatchObject({
      outcome: 'allowed',
      images: [{ verdict: 'unresolved', reason: 'unresolved' }],
    });
  });

  test.each([
    { unconfigured: 'deny', outcome: 'denied' },
    { unconfigured: 'warn', outcome: 'warned' },
    { unconfigured: 'allow', outcome: 'allowed' },
  ])('for an unconfigured registry under "unconfigured: $unconfigured" gives $outcome', ({ unconfigured, outcome }) => {
    expect(decided(change('Pod', pod('unknown.io/x')), ruleSetOf(`unconfigured: ${unconfigured}`)).outcome).toBe(outcome);
  });

  test.each([
    { mode: 'enforce', image: 'nginx', outcome: 'denied' },
    { mode: 'warn', image: 'nginx', outcome: 'warned' },
    { mode: 'audit', image: 'nginx', outcome: 'allowed' },
    { mode: 'enforce', image: good, outcome: 'allowed' },
    { mode: 'audit', image: '://', outcome: 'allowed' },
    { mode: 'warn', image: '://', outcome: 'warned' },
  ])('for $image in mode $mode gives $outcome', ({ mode, image, outcome }) => {
    const decision = decided(change('Pod', pod(image)), ruleSetOf(table, `mode: ${mode}`));
    expect(decision).toMatchObject({ outcome, mode, outcomeBeforeMode: image === good ? 'allowed' : 'denied' });
  });

  test("for the worst image is the object's, and comes first", () => {
    const object = { spec: { containers: containers(good, 'unknown.io/x', 'nginx') } };
    const decision = decided(change('Pod', object), ruleSetOf(table, 'unconfigured: warn'));
    expect(decision.outcome).toBe('denied');
    expect(decision.findings.map(({ image }) => image.verdict)).toEqual(['untrusted', 'unconfigured']);
  });
});

describe('an update is evaluated for what it introduces', () => {
  const bad = 'bad.io/x:1';
  const digest = `sha256:${'a'.repeat(64)}`;
  test.each<{ name: string; old: readonly string[]; now: readonly string[]; outcome: string }>([
    { name: 'an existing image only causes a warning', old: [bad], now: [bad], outcome: 'warned' },
    { name: 'an existing image in another container only causes a warning', old: [good, bad], now: [bad, good], outcome: 'warned' },
    { name: 'a different tag is a different image', old: ['bad.io/x:2'], now: [bad], outcome: 'denied' },
    { name: 'an omitted tag is a different image', old: ['bad.io/x'], now: [bad], outcome: 'denied' },
    { name: 'a different spelling is the same image', old: ['BAD.io:443/x:1'], now: [bad], outcome: 'warned' },
    { name: 'the default tag is the same image as no tag', old: ['evil/x'], now: ['docker.io/evil/x:latest'], outcome: 'warned' },
    { name: 'no tag is the same image as the default tag', old: ['bad.io/x:latest'], now: ['bad.io/x'], outcome: 'warned' },
    { name: 'the tag next to a digest does not matter', old: [`bad.io/x:1@${digest}`], now: [`bad.io/x:2@${digest}`], outcome: 'warned' },
    { name: 'a digest is a different image than the default tag', old: ['bad.io/x'], now: [`bad.io/x@${digest}`], outcome: 'denied' },
    {
      name: 'the default tag is a different image than a digest with it',
      old: [`bad.io/x:latest@${digest}`],
      now: ['bad.io/x'],
      outcome: 'denied',
    },
    { name: 'an existing invalid name only causes a warning', old: ['://'], now: ['://'], outcome: 'warned' },
    { name: 'a different invalid name is denied', old: ['://'], now: ['::'], outcome: 'denied' },
    { name: 'a new image next to an existing one is denied', old: [bad], now: [bad, 'nginx'], outcome: 'denied' },
    { name: 'a removed image does not matter', old: [bad, good], now: [good], outcome: 'allowed' },
  ])('$name', ({ old, now, outcome }) => {
    const object = (images: readonly string[]) => deployment({ spec: { containers: containers(...images) } });
    expect(decided(change('Deployment', object(now), object(old)), rules).outcome).toBe(outcome);
  });

  test('a pulled image is not the same as a pushed one', () => {
    const build = (from: string, to: string) => ({
      spec: {
        strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: from } } },
        output: { to: { kind: 'DockerImage', name: to } },
      },
    });
    const decision = decided(change('BuildConfig', build(bad, bad), build(bad, good)), rules);
    expect(decision.images.map(({ reason }) => reason)).toEqual(['not-introduced', 'unconfigured']);
  });

  test('an old object that cannot be parsed proves nothing', () => {
    expect(decided(change('Pod', pod(bad), { spec: null }), rules).outcome).toBe('denied');
  });

  test('an image that only causes a warning still does so when it exists already', () => {
    const decision = decided(change('Pod', pod('unknown.io/x'), pod('unknown.io/x')), ruleSetOf('unconfigured: warn'));
    expect(decision.images).toMatchObject([{ reason: 'unconfigured', outcomeBeforeMode: 'warned' }]);
  });
});

describe('a finding contains', () => {
  test.each([
    {
      name: 'the rule and its reason',
      image: 'nginx:1',
      message:
        'container "c0": image "nginx:1" (docker.io/library/nginx) is from an untrusted registry (rule "hub", a.yaml:5:25): use good.io/hub.',
    },
    {
      name: 'that the registry is not configured, and a similar one',
      image: 'good.io:5000/x',
      message: 'container "c0": image "good.io:5000/x" is not from a configured registry. Did you mean good.io?',
    },
    {
      name: 'that the registry is not configured',
      image: 'elsewhere.example/x',
      message: 'container "c0": image "elsewhere.example/x" is not from a configured registry.',
    },
    {
      name: 'that the image is missing',
      image: '',
      message: 'container "c0" has no image: the image field is blank. Specify the image name.',
    },
  ])('$name', ({ image, message }) => {
    expect(decided(change('Pod', pod(image)), rules).findings.map((finding) => finding.message)).toEqual([message]);
  });

  test('what is wrong with a name, only once', () => {
    const [finding] = decided(change('Pod', pod('https://good.io/x')), rules).findings;
    expect(finding?.message).toMatch(/^container "c0": image "https:\/\/good\.io\/x" /);
    expect(finding?.message.match(/"https/g)).toHaveLength(1);
  });

  test('no password', () => {
    const { findings } = decided(change('Pod', pod('joe:hunter2@good.io/x')), rules);
    expect(findings[0]?.message).toContain('"***@good.io/x"');
    expect(JSON.stringify(findings.map(({ message }) => message))).not.toContain('hunter2');
  });

  test.each([
    {
      name: 'a Pod',
      kind: 'Pod',
      object: pod('bad.io/x'),
      remark: 'already in use, so this update is allowed, but new Pods will be denied',
    },
    {
      name: 'a template',
      kind: 'Deployment',
      object: deployment(pod('bad.io/x')),
      remark: 'already in use, so this update is allowed, but new Pods will be denied',
    },
    {
      name: 'a build',
      kind: 'BuildConfig',
      object: { spec: { strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: 'bad.io/x' } } } } },
      remark: 'already in use, so this update is allowed',
    },
  ] as const)('that the image of $name existed before, and what follows', ({ kind, object, remark }) => {
    const [finding] = decided(change(kind, object, object), rules).findings;
    expect(finding?.message).toMatch(new RegExp(`^${remark}: .*: image "bad.io/x" `));
  });

  test('everything on one line', () => {
    const object = { spec: { containers: [{ name: 'a\nb', image: 'bad.io/x\u001b[31m\n' }] } };
    expect(decided(change('Pod', object), rules).findings[0]?.message).toMatch(/^[ -~]+$/);
  });
});

describe('there is no decision', () => {
  test('on a malformed object', () => {
    expect(decide(change('Pod', { spec: { containers: null } }), rules, unwatched)).toEqual({
      kind: 'malformed',
      problem: { path: 'spec.containers', message: 'must be a list of containers, but is null' },
    });
  });

  test('on a kind that is not evaluated', () => {
    expect(decide({ ...change('Pod', {}), kind: 'Node' }, rules, unwatched)).toEqual({ kind: 'unknown-kind' });
  });
});

function withSettings(ruleSet: RuleSet, settings: Partial<RuleSettings>): RuleSet {
  const all = { ...ruleSet.settings, ...settings };
  return { ...ruleSet, settings: all, settingsAt: () => ({ value: all }) };
}

function exempting(ruleSet: RuleSet, ...untils: readonly string[]): RuleSet {
  const pattern = ruleSet.rules[0]?.pattern;
  if (!pattern) throw new Error('no rule to take a pattern from');
  const exemptions = untils.map((until, index) => ({
    pattern,
    until,
    reason: `reason ${index}`,
    origin: { ...somewhere, line: index + 1 },
  }));
  return { ...ruleSet, exemptionsFor: () => ({ value: exemptions }) };
}

const somewhere = { source: { kind: 'file' as const, file: 'exemptions.yaml' }, line: 1, column: 3 };
const unsureMatch: RuleSet['match'] = (reference, place) => ({ ...rules.match(reference, place), unsure: somewhere });

describe('every reason', () => {
  const build = (dockerfile: string, more: object = {}) => ({ spec: { strategy: { dockerStrategy: more }, source: { dockerfile } } });
  const mirror = { ...pod('nginx'), metadata: { annotations: { 'kubernetes.io/config.mirror': 'h' } } };
  const hub = { kind: 'DockerImage', name: 'nginx' };
  const params = { containerNames: ['c0'], from: { kind: 'ImageStreamTag', name: 'web:1' } };
  const fromStream = { spec: { strategy: { sourceStrategy: { from: params.from } } } };
  const tooLargeStreams = { ...unwatched, imageStream: () => ({ kind: 'too-large' as const, why: 'it holds too much' }) };
  const awaiting = { spec: { triggers: [{ type: 'ImageChange', imageChangeParams: params }], template: pod(' ') } };
  const more = ruleSetOf(table, 'rules: [{registry: other.io, pullSecret: other}]');
  const delivering = ruleSetOf('rules: [{registry: good.io, pullSecret: s}]', 'secrets: [{name: s, source: s, namespaces: "*"}]');
  const causes: Readonly<Record<ReasonCode, ReturnType<typeof decide>>> = {
    trusted: decide(change('Pod', pod(good)), rules, unwatched),
    'trust-ending': decide(change('Pod', pod(good)), ruleSetOf('rules: [{registry: good.io, until: 2026-11-21}]'), unwatched),
    'trust-ended': decide(change('Pod', pod(good)), ruleSetOf('rules: [{registry: good.io, until: 2026-11-20}]'), unwatched),
    untrusted: decide(change('Pod', pod('nginx')), rules, unwatched),
    unconfigured: decide(change('Pod', pod('unknown.io/x')), rules, unwatched),
    invalid: decide(change('Pod', pod('://')), rules, unwatched),
    exempted: decide(change('Pod', pod('nginx')), exempting(rules, '2027-03-31'), unwatched),
    'short-name': decide(change('Pod', pod('nginx')), withSettings(rules, { shortNames: 'reject' }), unwatched),
    'short-name-uncertain': decide(
      change('Pod', pod('nginx')),
      ruleSetOf('shortNames: [a.io, b.io]\nrules: [{registry: [a.io, b.io]}]'),
      unwatched,
    ),
    'registry-host': decide(change('Pod', pod('reg.example.com:5000')), ruleSetOf('rules: [{registry: docker.io/library}]'), unwatched),
    'secret-missing': decide(change('Deployment', deployment(pod(good))), rules, { ...unwatched, secret: () => 'absent' }),
    'secret-pending': decide(change('Pod', pod(good)), delivering, { ...unwatched, secret: () => 'absent' }),
    'needs-not-recorded': decide(
      change('Pod', { ...pod(good), metadata: { annotations: { x: 'x'.repeat(262_144) } } }),
      delivering,
      unwatched,
    ),
    unresolved: decide(change('Deployment', deployment(pod(' '))), rules, unwatched),
    'unresolved-in-pod': decide(change('Pod', pod('')), rules, unwatched),
    'stream-too-large': decide(change('BuildConfig', fromStream), rules, tooLargeStreams),
    'lookup-only': decide(change('ImageStreamImport', { spec: { images: [{ from: hub }] } }), rules, unwatched),
    'not-introduced': decide(change('Pod', pod('nginx'), pod('nginx')), rules, unwatched),
    placeholder: decide(change('DeploymentConfig', awaiting), rules, streams({ 'shop/web': { tags: { '1': { from: hub } } } })),
    'mirror-pod': decide(change('Pod', mirror, undefined, 'system:node:n'), rules, unwatched),
    'pod-immutable': decide(change('Pod', pod(good), pod('nginx')), rules, unwatched),
    'secrets-enforced': decide(change('Pod', pod(good)), rules, accounts({ default: [] }, true)),
    'registry-spelling': decide(change('Pod', pod('good.io:443/x')), rules, unwatched),
    'account-unknown': decide(change('Deployment', deployment(pod(good))), rules, unwatched),
    'account-too-large': decide(change('Deployment', deployment(pod(good))), rules, tooLargeAccounts()),
    'labels-unknown': decide(change('Pod', pod(good)), { ...rules, match: unsureMatch }, unwatched),
    'dockerfile-unused': decide(change('BuildConfig', build('FROM good.io/x', { dockerfilePath: 'other/Dockerfile' })), rules, unwatched),
    'build-other-images': decide(change('BuildConfig', build('FROM good.io/x AS s\nFROM other.io/x')), more, unwatched),
    'build-internal-images': decide(change('BuildConfig', build('FROM internal.svc:5000/x AS s\nFROM good.io/x')), rules, unwatched),
  };

  test('about the registry is tested', () => {
    expect(Object.keys(causes)).toEqual(Object.keys(reasons));
  });

  test.each(Object.entries(causes))('%s occurs', (code, decision) => {
    const codes = decision.kind === 'decided' ? [...decision.images, ...decision.notices].map(({ reason }) => reason) : [];
    expect(codes).toContain(code);
  });
});

test('an object with thousands of images is evaluated with one search for similar registries in a reported finding', () => {
  let searches = 0;
  const nearest: typeof rules.nearest = (reference, place) => {
    searches++;
    return rules.nearest(reference, place);
  };
  const counting = { ...rules, nearest };
  const images = Array.from({ length: 10_000 }, (_value, index) => `unknown${index}.io/x`);
  const decision = decided(change('Pod', { spec: { containers: containers(...images) } }), counting);
  expect(decision.findings).toHaveLength(10_000);
  expect(searches).toBe(10);
});

test('a list and a mark of twenty thousand names, as many as fit into annotations, take time in proportion to their length', () => {
  const names = Array.from({ length: 20_000 }, (_value, index) => `s${index}`);
  const before = pod(good, names, { rules: names });
  const facts = accounts({ default: ['own'] });
  expect(decided(change('Pod', before), rules, facts).injected.map(({ secret }) => secret)).toEqual(['corp', 'own']);
  const template = decided(change('Deployment', deployment(before)), rules, facts);
  expect(template.patch).toMatchObject([{ op: 'add', value: [{ name: 'corp' }, { name: 'own' }] }, { op: 'add' }]);
});

test('a build with ten thousand extracted images takes time in proportion to their number', () => {
  const images = Array.from({ length: 10_000 }, () => ({ from: { kind: 'DockerImage', name: good }, paths: [{}] }));
  expect(decided(change('BuildConfig', { spec: { source: { images } } }), rules).injected).toHaveLength(10_000);
});

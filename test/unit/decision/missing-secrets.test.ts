/** Missing secrets: denials and warnings. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/decision/decide.ts';
import type { DeliveryFacts, Facts, SecretFacts } from '../../../src/decision/facts.ts';
import type { Inject, OnMissingSecret, RuleSet } from '../../../src/rules/rule-set.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { accounts, change, decided, deployment, inject, pod } from './changes.ts';
import { streams } from './stream-facts.ts';

const table = ruleSetOf('rules: [{registry: good.io, pullSecret: [one, two], pushSecret: push}]');

function onMissing(onMissingSecret: OnMissingSecret): RuleSet {
  return { ...table, match: (reference, place) => withField(table.match(reference, place).value, { onMissingSecret }) };
}

function withField(rule: ReturnType<RuleSet['match']>['value'], field: object): ReturnType<RuleSet['match']> {
  return { value: rule && { ...rule, ...field } };
}

function injecting(inject: Inject, ruleSet: RuleSet = table): RuleSet {
  const settings = { ...ruleSet.settings, inject };
  return { ...ruleSet, settings, settingsAt: () => ({ value: settings }) };
}

function having(states: Readonly<Record<string, SecretFacts>>): Facts {
  return { ...accounts({ default: [] }), secret: (namespace, name) => (namespace === 'shop' ? (states[name] ?? 'absent') : 'unknown') };
}

const image = 'good.io/app';
const build = {
  spec: {
    strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: image } } },
    output: { to: { kind: 'DockerImage', name: image } },
  },
};

describe('secrets that the namespace lacks', () => {
  test.each<{ states: Record<string, SecretFacts>; missing: boolean }>([
    { states: {}, missing: true },
    { states: { one: 'wrong-type' }, missing: true },
    { states: { one: 'present' }, missing: false },
    { states: { two: 'present' }, missing: false },
    { states: { one: 'unknown' }, missing: false },
  ])('are reported if none of them can be used: $states', ({ states, missing }) => {
    const decision = decided(change('Pod', pod(image)), onMissing('warn'), having(states));
    expect(decision.outcome).toBe('allowed');
    expect(decision.notices.map(({ reason }) => reason)).toEqual(missing ? ['secret-missing'] : []);
    expect(decision.injected.map(({ secret }) => secret)).toEqual(['one', 'two']);
  });

  test.each<{ say: OnMissingSecret; kind: 'Pod' | 'Deployment'; outcome: string; notices: number }>([
    { say: 'warn', kind: 'Pod', outcome: 'allowed', notices: 1 },
    { say: 'warn', kind: 'Deployment', outcome: 'allowed', notices: 1 },
    { say: 'ignore', kind: 'Pod', outcome: 'allowed', notices: 0 },
    { say: 'deny', kind: 'Pod', outcome: 'denied', notices: 0 },
    { say: 'deny', kind: 'Deployment', outcome: 'allowed', notices: 1 },
  ])('a $kind under a rule with $say: $outcome', ({ say, kind, outcome, notices }) => {
    const object = kind === 'Pod' ? pod(image) : deployment(pod(image));
    const decision = decided(change(kind, object), onMissing(say), having({}));
    expect(decision.outcome).toBe(outcome);
    expect(decision.notices).toHaveLength(notices);
    expect(decision.patch).not.toEqual([]);
  });

  test('deny a Pod with a message that shows what to create, and for which rule', () => {
    const [finding] = decided(change('Pod', pod(image)), onMissing('deny'), having({})).findings;
    expect(finding?.image.reason).toBe('secret-missing');
    expect(finding?.message).toBe(
      'container "c0": image "good.io/app" cannot be pulled: pull secrets "one" and "two" do not exist in namespace "shop" (rule "good.io", a.yaml:1:20). Create one of them with "kubectl create secret docker-registry".',
    );
  });

  test.each<{ states: Record<string, SecretFacts>; expected: string }>([
    {
      states: { one: 'wrong-type' },
      expected:
        'no usable pull secret ("one" or "two"): "one" is not of type kubernetes.io/dockerconfigjson (rule "good.io", a.yaml:1:20). Recreate it with',
    },
    {
      states: { one: 'wrong-type', two: 'wrong-type' },
      expected:
        'no usable pull secret: "one" and "two" are not of type kubernetes.io/dockerconfigjson (rule "good.io", a.yaml:1:20). Recreate them with',
    },
  ])('are also reported for a wrong type: $states', ({ states, expected }) => {
    const [notice] = decided(change('Pod', pod(image)), onMissing('warn'), having(states)).notices;
    expect(notice?.message).toContain(expected);
  });

  test('do not deny an existing Pod: what it introduced before is allowed', () => {
    expect(decided(change('Pod', pod(image), pod(image)), onMissing('deny'), having({})).outcome).toBe('warned');
  });

  test('are looked up once per rule, however many images there are', () => {
    const asked: string[] = [];
    const facts: Facts = {
      ...having({}),
      secret: (_namespace, name) => {
        asked.push(name);
        return 'absent';
      },
    };
    const containers = Array.from({ length: 100 }, (_, index) => ({ name: `c${index}`, image: `good.io/app-${index}` }));
    expect(decided(change('Pod', { spec: { containers } }), injecting('all'), facts).notices).toHaveLength(1);
    expect(asked).toEqual(['one', 'two']);
  });

  test('of a build are reported for pull and push, once each', () => {
    const decision = decided(change('BuildConfig', build), onMissing('deny'), having({}));
    expect(decision.outcome).toBe('allowed');
    expect(decision.notices.map(({ brief }) => brief)).toEqual([
      'pull secrets "one" and "two" do not exist in namespace "shop" (rule "good.io"). Create one of them with "kubectl create secret docker-registry". regkeeper then adds it to builds.',
      'push secret "push" does not exist in namespace "shop" (rule "good.io"). Create it with "kubectl create secret docker-registry". regkeeper then adds it to builds.',
    ]);
  });

  // OpenShift mounts the secret into the build's pod, which would not start.
  describe.each(['BuildConfig', 'Build'] as const)('are not added to a %s', (kind) => {
    const injectedInto = (rules: RuleSet, states: Readonly<Record<string, SecretFacts>>, object: object = build) =>
      decided(change(kind, object), rules, having(states)).injected.map(({ secret }) => secret);

    test.each<{ states: Record<string, SecretFacts>; injected: readonly string[] }>([
      { states: {}, injected: [] },
      { states: { one: 'present', push: 'present' }, injected: ['one', 'push'] },
      { states: { two: 'present' }, injected: ['two'] },
      { states: { one: 'wrong-type', two: 'present' }, injected: ['two'] },
      { states: { one: 'wrong-type', push: 'wrong-type' }, injected: [] },
      { states: { two: 'unknown', push: 'unknown' }, injected: ['two', 'push'] },
    ])('$states: $injected', ({ states, injected }) => {
      for (const say of ['warn', 'deny', 'ignore'] as const) expect(injectedInto(onMissing(say), states)).toEqual(injected);
    });

    test('unless they will be delivered', () => {
      const delivery = 'secrets: [{name: two, source: s, namespaces: "*"}]';
      const rules = ruleSetOf('rules: [{registry: good.io, pullSecret: [one, two], pushSecret: push}]', delivery);
      expect(injectedInto(rules, {})).toEqual(['two']);
      expect(injectedInto(rules, { two: 'wrong-type' })).toEqual([]);
    });

    test('unless unknown labels of the namespace may entitle it to them', () => {
      const delivery = 'secrets: [{name: two, source: s, namespaces: {matchLabels: {team: shop}}}]';
      const rules = ruleSetOf('rules: [{registry: good.io, pullSecret: [one, two], pushSecret: push}]', delivery);
      const decision = decided(change(kind, build), rules, { ...having({}), namespace: () => ({ kind: 'unknown' }) });
      expect(decision.injected.map(({ secret }) => secret)).toEqual(['two']);
    });

    test('and one that exists is preferred to one that is unknown or will be delivered', () => {
      const delivery = 'secrets: [{name: one, source: s, namespaces: "*"}]';
      const rules = ruleSetOf('rules: [{registry: good.io, pullSecret: [one, two, three]}]', delivery);
      expect(injectedInto(rules, { three: 'present' })).toEqual(['three']);
      expect(injectedInto(rules, { two: 'unknown' })).toEqual(['two']);
      expect(injectedInto(rules, { two: 'unknown', three: 'present' })).toEqual(['three']);
      expect(injectedInto(rules, {})).toEqual(['one']);
    });

    test('and if that of an image stream is missing, the builder account may still have it', () => {
      const rules = ruleSetOf('rules: [{registry: quay.io, pullSecret: quay}, {registry: corp.io, pullSecret: corp}]');
      const images = [{ from: { kind: 'DockerImage', name: 'corp.io/tools' } }];
      const from = { kind: 'ImageStreamTag', name: 'base:1' };
      const object = { spec: { strategy: { sourceStrategy: { from } }, source: { images } } };
      const known = streams({ 'shop/base': { tags: { '1': { from: { kind: 'DockerImage', name: 'quay.io/base' } } } } });
      const decision = decided(change(kind, object), rules, { ...having({ corp: 'present' }), imageStream: known.imageStream });
      expect(decision.injected).toEqual([]);
      expect(decision.notices.map(({ reason }) => reason)).toEqual(['build-other-images']);
    });

    test('nor chosen because they cover all images', () => {
      const rules = ruleSetOf('rules: [{registry: good.io, pullSecret: [own, shared]}, {registry: other.io, pullSecret: [else, shared]}]');
      const images = [{ from: { kind: 'DockerImage', name: 'other.io/x' } }];
      const object = { spec: { strategy: build.spec.strategy, source: { images } } };
      expect(injectedInto(rules, { own: 'present', shared: 'present', else: 'present' }, object)).toEqual(['shared']);
      expect(injectedInto(rules, { own: 'present', else: 'present' }, object)).toEqual(['own']);
    });
  });

  test('are not said to be left out if the user set one of them', () => {
    const own = { spec: { output: { ...build.spec.output, pushSecret: { name: 'push' } } } };
    expect(decided(change('BuildConfig', own), onMissing('warn'), having({})).notices.map(({ brief }) => brief)).toEqual([
      'push secret "push" does not exist in namespace "shop" (rule "good.io"). Create it with "kubectl create secret docker-registry".',
    ]);
  });

  test('are removed from the field of a BuildConfig that regkeeper set, and kept if the user set it', () => {
    const rules = onMissing('warn');
    const injected = inject(change('BuildConfig', build), rules, having({ one: 'present', push: 'present' }));
    expect(injected.spec.output).toMatchObject({ pushSecret: { name: 'push' } });
    expect(inject(change('BuildConfig', injected, injected), rules, having({ one: 'present' })).spec).toEqual({
      strategy: { sourceStrategy: { from: build.spec.strategy.sourceStrategy.from, pullSecret: { name: 'one' } } },
      output: build.spec.output,
    });
    const own = { spec: { output: { ...build.spec.output, pushSecret: { name: 'push' } } } };
    expect(inject(change('BuildConfig', own), rules, having({}))).toEqual(own);
  });
});

describe('secrets with delivery', () => {
  const delivered = (namespaces = '"*"') => `secrets: [{name: one, source: s, namespaces: ${namespaces}}]`;
  const denying = (secrets: string) =>
    ruleSetOf('rules: [{registry: good.io, pullSecret: [one, two], pushSecret: push, onMissingSecret: deny}]', secrets);
  const running: Facts['delivery'] = () => ({ kind: 'running' });
  const since = Date.parse('2026-11-21T09:58:00Z');

  test.each<{ because: string; states: Record<string, SecretFacts>; secrets: string; outcome: string; reasons: readonly string[] }>([
    { because: 'it is missing', states: {}, secrets: delivered(), outcome: 'allowed', reasons: ['secret-pending'] },
    { because: 'it exists', states: { one: 'present' }, secrets: delivered(), outcome: 'allowed', reasons: [] },
    { because: 'the other exists', states: { two: 'present' }, secrets: delivered(), outcome: 'allowed', reasons: [] },
    {
      because: 'the other exists but is unusable',
      states: { two: 'wrong-type' },
      secrets: delivered(),
      outcome: 'allowed',
      reasons: ['secret-pending'],
    },
    { because: 'the namespace is not entitled', states: {}, secrets: delivered('other'), outcome: 'denied', reasons: [] },
    { because: 'another Secret has its name', states: { one: 'wrong-type' }, secrets: delivered(), outcome: 'denied', reasons: [] },
  ])('onMissingSecret: deny, and $because: $outcome', ({ states, secrets, outcome, reasons }) => {
    const decision = decided(change('Pod', pod(image)), denying(secrets), { ...having(states), delivery: running });
    expect(decision.outcome).toBe(outcome);
    expect(decision.notices.map(({ reason }) => reason)).toEqual(reasons);
  });

  test.each<{ delivery: DeliveryFacts | undefined; reason: string; says: string }>([
    {
      delivery: { kind: 'running' },
      reason: 'secret-pending',
      says: 'pull secret "one" does not exist in namespace "shop" yet (rule "good.io"). It will be delivered.',
    },
    {
      delivery: { kind: 'stopped', since },
      reason: 'secret-missing',
      says: 'and secret delivery has not been running since 2026-11-21T09:58:00Z. Ask an administrator to start it.',
    },
    { delivery: { kind: 'stopped' }, reason: 'secret-missing', says: 'and secret delivery is not running. Ask' },
    { delivery: undefined, reason: 'secret-pending', says: 'It will be delivered if "regkeeper deliver" is running.' },
  ])('never deny, and the message depends on whether delivery runs: $delivery', ({ delivery, reason, says }) => {
    const facts = { ...having({}), ...(delivery && { delivery: () => delivery }) };
    const decision = decided(change('Pod', pod(image)), denying(delivered()), facts);
    expect(decision.outcome).toBe('allowed');
    expect(decision.notices).toMatchObject([{ reason, brief: expect.stringContaining(says) }]);
    expect(decision.awaited).toEqual({ secrets: ['one'], delivery: delivery ?? { kind: 'unknown' } });
  });

  test('with onMissingSecret: ignore there is nothing to wait for', () => {
    const rules = ruleSetOf('rules: [{registry: good.io, pullSecret: one, onMissingSecret: ignore}]', delivered());
    expect(decided(change('Pod', pod(image)), rules, having({}))).toMatchObject({ notices: [], outcome: 'allowed' });
    expect(decided(change('Pod', pod(image)), rules, having({})).awaited).toBeUndefined();
  });

  test('a push secret is waited for too', () => {
    const rules = ruleSetOf(
      'rules: [{registry: good.io, pushSecret: push}]',
      'secrets: [{name: push, source: s, namespaces: "*", deliver: always}]',
    );
    const decision = decided(change('BuildConfig', build), rules, { ...having({}), delivery: running });
    expect(decision.notices).toMatchObject([
      { reason: 'secret-pending', brief: expect.stringContaining('push secret "push" does not exist') },
    ]);
  });

  test('in a namespace that is not known yet, whose labels may entitle it, the request is retried', () => {
    const rules = denying(delivered('{matchLabels: {tier: prod}}'));
    const facts = (namespace: Facts['namespace']): Facts => ({ ...having({}), namespace });
    expect(
      decide(
        change('Pod', pod(image)),
        rules,
        facts(() => ({ kind: 'absent' })),
      ),
    ).toMatchObject({ kind: 'not-yet' });
    const known = decided(
      change('Pod', pod(image)),
      rules,
      facts(() => ({ kind: 'known', labels: {} })),
    );
    expect(known.outcome).toBe('denied');
    const unknown = decided(
      change('Pod', pod(image)),
      rules,
      facts(() => ({ kind: 'unknown' })),
    );
    expect([unknown.outcome, unknown.unsure]).toEqual(['denied', [expect.objectContaining({ line: 1, column: 11 })]]);
  });
});

describe('inject', () => {
  test.each<{ inject: Inject; pod: boolean; others: boolean }>([
    { inject: 'all', pod: true, others: true },
    { inject: 'pods', pod: true, others: false },
    { inject: 'off', pod: false, others: false },
  ])('$inject', ({ inject, pod: toPod, others }) => {
    const rules = injecting(inject, onMissing('deny'));
    const written = (decision: { patch: readonly unknown[] }) => decision.patch.length > 0;
    const facts = having({ one: 'present', push: 'present' });
    expect(written(decided(change('Pod', pod(image)), rules, facts))).toBe(toPod);
    expect(written(decided(change('Deployment', deployment(pod(image))), rules, facts))).toBe(others);
    expect(written(decided(change('BuildConfig', build), rules, facts))).toBe(others);
  });

  test('off also ignores missing secrets', () => {
    expect(decided(change('Pod', pod(image)), injecting('off', onMissing('deny')), having({}))).toMatchObject({
      outcome: 'allowed',
      notices: [],
    });
  });
});

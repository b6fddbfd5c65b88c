/** Tests the simulation of an admission without a server. */
import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, test } from 'vitest';
import { type SimulatedRequest, type SimulationResult, simulateAdmission } from '../../../src/admission/simulate.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import type { JsonObject } from '../../../src/object/json.ts';
import { accounts, unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';

const rules = ruleSetOf(`
contact: the platform team
rules:
- {name: corp, registry: reg.example.com, pullSecret: corp-pull}
- {name: evil, registry: evil.example.com, trust: false, reason: no}
- {name: team a, registry: team.example.com, namespaces: {matchLabels: {team: a}}}
`);

function change(image: unknown, more: Partial<SimulatedRequest> & { spec?: object } = {}): SimulatedRequest {
  const { spec, ...rest } = more;
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers: [{ name: 'app', image }], ...spec } };
  return { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', user: 'alice', object, ...rest };
}

function answered(request: SimulatedRequest, facts: Facts = unwatched) {
  const simulation = simulateAdmission(request, rules, facts);
  if (simulation.kind !== 'answered') throw new Error(simulation.kind);
  return simulation;
}

function freeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) for (const each of Object.values(Object.freeze(value))) freeze(each);
  return value;
}

function secretsOf({ object }: SimulationResult & { kind: 'answered' }) {
  return ((object.spec as JsonObject).imagePullSecrets as { name: string }[] | undefined)?.map(({ name }) => name);
}

describe('a simulation', () => {
  test('allows what the rules trust, with the secret, and does not change the input object', () => {
    const request = change('reg.example.com/web:1');
    const before = structuredClone(request);
    const simulation = answered(request);
    expect(simulation).toMatchObject({ outcome: 'allowed', warnings: [], injected: [{ secret: 'corp-pull' }], unsure: [] });
    expect(secretsOf(simulation)).toEqual(['corp-pull']);
    expect(simulation.denial).toBeUndefined();
    expect(request).toEqual(before);
  });

  test.each([
    ['no annotations and no secrets', {}, {}],
    ['annotations', { annotations: { a: '1' } }, {}],
    ['its own secrets', {}, { imagePullSecrets: [{ name: 'own' }] }],
    ['both', { annotations: { a: '1' } }, { imagePullSecrets: [{ name: 'own' }] }],
  ])(
    'an object with %s is patched like a full copy would be, and shares the parts that the patch does not change',
    (_name, metadata, spec) => {
      const request = change('reg.example.com/web:1', { spec });
      Object.assign(request.object.metadata as object, metadata);
      const { object } = freeze(request);
      const simulation = answered(request);
      expect(simulation.patch.length).toBeGreaterThan(0);
      const whole = jsonPatch.applyPatch(structuredClone(object), structuredClone(simulation.patch) as Operation[], true).newDocument;
      expect(simulation.object).toEqual(whole);
      expect((simulation.object.spec as JsonObject).containers).toBe((object.spec as JsonObject).containers);
    },
  );

  test('denies with the same message as the server', () => {
    expect(answered(change('evil.example.com/web:1'))).toMatchObject({
      outcome: 'denied',
      denial:
        'Pod shop/web: container "app": image "evil.example.com/web:1" is from an untrusted registry (rule "evil", a.yaml:5:26): no. Contact: the platform team.',
      images: [{ verdict: 'untrusted' }],
    });
  });

  test.each([7, 9007199254740993n])('denies an object that cannot be parsed, and evaluates no image of it: %s', (image) => {
    expect(answered(change(image))).toMatchObject({
      outcome: 'denied',
      denial: 'Pod shop/web cannot be evaluated: spec.containers[0].image must be a string, but is a number.',
      images: [],
      patch: [],
    });
  });

  test("the object's name and namespace take precedence over the request's", () => {
    const object = { ...change('evil.example.com/x').object, metadata: { namespace: 'other', generateName: 'web-' } };
    expect(answered(change('', { object })).denial).toMatch(/^Pod other\/web-…: /);
  });

  test('an existing image only causes a warning', () => {
    const { object: oldObject } = change('evil.example.com/web:1');
    const { outcome, warnings } = answered(change('evil.example.com/web:1', { oldObject }));
    expect({ outcome, warnings }).toEqual({
      outcome: 'warned',
      warnings: [expect.stringMatching(/^regkeeper: already in use, so this update is allowed/)],
    });
  });

  test('a kind without images is not evaluated', () => {
    expect(simulateAdmission(change('', { kind: 'Secret' }), rules, unwatched)).toEqual({ kind: 'unread' });
    expect(simulateAdmission(change('', { apiVersion: 'example.com/v1' }), rules, unwatched)).toEqual({ kind: 'unread' });
  });

  test('an account that does not exist yet is reported, not evaluated', () => {
    expect(simulateAdmission(change('reg.example.com/web'), rules, accounts({}))).toMatchObject({
      kind: 'not-yet',
      message: expect.stringMatching(/default/),
    });
  });
});

describe('a new Pod is evaluated as the API server creates it: with the secrets of its account if it lists none', () => {
  const facts = accounts({ default: [], own: ['own-a', 'own-b'] });

  test.each([
    ['an empty list', { serviceAccountName: 'own' }, ['own-a', 'own-b', 'corp-pull']],
    ['an empty list with a different spelling', { serviceAccountName: 'own', imagePullSecrets: [] }, ['own-a', 'own-b', 'corp-pull']],
    ['a list', { serviceAccountName: 'own', imagePullSecrets: [{ name: 'mine' }] }, ['mine', 'corp-pull']],
    ['an account without secrets', {}, ['corp-pull']],
  ])('%s', (_name, spec, secrets) => {
    expect(secretsOf(answered(change('reg.example.com/web', { spec }), facts))).toEqual(secrets);
  });

  test('an existing Pod is not changed', () => {
    const { object: oldObject } = change('reg.example.com/web', { spec: { serviceAccountName: 'own' } });
    const request = change('reg.example.com/web', { spec: { serviceAccountName: 'own' }, oldObject });
    expect(secretsOf(answered(request, facts))).toBeUndefined();
  });
});

describe('what a server would know', () => {
  const template = { metadata: {}, spec: { containers: [{ name: 'app', image: 'reg.example.com/web' }] } };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { template } };

  test('about accounts is not in a message to the user', () => {
    expect(answered(change('', { apiVersion: 'apps/v1', kind: 'Deployment', object })).warnings).toEqual([]);
  });

  test('about labels makes the result uncertain, and strict', () => {
    const { outcome, unsure, warnings } = answered(change('team.example.com/web'));
    expect({ outcome, unsure, warnings }).toEqual({ outcome: 'denied', unsure: [expect.objectContaining({ line: 6 })], warnings: [] });
    const labels: Facts = { ...unwatched, namespace: () => ({ kind: 'known', labels: { team: 'a' } }) };
    expect(answered(change('team.example.com/web'), labels)).toMatchObject({ outcome: 'allowed', unsure: [] });
  });

  test.each([
    ['a trusted image, whatever the mode', 'mode: warn', 'reg.example.com/web', 0],
    ['a denied image, if another mode applies', 'mode: warn', 'evil.example.com/web', 1],
    ['a trusted image, if unconfigured images are allowed', 'unconfigured: allow', 'reg.example.com/web', 0],
    ['a denied image, if unconfigured images are allowed', 'unconfigured: allow', 'evil.example.com/web', 0],
    ['an image without a rule, if unconfigured images are allowed', 'unconfigured: allow', 'far.example.com/web', 1],
    ['a trusted image, if secrets are not injected', 'inject: off', 'reg.example.com/web', 1],
  ])('of settings that depend on labels only matters if the outcome could differ: %s', (_name, setting, image, places) => {
    const sandbox = ruleSetOf(`
rules:
- {name: corp, registry: reg.example.com, pullSecret: corp-pull}
- {name: evil, registry: evil.example.com, trust: false, reason: no}
overrides:
- {namespaces: {matchLabels: {tier: sandbox}}, ${setting}}
`);
    expect(simulateAdmission(change(image), sandbox, unwatched)).toMatchObject({ unsure: Array(places).fill({ line: 6 }) });
  });
});

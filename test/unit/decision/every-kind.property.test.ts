/**
 * Properties of every object of every kind, under any rules and any facts: a second mutating pass changes nothing, and the validating
 * response has the same verdicts for the patched object.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderAnswer } from '../../../src/admission/response.ts';
import type { ReviewRequest } from '../../../src/admission/review.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { ChangeRequest } from '../../../src/decision/decision.ts';
import type { Facts, SecretFacts, ServiceAccountFacts } from '../../../src/decision/facts.ts';
import { customKindRow } from '../../../src/object/custom-kind.ts';
import { isObject, type JsonObject } from '../../../src/object/json.ts';
import { type KindRow, kindsOf, kindsWithImages } from '../../../src/object/kinds.ts';
import { runs } from '../../property.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { anyObjectOf } from './any-object.ts';
import { type Decided, patched, unwatched } from './changes.ts';
import { streams } from './stream-facts.ts';

/** Two custom resources: one with a template, and one with paths of images. */
const extraRows: readonly KindRow[] = [
  customKindRow({
    group: 'argoproj.io',
    version: 'v1',
    resource: 'rollouts',
    kind: 'Rollout',
    template: ['spec', 'template'],
    podSpecs: [],
    images: [],
  }),
];
const extraObjects: Readonly<Record<string, fc.Arbitrary<JsonObject>>> = {
  'Rollout.argoproj.io': anyObjectOf['Deployment.apps'] as fc.Arbitrary<JsonObject>,
};
const rows = [...kindsWithImages, ...extraRows];
const objects = { ...anyObjectOf, ...extraObjects };

test('there are random objects of every kind', () => {
  expect(Object.keys(objects).sort()).toEqual(rows.map(({ kind, group }) => `${kind}.${group}`).sort());
});

const secretNames = fc.uniqueArray(fc.constantFrom('pull-0', 'pull-1', 'a', 'own'), { maxLength: 2 });
const anyRules = fc
  .record({
    secrets: fc.array(secretNames, { minLength: 3, maxLength: 3 }),
    push: fc.boolean(),
    unconfigured: fc.constantFrom('deny', 'warn', 'allow'),
    mode: fc.constantFrom('enforce', 'warn', 'audit'),
    inject: fc.constantFrom('all', 'pods', 'off'),
    shortNames: fc.constantFrom('docker.io', 'reject', '[r0.io, "r2.io:5000"]'),
    missing: fc.constantFrom('warn', 'deny', 'ignore'),
    labelled: fc.boolean(),
    delivered: fc.uniqueArray(fc.constantFrom('pull-0', 'a', 'push'), { maxLength: 3 }),
  })
  .map(({ secrets, push, unconfigured, mode, inject, shortNames, missing, labelled, delivered }) => {
    const rules = ['r0.io', 'r1.io', '"r2.io:5000"'].map((registry, index) => {
      const pull = secrets[index] ?? [];
      const named = [...(pull.length > 0 ? [`pullSecret: [${pull}]`] : []), ...(push ? ['pushSecret: push'] : [])];
      return `- {${[`registry: ${registry}`, ...named, ...(named.length > 0 ? [`onMissingSecret: ${missing}`] : [])].join(', ')}}`;
    });
    return ruleSetOf(`
unconfigured: ${unconfigured}
mode: ${mode}
inject: "${inject}"
shortNames: ${shortNames}
internalRegistries: ["internal.svc:5000"]
rules:
${rules.join('\n')}
- {registry: docker.io/library}
- {registry: evil.io, trust: false, reason: no}
${labelled ? '- {registry: r0.io/team, trust: false, namespaces: {matchLabels: {tier: strict}}}' : ''}
exemptions: [{image: exempt.io, until: 2027-03-31, reason: for a while}]
overrides: [{namespaces: {matchLabels: {tier: lax}}, mode: audit}]
secrets:${delivered.length === 0 ? ' []' : ''}
${delivered.map((name) => `- {name: ${name}, source: ${name}, namespaces: ${name === 'a' ? '{matchLabels: {tier: lax}}' : '"*"'}}`).join('\n')}
`);
  });

const account: fc.Arbitrary<ServiceAccountFacts> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('known' as const), pullSecrets: secretNames, onlyListedSecrets: fc.boolean() }) },
  fc.constantFrom({ kind: 'unknown' as const }, { kind: 'absent' as const }),
);
const known = streams({
  'shop/base': { tags: { '1': { from: { kind: 'DockerImage', name: 'r0.io/base' } } } },
  'openshift/base': { tags: { '1': { from: { kind: 'DockerImage', name: 'r1.io/base' } } } },
  'shop/inside': {
    repository: 'internal.svc:5000/shop/inside',
    tags: { '1': { from: { kind: 'DockerImage', name: 'r0.io/x' }, local: true } },
  },
  'shop/refused': { tags: { '1': { from: { kind: 'DockerImage', name: 'evil.io/x' } } } },
});
const anyFacts: fc.Arbitrary<Facts> = fc
  .record({
    account,
    robot: account,
    tier: fc.constantFrom('strict', 'lax', undefined, 'unknown'),
    watchesStreams: fc.boolean(),
    secrets: fc.dictionary(
      fc.constantFrom('pull-0', 'pull-1', 'a', 'push'),
      fc.constantFrom<SecretFacts>('present', 'absent', 'wrong-type'),
    ),
  })
  .map(({ account, robot, tier, watchesStreams, secrets }) => ({
    ...unwatched,
    kinds: kindsOf(rows),
    serviceAccount: (_namespace, name) => (name === 'robot' ? robot : account),
    namespace: () => (tier === 'unknown' ? { kind: 'unknown' } : { kind: 'known', labels: tier === undefined ? {} : { tier } }),
    secret: (_namespace, name) => secrets[name] ?? 'unknown',
    ...(watchesStreams && { imageStream: known.imageStream }),
  }));

const user = fc.constantFrom('alice', 'system:node:n1', 'system:serviceaccount:kube-system:replicaset-controller');

describe.each(rows)('any $kind ($group)', ({ kind, group }) => {
  const anyObject = objects[`${kind}.${group}`] as fc.Arbitrary<JsonObject>;
  const old = fc.oneof(
    { weight: 2, arbitrary: fc.constant('itself' as const) },
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 3, arbitrary: anyObject },
  );
  const seen = { decided: 0 };

  test('every object gets a response: a second pass changes nothing, and both passes have the same result', () => {
    fc.assert(
      fc.property(anyObject, old, anyRules, anyFacts, user, (object, before, rules, facts, who) => {
        const oldObject = before === 'itself' ? structuredClone(object) : before;
        const request = {
          operation: oldObject ? ('UPDATE' as const) : ('CREATE' as const),
          group,
          kind,
          namespace: 'shop',
          name: 'web',
          user: who,
          object,
          oldObject,
        };
        const first = decide(request, rules, facts);
        if (first.kind === 'not-yet') return;
        // No generated value has a wrong type.
        if (first.kind !== 'decided') throw new Error(JSON.stringify(first));
        seen.decided += 1;

        const after = patched(object, first);
        const second = decided({ ...request, object: after }, rules, facts);
        expect(second.patch, 'mutate∘mutate = mutate').toEqual([]);
        expect(verdictsOf(second)).toEqual(verdictsOf(first));
        expect(withoutSecrets(withoutNeeds(after)), 'nothing but secrets is written').toEqual(withoutSecrets(withoutNeeds(object)));
        // A missing secret is added to a build only if it will be delivered.
        const complete = withoutAbsentSecrets(facts);
        const withDelivery = decide(request, rules, complete);
        const withoutDelivery = decide(request, { ...rules, deliveredSecrets: [] }, complete);
        if (withDelivery.kind === 'decided' && withoutDelivery.kind === 'decided') {
          const plain = patched(object, withoutDelivery);
          expect(withoutNeeds(patched(object, withDelivery)), 'delivery adds one annotation').toEqual(withoutNeeds(plain));
          expect(needsOf(plain), 'and without it the annotation is left alone').toEqual(needsOf(object));
        }

        expect(answer('mutate', request, first, rules).allowed, 'the mutating answer refuses nothing').toBe(true);
        expect(answer('validate', { ...request, object: after }, second, rules).allowed).toBe(first.outcome !== 'denied');
      }),
      runs(400),
    );
    expect(seen.decided, 'most are decided').toBeGreaterThan(runs(400).numRuns / 2);
  });
});

function withoutAbsentSecrets(facts: Facts): Facts {
  const secret: Facts['secret'] = (namespace, name) => {
    const state = facts.secret(namespace, name);
    return state === 'absent' ? 'present' : state;
  };
  return { ...facts, secret };
}

function decided(request: ChangeRequest, rules: Parameters<typeof decide>[1], facts: Facts): Decided {
  const decision = decide(request, rules, facts);
  if (decision.kind !== 'decided') throw new Error(`not decided: ${JSON.stringify(decision)}`);
  return decision;
}

function verdictsOf({ outcome, outcomeBeforeMode, images, findings }: Decided): unknown {
  return {
    outcome,
    outcomeBeforeMode,
    images: images.map(({ slot, verdict, reason, outcomeBeforeMode }) => [slot.displayName, verdict, reason, outcomeBeforeMode]),
    findings: findings.map(({ message }) => message),
  };
}

function answer(webhook: 'mutate' | 'validate', request: ChangeRequest, decision: Decided, rules: Parameters<typeof decide>[1]) {
  const review: ReviewRequest = { ...request, uid: 'u', version: 'v1', subresource: '', groups: [], dryRun: false };
  return renderAnswer(webhook, review, decision, rules).response;
}

/** The annotation with the needed secrets, of the object's own metadata. */
function needsOf({ metadata }: JsonObject): unknown {
  return isObject(metadata) && isObject(metadata.annotations) ? metadata.annotations['regkeeper.io/secrets'] : undefined;
}

/** Without that annotation, and without metadata and annotations that are empty then. */
function withoutNeeds(object: JsonObject): JsonObject {
  const { metadata: all, ...others } = object;
  if (!isObject(all)) return others;
  const { annotations, ...metadata } = all;
  const { 'regkeeper.io/secrets': _needs, ...kept } = isObject(annotations) ? annotations : {};
  const rest = { ...metadata, ...(Object.keys(kept).length > 0 && { annotations: kept }) };
  return { ...others, ...(Object.keys(rest).length > 0 && { metadata: rest }) };
}

const written = new Set(['imagePullSecrets', 'pullSecret', 'pushSecret', 'regkeeper.io/injected']);

/** Without secrets and mark, and without metadata and annotations that are empty then. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isObject(value)) return value;
  const kept = Object.entries(value)
    .filter(([key]) => !written.has(key))
    .map(([key, field]) => [key, withoutSecrets(field)] as const)
    .filter(
      ([key, field]) =>
        !((key === 'annotations' || key === 'metadata') && (field === null || (isObject(field) && Object.keys(field).length === 0))),
    );
  return Object.fromEntries(kept);
}

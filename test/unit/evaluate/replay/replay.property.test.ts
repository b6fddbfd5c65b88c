/** A record replayed by any rules has the outcome that the engine gives the request, or it is unknown, with a reason. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReviewRequest } from '../../../../src/admission/review.ts';
import { decide } from '../../../../src/decision/decide.ts';
import type { ChangeRequest, Decision } from '../../../../src/decision/decision.ts';
import type { Facts, SecretFacts, ServiceAccountFacts } from '../../../../src/decision/facts.ts';
import { replay } from '../../../../src/decision/replay.ts';
import { type RecordGap, readRecord, recordGaps } from '../../../../src/evaluate/replay/read-record.ts';
import { customKindRow } from '../../../../src/object/custom-kind.ts';
import { injectedAnnotation } from '../../../../src/object/injection-mark.ts';
import { type JsonObject, valueAt } from '../../../../src/object/json.ts';
import { kindsOf, kindsWithImages, readObject } from '../../../../src/object/kinds.ts';
import { everyItem } from '../../../../src/object/path-pattern.ts';
import { buildAuditRecord } from '../../../../src/observe/audit/decision-record.ts';
import { createAuditLog } from '../../../../src/observe/logger.ts';
import type { RuleSet } from '../../../../src/rules/rule-set.ts';
import { withPlatform } from '../../../../src/rules/store/add-platform-rules.ts';
import { runs } from '../../../property.ts';
import { anyObjectOf } from '../../decision/any-object.ts';
import { patched, today, unwatched } from '../../decision/changes.ts';
import { streams } from '../../decision/stream-facts.ts';
import { ruleSetOf, sha256 } from '../../rules/documents.ts';

const selector = fc.constantFrom(
  '',
  '',
  ', namespaces: [shop]',
  ', namespaces: ["sh*"]',
  ', namespaces: {matchLabels: {tier: strict}}',
  ', namespaces: {matchExpressions: [{key: team, operator: Exists}]}',
);
const secret = fc.constantFrom(
  '',
  '',
  ', pullSecret: pull-0',
  ', pullSecret: [pull-0, pull-1], onMissingSecret: deny',
  ', pullSecret: a, onMissingSecret: deny',
);
const end = fc.constantFrom('', '', '', ', until: 2026-11-30', ', until: 2026-10-31');
const rule = fc
  .record({ trust: fc.constantFrom(true, true, true, false), selector, secret, end })
  .map((each) => (each.trust ? `${each.secret}${each.end}${each.selector}` : `, trust: false${each.selector}`));
const registries = ['r0.io', 'r0.io/team', 'r1.io', '"r2.io:5000"', 'docker.io', 'docker.io/library', 'evil.io'];
const exemption = selector.map((where) => `- {image: exempt.io, until: 2027-03-31, reason: moving${where}}`);

const anyRulesText: fc.Arbitrary<string> = fc
  .record({
    rules: fc.array(fc.option(rule, { freq: 5 }), { minLength: registries.length, maxLength: registries.length }),
    unconfigured: fc.constantFrom('deny', 'deny', 'warn', 'allow'),
    mode: fc.constantFrom('enforce', 'enforce', 'warn', 'audit'),
    inject: fc.constantFrom('all', 'pods', 'off'),
    shortNames: fc.constantFrom('', 'shortNames: docker.io', 'shortNames: reject', 'shortNames: [r0.io, "r2.io:5000"]'),
    exemptions: fc.array(exemption, { maxLength: 1 }),
    delivered: fc.constantFrom(
      '',
      '- {name: pull-0, source: s, namespaces: [shop]}',
      '- {name: a, source: s, namespaces: {matchLabels: {tier: lax}}}',
    ),
    override: fc.constantFrom('', '- {namespaces: {matchLabels: {tier: lax}}, mode: audit}', '- {namespaces: [shop], unconfigured: warn}'),
  })
  .map(
    ({ rules, exemptions, unconfigured, mode, inject, shortNames, override, delivered }) =>
      `
unconfigured: ${unconfigured}
mode: ${mode}
inject: "${inject}"
${shortNames}
rules: [${rules.flatMap((fields, index) => (fields === null ? [] : [`{registry: ${registries[index]}${fields}}`])).join(', ')}]
${exemptions.length > 0 ? `exemptions:\n${exemptions.join('\n')}` : ''}
${override === '' ? '' : `overrides:\n${override}`}
${delivered === '' ? '' : `secrets:\n${delivered}`}
`,
  );
/** Rules are compiled once, since that costs more than all the rest. The pairs differ in each run. */
const pool = fc.sample(anyRulesText, { ...runs(250), seed: 1 }).map((text) => ({ text, rules: ruleSetOf(text) }));
const anyRules = fc.constantFrom(...pool);

const known = streams({
  'shop/base': { tags: { '1': { from: { kind: 'DockerImage', name: 'r0.io/base' } } } },
  'openshift/base': { tags: { '1': { from: { kind: 'DockerImage', name: 'evil.io/base' } } } },
  'shop/nginx': { tags: { latest: { from: { kind: 'DockerImage', name: 'evil.io/x' } } }, localLookup: true },
});
const anyFacts: fc.Arbitrary<Facts> = fc
  .record({
    labels: fc.option(fc.record({ tier: fc.constantFrom('strict', 'lax'), team: fc.constantFrom('a', 'b') }, { requiredKeys: [] }), {
      freq: 6,
    }),
    watchesStreams: fc.boolean(),
    account: fc.constantFrom<ServiceAccountFacts>(
      { kind: 'unknown' },
      { kind: 'known', pullSecrets: [], onlyListedSecrets: false },
      { kind: 'known', pullSecrets: ['a', 'own'], onlyListedSecrets: false },
      { kind: 'known', pullSecrets: ['a'], onlyListedSecrets: true },
      { kind: 'too-large', why: 'it is too large', onlyListedSecrets: false },
    ),
    secrets: fc.dictionary(
      fc.constantFrom('pull-0', 'pull-1', 'a'),
      fc.constantFrom<SecretFacts>('present', 'absent', 'wrong-type', 'unknown'),
    ),
  })
  .map(({ labels, watchesStreams, secrets, account }) => ({
    ...unwatched,
    kinds,
    serviceAccount: () => account,
    namespace: () => (labels === null ? { kind: 'unknown' } : { kind: 'known', labels }),
    secret: (_namespace, name) => secrets[name] ?? 'absent',
    ...(watchesStreams && { imageStream: known.imageStream }),
  }));

type Kind = { readonly kind: string; readonly group: string; readonly version: string };

const pods = { kind: 'Pod', group: '', version: 'v1' } as const;
const volumes = { kind: 'DataVolume', group: 'cdi.kubevirt.io', version: 'v1', resource: 'datavolumes' } as const;
const kinds = kindsOf([
  ...kindsWithImages,
  customKindRow({ ...volumes, podSpecs: [], images: [{ pattern: ['spec', 'urls', everyItem], schemes: ['docker'] }] }),
]);
const usualPod: fc.Arbitrary<JsonObject> = fc
  .record({
    images: fc.array(fc.constantFrom('r0.io/a', 'r0.io/team/b:1', 'r1.io/c', 'r2.io:5000/d'), { minLength: 1, maxLength: 2 }),
    listed: fc.subarray(['pull-0', 'own']),
  })
  .map(({ images, listed }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { containers: images.map((image, index) => ({ name: `c${index}`, image })), imagePullSecrets: listed.map((name) => ({ name })) },
  }));

const user = fc.constantFrom('alice', 'system:node:n1');

function lineOf(webhook: 'mutate' | 'validate', request: ReviewRequest, rules: RuleSet, facts: Facts): string | undefined {
  const decision = decide(request as ChangeRequest, rules, facts);
  if (decision.kind !== 'decided') return undefined;
  const evaluatedWith = { rules, facts };
  const lines: string[] = [];
  createAuditLog({ write: (text: string) => lines.push(text) }).write(
    buildAuditRecord({ webhook, callerAuthenticated: false, request, decision, evaluatedWith, durationMicroseconds: 1 }),
  );
  return lines.join('').trimEnd();
}

describe('replay', () => {
  const seen = { replayed: 0, changed: 0, withSecrets: 0, secretsAdded: 0, gaps: new Map<RecordGap, number>() };

  test.each(kindsWithImages)('of any request for a $kind ($group) agrees with the engine', (kind) => {
    assertAgreement(kind, anyObjectOf[`${kind.kind}.${kind.group}`] as fc.Arbitrary<JsonObject>);
  });

  /** Most objects of any shape have images whose secrets are unknown. */
  test('of a typical Pod agrees with the engine', () => {
    assertAgreement(pods, usualPod, 2_000);
  });

  test('of a custom resource whose images have a scheme agrees with the engine', () => {
    const names = ['r0.io/a', 'r0.io/team/b:1', 'r2.io:5000/d', 'nginx', 'evil.io/x', 'R0.io/A', 'u:p@r0.io/a', 'docker://r0.io/a', ''];
    const url = fc
      .tuple(fc.constantFrom('docker://', 'DOCKER://', ' docker://', ''), fc.constantFrom(...names))
      .map((parts) => parts.join(''));
    const anyVolume = fc.array(url, { minLength: 1, maxLength: 2 }).map((urls) => ({ metadata: { name: 'web' }, spec: { urls } }));
    assertAgreement(volumes, anyVolume, 1_000);
  });

  function assertAgreement({ kind, group, version }: Kind, anyObject: fc.Arbitrary<JsonObject>, times = 150) {
    const old = fc.oneof(fc.constant(null), anyObject, anyObject);
    fc.assert(
      fc.property(anyObject, old, anyRules, anyRules, anyFacts, user, (object, oldObject, { rules: then }, { rules: now }, facts, who) => {
        const request: ReviewRequest = {
          uid: 'u',
          operation: oldObject ? 'UPDATE' : 'CREATE',
          group,
          version,
          kind,
          subresource: '',
          namespace: 'shop',
          name: 'web',
          user: who,
          groups: [],
          dryRun: false,
          object,
          oldObject,
        };
        const line = lineOf('validate', request, then, facts);
        const decision = decide(request as ChangeRequest, now, facts);
        if (line === undefined || decision.kind !== 'decided') return;
        const record = readRecord(line);
        if (record.kind === 'gap') {
          seen.gaps.set(record.gap, (seen.gaps.get(record.gap) ?? 0) + 1);
          return;
        }
        if (record.kind !== 'request') throw new Error(`${record.kind}: ${line}`);
        const replayed = replay(record.request, now, () => today);
        if (replayed.kind === 'unknown') {
          seen.gaps.set(replayed.gap, (seen.gaps.get(replayed.gap) ?? 0) + 1);
          return;
        }
        seen.replayed += 1;
        if (decide(request as ChangeRequest, then, facts)?.kind === 'decided' && line.includes(`"outcome":"${decision.outcome}"`) === false)
          seen.changed += 1;
        expect(replayed.outcome).toBe(decision.outcome);
        const { added } = replayed.secrets;
        if (added !== undefined) {
          const asSupplied = decide({ ...request, object: withoutOurs(object, { kind, group }) } as ChangeRequest, now, facts);
          if (asSupplied.kind === 'decided') {
            seen.withSecrets += 1;
            if (added.length > 0) seen.secretsAdded += 1;
            expect([...added].sort()).toEqual(secretsOfRules(asSupplied).sort());
          }
        }
        // The same rules have the same result for each image too.
        if (now.revision === then.revision) expect(replayed.images.map(resultOf)).toEqual(decision.images.map(resultOf));
      }),
      runs(times),
    );
  }

  test('is usually possible, and the usual reasons why it is not occur', () => {
    const gaps = [...seen.gaps.values()].reduce((sum, count) => sum + count, 0);
    expect(seen.replayed).toBeGreaterThan(gaps / 3);
    expect(seen.changed).toBeGreaterThan(seen.replayed / 10);
    expect(seen.withSecrets).toBeGreaterThan(seen.replayed / 20);
    expect(seen.secretsAdded).toBeGreaterThan(0);
    const expected = ['image-stream', 'unresolved', 'labels-unknown', 'short-names'] satisfies RecordGap[];
    expect(expected.filter((gap) => !seen.gaps.has(gap))).toEqual([]);
    expect([...seen.gaps.keys()].filter((gap) => !(gap in recordGaps))).toEqual([]);
  });
});

test('the record of an object that old rules wrote into shows what new rules would write instead', () => {
  const anySpec = fc.record({
    containers: fc
      .array(fc.constantFrom('r0.io/a', 'r0.io/team/b', 'r1.io/c', 'docker.io/library/nginx', 'r2.io:5000/d'), {
        minLength: 1,
        maxLength: 3,
      })
      .map((images) => images.map((image, index) => ({ name: `c${index}`, image }))),
    imagePullSecrets: fc.uniqueArray(fc.constantFrom('pull-0', 'a', 'own')).map((names) => names.map((name) => ({ name }))),
  });
  const secretRule = fc.constantFrom('', ', pullSecret: pull-0', ', pullSecret: [pull-1, a]', ', pullSecret: a', ', trust: false');
  const simpleRules = fc
    .record({ rules: fc.array(secretRule, { minLength: 4, maxLength: 4 }), inject: fc.constantFrom('all', 'all', 'pods', 'off'), selector })
    .map(({ rules, inject, selector: where }) =>
      ruleSetOf(
        `mode: audit\ninject: "${inject}"\nrules: [${rules.map((fields, index) => `{registry: ${['r0.io', 'r0.io/team', 'r1.io', 'docker.io'][index]}${fields}${index === 2 ? where : ''}}`).join(', ')}]`,
      ),
    );
  const few = fc.constantFrom(...fc.sample(simpleRules, { numRuns: 60, seed: 2 }));
  const seen = { gained: 0, lost: 0, unknown: 0 };
  fc.assert(
    fc.property(anySpec, few, few, anyFacts, fc.boolean(), (spec, then, now, facts, isPod) => {
      const [group, kind] = isPod ? ['', 'Pod'] : ['apps', 'Deployment'];
      const object = { metadata: { name: 'web' }, spec: isPod ? spec : { template: { metadata: {}, spec } } };
      const request: ReviewRequest = {
        ...{ uid: 'u', operation: 'CREATE', group, version: 'v1', kind, subresource: '', namespace: 'shop', name: 'web' },
        ...{ user: 'alice', groups: [], dryRun: false, object, oldObject: null },
      };
      const [before, after] = [then, now].map((rules) => decide(request as ChangeRequest, rules, facts));
      if (before?.kind !== 'decided' || after?.kind !== 'decided') return;
      const stored = patched(object, before);
      const record = readRecord(lineOf('validate', { ...request, object: stored }, then, facts) ?? '');
      if (record.kind !== 'request') return;
      const [old, current] = [then, now].map((rules) => replay(record.request, rules, () => today));
      if (old?.kind !== 'replayed' || current?.kind !== 'replayed' || !old.secrets.added || !current.secrets.added) {
        seen.unknown += 1;
        return;
      }
      expect([...old.secrets.added].sort()).toEqual(secretsOfRules(before).sort());
      expect([...current.secrets.added].sort()).toEqual(secretsOfRules(after).sort());
      if (current.secrets.added.some((name) => !old.secrets.added?.includes(name))) seen.gained += 1;
      if (old.secrets.added.some((name) => !current.secrets.added?.includes(name))) seen.lost += 1;
    }),
    runs(1_000),
  );
  expect(seen.gained).toBeGreaterThan(0);
  expect(seen.lost).toBeGreaterThan(0);
  expect(seen.unknown).toBeGreaterThan(0);
});

test('only includes the secrets of new Pods and templates, and not those that regkeeper wrote', () => {
  const rules = ruleSetOf('rules: [{registry: r0.io, pullSecret: pull-0}]');
  const supplied = (kind: string, operation: 'CREATE' | 'UPDATE', spec: object, annotations: object = {}) => {
    const object = { metadata: { name: 'web', annotations }, spec: { containers: [{ name: 'a', image: 'r0.io/a' }], ...spec } };
    const request = { uid: 'u', operation, group: '', version: 'v1', kind, subresource: '', namespace: 'shop', name: 'web' } as const;
    const oldObject = operation === 'UPDATE' ? object : null;
    const line = lineOf('validate', { ...request, user: 'a', groups: [], dryRun: false, object, oldObject }, rules, unwatched) ?? '{}';
    return JSON.parse(line).suppliedSecrets;
  };
  const both = { imagePullSecrets: [{ name: 'own' }, { name: 'pull-0' }, {}] };
  expect(supplied('Pod', 'CREATE', both)).toEqual(['own', 'pull-0']);
  expect(supplied('Pod', 'CREATE', both, { 'regkeeper.io/injected': '{"rules":["pull-0"]}' })).toEqual(['own']);
  expect(supplied('Pod', 'CREATE', {})).toEqual([]);
  expect(supplied('Pod', 'UPDATE', both)).toBeUndefined();
  const many = { imagePullSecrets: Array.from({ length: 51 }, (_, index) => ({ name: `s-${index}` })) };
  expect(supplied('Pod', 'CREATE', many)).toBeUndefined();
});

/** The object before regkeeper wrote anything into it. */
function withoutOurs(object: JsonObject, { kind, group }: { readonly kind: string; readonly group: string }): JsonObject {
  const reading = readObject({ group, kind, operation: 'CREATE', fromKubelet: false }, object, undefined);
  if (reading.kind !== 'shape' || reading.shape.kind !== 'pod') return object;
  const { mark, spec, metadata } = reading.shape;
  const ours = new Set([...mark.rules, ...mark.serviceAccount]);
  const copy = structuredClone(object);
  const pod = valueAt(copy, spec) as { imagePullSecrets?: readonly { readonly name?: string }[] | null };
  if (pod?.imagePullSecrets) pod.imagePullSecrets = pod.imagePullSecrets.filter((entry) => !ours.has(entry?.name ?? ''));
  const annotations = valueAt(copy, [...metadata, 'annotations']) as Record<string, unknown> | undefined;
  if (annotations) delete annotations[injectedAnnotation];
  return copy;
}

function secretsOfRules({ injected }: Decision & { readonly kind: 'decided' }): string[] {
  return injected.filter(({ from }) => from === 'rule').map(({ secret: name }) => name);
}

function resultOf({
  verdict,
  reason,
  rule,
}: {
  readonly verdict: string;
  readonly reason: string;
  readonly rule?: { readonly name: string };
}) {
  return { verdict, reason, rule: rule?.name };
}

test('the same rules give every recorded request its recorded outcome, including what the cluster adds', () => {
  const image = fc.constantFrom('internal.svc:5000/shop/web', 'r0.io/x', 'nginx', 'evil.io/x', 'docker.io/library/nginx');
  const anyPod = fc.array(image, { minLength: 1, maxLength: 3 }).map((images) => ({
    metadata: { name: 'web' },
    spec: { containers: images.map((text, index) => ({ name: `c${index}`, image: text })) },
  }));
  const written = ruleSetOf('rules: [{registry: r0.io}, {registry: docker.io/library}]');
  const platform = {
    internalRegistries: [{ registry: 'internal.svc:5000', object: 'images.config.openshift.io/cluster' }],
    shortNames: ['r0.io'],
  };
  const { ruleSet } = withPlatform(written, platform, sha256);
  let known = 0;
  let ofCluster = 0;
  fc.assert(
    fc.property(anyPod, (object) => {
      const request = { uid: 'u', operation: 'CREATE', group: '', version: 'v1', kind: 'Pod', subresource: '', namespace: 'shop' } as const;
      const whole: ReviewRequest = { ...request, name: 'web', user: 'alice', groups: [], dryRun: false, object, oldObject: null };
      const line = lineOf('validate', whole, ruleSet, unwatched) ?? '';
      const record = readRecord(line);
      if (record.kind !== 'request') return;
      const replayed = replay(record.request, written, () => today);
      if (replayed.kind === 'unknown') return void expect(replayed.gap).toBe('short-names');
      known += 1;
      if (record.request.images.some(({ trustedByCluster }) => trustedByCluster)) ofCluster += 1;
      expect(line).toContain(`"outcome":"${replayed.outcome}"`);
    }),
    runs(200),
  );
  expect(known).toBeGreaterThan(20);
  expect(ofCluster).toBeGreaterThan(0);
});

/** Rules whose trust ends: what happens before the warnings, during them, and after the last day. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../../src/decision/facts.ts';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { compileNamespaceRules, withNamespaceRules } from '../../../src/rules/compile/namespace-rules.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { withPlatform } from '../../../src/rules/store/add-platform-rules.ts';
import { usualWarnFrom } from '../../../src/rules/trust-end.ts';
import { runs } from '../../property.ts';
import { documentWith, labels, rule } from '../rules/build.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';
import { change, decided, unwatched } from './changes.ts';
import { streams } from './stream-facts.ts';

const ending = 'until: 2027-03-31, reason: use a.io';
const rules = ruleSetOf(`
rules:
- {name: old, registry: old.io, pullSecret: old-pull, ${ending}}
- {registry: "*"}
`);

const pod = (...images: readonly string[]) => ({
  metadata: {},
  spec: { containers: images.map((image, index) => ({ name: `c${index}`, image })) },
});

function on(time: string, facts: Facts = unwatched): Facts {
  return { ...facts, now: () => Date.parse(time) };
}

/** One image in a new Pod. */
function evaluate(image: string, time: string, ruleSet: RuleSet = rules, facts?: Facts) {
  const { images, findings, outcome, injected, unsure } = decided(change('Pod', pod(image)), ruleSet, on(time, facts));
  const [evaluation] = images;
  if (!evaluation) throw new Error('no image');
  const { verdict, reason, rule: decidedBy, outcomeBeforeMode } = evaluation;
  return {
    verdict,
    reason,
    outcome,
    outcomeBeforeMode,
    rule: decidedBy?.name,
    secrets: injected.map(({ secret }) => secret),
    message: findings[0]?.message,
    unsure: unsure.length > 0,
  };
}

const trusted = { verdict: 'trusted', reason: 'trusted', outcome: 'allowed', secrets: ['old-pull'] };
const warned = { verdict: 'trusted', reason: 'trust-ending', outcome: 'warned', secrets: ['old-pull'] };
const denied = { verdict: 'untrusted', reason: 'trust-ended', outcome: 'denied', secrets: [] };

describe('a rule with an end', () => {
  test.each([
    ['2026-01-01T00:00:00Z', trusted],
    ['2027-02-28T23:59:59.999Z', trusted],
    ['2027-03-01T00:00:00Z', warned],
    ['2027-03-31T00:00:00Z', warned],
    ['2027-03-31T23:59:59.999Z', warned],
    ['2027-04-01T00:00:00Z', denied],
    ['2030-01-01T00:00:00Z', denied],
    // Midnight in UTC, wherever the clock is read.
    ['2027-04-01T00:30:00+02:00', warned],
    ['2027-03-31T22:00:00-02:00', denied],
  ])('at %s', (time, expected) => {
    expect(evaluate('old.io/app', time)).toMatchObject({ ...expected, rule: 'old' });
  });

  test.each([
    ['warnFrom: 2027-01-01', '2026-12-31', trusted],
    ['warnFrom: 2027-01-01', '2027-01-01', warned],
    ['warnFrom: 2027-03-31', '2027-03-30', trusted],
    ['warnFrom: 2027-03-31', '2027-03-31', warned],
  ])('with %s on %s', (field, day, expected) => {
    const ruleSet = ruleSetOf(`rules: [{registry: old.io, pullSecret: old-pull, ${ending}, ${field}}]`);
    expect(evaluate('old.io/app', day, ruleSet)).toMatchObject(expected);
  });

  test('is reported with the date, the rule and the reason, before and after', () => {
    expect(evaluate('old.io/app', '2027-03-01').message).toBe(
      'container "c0": image "old.io/app" is from a registry that is trusted only until 2027-03-31 (rule "old", a.yaml:3:25): use a.io.',
    );
    expect(evaluate('old.io/app', '2027-04-01').message).toBe(
      'container "c0": image "old.io/app" is from a registry that was trusted until 2027-03-31 (rule "old", a.yaml:3:25): use a.io.',
    );
  });

  test('yields to a more specific rule, and not to a broader one', () => {
    const ruleSet = ruleSetOf(`rules: [{registry: "*.io"}, {name: old, registry: old.io, ${ending}}, {registry: old.io/kept}]`);
    expect(evaluate('old.io/kept/app', '2027-04-01', ruleSet)).toMatchObject({ reason: 'trusted', rule: 'old.io/kept' });
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ reason: 'trust-ended', rule: 'old' });
    expect(evaluate('new.io/app', '2027-04-01', ruleSet)).toMatchObject({ reason: 'trusted', rule: '*.io' });
  });

  test('denies whatever the setting for unconfigured images', () => {
    const ruleSet = ruleSetOf(`unconfigured: allow\nrules: [{registry: old.io, ${ending}}]`);
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ outcome: 'denied' });
  });

  test.each([
    ['warn', 'warned', 'warned'],
    ['audit', 'allowed', 'allowed'],
  ])('in mode %s', (mode, before, after) => {
    const ruleSet = ruleSetOf(`mode: ${mode}\nrules: [{registry: old.io, ${ending}}]`);
    expect(evaluate('old.io/app', '2027-03-31', ruleSet)).toMatchObject({ outcome: before, outcomeBeforeMode: 'warned' });
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ outcome: after, outcomeBeforeMode: 'denied' });
  });

  test('still denies Pods whose secret is missing', () => {
    const ruleSet = ruleSetOf(`rules: [{registry: old.io, pullSecret: s, onMissingSecret: deny, ${ending}}]`);
    const facts: Facts = { ...unwatched, secret: () => 'absent' };
    expect(evaluate('old.io/app', '2027-03-31', ruleSet, facts)).toMatchObject({ reason: 'secret-missing', outcome: 'denied' });
  });

  test('is not suggested for other images', () => {
    const ruleSet = ruleSetOf(`rules: [{registry: "old.io:5000", ${ending}}, {registry: "old.io:6000"}]`);
    expect(evaluate('old.io/app', '2027-01-01', ruleSet).message).toMatch(/Did you mean old\.io:6000\?$/);
  });

  test('ends the trust of a short name with the first of its registries', () => {
    const ruleSet = ruleSetOf(`shortNames: [a.io, old.io]\nrules: [{registry: a.io, pullSecret: a-pull}, {registry: old.io, ${ending}}]`);
    expect(evaluate('app', '2027-03-31', ruleSet)).toMatchObject({ reason: 'trust-ending', outcome: 'warned', secrets: ['a-pull'] });
    expect(evaluate('app', '2027-04-01', ruleSet)).toMatchObject({ reason: 'trust-ended', outcome: 'denied', secrets: [] });
  });
});

describe('an object that already has the image', () => {
  const update = (time: string) => decided(change('Pod', pod('old.io/app'), pod('old.io/app')), rules, on(time));

  test('gets a warning during the notice period', () => {
    expect(update('2027-03-31')).toMatchObject({ outcome: 'warned', images: [{ reason: 'trust-ending', old: true }] });
  });

  test('may still be changed after the end, with a warning', () => {
    expect(update('2027-04-01')).toMatchObject({ outcome: 'warned', images: [{ reason: 'not-introduced', verdict: 'untrusted' }] });
    expect(update('2027-04-01').findings[0]?.message).toMatch(
      /^already in use, .* new Pods will be denied: .* was trusted until 2027-03-31/,
    );
  });

  test('may not introduce a different one', () => {
    const decision = decided(change('Pod', pod('old.io/app', 'old.io/new'), pod('old.io/app')), rules, on('2027-04-01'));
    expect(decision.images.map(({ reason }) => reason)).toEqual(['not-introduced', 'trust-ended']);
    expect(decision.outcome).toBe('denied');
  });
});

describe('an exemption', () => {
  const exempting = (until: string) =>
    ruleSetOf(
      `rules: [{name: old, registry: old.io, pullSecret: s, ${ending}}]\nexemptions: [{image: old.io, until: ${until}, reason: r}]`,
    );

  test('allows the image after the end, without a secret', () => {
    expect(evaluate('old.io/app', '2027-04-01', exempting('2027-06-30'))).toMatchObject({
      verdict: 'untrusted',
      reason: 'exempted',
      outcome: 'allowed',
      rule: 'old',
      secrets: [],
    });
  });

  test('that lasts longer makes the warning unnecessary', () => {
    expect(evaluate('old.io/app', '2027-03-31', exempting('2027-06-30'))).toMatchObject({ reason: 'trusted', secrets: ['s'] });
    expect(evaluate('old.io/app', '2027-03-31', exempting('2027-03-31'))).toMatchObject({ reason: 'trust-ending', secrets: ['s'] });
  });
});

describe('while the labels of the namespace are unknown', () => {
  const labelled = `{name: labelled, registry: old.io, namespaces: {matchLabels: {team: a}}, ${ending}}`;
  const known = (team: string): Facts => ({ ...unwatched, namespace: () => ({ kind: 'known', labels: { team } }) });

  test.each([
    ['a broader rule trusts', 'rules: [{registry: "*"}, '],
    ['the same pattern is trusted everywhere', 'rules: [{registry: old.io}, '],
    ['unconfigured images are allowed', 'unconfigured: allow\nrules: ['],
  ])('a rule that may apply and has ended denies, even if %s', (_sentence, beginning) => {
    const ruleSet = ruleSetOf(`${beginning}${labelled}]`);
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ reason: 'trust-ended', outcome: 'denied', unsure: true });
    expect(evaluate('old.io/app', '2027-04-01', ruleSet, known('a'))).toMatchObject({ outcome: 'denied', unsure: false });
    expect(evaluate('old.io/app', '2027-04-01', ruleSet, known('b'))).toMatchObject({ outcome: 'allowed', unsure: false });
    expect(evaluate('old.io/app', '2027-01-01', ruleSet)).toMatchObject({ outcome: 'allowed', unsure: true });
  });

  test('an image that some labels would deny is denied, and the result is only certain if labels do not matter', () => {
    const anyDay = fc.constantFrom(undefined, '2026-11-20', '2026-11-30', '2027-06-30');
    const anyRule = fc.record({
      registry: fc.constantFrom('*', '*.io', 'old.io', 'old.io/app', 'old.io/app/x'),
      trust: fc.boolean(),
      until: anyDay,
      namespaces: fc.constantFrom(undefined, labels('team=a'), labels('team=b'), labels('stage=prod', 'team=a')),
    });
    const anyLabels = fc.record({ team: fc.constantFrom('a', 'b', 'c'), stage: fc.constantFrom('prod', 'test') });
    const seen = { denied: 0, warned: 0, allowed: 0, unsure: 0 };
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 6 }), anyLabels, fc.constantFrom('deny', 'allow'), (written, known, unconfigured) => {
        const list = written.map(({ until, namespaces, ...rest }) => {
          const end = until !== undefined && rest.trust ? { until, warnFrom: usualWarnFrom(until) } : {};
          return rule({ ...rest, ...end, ...(namespaces && { namespaces }) });
        });
        const compiled = compileRuleSet([documentWith({ settings: { unconfigured }, rules: list })], sha256);
        fc.pre(compiled.ok);
        const facts: Facts = { ...unwatched, namespace: () => ({ kind: 'known', labels: known }) };
        const blind = evaluate('old.io/app/x', '2026-11-21', compiled.ruleSet);
        const seeing = evaluate('old.io/app/x', '2026-11-21', compiled.ruleSet, facts);
        seen[blind.outcome] += 1;
        if (blind.unsure) seen.unsure += 1;
        if (seeing.outcome === 'denied') expect(blind.outcome).toBe('denied');
        if (!blind.unsure) expect({ ...blind, unsure: false }).toEqual(seeing);
      }),
      // Warnings are one in thirty.
      runs(1_000),
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(0);
  });

  test('the first of several ends applies', () => {
    const later = '{registry: old.io/app, namespaces: {matchLabels: {team: b}}, until: 2028-12-31}';
    const ruleSet = ruleSetOf(`rules: [{registry: "*"}, ${later}, ${labelled}]`);
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ rule: 'labelled', outcome: 'denied' });
  });
});

describe("a namespace's own rule", () => {
  const combined = (cluster: string, ...own: readonly Parameters<typeof rule>[0][]) => {
    const compiled = compileNamespaceRules('shop', [documentWith({ rules: own.map(rule), namespace: 'shop' })]);
    if (!compiled.ok) throw new Error('the rules tie');
    return withNamespaceRules(ruleSetOf(cluster), new Map([['shop', compiled.rules]]), sha256);
  };
  const own = { registry: 'old.io/app', name: 'own', pullSecrets: ['own-pull'] };

  test('does not extend the trust of the cluster rule', () => {
    const ruleSet = combined(`rules: [{name: old, registry: old.io, ${ending}}]`, own);
    expect(evaluate('old.io/app', '2027-02-01', ruleSet)).toMatchObject({ rule: 'own', reason: 'trusted', secrets: ['own-pull'] });
    expect(evaluate('old.io/app', '2027-03-31', ruleSet)).toMatchObject({ rule: 'old', reason: 'trust-ending', secrets: ['own-pull'] });
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ rule: 'old', ...denied });
  });

  test('may end earlier', () => {
    const ruleSet = combined('rules: [{registry: old.io}]', { ...own, until: '2026-12-31', warnFrom: '2026-12-01' });
    expect(evaluate('old.io/app', '2026-12-31', ruleSet)).toMatchObject({ rule: 'own', reason: 'trust-ending', secrets: ['own-pull'] });
    expect(evaluate('old.io/app', '2027-01-01', ruleSet)).toMatchObject({ rule: 'own', ...denied });
  });

  test('may end where the cluster delegates', () => {
    const ruleSet = combined('delegate: [old.io]', { ...own, until: '2026-12-31', warnFrom: '2026-12-01' });
    expect(evaluate('old.io/app', '2026-11-01', ruleSet)).toMatchObject({ rule: 'own', outcome: 'allowed' });
    expect(evaluate('old.io/app', '2027-01-01', ruleSet)).toMatchObject({ rule: 'own', outcome: 'denied' });
  });
});

test('an image of a stream in another namespace shows only that its trust ends', () => {
  const facts = streams({ 'other/web': { tags: { '1': { from: { kind: 'DockerImage', name: 'old.io/web' } } } } });
  const from = { kind: 'ImageStreamTag', namespace: 'other', name: 'web:1' };
  const build = { spec: { strategy: { sourceStrategy: { from } } } };
  const [finding] = decided(change('BuildConfig', build), rules, on('2027-03-31', facts)).findings;
  expect(finding).toMatchObject({ reason: 'trust-ending' });
  expect(finding?.message).toMatch(/: the image in image stream "other\/web:1" is trusted in this namespace only for a limited time\.$/);
});

describe('a registry that the cluster itself adds', () => {
  const route = 'old.io';
  const platform = { internalRegistries: [], externalRegistries: [{ registry: route, object: 'images.config.openshift.io/cluster' }] };

  test('is denied after the end of a rule about it, even while it is unknown whether the rule applies', () => {
    const written = ruleSetOf(`rules: [{registry: old.io, ${ending}, namespaces: {matchLabels: {team: a}}}]`);
    const { ruleSet } = withPlatform(written, platform, sha256);
    expect(evaluate('old.io/app', '2027-01-01', ruleSet)).toMatchObject({ outcome: 'allowed' });
    expect(evaluate('old.io/app', '2027-04-01', ruleSet)).toMatchObject({ outcome: 'denied', unsure: true });
  });
});
